//! Requests whose outputs no Kafka input caused.

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::{ids::RequestId, time::At};

/// The outbox, as it is committed.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Requests whose outputs no Kafka input caused and which nobody has reported as produced since `before`.
    async fn outbox(&self, before: At, limit: u32) -> Result<Vec<RequestId>, StoreError>;
    /// The same, taken: nobody else gets them until `now` is `before`, unless they are kept for longer.
    async fn take_outbox(&self, before: At, now: At, limit: u32) -> Result<Vec<RequestId>, StoreError>;
    /// Whoever produces these is still at it.
    async fn keep_outbox(&self, ids: &[RequestId], now: At) -> Result<(), StoreError>;
    /// Their outputs have been produced, as of these revisions.
    async fn outbox_done(&self, done: &[(RequestId, u32)]) -> Result<(), StoreError>;
}
