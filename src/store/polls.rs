//! Tasks that a processor has accepted and that it has to be asked about.

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::{
    ids::{ProcessorId, RequestId},
    time::At,
};

/// Whom to ask about what, as it is committed.
#[async_trait]
pub trait PollStore: Send + Sync {
    /// The processors among these that have to be asked about something.
    async fn due_pollers(&self, processors: &[ProcessorId], now: At) -> Result<Vec<ProcessorId>, StoreError>;
    /// Tasks of this processor that it has to be asked about, taken: nobody else gets them until `next`, and then they are
    /// due again. Whoever dies meanwhile has asked one time less.
    async fn take_polls(
        &self,
        processor: &ProcessorId,
        now: At,
        next: At,
        limit: u32,
    ) -> Result<Vec<(RequestId, u16)>, StoreError>;
    /// Nobody has to be asked about these any more.
    async fn drop_polls(&self, tasks: &[(RequestId, u16)]) -> Result<(), StoreError>;
}

/// A task that its processor has accepted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PollRow {
    /// The request.
    pub request_id: RequestId,
    /// The task's place in its plan.
    pub ordinal: u16,
    /// The processor.
    pub processor: ProcessorId,
    /// When it is asked.
    pub due: At,
}
