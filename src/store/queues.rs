//! The queues of lanes, and which worker runs which lane.

use async_trait::async_trait;
use uuid::Uuid;

use super::error::StoreError;
use crate::domain::{
    ids::{ProcessorId, RequestId, Tenant},
    time::At,
};

/// The queues of lanes, as they are committed.
#[async_trait]
pub trait QueueStore: Send + Sync {
    /// The tenants that have tasks in the queues of these lanes, each with when the first of them is due. Of each lane they
    /// are in order, those after the one beside it, and [`HEADS`] at the most.
    async fn queue_heads(
        &self,
        lanes: &[(ProcessorId, Option<Tenant>)],
    ) -> Result<Vec<QueueHead>, StoreError>;
    /// The tasks that are due in queues, the ones that have waited longest first.
    async fn claimable(&self, wanted: &[Wanted], now: At) -> Result<Vec<QueuedTask>, StoreError>;
    /// How many tasks of these tenants are due in the queues of these lanes, of each no more than it wants.
    async fn due_in_queue(&self, wanted: &[Wanted], now: At) -> Result<Vec<(ProcessorId, u64)>, StoreError>;
    /// When the task that has waited longest in each of these lanes was due.
    async fn oldest_queued(&self, lanes: &[ProcessorId]) -> Result<Vec<(ProcessorId, At)>, StoreError>;
    /// The requests with tasks in the queue of one of these processors, by id.
    async fn requests_queued(
        &self,
        lanes: &[ProcessorId],
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<RequestId>, StoreError>;
    /// Every lane that a worker has ever run.
    async fn lanes(&self) -> Result<Vec<LaneRow>, StoreError>;
    /// Runs these lanes until a time, as far as no other worker does. The answer is those that are run now.
    async fn take_lanes(
        &self,
        owner: Uuid,
        lanes: &[ProcessorId],
        now: At,
        until: At,
    ) -> Result<Vec<LaneRow>, StoreError>;
    /// Lets go of every lane that a worker runs.
    async fn leave_lanes(&self, owner: Uuid) -> Result<(), StoreError>;
    /// Remembers how the breaker of a lane stands. `false`: another worker runs it now.
    async fn set_circuit(
        &self,
        owner: Uuid,
        lane: &ProcessorId,
        circuit: Option<&str>,
    ) -> Result<bool, StoreError>;
    /// The same of a lane that no worker runs: only where it stood as `before` says. `false`: another worker was faster.
    async fn replace_circuit(
        &self,
        lane: &ProcessorId,
        before: Option<&str>,
        circuit: Option<&str>,
    ) -> Result<bool, StoreError>;
    /// Moves up to where a lane that no worker runs has used up its rate: only where it stood at `before`. `false`: another worker
    /// was faster.
    async fn replace_pace(&self, lane: &ProcessorId, before: i64, pace: i64) -> Result<bool, StoreError>;
    /// Takes back a part of what was used up of a rate.
    async fn return_pace(&self, lane: &ProcessorId, micros: i64) -> Result<(), StoreError>;
}

/// So many tenants of a lane are looked at together.
pub const HEADS: usize = 64;

/// A task in the queue of its lane.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueuedRow {
    /// The request.
    pub request_id: RequestId,
    /// The task's place in its plan.
    pub ordinal: u16,
    /// The processor.
    pub processor: ProcessorId,
    /// The tenant.
    pub tenant: Tenant,
    /// From when it may be claimed.
    pub due: At,
}

/// A tenant that has tasks in the queue of a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueHead {
    /// The lane.
    pub processor: ProcessorId,
    /// The tenant.
    pub tenant: Tenant,
    /// When its first task is due.
    pub due: At,
}

/// How many tasks of a tenant are wanted of the queue of a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The lane.
    pub processor: ProcessorId,
    /// The tenant.
    pub tenant: Tenant,
    /// How many.
    pub most: u32,
}

/// A task that may be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueuedTask {
    /// The request.
    pub request_id: RequestId,
    /// The task's place in its plan.
    pub ordinal: u16,
}

/// A lane, and the worker that runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneRow {
    /// The lane.
    pub processor: ProcessorId,
    /// Which worker runs it.
    pub owner: Option<Uuid>,
    /// Until when, if it is not heard of again.
    pub owned_until: At,
    /// How its breaker stands, as whoever runs it has written it; `None`: closed.
    pub circuit: Option<String>,
    /// Up to when the rate is used up of a lane that no worker runs, in microseconds since 1970.
    pub pace: i64,
}
