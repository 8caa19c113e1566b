//! Walks over requests, bounded a call.

use super::super::problem::Problem;
use crate::{
    domain::{ids::RequestId, request::Request, time::At},
    engine::Engine,
    store::{Among, ListOrder, ListPlace, Walk},
};

/// How many requests one call looks at: some 100 ms of work.
const MAX_SCANNED: usize = 20_000;
/// How many are read at a time.
const CHUNK: usize = 1_000;

/// Walks over requests.
pub(in crate::http) struct Scan<'a> {
    engine: &'a Engine,
    walk: Walk,
    left: usize,
    chunk: usize,
    ended: bool,
}

impl<'a> Scan<'a> {
    /// By id, after a request. `open_only`: closed ones cannot be meant. `wanted`: how many items would do.
    pub(in crate::http) fn new(
        engine: &'a Engine,
        open_only: bool,
        after: Option<RequestId>,
        wanted: usize,
    ) -> Self {
        let walk = Walk {
            among: if open_only { Among::Open } else { Among::All },
            order: ListOrder::Id,
            backwards: false,
            after: after.map(|id| (At::default(), id)),
            due_after: None,
            due_before: None,
            limit: 0,
        };
        Self::of(engine, walk, wanted)
    }

    /// Any walk.
    pub(in crate::http) const fn of(engine: &'a Engine, walk: Walk, wanted: usize) -> Self {
        Self {
            engine,
            walk,
            left: MAX_SCANNED,
            chunk: wanted + 1,
            ended: false,
        }
    }

    /// Looks at so many requests at the most.
    pub(in crate::http) const fn at_most(mut self, requests: usize) -> Self {
        self.left = requests;
        self
    }

    /// The next requests; none: the end has come, of the list or of what one call looks at.
    pub(in crate::http) async fn next(&mut self) -> Result<Vec<Request>, Problem> {
        let rows = self.next_placed().await?;
        Ok(rows.into_iter().map(|(_, request)| request).collect())
    }

    /// The same, each with its place.
    pub(super) async fn next_placed(&mut self) -> Result<Vec<(ListPlace, Request)>, Problem> {
        if self.ended || self.left == 0 {
            return Ok(Vec::new());
        }
        let count = self.chunk.min(self.left);
        self.walk.limit = u32::try_from(count).unwrap_or(u32::MAX);
        let rows = self.engine.walk(&self.walk).await?;
        self.ended = rows.len() < count;
        self.left -= count;
        self.chunk = CHUNK;
        self.walk.after = rows.last().map(|(place, _)| *place).or(self.walk.after);
        Ok(rows)
    }

    /// The last request that was looked at, where the list goes on after it.
    pub(in crate::http) fn cut_off_at(&self) -> Option<RequestId> {
        self.cut_off_place().map(|(_, id)| id)
    }

    /// The same as a place of the walk.
    pub(super) const fn cut_off_place(&self) -> Option<ListPlace> {
        if self.ended { None } else { self.walk.after }
    }
}
