//! The messages: what comes in is checked and becomes a domain type, what goes out is written as the contract says.
//!
//! Bytes pass through three stages: [`envelope::open`] takes a CloudEvent apart, [`validate::check`] looks at
//! the bytes before anything is built from them, and one parser a message type ([`command::parse_command`],
//! [`parse_hold`], [`ack::parse_ack`], [`backup::parse_backup`]) yields the domain's types.
//!
//! Architecture invariant: this module sees only `domain`. It does no I/O, reads no clock, logs nothing, and
//! knows nothing of Kafka or HTTP beyond the names of headers. Whatever it says about a message that it
//! refuses holds no value from that message, because any value may be personal data.

pub mod ack;
pub mod api;
pub mod backup;
pub mod bulk;
mod canonical;
pub mod command;
mod command_head;
mod control;
pub mod dead_letter;
mod decision;
pub mod drop;
pub mod envelope;
pub mod fields;
mod hold;
mod idempotency_key;
pub mod opendsr;
mod opening;
mod read;
pub mod rejection;
pub mod report;
mod retained_headers;
pub mod salvage;
mod scanner;
pub mod schemas;
pub mod source;
pub mod status;
pub mod suppression;
pub mod task;
#[cfg(test)]
mod tests;
pub mod validate;

pub use ack::parse_ack;
pub use backup::parse_backup;
pub use command::{Channel, parse_command};
pub use command_head::ParsedCommand;
pub use decision::{DecisionKind, parse_decision};
pub use envelope::{Envelope, Message, ce_headers};
pub use hold::{parse_hold, parse_release};
pub use idempotency_key::{command_id_from_key, command_id_of_caller};
pub use rejection::Rejection;
pub use retained_headers::{KeptHeaders, MAX_KEPT, ReadHeaders, kept};
