//! Connectors: what a vendor's interface takes and answers, as data, and what follows from it. Pure: no I/O, no clock.
//!
//! A connector says who is let in, which identifiers the vendor takes in which form, which calls are made in which order, and
//! what each answer means. [`run::Run`] decides which call comes next and what all answers come to; whoever makes the calls
//! (`transport/vendor`) decides nothing. What an answer does not clearly say has not happened: an answer that no rule knows is a
//! failure, and only a step that the connector marks as `last` can say that somebody is erased.

pub mod batch;
pub mod check;
pub mod example;
pub mod forms;
mod judge;
pub mod kept;
pub mod language;
pub mod person;
pub mod play;
pub mod pointer;
pub mod request;
pub mod rules;
pub mod run;
mod tally;
pub mod template;

pub use self::{
    kept::Kept,
    language::{Auth, Connector, Does, Step},
    person::{Person, Target},
    request::{Content, Rendered, Values},
    run::{Ask, Call, Next, Run},
    tally::Settled,
};
