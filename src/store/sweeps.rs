//! The walks that make every request a fact concerns look at it, and the lists that they walk.

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::{
    backup::Week,
    fact::{FactKind, FactVersion},
    ids::{ProcessorId, RequestId},
    time::At,
    words::Why,
};

/// Sweeps, as they are committed.
#[async_trait]
pub trait SweepStore: Send + Sync {
    /// The sweeps, newest first; with `unfinished`, only those that go on.
    async fn sweeps(&self, unfinished: bool, limit: u32) -> Result<Vec<Sweep>, StoreError>;
}

/// Sweeps within a transaction.
#[async_trait]
pub trait SweepTransaction: Send {
    /// The oldest sweep that goes on, that no other worker has taken and that is none of these, locked.
    async fn next_sweep(&mut self, passed_over: &[FactVersion]) -> Result<Option<Sweep>, StoreError>;
    /// Writes how far a sweep has come.
    async fn move_sweep(&mut self, sweep: &Sweep) -> Result<(), StoreError>;
    /// The next requests of a list, each once, with their places.
    async fn concerned(
        &mut self,
        of: &Concerned,
        after: Option<Place>,
        limit: u32,
    ) -> Result<Vec<Place>, StoreError>;
}

/// The walk that makes every request a fact concerns look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// The fact.
    pub version: FactVersion,
    /// What kind of fact it is.
    pub kind: FactKind,
    /// When it was begun.
    pub started_at: At,
    /// When its last batch was committed.
    pub updated_at: At,
    /// When it was finished; `None`: it goes on.
    pub finished_at: Option<At>,
    /// How many requests it has looked at.
    pub done: u64,
    /// How many there were to look at when it was begun; `None`: not counted yet.
    pub total: Option<u64>,
    /// Which list of requests it is in, and where.
    pub stage: u16,
    /// The last request that it has looked at.
    pub after: Option<Place>,
}

/// A place in a list of requests: what they are ordered by first, and the request.
pub type Place = (i64, RequestId);

/// A list of requests that a sweep walks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concerned {
    /// Those that are not closed, by id; the first half of a place is 0.
    Open,
    /// Those with a task that is held, by id; the first half of a place is 0.
    Held,
    /// Those with a task in the queue of one of these lanes, by id; the first half of a place is 0.
    Queued(Vec<ProcessorId>),
    /// Those with a deferred task of this reason at this processor, by its mark.
    Deferred {
        /// Why it is deferred: `Retention`, `BackupRotation` or `Verification`.
        reason: Why,
        /// The processor.
        processor: ProcessorId,
        /// Only marks up to this one.
        up_to: At,
    },
    /// Those with a wave that this backup system is asked about, by its mark.
    Asked {
        /// The backup system.
        processor: ProcessorId,
        /// Only marks up to this one.
        up_to: At,
    },
    /// Every request, closed ones too, by id; the first half of a place is 0.
    All,
    /// Those with a capsule of this week or a later one, by week.
    Capsules {
        /// The first week.
        from: Week,
    },
}
