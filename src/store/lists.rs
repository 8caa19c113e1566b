//! Lists of requests: walks in an order that an index has, so that a page costs what it shows. And the filters that people keep
//! under a name.

use async_trait::async_trait;

use super::{error::StoreError, requests::StoredRequest};
use crate::domain::{
    ids::{ProcessorId, RequestId, Tenant},
    time::At,
    words::{Mark, Status},
};

/// Lists of requests, as they are committed.
#[async_trait]
pub trait ListStore: Send + Sync {
    /// The next requests of a walk, each with its place.
    async fn walk(&self, walk: &Walk) -> Result<Vec<(ListPlace, StoredRequest)>, StoreError>;
    /// The place of the last of as many requests as a walk has at the most, whatever its sieve lets through; `None`: there are
    /// not so many. It is read from an index alone.
    async fn stride(&self, walk: &Walk) -> Result<Option<ListPlace>, StoreError>;
    /// How many requests were received between these two times, and with them, up to a limit.
    async fn count_received(&self, after: At, until: At, limit: u32) -> Result<u64, StoreError>;
    /// How the database goes about a walk, in its own words: for whoever looks why a list is slow.
    async fn how(&self, walk: &Walk) -> Result<Vec<String>, StoreError>;
    /// How many requests have this mark, up to a limit.
    async fn count_marked(&self, mark: Mark, limit: u32) -> Result<u64, StoreError>;
    /// How many tasks are deferred until a time between these two, up to a limit.
    async fn count_deferred(&self, from: At, until: At, limit: u32) -> Result<u64, StoreError>;
    /// How far requests of an earlier version have got their marks and deadlines.
    async fn listed(&self) -> Result<Listed, StoreError>;
}

/// Lists within a transaction.
#[async_trait]
pub trait ListTransaction: Send {
    /// Writes marks and deadlines of requests of an earlier version, and how far that has come.
    async fn fill_in(
        &mut self,
        marks: &[MarkedRow],
        deadlines: &[(RequestId, At)],
        listed: Listed,
    ) -> Result<(), StoreError>;
}

/// How far requests of an earlier version have got their marks and deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// Up to this one; `None`: it has not begun.
    UpTo(Option<RequestId>),
    /// All of them.
    All,
}

/// A mark of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkedRow {
    /// The request.
    pub request_id: RequestId,
    /// What makes it stand out.
    pub mark: Mark,
    /// By when it is due.
    pub deadline: At,
}

/// Where a request stands in a list: by its deadline, or by when it was received, where the list is in that order, and by its id.
pub type ListPlace = (At, RequestId);

/// Which requests a walk passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Among {
    /// All.
    All,
    /// Those of the tenant that the sieve names, which is none of those that [`Sieve::tenant_index`] is without.
    Tenant,
    /// Those that are not closed.
    Open,
    /// Those with this mark.
    Marked(Mark),
}

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOrder {
    /// By id, which is by time where upstream's ids are time-ordered.
    Id,
    /// By deadline, then by id.
    Deadline,
    /// By when they were received, then by id: of [`Among::Open`] only for a sieve that knows whether they are parked.
    Received,
}

/// What the database leaves out by itself: all that is left out is not meant, and of what is let through, not all may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sieve {
    /// Only those of these states; `None`: of any.
    pub statuses: Option<Vec<Status>>,
    /// Only those of this tenant.
    pub tenant: Option<Tenant>,
    /// Only those that concern this processor.
    pub processor: Option<ProcessorId>,
}

impl Sieve {
    /// Whether it lets everything through.
    pub const fn is_open(&self) -> bool {
        self.statuses.is_none() && self.tenant.is_none() && self.processor.is_none()
    }

    /// Whether all that it lets through of what is open only has to grow old, or none of it; `None`: some may, and some not.
    pub fn parked(&self) -> Option<bool> {
        let statuses = self.statuses.as_ref()?;
        match statuses.iter().filter(|one| **one == Status::Deferred).count() {
            0 => Some(false),
            n if n == statuses.len() => Some(true),
            _ => None,
        }
    }

    /// Whether requests of its tenant have an index. Those of the one that there is where nobody has named any have none: where it
    /// is the only one, an index of all requests would be written for nothing.
    pub fn tenant_index(&self) -> bool {
        self.tenant
            .as_ref()
            .is_some_and(|tenant| tenant.as_str() != "default")
    }
}

/// A walk over requests.
#[derive(Debug, Clone)]
pub struct Walk {
    /// Which ones.
    pub among: Among,
    /// In which order. [`Among::All`] has no deadlines.
    pub order: ListOrder,
    /// Whether it goes from the end to the beginning.
    pub backwards: bool,
    /// After which place.
    pub after: Option<ListPlace>,
    /// Up to this place, and with it.
    pub until: Option<ListPlace>,
    /// What is left out.
    pub sieve: Sieve,
    /// Where it is by deadline: due after this time. Where it goes by when they were received: received after it.
    pub later_than: Option<At>,
    /// And before this one.
    pub earlier_than: Option<At>,
    /// How many at the most.
    pub limit: u32,
}

/// Filters that people keep under a name.
#[async_trait]
pub trait ViewStore: Send + Sync {
    /// Those of a person for a page, by name.
    async fn saved_views(&self, owner: &str, page: &str) -> Result<Vec<SavedView>, StoreError>;
    /// Keeps one, in place of an earlier one of that name.
    async fn save_view(&self, owner: &str, view: &SavedView, at: At) -> Result<(), StoreError>;
    /// Forgets one.
    async fn forget_view(&self, owner: &str, page: &str, name: &str) -> Result<(), StoreError>;
}

/// A filter that somebody has given a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedView {
    /// Its name.
    pub name: String,
    /// The page that it is for.
    pub page: String,
    /// The query of its address.
    pub query: String,
}
