//! Under which keyring a store is sealed.

use async_trait::async_trait;

use super::error::StoreError;

/// The mark of the keyring.
#[async_trait]
pub trait KeyringStore: Send + Sync {
    /// The mark of the keyring that this store is sealed under; `None`: nothing was sealed in it yet.
    async fn keyring_mark(&self) -> Result<Option<Vec<u8>>, StoreError>;
    /// Remembers the mark of the keyring, unless one is known.
    async fn mark_keyring(&self, mark: &[u8]) -> Result<(), StoreError>;
}
