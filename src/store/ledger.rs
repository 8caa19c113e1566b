//! The leaves of the ledger.

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::ids::RequestId;

/// The ledger, as it is committed.
#[async_trait]
pub trait LedgerStore: Send + Sync {
    /// The ledger leaves of a request, in order.
    async fn leaves(&self, id: RequestId) -> Result<Vec<StoredLeaf>, StoreError>;
    /// Those among these requests that the ledger knows: it keeps what was taken in when nothing else is left of it.
    async fn recorded(&self, ids: &[RequestId]) -> Result<Vec<RequestId>, StoreError>;
    /// How many leaves the ledger has.
    async fn ledger_size(&self) -> Result<u64, StoreError>;
}

/// The ledger within a transaction.
#[async_trait]
pub trait LedgerTransaction: Send {
    /// How many leaves the ledger has of each of these requests, where it has any.
    async fn leaf_counts(&mut self, ids: &[RequestId]) -> Result<Vec<(RequestId, u32)>, StoreError>;
}

/// A leaf of the ledger to be written.
#[derive(Debug)]
pub struct LeafRow {
    /// The request.
    pub request_id: RequestId,
    /// Counts the request's leaves.
    pub n: u32,
    /// The canonical bytes.
    pub leaf: Vec<u8>,
    /// Free text and references, sealed.
    pub sealed: Option<Vec<u8>>,
}

/// A leaf of the ledger as it is stored.
#[derive(Debug, Clone)]
pub struct StoredLeaf {
    /// Counts the request's leaves.
    pub n: u32,
    /// The canonical bytes.
    pub leaf: Vec<u8>,
    /// Free text and references, sealed.
    pub sealed: Option<Vec<u8>>,
}
