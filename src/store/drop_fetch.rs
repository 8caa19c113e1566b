//! When California's deletion lists were taken in.

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::time::At;

/// The lists that were taken in.
#[async_trait]
pub trait DropFetchStore: Send + Sync {
    /// Remembers that a list was taken in, unless it was before.
    async fn drop_fetched(&self, list: &FetchedList, at: At) -> Result<(), StoreError>;
    /// When the newest list of each data broker was taken in first.
    async fn drop_fetches(&self) -> Result<Vec<(String, At)>, StoreError>;
}

/// A list: the data broker, the day of its batch, what its hashes are of, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedList {
    /// The data broker.
    pub broker: String,
    /// The day of its batch, such as `2026-11-30`.
    pub day: String,
    /// What its hashes are of.
    pub kind: String,
    /// How many lines it has.
    pub count: u64,
}
