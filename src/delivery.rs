//! Delivery: effects on their way out, between the use cases that want them and the transports that carry them.
//!
//! *Outputs before offset*: whoever has read a message may say so only when [`relay::Relay::confirm`] says that all that
//! came of it has arrived, or has gone back into the store. Delivery decides nothing about requests: what it repeats is
//! what is true by then, read under the gate lock.

mod handed_over;
pub mod lanes;
pub mod outbox;
pub mod queues;
pub mod relay;
pub mod republish;
mod tombstones;
mod verdicts;

use crate::{engine::EngineError, transport::TransportError};

/// What can go wrong on the way out.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// A use case.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A transport does not even try.
    #[error(transparent)]
    Transport(#[from] TransportError),
}
