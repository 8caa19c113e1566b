//! Changes to many requests at once: jobs, what each has to do, and how far it has come.

use async_trait::async_trait;
use uuid::Uuid;

use super::error::StoreError;
use crate::domain::{
    ids::{RequestId, Tenant},
    time::At,
    words::BulkAction,
};

/// Jobs, as they are committed.
#[async_trait]
pub trait BulkStore: Send + Sync {
    /// One of them.
    async fn bulk_job(&self, id: Uuid) -> Result<Option<BulkJob>, StoreError>;
    /// The latest, before one of them. `tenant`: only those that are limited to it.
    async fn bulk_jobs(
        &self,
        tenant: Option<&Tenant>,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<BulkJob>, StoreError>;
    /// What a job has to do, in order, from a place on. `outcome`: only what came to this.
    async fn bulk_items(
        &self,
        job: Uuid,
        from: u32,
        outcome: Option<BulkOutcome>,
        limit: u32,
    ) -> Result<Vec<BulkItem>, StoreError>;
    /// Why changes were not made, and how many each.
    async fn bulk_refusals(&self, job: Uuid) -> Result<Vec<(String, u64)>, StoreError>;
    /// Takes on the job that has waited the longest, for as long as the owner is heard of; `None`: none runs that nobody else has.
    async fn own_bulk_job(&self, owner: Uuid, now: At, until: At) -> Result<Option<BulkJob>, StoreError>;
    /// Leaves the jobs of an owner that ends to others, at once.
    async fn leave_bulk_jobs(&self, owner: Uuid) -> Result<(), StoreError>;
    /// Deletes jobs that ended before this time, and says how many.
    async fn forget_bulk_jobs(&self, before: At) -> Result<u64, StoreError>;
}

/// Jobs within a transaction.
#[async_trait]
pub trait BulkTransaction: Send {
    /// Writes a job with what it has to do; `false`: there is one of this id.
    async fn add_bulk_job(&mut self, job: &BulkJob, items: &[BulkItem]) -> Result<bool, StoreError>;
    /// Moves a job to another state, and answers how it is then; `None`: it is in none of these states.
    async fn set_bulk_state(
        &mut self,
        id: Uuid,
        from: &[BulkState],
        to: BulkState,
        at: At,
    ) -> Result<Option<BulkJob>, StoreError>;
    /// Writes what came of changes, and up to which place the job has come. [`StoreError::Conflict`]: it is not this owner's.
    async fn move_bulk_job(
        &mut self,
        id: Uuid,
        owner: Uuid,
        done: &[BulkItem],
        next: u32,
        at: At,
    ) -> Result<(), StoreError>;
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkState {
    /// Workers work it off.
    Running,
    /// Somebody has stopped it for a while.
    Paused,
    /// Somebody has ended it.
    Cancelled,
    /// All of it is done.
    Finished,
}

impl BulkState {
    const ALL: [Self; 4] = [Self::Running, Self::Paused, Self::Cancelled, Self::Finished];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Finished => "finished",
        }
    }

    /// Its number in the store.
    pub const fn code(self) -> i16 {
        match self {
            Self::Running => 0,
            Self::Paused => 1,
            Self::Cancelled => 2,
            Self::Finished => 3,
        }
    }

    /// The state of a number.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }
}

/// A change to many requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkJob {
    /// By which it is named.
    pub id: Uuid,
    /// When it was ordered.
    pub created_at: At,
    /// When it moved last.
    pub updated_at: At,
    /// Where it stands.
    pub state: BulkState,
    /// What is done.
    pub action: BulkAction,
    /// How many requests were meant.
    pub matched: u32,
    /// How many changes it has: a request may have several tasks, or none.
    pub total: u32,
    /// The place of the next change.
    pub next: u32,
    /// How many are made.
    pub done: u32,
    /// How many could not be made.
    pub refused: u32,
    /// Who has ordered it.
    pub actor: String,
    /// The one tenant whose requests are meant; `None`: every one.
    pub tenant: Option<Tenant>,
    /// How the requests were chosen: the query of a list, or nothing where they were named.
    pub chosen: String,
    /// What tells it from another one under the same key.
    pub digest: Vec<u8>,
    /// The reason and what else belongs to it, sealed.
    pub sealed: Vec<u8>,
}

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkOutcome {
    /// It waits.
    Waiting,
    /// It is made.
    Done,
    /// It could not be made.
    Refused,
}

impl BulkOutcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Done, Self::Refused];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }

    /// Its number in the store.
    pub const fn code(self) -> i16 {
        match self {
            Self::Waiting => 0,
            Self::Done => 1,
            Self::Refused => 2,
        }
    }

    /// The outcome of a number.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.code() == code)
    }

    /// The outcome of a word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }
}

/// One change of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkItem {
    /// Its place.
    pub n: u32,
    /// The request.
    pub request_id: RequestId,
    /// The task, by its place in the plan; `None`: the request as a whole.
    pub ordinal: Option<u16>,
    /// What came of it.
    pub outcome: BulkOutcome,
    /// Why it could not be made.
    pub why: Option<String>,
}
