//! The agent: it runs beside a store of one's own, takes the tasks of its processor, carries them out there, and answers with what it
//! has counted.
//!
//! It keeps nothing that matters: after a crash its tasks come again, and what was carried out before is carried out at most for the
//! part in hand once more. It never answers that something is gone which it has not seen go: whatever goes wrong is `failed`, with a
//! message that names nobody.

pub mod answer;
pub mod command;
mod http;
mod kafka;
mod objects;
pub mod page;
mod place;
mod places;
pub mod run;
pub mod source;
pub mod sources;
pub mod sql;
pub mod task;
mod topics;
mod turn;

pub use self::{
    answer::{Answer, Evidence},
    place::{Place, PlaceError},
    places::open,
    task::Task,
    turn::Turn,
};
