//! The pure domain: no I/O, no async, no clock reads, no logging, no randomness.

#[macro_use]
pub mod words;
pub mod ack;
pub mod backup;
pub mod body;
pub mod calendar;
pub mod command;
pub mod early;
pub mod entry;
pub mod fact;
#[cfg(test)]
mod generated_table;
pub mod hold;
pub mod identity;
pub mod identity_template;
pub mod ids;
pub mod method;
pub mod note;
pub mod person;
pub mod plan;
pub mod registry;
pub mod report;
pub mod request;
pub mod similar_names;
pub mod source;
pub mod stops;
pub mod task;
pub mod task_ids;
pub mod time;
