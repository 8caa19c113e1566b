//! The port: one trait an aggregate, and their sums. What is here besides belongs to no aggregate, or to the hot tables, and
//! each adapter does it in its own way.

use async_trait::async_trait;

use super::{
    bulk::{BulkStore, BulkTransaction},
    capsules::{CapsuleStore, CapsuleTransaction},
    changes::Changes,
    counters::CounterStore,
    dead_letters::{DeadLetterStore, DeadLetterTransaction},
    deferred::{DeferredStore, UndeliverableStore},
    drop_fetch::DropFetchStore,
    early::{EarlyStore, EarlyTransaction},
    ended::Ended,
    error::StoreError,
    facts::{FactStore, FactTransaction, Gate},
    history::Passed,
    keyring::KeyringStore,
    ledger::{LedgerStore, LedgerTransaction},
    lists::{ListStore, ListTransaction, ViewStore},
    manual::{ManualStore, ManualTransaction},
    notes::NoteStore,
    outbox::OutboxStore,
    outcomes::OutcomeStore,
    polls::PollStore,
    positions::{Advance, PositionStore, PositionTransaction},
    queues::QueueStore,
    report::ReportStore,
    requests::{Lock, RequestStore, RequestTransaction, StoredRequest},
    retention::{RetentionStore, RetentionTransaction},
    session::{Pool, Session},
    sessions::SessionStore,
    status_callbacks::StatusCallbackStore,
    stops::StopTransaction,
    suppression::{SuppressionStore, SuppressionTransaction},
    sweeps::{Concerned, SweepStore, SweepTransaction},
};
use crate::domain::{ids::RequestId, time::At};

/// A place for requests. What an aggregate's trait reads here are single statements of their own; they see what is
/// committed.
#[async_trait]
pub trait Store:
    Pool
    + Transactions
    + RequestStore
    + LedgerStore
    + ListStore
    + ViewStore
    + BulkStore
    + CounterStore
    + FactStore
    + SweepStore
    + DeferredStore
    + UndeliverableStore
    + QueueStore
    + CapsuleStore
    + DeadLetterStore
    + PositionStore
    + OutboxStore
    + ManualStore
    + NoteStore
    + OutcomeStore
    + PollStore
    + StatusCallbackStore
    + EarlyStore
    + SuppressionStore
    + RetentionStore
    + ReportStore
    + DropFetchStore
    + KeyringStore
    + SessionStore
    + std::fmt::Debug
{
    /// Brings the schema up to this version.
    async fn migrate(&self) -> Result<(), StoreError>;
    /// Refuses a schema that this version does not know, or that was not migrated.
    async fn check_schema(&self) -> Result<(), StoreError>;
    /// The database's clock.
    async fn now(&self) -> Result<At, StoreError>;
    /// What the database is set to that may lose what it has confirmed, or that does not hold what is written: in words for
    /// whoever can change it.
    async fn warnings(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }
    /// What is wrong with the database itself: indexes that are missing, a pooler that takes sessions apart.
    async fn flaws(&self) -> Result<Vec<Flaw>, StoreError> {
        Ok(Vec::new())
    }
    /// The size of the whole store on disk, for the bench.
    async fn bytes_on_disk(&self) -> Result<u64, StoreError>;
}

/// Something that is wrong with a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// What.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

/// Begins transactions.
#[async_trait]
pub trait Transactions: Send + Sync {
    /// Begins a transaction that writes. The name labels metrics and shows as the application's name in the database.
    async fn begin(&self, name: &'static str) -> Result<Box<dyn Transaction>, StoreError>;
}

/// A transaction that writes. Dropped without a commit, it leaves nothing.
///
/// Order of locks: gate, positions, commands that wait, request rows by id, wake-ups, counters. Whoever takes the front of a line, or a sweep,
/// does so before any of its requests, and passes over what others have.
#[async_trait]
pub trait Transaction:
    Session
    + RequestTransaction
    + LedgerTransaction
    + ListTransaction
    + BulkTransaction
    + FactTransaction
    + StopTransaction
    + ManualTransaction
    + SweepTransaction
    + CapsuleTransaction
    + DeadLetterTransaction
    + PositionTransaction
    + EarlyTransaction
    + SuppressionTransaction
    + RetentionTransaction
{
    /// Takes the gate lock, see [`Gate`]: shared by whatever dispatches, settles or parks; exclusive by whatever writes a fact.
    /// Says how far facts and registry have come as of then, and what time it is: until the end of the transaction no fact
    /// is added. What an older version has written without a chain is chained here.
    async fn gate(&mut self, mode: Gate) -> Result<Passed, StoreError>;
    /// The requests that exist among these. With [`Lock::Rows`] their rows are locked, in order of their ids.
    async fn load(&mut self, ids: &[RequestId], lock: Lock) -> Result<Vec<StoredRequest>, StoreError>;
    /// Requests whose wake-up is due, locked; what another worker has locked is passed over.
    async fn due(&mut self, now: At, limit: u32) -> Result<Vec<StoredRequest>, StoreError>;
    /// Moves positions on. [`StoreError::Fenced`]: another worker has already taken a batch in, or the position has gone back.
    async fn advance(&mut self, advances: &[Advance]) -> Result<(), StoreError>;
    /// How many requests a list has, about.
    async fn count_concerned(&mut self, of: &Concerned) -> Result<u64, StoreError>;
    /// Writes everything. A guard that finds another row than expected is [`StoreError::Conflict`].
    async fn write(&mut self, changes: &Changes) -> Result<(), StoreError>;
    /// Commits.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
    /// The end of it, which whoever drops it can wait for.
    fn ended(&self) -> Ended;
}
