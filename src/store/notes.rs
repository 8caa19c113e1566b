//! What a connector has to remember of a task.

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::ids::{RequestId, TaskId};

/// Notes, as they are committed.
#[async_trait]
pub trait NoteStore: Send + Sync {
    /// The notes of the tasks of these requests, in no particular order.
    async fn notes(&self, requests: &[RequestId]) -> Result<Vec<NoteRow>, StoreError>;
    /// Writes notes; each takes the place of its task's older one.
    async fn put_notes(&self, rows: &[NoteRow]) -> Result<(), StoreError>;
}

/// A note as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteRow {
    /// The request.
    pub request_id: RequestId,
    /// The task.
    pub task_id: TaskId,
    /// What is remembered, sealed under the request's key.
    pub sealed: Vec<u8>,
}
