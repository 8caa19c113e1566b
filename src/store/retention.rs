//! What waits to be deleted, and what is said of it afterwards.

use async_trait::async_trait;
use uuid::Uuid;

use super::error::StoreError;
use crate::domain::{
    identity::SuppressionDigest,
    ids::{RequestId, Tenant},
    time::At,
    words::Status,
};

/// What was deleted, as it is committed.
#[async_trait]
pub trait RetentionStore: Send + Sync {
    /// Keys whose last record may not say yet what is true, since `before`, oldest first. They are taken in the same way.
    async fn take_last_words(&self, before: At, now: At, limit: u32) -> Result<Vec<LastWord>, StoreError>;
    /// The last records of these keys say what is true.
    async fn last_words_done(&self, ids: &[Uuid]) -> Result<(), StoreError>;
}

/// What is deleted, within a transaction.
#[async_trait]
pub trait RetentionTransaction: Send {
    /// The front of a line, oldest first, locked; what another worker has locked is passed over.
    async fn closings(&mut self, line: Line, limit: u32) -> Result<Vec<Closing>, StoreError>;
}

/// What is deleted of a request after its end, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// The keyed digests by which its subject is found again.
    Lookups,
    /// Its rows.
    Records,
}

/// Requests that came to their end together, in line for what is deleted of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The line that they stand in.
    pub line: Line,
    /// When the last of them came to its end; or the time that they stand in line by, where they had to wait.
    pub at: At,
    /// Tells rows of one time apart.
    pub id: Uuid,
    /// The requests.
    pub requests: Vec<RequestId>,
}

/// A request whose rows go: deleted only where it still has this revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgedRow {
    /// The request.
    pub id: RequestId,
    /// Its tenant.
    pub tenant: Tenant,
    /// The revision that it was read at.
    pub revision: u32,
    /// When it was received.
    pub received_at: At,
    /// The regime of its clock.
    pub regime: String,
    /// The status that it had ended with.
    pub status: Status,
}

/// A key of a compacted topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CompactedKey {
    /// Of the status topic.
    Status(RequestId),
    /// Of the suppression topic.
    Suppression(SuppressionDigest),
}

/// A key whose last record has to say what is true now, after its rows have gone. It stays until that is confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastWord {
    /// Its own id.
    pub id: Uuid,
    /// The key.
    pub key: CompactedKey,
}
