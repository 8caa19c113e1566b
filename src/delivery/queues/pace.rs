//! The pace of a lane: so many tasks within a time. One worker at a time runs a lane, so this is the rate of all of them.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::domain::registry::Rate;

/// A burst is what a tenth of a second allows: fast lanes are filled batch by batch, and slow ones one after the other.
const BURSTS_A_SECOND: f64 = 10.0;

/// How fast a lane may go.
pub(super) struct Pace {
    rate: Rate,
    limiter: DefaultDirectRateLimiter,
    /// What was allowed and not used.
    spare: usize,
}

impl Pace {
    pub(super) fn new(rate: Rate) -> Option<Self> {
        let each = rate.per.checked_div(rate.tasks)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small positive number"
        )]
        let burst = (1.0 / each.as_secs_f64() / BURSTS_A_SECOND).ceil().max(1.0) as u32;
        let quota = Quota::with_period(each)?.allow_burst(NonZeroU32::new(burst)?);
        Some(Self {
            rate,
            limiter: RateLimiter::direct(quota),
            spare: 0,
        })
    }

    /// Whether it is of this rate.
    pub(super) fn is_of(&self, rate: Rate) -> bool {
        self.rate == rate
    }

    /// How many tasks may go now, up to so many.
    pub(super) fn allows(&mut self, most: usize) -> usize {
        while self.spare < most && self.limiter.check().is_ok() {
            self.spare += 1;
        }
        self.spare.min(most)
    }

    /// So many go.
    pub(super) const fn go(&mut self, tasks: usize) {
        self.spare = self.spare.saturating_sub(tasks);
    }
}

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pace")
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn allows_a_burst_and_no_more() {
        let mut pace = Pace::new(Rate {
            tasks: 50,
            per: Duration::from_secs(1),
        })
        .unwrap();
        assert_eq!(pace.allows(100), 5);
        assert_eq!(pace.allows(3), 3, "what was not used is still allowed");
        pace.go(5);
        assert!(pace.allows(100) < 5);
        let mut slow = Pace::new(Rate {
            tasks: 2,
            per: Duration::from_secs(3600),
        })
        .unwrap();
        assert_eq!(slow.allows(9), 1);
    }
}
