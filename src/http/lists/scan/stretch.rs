//! Stretches of time, one behind the other, with a bounded number of requests in each. Where nothing was received they soon are
//! long, and where much was, short.

use uuid::Uuid;

use crate::{
    domain::{ids::RequestId, time::At},
    engine::{Engine, EngineError},
    store::Walk,
};

/// The most requests of a stretch.
const MOST: u32 = 5_000;
/// By how much a stretch grows, where it has few, and shrinks, where it has too many.
const FACTOR: i64 = 8;
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// How long the next one is, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch(i64);

impl Default for Stretch {
    fn default() -> Self {
        Self(MINUTE)
    }
}

impl Stretch {
    /// Binds a walk to the next one. Whether it is the last.
    pub(super) async fn next(&mut self, engine: &Engine, walk: &mut Walk) -> Result<bool, EngineError> {
        let (from, last) = ends(walk, engine.clock.now());
        loop {
            let until = self.end(from, last);
            let (early, late) = (from.min(until), from.max(until));
            let count = engine
                .count_received(At::from_millis(early), At::from_millis(late), MOST + 1)
                .await?;
            // All that was received within one millisecond belongs together.
            if count > u64::from(MOST) && self.0 > 1 {
                self.0 = (self.0 / FACTOR).max(1);
                continue;
            }
            if count < u64::from(MOST) / FACTOR.unsigned_abs() {
                self.0 = self.0.saturating_mul(FACTOR);
            }
            let id = if walk.backwards { Uuid::nil() } else { Uuid::max() };
            walk.until = Some((At::from_millis(until), RequestId(id)));
            return Ok(until == last);
        }
    }

    fn end(self, from: i64, last: i64) -> i64 {
        if last < from {
            from.saturating_sub(self.0).max(last)
        } else {
            from.saturating_add(self.0).min(last)
        }
    }
}

/// Where a walk goes on, and where it ends: nothing was received before 1970, nor after tomorrow.
fn ends(walk: &Walk, now: At) -> (i64, i64) {
    let first = walk.later_than.map_or(0, At::millis);
    let last = (now.millis() + DAY).min(walk.earlier_than.map_or(i64::MAX, At::millis));
    let after = walk.after.map(|(at, _)| at.millis());
    if walk.backwards {
        (after.unwrap_or(last).min(last), first)
    } else {
        (after.unwrap_or(first).max(first), last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_ends_at_the_end_of_the_walk() {
        let minute = Stretch::default();
        assert_eq!(minute.end(0, 3 * MINUTE), MINUTE);
        assert_eq!(minute.end(0, 7), 7);
        assert_eq!(minute.end(3 * MINUTE, 0), 2 * MINUTE);
        assert_eq!(minute.end(7, 0), 0);
    }
}
