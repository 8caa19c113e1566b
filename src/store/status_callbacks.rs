//! Where controllers that speak OpenDSR to us want to be told how their requests stand.

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::{ids::RequestId, registry::RequestState, time::At};

/// Whom to tell what, as it is committed.
#[async_trait]
pub trait StatusCallbackStore: Send + Sync {
    /// Remembers where the controller of a request wants to be told. What is remembered already stays.
    async fn add_status_callbacks(&self, rows: &[StatusCallback]) -> Result<(), StoreError>;
    /// Those that are due, taken: nobody else gets them until `until`, unless their request moves.
    async fn take_status_callbacks(
        &self,
        now: At,
        until: At,
        limit: u32,
    ) -> Result<Vec<StatusCallback>, StoreError>;
    /// Writes what came of one that was taken, unless its request has moved meanwhile: then it is due once more.
    async fn keep_status_callback(&self, row: &StatusCallback, due: Option<At>) -> Result<(), StoreError>;
    /// Forgets these: the end was told, or their request is gone.
    async fn drop_status_callbacks(&self, rows: &[(RequestId, u16)]) -> Result<(), StoreError>;
}

/// Where a controller wants to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusCallback {
    /// The request.
    pub request_id: RequestId,
    /// Its place among the request's addresses.
    pub n: u16,
    /// The controller's name here.
    pub controller: String,
    /// The address. It holds no identifier: those that did were refused.
    pub url: String,
    /// What it was told last, or what its answer said.
    pub told: RequestState,
    /// How often the next state was tried in vain.
    pub tries: u32,
    /// From when it is due; of one that was taken: until when it is taken.
    pub due: At,
}

impl StatusCallback {
    /// The time at which nothing is due: until its request moves.
    pub const NOTHING: At = At::from_millis(i64::MAX);
}
