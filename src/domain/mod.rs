//! The pure domain: no I/O, no async, no clock reads, no logging, no randomness.

#[macro_use]
pub mod words;
pub mod ack;
pub mod calendar;
pub mod command;
pub mod identity;
pub mod ids;
pub mod registry;
pub mod task_ids;
pub mod time;
