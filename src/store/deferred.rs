//! Tasks that wait for a date or an event, and those that their topics do not take.

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::{
    ids::{ProcessorId, RequestId},
    time::At,
    words::Why,
};

/// Deferred tasks, as they are committed.
#[async_trait]
pub trait DeferredStore: Send + Sync {
    /// Deferred tasks, by date.
    async fn deferred(&self, filter: &DeferredFilter) -> Result<Vec<DeferredRow>, StoreError>;
    /// How many deferred tasks of each of these processors have a date before the time beside it.
    async fn deferred_before(
        &self,
        bounds: &[(ProcessorId, At)],
    ) -> Result<Vec<(ProcessorId, u64)>, StoreError>;
}

/// Tasks that their topics do not take, as they are committed.
#[async_trait]
pub trait UndeliverableStore: Send + Sync {
    /// The processors among these that have tasks which their topic does not take and that may be tried again:
    /// `too_large`, those that are too large for it, else all others.
    async fn undeliverable_lanes(
        &self,
        processors: &[ProcessorId],
        now: At,
        too_large: bool,
    ) -> Result<Vec<ProcessorId>, StoreError>;
    /// The requests with such tasks of this processor, by id.
    async fn undeliverable(
        &self,
        processor: &ProcessorId,
        too_large: bool,
        now: At,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<RequestId>, StoreError>;
}

/// A task that is deferred: it has a row of its own, so that lists, sweeps and gauges find it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeferredRow {
    /// The request.
    pub request_id: RequestId,
    /// The task's place in its plan.
    pub ordinal: u16,
    /// Why: `Retention`, `BackupRotation`, `Verification` or `Hold`.
    pub reason: Why,
    /// The processor.
    pub processor: ProcessorId,
    /// Until when, as far as it is known; `None`: until somebody acts.
    pub until: Option<At>,
    /// What a fact is compared with: for a backup the time that a rotation has to pass, otherwise `until` or 0.
    pub mark: At,
}

/// A wave of copies that its backup system is asked about, or was asked about in vain. It is not deferred, and yet a
/// rotation may end it: by this row the sweep finds it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskedRow {
    /// The request.
    pub request_id: RequestId,
    /// The task's place in its plan.
    pub ordinal: u16,
    /// The backup system.
    pub processor: ProcessorId,
    /// The time that a rotation has to pass.
    pub mark: At,
}

/// A task that its topic does not take. It is ready, and whoever finds that the topic takes it again finds it by this row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UndeliverableRow {
    /// The request.
    pub request_id: RequestId,
    /// The task's place in its plan.
    pub ordinal: u16,
    /// The processor.
    pub processor: ProcessorId,
    /// From when it may be tried again.
    pub due: At,
    /// Whether its own size is the reason.
    pub too_large: bool,
}

/// Which deferred tasks to list, in the order of (until, request, ordinal); what has no date comes last.
#[derive(Debug, Clone, Default)]
pub struct DeferredFilter {
    /// Of this processor.
    pub processor: Option<ProcessorId>,
    /// For this reason.
    pub reason: Option<Why>,
    /// Due before this time.
    pub due_before: Option<At>,
    /// After this one.
    pub after: Option<(Option<At>, RequestId, u16)>,
    /// How many at the most.
    pub limit: u32,
}
