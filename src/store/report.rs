//! What a report reads: the requests of a period, their leaves, and how many there were that are forgotten.

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::{
    ids::{RequestId, Tenant},
    time::At,
    words::Status,
};

/// The requests of a period, as they are committed.
#[async_trait]
pub trait ReportStore: Send + Sync {
    /// The next requests by the time of their receipt, and those of one time by id. The whole of `stretch` is read at the most,
    /// so it should not have many more requests than `limit`.
    async fn received_between(
        &self,
        tenant: Option<&Tenant>,
        stretch: Stretch,
        limit: u32,
    ) -> Result<Vec<(At, RequestId)>, StoreError>;
    /// The leaves of these requests, those of one request in order: request, number, canonical bytes.
    async fn leaves_of(&self, ids: &[RequestId]) -> Result<Vec<(RequestId, u32, Vec<u8>)>, StoreError>;
    /// How many requests that were received in these hours are forgotten, by the status that they had ended with.
    async fn forgotten(
        &self,
        tenant: Option<&Tenant>,
        regime: Option<&str>,
        from: At,
        to: At,
    ) -> Result<Vec<(Status, u64)>, StoreError>;
}

/// A part of a period that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Received then or later.
    pub from: At,
    /// Of those that were received just then: only those after this one; the nil id is before all of them.
    pub after: RequestId,
    /// Received before then.
    pub to: At,
}

/// Hours are those of UTC.
pub const FORGOTTEN_HOUR: i64 = 3_600_000;
