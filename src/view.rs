//! What people and other programs see of a request, a task, a hold, a processor, a deferral, a sweep, a dead letter, a position:
//! one typed view of each. HTTP serialises it, the command line prints it.
//!
//! A view is made of what the domain and the store have, and knows nothing of who shows it: neither HTTP nor a terminal. It
//! never holds an identifier.

pub mod backup;
pub mod bulk;
pub mod course;
pub mod dates;
pub mod dead_letter;
pub mod deferral;
pub mod event;
pub mod explanation;
#[cfg(test)]
mod fixture;
pub mod headline;
pub mod hold;
pub mod lane;
pub mod manual;
pub mod opendsr;
pub mod position;
pub mod preview;
pub mod processor;
pub mod registry;
pub mod report;
pub mod request;
pub mod sentences;
pub mod stop;
pub mod sweep;
pub mod task;
