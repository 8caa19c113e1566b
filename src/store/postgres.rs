//! PostgreSQL.
//!
//! Every table is written at most once a transaction, with one statement whose rows come as arrays. Rows are always
//! given in order of their keys, so that two transactions wait for each other and never in a circle.

mod count;
mod deferred;
mod flaws;
mod gate;
mod held;
mod pool;
mod positions;
mod requests;
mod session;
mod settings;
mod store;
mod transaction;
mod upkeep;
mod write;

pub use self::store::PostgresStore;
