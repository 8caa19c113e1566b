//! What stands around Lacuna in demonstrations, benchmarks and tests: processors that answer and upstream services
//! that ask.
//!
//! Architecture invariant: it talks to Lacuna through the broker alone, in the contract's messages, which it has types
//! of its own for: what it reads and writes is what the contract says, not what Lacuna's own code happens to produce.
//! It decides by chance only from a seed.

mod answer;
pub mod character;
mod command;
pub mod driver;
pub mod fleet;
pub mod histogram;
mod outbox;
pub mod random;
pub mod receiver;

/// After this long without a heartbeat a simulated consumer is taken for dead.
const SESSION: std::time::Duration = std::time::Duration::from_secs(45);

pub use answer::reply;
pub use character::{Character, Says};
pub use command::{Ids, id_at};
pub use driver::{Driver, Load, Progress, Report};
pub use fleet::{Fleet, Simulated, Tally};
pub use histogram::Histogram;
pub use receiver::{Dead, Receiver};
