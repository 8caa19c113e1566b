//! Why a message is refused, in words that hold nothing of the message.
//!
//! A detail names a field of our own schema and what was expected there. It must never repeat a value or a key
//! of the message: either may be personal data, and details reach logs, HTTP answers and operators.

use crate::domain::words::{CommandKind, DeadLetterReason};

/// A message is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Rejection {
    /// Under which reason it is dead-lettered.
    pub reason: DeadLetterReason,
    /// Which field, and what was expected of it; never a value of the message.
    pub detail: String,
    /// What the message asks for, where that is known although it is refused.
    pub asks: Option<CommandKind>,
}

impl Rejection {
    /// Refuses. The detail must not hold anything of the message.
    pub fn new(reason: DeadLetterReason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            asks: None,
        }
    }

    /// The same of a message that asks for this.
    #[must_use]
    pub fn asking(mut self, kind: CommandKind) -> Self {
        self.asks = Some(kind);
        self
    }

    /// Refuses for its shape.
    pub fn schema(detail: impl Into<String>) -> Self {
        Self::new(DeadLetterReason::Schema, detail)
    }
}
