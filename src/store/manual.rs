//! What people do about the tasks that they do.

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::{
    ids::{ProcessorId, RequestId},
    time::At,
};

/// Tasks that people do, as they are committed.
#[async_trait]
pub trait ManualStore: Send + Sync {
    /// The places of tasks of these processors that wait for a person, or were claimed, after one and in order.
    async fn manual_places(
        &self,
        lanes: &[ProcessorId],
        after: Option<(RequestId, u16)>,
        limit: u32,
    ) -> Result<Vec<(RequestId, u16)>, StoreError>;
    /// What people have done about tasks of these requests.
    async fn manual_rows(&self, ids: &[RequestId]) -> Result<Vec<ManualRow>, StoreError>;
}

/// Tasks that people do, within a transaction. Whoever writes a row has locked its request.
#[async_trait]
pub trait ManualTransaction: Send {
    /// What people have done about a task.
    async fn manual_row(&mut self, id: RequestId, ordinal: u16) -> Result<Option<ManualRow>, StoreError>;
    /// Writes what somebody has done.
    async fn put_manual(&mut self, row: &ManualRow) -> Result<(), StoreError>;
    /// Forgets a task that is over.
    async fn drop_manual(&mut self, id: RequestId, ordinal: u16) -> Result<(), StoreError>;
}

/// What people have done about a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManualRow {
    /// The request.
    pub request_id: RequestId,
    /// The place of the task in its plan.
    pub ordinal: u16,
    /// The processor.
    pub processor: ProcessorId,
    /// The generation that this is about. A later one begins anew.
    pub generation: u32,
    /// The attempt.
    pub attempt: u32,
    /// To whom it was handed over; `None`: whom the registry names.
    pub assignee: Option<String>,
    /// Who has claimed it; `None`: nobody.
    pub claimed_by: Option<String>,
    /// When.
    pub claimed_at: Option<At>,
    /// Who has confirmed it first, where two have to.
    pub confirmed_by: Option<String>,
    /// What that one has said, sealed.
    pub confirmed: Option<Vec<u8>>,
}
