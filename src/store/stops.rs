//! What somebody has stopped, as it is read under the exclusive gate lock, where nothing is sent meanwhile.

use async_trait::async_trait;

use super::{error::StoreError, facts::StoredFact};
use crate::domain::ids::ProcessorId;

/// Stops within a transaction.
#[async_trait]
pub trait StopTransaction: Send {
    /// The last fact that stopped the lane of a processor, or had it go on; without one: all lanes.
    async fn last_stop(&mut self, lane: Option<&ProcessorId>) -> Result<Option<StoredFact>, StoreError>;
    /// How many tasks are out at a processor, or at all of them: sent, and without an answer that ends them.
    async fn tasks_out(&mut self, lane: Option<&ProcessorId>) -> Result<u64, StoreError>;
}
