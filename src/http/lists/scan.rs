//! Walks over requests, bounded a call.

mod stretch;

use std::time::Duration;

use self::stretch::Stretch;

use super::super::problem::Problem;
use crate::{
    clock::Stopwatch,
    domain::{ids::RequestId, request::Request, time::At},
    engine::Engine,
    store::{Among, ListOrder, ListPlace, Sieve, Walk},
};

/// How many requests one call looks at, where each has to be read: some 100 ms of work.
const MAX_SCANNED: usize = 20_000;
/// How many are read at a time.
const CHUNK: usize = 1_000;
/// How long one call looks on, where the database leaves out what is not meant: so much as nobody minds waiting for.
const LOOKS_FOR: Duration = Duration::from_millis(100);
/// How long the database looks through rows at a time.
const STRIDE_TAKES: Duration = Duration::from_millis(25);
/// How many rows the database looks through at first, where most rows may be meant.
const FIRST_STRIDE: u32 = 1_000;
/// The fewest and the most rows that it looks through at a time. Of requests in the order of their ids it looks through some five
/// thousand in a millisecond; where they lie far apart, through some hundred.
const STRIDES: (u32, u32) = (500, 100_000);

/// Walks over requests.
pub(in crate::http) struct Scan<'a> {
    engine: &'a Engine,
    walk: Walk,
    left: usize,
    chunk: usize,
    ended: bool,
    stride: u32,
    stretch: Stretch,
    /// Whether anything was looked through: a call that finds nothing still gets on.
    looked: bool,
    started: Stopwatch,
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
            until: None,
            sieve: Sieve::default(),
            later_than: None,
            earlier_than: None,
            limit: 0,
        };
        Self::of(engine, walk, wanted)
    }

    /// Any walk.
    pub(in crate::http) fn of(engine: &'a Engine, walk: Walk, wanted: usize) -> Self {
        Self {
            engine,
            walk,
            left: MAX_SCANNED,
            chunk: wanted + 1,
            ended: false,
            stride: FIRST_STRIDE,
            stretch: Stretch::default(),
            looked: false,
            started: Stopwatch::start(),
        }
    }

    /// Looks at so many requests at the most.
    pub(in crate::http) const fn at_most(mut self, requests: usize) -> Self {
        self.left = requests;
        self
    }

    /// The next requests; none: the end has come, of the list or of what one call looks at.
    pub(in crate::http) async fn next(&mut self) -> Result<Vec<Request>, Problem> {
        let rows = self.next_placed().await?.unwrap_or_default();
        Ok(rows.into_iter().map(|(_, request)| request).collect())
    }

    /// The same, each with its place. There may be none among some, and more behind them; `None`: the end has come.
    pub(super) async fn next_placed(&mut self) -> Result<Option<Vec<(ListPlace, Request)>>, Problem> {
        if self.ended || self.left == 0 {
            return Ok(None);
        }
        // Of all of them none has an index that is in this order to the row.
        let in_stretches =
            self.walk.order == ListOrder::Received && matches!(self.walk.among, Among::All | Among::Tenant);
        if self.walk.sieve.is_open() && !in_stretches {
            self.every().await.map(Some)
        } else if self.looked && self.started.elapsed() >= LOOKS_FOR {
            Ok(None)
        } else if in_stretches {
            self.stretched().await.map(Some)
        } else {
            self.sifted().await.map(Some)
        }
    }

    async fn every(&mut self) -> Result<Vec<(ListPlace, Request)>, Problem> {
        let count = self.chunk.min(self.left);
        self.walk.limit = u32::try_from(count).unwrap_or(u32::MAX);
        let rows = self.engine.walk(&self.walk).await?;
        self.ended = rows.len() < count;
        self.left -= count;
        self.chunk = CHUNK;
        self.walk.after = rows.last().map(|(place, _)| *place).or(self.walk.after);
        Ok(rows)
    }

    /// What the database lets through of the next rows, so many at a time as it looks through within a moment.
    async fn sifted(&mut self) -> Result<Vec<(ListPlace, Request)>, Problem> {
        let began = self.started.elapsed();
        self.looked = true;
        self.walk.limit = self.stride;
        self.walk.until = self.engine.stride(&self.walk).await?;
        let count = self.chunk.min(self.left);
        self.walk.limit = u32::try_from(count).unwrap_or(u32::MAX);
        let rows = self.engine.walk(&self.walk).await?;
        self.left -= rows.len();
        self.chunk = CHUNK;
        if rows.len() == count {
            // There may be more of these, up to the same place: they are looked for again from the last one on.
            self.walk.after = rows.last().map(|(place, _)| *place);
        } else {
            self.ended = self.walk.until.is_none();
            self.walk.after = self.walk.until.or(self.walk.after);
        }
        self.walk.until = None;
        self.stride = next_stride(self.stride, self.started.elapsed().saturating_sub(began));
        Ok(rows)
    }

    /// What was received within the next stretch of time, which has as many as are looked through within a moment.
    async fn stretched(&mut self) -> Result<Vec<(ListPlace, Request)>, Problem> {
        self.looked = true;
        let is_last = self.stretch.next(self.engine, &mut self.walk).await?;
        let count = self.chunk.min(self.left);
        self.walk.limit = u32::try_from(count).unwrap_or(u32::MAX);
        let rows = self.engine.walk(&self.walk).await?;
        self.left -= rows.len();
        self.chunk = CHUNK;
        if rows.len() == count {
            self.walk.after = rows.last().map(|(place, _)| *place);
        } else {
            self.ended = is_last;
            self.walk.after = self.walk.until;
        }
        self.walk.until = None;
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

/// How many rows are looked through next, where these have taken so long: several times as many at the most.
fn next_stride(rows: u32, took: Duration) -> u32 {
    const FASTER: f64 = 8.0;
    let faster = STRIDE_TAKES.as_secs_f64() / took.as_secs_f64().max(1e-6);
    let next = f64::from(rows) * faster.min(FASTER);
    let (fewest, most) = STRIDES;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it lies between two numbers of that type"
    )]
    let next = next.clamp(fewest.into(), most.into()) as u32;
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stride_takes_about_as_long_whatever_lies_there() {
        let ms = Duration::from_millis;
        assert_eq!(next_stride(1_000, ms(25)), 1_000);
        assert_eq!(next_stride(1_000, ms(1)), 8_000, "faster by and by");
        assert_eq!(next_stride(40_000, Duration::ZERO), 100_000);
        assert_eq!(next_stride(20_000, ms(200)), 2_500);
        assert_eq!(next_stride(1_000, ms(10_000)), 500);
    }
}
