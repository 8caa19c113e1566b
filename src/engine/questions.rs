//! What people and their tools ask, and nothing is decided by: read from the store as it stands.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Engine, EngineError};
use crate::{
    domain::{
        body::Body,
        entry::Leaf,
        ids::{ProcessorId, RequestId},
        request::Request,
    },
    store::{
        ActFilter, ActRow, CounterKey, DeadLetter, DeadLetterFilter, DeferredFilter, DeferredRow,
        OpenLetters, SavedView, Store, StoredBody, StoredFact, StoredLeaf, StoredRequest, Sweep,
    },
};

/// All that the store has of one request.
#[derive(Debug)]
pub struct FullRequest {
    /// The request, with the wrapped key of its identifiers.
    pub stored: StoredRequest,
    /// The leaves of its ledger, with what lies sealed beside them.
    pub leaves: Vec<StoredLeaf>,
    /// What it has kept of its command.
    pub body: Option<StoredBody>,
}

impl FullRequest {
    /// Reads it; `None`: there is no such request.
    pub async fn read(store: &dyn Store, id: RequestId) -> Result<Option<Self>, EngineError> {
        let Some(stored) = store.requests(&[id]).await?.pop() else {
            return Ok(None);
        };
        Ok(Some(Self {
            stored,
            leaves: store.leaves(id).await?,
            body: store.bodies(&[id]).await?.pop(),
        }))
    }

    /// The request itself.
    pub const fn request(&self) -> &Request {
        &self.stored.request
    }

    /// The leaves of its ledger, read.
    pub fn read_leaves(&self) -> Result<Vec<Leaf>, EngineError> {
        let leaves = self.leaves.iter().map(|leaf| Leaf::from_bytes(&leaf.leaf));
        Ok(leaves.collect::<Result<_, _>>()?)
    }
}

/// The requests of deferred tasks.
pub async fn requests_of(
    store: &dyn Store,
    rows: &[DeferredRow],
) -> Result<HashMap<RequestId, Request>, EngineError> {
    /// So many are read at a time.
    const CHUNK: usize = 500;
    let mut ids: Vec<RequestId> = rows.iter().map(|row| row.request_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut requests = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let stored = store.requests(chunk).await?;
        let pairs = stored
            .into_iter()
            .map(|stored| (stored.request.id, stored.request));
        requests.extend(pairs);
    }
    Ok(requests)
}

impl Engine {
    /// Whether the store answers at all. Any read will do; there is no such request.
    pub async fn ping(&self) -> Result<(), EngineError> {
        self.store.revisions(&[RequestId(Uuid::nil())]).await?;
        Ok(())
    }

    /// One request.
    pub async fn request(&self, id: RequestId) -> Result<Option<Request>, EngineError> {
        Ok(self
            .store
            .requests(&[id])
            .await?
            .pop()
            .map(|stored| stored.request))
    }

    /// These requests, in this order, as far as there are any.
    pub async fn requests(&self, ids: &[RequestId]) -> Result<Vec<Request>, EngineError> {
        let mut stored = self.store.requests(ids).await?;
        // They come in no particular order.
        stored.sort_by_key(|row| ids.iter().position(|id| *id == row.request.id));
        Ok(stored.into_iter().map(|stored| stored.request).collect())
    }

    /// All that there is of one request.
    pub async fn full_request(&self, id: RequestId) -> Result<Option<FullRequest>, EngineError> {
        FullRequest::read(self.store.as_ref(), id).await
    }

    /// The next requests by id. `open_only`: without those that are closed.
    pub async fn page(
        &self,
        open_only: bool,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<Request>, EngineError> {
        let rows = if open_only {
            self.store.open_page(after, limit).await?
        } else {
            self.store.page(after, limit).await?
        };
        Ok(rows.into_iter().map(|stored| stored.request).collect())
    }

    /// What requests have kept of their commands.
    pub async fn bodies(&self, ids: &[RequestId]) -> Result<Vec<(RequestId, Body)>, EngineError> {
        let stored = self.store.bodies(ids).await?;
        let body = |stored: StoredBody| Ok((stored.id, Body::unpack(&stored.body)?));
        stored.into_iter().map(body).collect()
    }

    /// Who submitted a request, where the channel tells.
    pub async fn submitter(&self, id: RequestId) -> Result<Option<String>, EngineError> {
        let body = self.bodies(&[id]).await?.pop();
        Ok(body.and_then(|(_, body)| body.submitter))
    }

    /// The leaves of a request's ledger, with what lies sealed beside them.
    pub async fn leaves(&self, id: RequestId) -> Result<Vec<StoredLeaf>, EngineError> {
        Ok(self.store.leaves(id).await?)
    }

    /// Everybody's counters.
    pub async fn counters(&self) -> Result<Vec<(CounterKey, i64)>, EngineError> {
        Ok(self.store.counters().await?)
    }

    /// Deferred tasks, by date.
    pub async fn deferred(&self, filter: &DeferredFilter) -> Result<Vec<DeferredRow>, EngineError> {
        Ok(self.store.deferred(filter).await?)
    }

    /// Their requests.
    pub async fn requests_of_deferred(
        &self,
        rows: &[DeferredRow],
    ) -> Result<HashMap<RequestId, Request>, EngineError> {
        requests_of(self.store.as_ref(), rows).await
    }

    /// Sweeps, the newest first.
    pub async fn sweeps(&self, unfinished: bool, limit: u32) -> Result<Vec<Sweep>, EngineError> {
        Ok(self.store.sweeps(unfinished, limit).await?)
    }

    /// What was told of the backups of a processor.
    pub async fn backup_facts(&self, processor: &ProcessorId) -> Result<Vec<StoredFact>, EngineError> {
        Ok(self.store.backup_facts(processor).await?)
    }

    /// What people did, the latest first, each with its leaf of the ledger.
    pub async fn acts(&self, filter: &ActFilter) -> Result<Vec<(ActRow, Leaf)>, EngineError> {
        let rows = self.store.acts(filter).await?;
        let places: Vec<(RequestId, u32)> = rows.iter().map(|row| (row.place.1, row.place.2)).collect();
        let mut leaves = HashMap::with_capacity(places.len());
        for (id, stored) in self.store.leaves_at(&places).await? {
            leaves.insert((id, stored.n), Leaf::from_bytes(&stored.leaf)?);
        }
        let with_leaf = rows.into_iter().filter_map(|row| {
            let (_, id, n) = row.place;
            Some((row, leaves.remove(&(id, n))?))
        });
        Ok(with_leaf.collect())
    }

    /// The filters that somebody has given a name, for a page.
    pub async fn saved_views(&self, owner: &str, page: &str) -> Result<Vec<SavedView>, EngineError> {
        Ok(self.store.saved_views(owner, page).await?)
    }

    /// Keeps a filter under a name, in place of an earlier one of that name.
    pub async fn save_view(&self, owner: &str, view: &SavedView) -> Result<(), EngineError> {
        Ok(self.store.save_view(owner, view, self.clock.now()).await?)
    }

    /// Forgets one.
    pub async fn forget_view(&self, owner: &str, page: &str, name: &str) -> Result<(), EngineError> {
        Ok(self.store.forget_view(owner, page, name).await?)
    }

    /// Messages that could not be taken in.
    pub async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>, EngineError> {
        Ok(self.store.dead_letters(filter).await?)
    }

    /// Messages that could not be taken in and that nobody has decided about, by what they have in common.
    pub async fn open_dead_letters(&self) -> Result<Vec<OpenLetters>, EngineError> {
        Ok(self.store.open_dead_letters().await?)
    }

    /// One of them, with its sealed payload.
    pub async fn one_dead_letter(&self, id: Uuid) -> Result<Option<DeadLetter>, EngineError> {
        Ok(self.store.dead_letter(id).await?)
    }
}
