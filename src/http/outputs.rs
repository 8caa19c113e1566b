//! Hands over what has to be produced.

use std::time::Duration;

use tokio::sync::mpsc::{Sender, error::SendTimeoutError};

use crate::engine::effects::Effects;

/// How long a full queue is waited for: callers should feel a slow broker, and not time out over it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where that goes which has to be produced.
#[derive(Debug, Clone)]
pub(super) struct Outputs(Sender<Effects>);

impl Outputs {
    pub(super) const fn new(sender: Sender<Effects>) -> Self {
        Self(sender)
    }

    /// Hands it over, or leaves it to the outbox: a row there remembers it until it is produced.
    pub(super) async fn hand_over(&self, emission: Effects) {
        if emission.is_empty() {
            return;
        }
        match self.0.send_timeout(emission, PATIENCE).await {
            Ok(()) => {}
            Err(SendTimeoutError::Timeout(left)) => {
                tracing::warn!(
                    records = left.effects.len(),
                    "the producer is slow: outputs stay in the outbox for now"
                );
            }
            Err(SendTimeoutError::Closed(left)) => {
                tracing::info!(
                    records = left.effects.len(),
                    "the producer has ended: outputs stay in the outbox"
                );
            }
        }
    }
}
