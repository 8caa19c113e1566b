//! Identifiers that are kept only for a restore replay, and the keys that they are forgotten with.

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::{fact::CapsuleEpoch, ids::RequestId};

/// Capsules, as they are committed.
#[async_trait]
pub trait CapsuleStore: Send + Sync {
    /// The epochs of capsules whose keys are not destroyed, by week.
    async fn capsule_epochs(&self) -> Result<Vec<CapsuleEpoch>, StoreError>;
    /// The capsules of these requests whose epoch still has its key.
    async fn capsules(&self, ids: &[RequestId]) -> Result<Vec<StoredCapsule>, StoreError>;
    /// Deletes some of the capsules whose epoch has no key any more, and says how many.
    async fn drop_capsules(&self, limit: u32) -> Result<u64, StoreError>;
}

/// Capsules within a transaction.
#[async_trait]
pub trait CapsuleTransaction: Send {
    /// The wrapped keys of these epochs of capsules; for an epoch that has none yet, the key beside it is stored first.
    async fn capsule_keys(&mut self, epochs: &[(CapsuleEpoch, Vec<u8>)]) -> Result<Vec<Vec<u8>>, StoreError>;
    /// The capsules of these requests whose epoch still has its key.
    async fn capsules(&mut self, ids: &[RequestId]) -> Result<Vec<StoredCapsule>, StoreError>;
    /// Destroys the key of an epoch: from then on its capsules hold nothing. See [`CapsuleStore::drop_capsules`].
    async fn destroy_capsules(&mut self, epoch: &CapsuleEpoch) -> Result<(), StoreError>;
}

/// The identifiers that are kept only for a restore replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapsuleRow {
    /// The request; it has one capsule at the most, and a new one takes the place of the old.
    pub request_id: RequestId,
    /// With which capsules it is forgotten.
    pub epoch: CapsuleEpoch,
    /// The identifiers, sealed under the epoch's key.
    pub sealed: Vec<u8>,
}

/// A capsule as it is stored.
#[derive(Debug, Clone)]
pub struct StoredCapsule {
    /// The request.
    pub request_id: RequestId,
    /// With which capsules it is forgotten.
    pub epoch: CapsuleEpoch,
    /// The identifiers, sealed under the epoch's key.
    pub sealed: Vec<u8>,
    /// The wrapped key of the epoch.
    pub wrapped_key: Vec<u8>,
}
