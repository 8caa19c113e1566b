//! Holds as people see them: whether one is active, and which tasks it came too late for.

use super::{Engine, EngineError};
use crate::{
    domain::{
        fact::Fact,
        hold::Hold,
        ids::{HoldId, RequestId, Tenant},
        registry::Registry,
        request::Request,
    },
    store::StoredRequest,
};

/// How many tasks a hold lists that it came too late for.
const MAX_LISTED: usize = 500;
/// How many open requests are looked at for a hold that may cover any: some 100 ms of work.
const MAX_SCANNED: usize = 20_000;
/// How many requests are read at a time.
const CHUNK: usize = 1_000;

/// A hold that was placed.
#[derive(Debug, Clone)]
pub struct PlacedHold {
    /// The hold.
    pub hold: Hold,
    /// Whether it has not been released.
    pub active: bool,
}

/// The tasks that a hold covers and that have been sent: what is out, and what is done already.
#[derive(Debug, Default)]
pub struct AlreadyDispatched {
    /// The requests that were looked at and have such tasks, with the places of these.
    pub requests: Vec<(Request, Vec<u16>)>,
    /// Whether there may be more.
    pub truncated: bool,
    listed: usize,
}

impl AlreadyDispatched {
    /// Looks at a request; `false`: the list is full.
    fn look_at(&mut self, request: Request, hold: &Hold, registry: &Registry) -> bool {
        let is_out = |ordinal: &u16| {
            let task = request.task(*ordinal);
            task.was_sent() && hold.covers(&request, task, registry.get(&task.processor))
        };
        let mut places: Vec<u16> = request.ordinals().filter(is_out).collect();
        let room = MAX_LISTED - self.listed;
        let is_full = places.len() > room;
        places.truncate(room);
        self.listed += places.len();
        self.truncated |= is_full;
        if !places.is_empty() {
            self.requests.push((request, places));
        }
        !is_full
    }
}

impl Engine {
    /// The hold of this id, released ones too.
    pub async fn placed_hold(&self, tenant: &Tenant, id: HoldId) -> Result<Option<PlacedHold>, EngineError> {
        let facts = self.refresh_facts().await?;
        if let Some(hold) = facts.holds().get(tenant, id) {
            return Ok(Some(PlacedHold {
                hold: hold.clone(),
                active: true,
            }));
        }
        let mut tx = self.store.begin("hold").await?;
        let stored = tx.fact(&Fact::key_of_hold(tenant, id)).await?;
        Ok(stored.and_then(|stored| match stored.fact {
            Fact::Hold(hold) => Some(PlacedHold { hold, active: false }),
            _ => None,
        }))
    }

    /// What a hold came too late for: it keeps nothing back that a processor has been asked already.
    pub async fn already_dispatched(&self, hold: &Hold) -> Result<AlreadyDispatched, EngineError> {
        let active = self.active()?;
        let mut found = AlreadyDispatched::default();
        if !hold.is_wide() {
            let mut ids: Vec<RequestId> = hold.found.iter().copied().chain(hold.request_id).collect();
            ids.sort_unstable();
            ids.dedup();
            for chunk in ids.chunks(CHUNK) {
                for StoredRequest { request, .. } in self.store.requests(chunk).await? {
                    if !found.look_at(request, hold, &active.registry) {
                        return Ok(found);
                    }
                }
            }
            return Ok(found);
        }
        let (mut after, mut scanned) = (None, 0);
        loop {
            let page = self
                .store
                .open_page(after, u32::try_from(CHUNK).unwrap_or(u32::MAX))
                .await?;
            let is_last = page.len() < CHUNK;
            scanned += page.len();
            after = page.last().map(|stored| stored.request.id).or(after);
            for StoredRequest { request, .. } in page {
                if !found.look_at(request, hold, &active.registry) {
                    return Ok(found);
                }
            }
            if is_last {
                return Ok(found);
            }
            if scanned >= MAX_SCANNED {
                found.truncated = true;
                return Ok(found);
            }
        }
    }
}
