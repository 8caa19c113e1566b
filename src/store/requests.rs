//! Requests: the aggregate as it is stored, what is written once about it, and the commands that were taken in.

use async_trait::async_trait;

use super::error::StoreError;
pub use crate::domain::identity::{SubjectDigest, SuppressionDigest};
use crate::domain::{
    ids::{CommandId, RequestId, Tenant},
    request::Request,
    time::At,
    words::Status,
};

/// Requests, as they are committed.
#[async_trait]
pub trait RequestStore: Send + Sync {
    /// The requests that exist among these, in no particular order.
    async fn requests(&self, ids: &[RequestId]) -> Result<Vec<StoredRequest>, StoreError>;
    /// The bodies of these requests.
    async fn bodies(&self, ids: &[RequestId]) -> Result<Vec<StoredBody>, StoreError>;
    /// The revisions that these requests have now.
    async fn revisions(&self, ids: &[RequestId]) -> Result<Vec<(RequestId, u32)>, StoreError>;
    /// The next requests by id, for lists.
    async fn page(&self, after: Option<RequestId>, limit: u32) -> Result<Vec<StoredRequest>, StoreError>;
    /// The next requests by id that are not closed (they have a row in the agenda), for lists of open work.
    async fn open_page(&self, after: Option<RequestId>, limit: u32)
    -> Result<Vec<StoredRequest>, StoreError>;
    /// What the inbox holds of these commands.
    async fn inbox(&self, keys: &[(&Tenant, CommandId)]) -> Result<Vec<InboxRow>, StoreError>;
    /// The requests of a subject, newest first, by the keyed digest of one identifier.
    async fn of_subject(&self, digests: &[SubjectDigest], limit: u32) -> Result<Vec<RequestId>, StoreError>;
    /// The requests that have one of these tickets upstream, the newest first.
    async fn of_ticket(&self, digests: &[SubjectDigest], limit: u32) -> Result<Vec<RequestId>, StoreError>;
    /// The tenants that have sent commands, in order.
    async fn tenants(&self, limit: u32) -> Result<Vec<Tenant>, StoreError>;
    /// When the oldest request that is not closed was received.
    async fn oldest_open(&self) -> Result<Option<At>, StoreError>;
    /// Whether anything is due: one cheap look, so that nothing is begun where nothing is.
    async fn is_due(&self, now: At) -> Result<bool, StoreError>;
    /// How many requests are due, `limit` at the most.
    async fn due(&self, now: At, limit: u32) -> Result<u64, StoreError>;
}

/// Requests within a transaction. What is locked or woken is [`super::Transaction`]'s own.
#[async_trait]
pub trait RequestTransaction: Send {
    /// The bodies of these requests.
    async fn bodies(&mut self, ids: &[RequestId]) -> Result<Vec<StoredBody>, StoreError>;
    /// What the inbox holds of these commands.
    async fn inbox(&mut self, keys: &[(&Tenant, CommandId)]) -> Result<Vec<InboxRow>, StoreError>;
    /// How many requests were received since this time, up to a limit. Merged ones ask nobody anything and do not count.
    /// Until the end of the transaction nobody else counts them, so that what follows from the number holds.
    /// `tenant`: only its; `None`: everybody's.
    async fn received_since(
        &mut self,
        since: At,
        tenant: Option<&Tenant>,
        limit: u32,
    ) -> Result<u64, StoreError>;
    /// The requests of subjects that have one of these identifiers, by id.
    async fn of_subjects(&mut self, digests: &[SubjectDigest]) -> Result<Vec<RequestId>, StoreError>;
    /// Which requests have these identifiers, merged ones apart: of each identifier so many at the most, those with the
    /// highest ids, which are the latest where upstream uses time-ordered ones.
    async fn alike(
        &mut self,
        digests: &[SubjectDigest],
        each: u32,
    ) -> Result<Vec<(SubjectDigest, RequestId)>, StoreError>;
}

/// How rows are read for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Without a lock: the guard on the revision finds a lost race.
    None,
    /// Locked until the end of the transaction.
    Rows,
}

/// A request as it is stored.
#[derive(Debug, Clone)]
pub struct StoredRequest {
    /// The aggregate.
    pub request: Request,
    /// The wrapped key of its identifiers; `None`: shredded.
    pub wrapped_key: Option<Vec<u8>>,
}

/// What is written once about a request, and anew only when identifiers are supplied.
#[derive(Debug, Clone)]
pub struct StoredBody {
    /// The request.
    pub id: RequestId,
    /// The packed body.
    pub body: Vec<u8>,
    /// The sealed identifiers.
    pub sealed: Vec<u8>,
}

/// The aggregate as it is written: packed, with what has columns of its own.
#[derive(Debug)]
pub struct StateRow {
    /// The request.
    pub id: RequestId,
    /// Grows with every change.
    pub revision: u32,
    /// Where it stands.
    pub status: Status,
    /// When it was received.
    pub received_at: At,
    /// By when it is due.
    pub deadline: At,
    /// When it wants to be woken.
    pub wake_at: Option<At>,
    /// All of it but id and revision.
    pub packed: Vec<u8>,
}

impl StateRow {
    /// Whether all that is left of it only has to grow old.
    pub(super) const fn is_parked(&self) -> bool {
        matches!(self.status, Status::Deferred)
    }

    /// Packs a request.
    pub fn of(request: &Request) -> Result<Self, StoreError> {
        let packed = request.pack().map_err(|error| StoreError::Unreadable {
            table: "state",
            detail: format!("request {}: {error}", request.id),
        })?;
        Ok(Self {
            id: request.id,
            revision: request.revision,
            status: request.life.status,
            received_at: request.head.received_at,
            deadline: request.life.clock.due,
            wake_at: request.bookkeeping.wake_at,
            packed,
        })
    }
}

/// A new request.
#[derive(Debug)]
pub struct OpenedRow {
    /// What it is.
    pub state: StateRow,
    /// Whose it is.
    pub tenant: Tenant,
    /// The wrapped key of its identifiers; `None`: it was over at once.
    pub wrapped_key: Option<Vec<u8>>,
    /// The packed body.
    pub body: Vec<u8>,
    /// The sealed identifiers.
    pub sealed: Vec<u8>,
    /// The keyed digests of its identifiers.
    pub digests: Vec<SubjectDigest>,
    /// The keyed digest of the ticket that it has upstream.
    pub ticket: Option<SubjectDigest>,
}

/// A request that has changed: written only where it still has the revision before.
#[derive(Debug)]
pub struct MovedRow {
    /// What it is after the change.
    pub state: StateRow,
    /// The revision that it was read at.
    pub from_revision: u32,
    /// Whether the wrapped key is deleted.
    pub shred: bool,
    /// Whether the row in the agenda has to follow `state.wake_at`.
    pub rewake: bool,
}

/// What is written anew about a request to which identifiers were supplied.
#[derive(Debug)]
pub struct ResealedRow {
    /// The request.
    pub id: RequestId,
    /// The packed body.
    pub body: Vec<u8>,
    /// The sealed identifiers, old and new.
    pub sealed: Vec<u8>,
    /// The keyed digests of the new ones.
    pub digests: Vec<SubjectDigest>,
}

/// A command that has been taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRow {
    /// The tenant.
    pub tenant: Tenant,
    /// The idempotency key.
    pub command_id: CommandId,
    /// The keyed digest of its payload.
    pub digest: [u8; 16],
    /// The request that it is about.
    pub request_id: RequestId,
}
