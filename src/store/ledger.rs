//! The leaves of the ledger.

use async_trait::async_trait;

use super::error::StoreError;
pub use crate::domain::entry::acts::{ActKind, Acted};
use crate::domain::{ids::RequestId, time::At};

/// The ledger, as it is committed.
#[async_trait]
pub trait LedgerStore: Send + Sync {
    /// The ledger leaves of a request, in order.
    async fn leaves(&self, id: RequestId) -> Result<Vec<StoredLeaf>, StoreError>;
    /// Those among these requests that the ledger knows: it keeps what was taken in when nothing else is left of it.
    async fn recorded(&self, ids: &[RequestId]) -> Result<Vec<RequestId>, StoreError>;
    /// Leaves in which people act, the latest first.
    async fn acts(&self, filter: &ActFilter) -> Result<Vec<ActRow>, StoreError>;
    /// These leaves, in no particular order.
    async fn leaves_at(
        &self,
        places: &[(RequestId, u32)],
    ) -> Result<Vec<(RequestId, StoredLeaf)>, StoreError>;
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
#[derive(Debug, Clone)]
pub struct LeafRow {
    /// The request.
    pub request_id: RequestId,
    /// Counts the request's leaves.
    pub n: u32,
    /// The canonical bytes.
    pub leaf: Vec<u8>,
    /// Free text and references, sealed.
    pub sealed: Option<Vec<u8>>,
    /// Who acts in it, where a person does: lists of what people did find it by that.
    pub acted: Option<Acted>,
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

/// Where a leaf stands among those in which people act: when it was written, of which request it is, its number.
pub type ActPlace = (At, RequestId, u32);

/// Which leaves to list in which people act.
#[derive(Debug, Clone, Default)]
pub struct ActFilter {
    /// Of this person.
    pub actor: Option<String>,
    /// Of this kind.
    pub kind: Option<ActKind>,
    /// Written after this time.
    pub since: Option<At>,
    /// Written before this one.
    pub until: Option<At>,
    /// Before this place.
    pub after: Option<ActPlace>,
    /// How many at the most.
    pub limit: u32,
}

/// A leaf in which a person acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActRow {
    /// Where it stands.
    pub place: ActPlace,
    /// What kind of act it is.
    pub kind: ActKind,
    /// Who.
    pub actor: String,
}
