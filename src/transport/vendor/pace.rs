//! How fast a vendor is called: by every call to it, whatever it is for. A lane is run by one worker at a time, so that this is
//! the pace of all of them.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};

use crate::domain::registry::Rate;

/// Lets calls through at a vendor's pace.
pub(super) struct Pace(DefaultDirectRateLimiter);

impl Pace {
    pub(super) fn new(rate: Rate) -> Option<Self> {
        let each = rate.per.checked_div(rate.tasks)?;
        // A vendor that counts by the second or the minute gets them one after the other; of what it counts by the hour or the
        // day, a tenth may go at once.
        let burst = if rate.per >= Duration::from_secs(3600) {
            rate.tasks / 10
        } else {
            1
        };
        let quota = Quota::with_period(each)?.allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN));
        Some(Self(RateLimiter::direct(quota)))
    }

    /// Waits for its turn; `Err`: it would come later than this, and so much later.
    pub(super) async fn turn(&self, within: Duration) -> Result<(), Duration> {
        let mut left = within;
        loop {
            let Err(not_yet) = self.0.check() else {
                return Ok(());
            };
            let wait = not_yet.wait_time_from(DefaultClock::default().now());
            if wait > left {
                return Err(wait);
            }
            left -= wait;
            tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
        }
    }
}

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pace").finish_non_exhaustive()
    }
}
