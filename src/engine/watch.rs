//! Whether the time can be trusted by which the agenda wakes.
//!
//! An erasure is irreversible: time may make it late, never early. So nothing is woken while the clocks of this machine and
//! of the database disagree, nor for a while after this machine's clock has jumped.

use std::time::Duration;

use super::{Engine, EngineError};
use crate::{clock::Stopwatch, domain::time::At};

/// Beyond this difference nothing is woken.
const MAX_DRIFT: Duration = Duration::from_secs(60);

/// A clock that has jumped is believed again when it has been steady for so long: whoever has set it wrongly may set it right.
const STEADY_AFTER: Duration = Duration::from_secs(60);

/// Why there is no time to wake by.
#[derive(Debug, thiserror::Error)]
pub enum Mistrust {
    /// The clocks disagree.
    #[error("this machine's clock and the database's differ by more than 60 s")]
    Drift,
    /// This machine's clock has jumped, or has done so a short while ago.
    #[error(
        "this machine's clock has jumped by more than 60 s, and is watched for a minute before it is believed"
    )]
    Jump,
    /// The database could not be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Compares the machine's clock with the database's, and with the time that has really passed.
#[derive(Debug)]
pub struct Watch {
    wall: At,
    since: Stopwatch,
    /// For how long yet the machine's clock has to be steady.
    doubt: Duration,
}

impl Watch {
    /// Begins at this machine's time.
    pub fn new(now: At) -> Self {
        Self {
            wall: now,
            since: Stopwatch::start(),
            doubt: Duration::ZERO,
        }
    }

    /// `passed`: the time on the monotonic clock since the last look.
    fn check(&mut self, now: At, passed: Duration, database: At) -> Result<(), Mistrust> {
        let expected = self.wall.plus(passed);
        (self.wall, self.since) = (now, Stopwatch::start());
        self.doubt = if distance(now, expected) > MAX_DRIFT {
            STEADY_AFTER
        } else {
            self.doubt.saturating_sub(passed)
        };
        if distance(now, database) > MAX_DRIFT {
            Err(Mistrust::Drift)
        } else if self.doubt.is_zero() {
            Ok(())
        } else {
            Err(Mistrust::Jump)
        }
    }
}

impl Engine {
    /// The time to wake by: the database's, where the clocks agree. A clock that is moved by hand is believed.
    pub async fn trusted_now(&self, watch: &mut Watch) -> Result<At, Mistrust> {
        if !self.clock.is_system() {
            return Ok(self.clock.now());
        }
        let database = self.store.now().await.map_err(EngineError::from)?;
        watch.check(self.clock.now(), watch.since.elapsed(), database)?;
        Ok(database)
    }
}

fn distance(a: At, b: At) -> Duration {
    a.since(b).max(b.since(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn clocks_that_disagree_are_not_believed() {
        let start = At::from_millis(1_000_000_000);
        let mut watch = Watch::new(start);
        let later = |seconds| start.plus(Duration::from_secs(seconds));
        let earlier = At::from_millis(start.millis() - 61_000);
        let mut check = |database| watch.check(start, Duration::ZERO, database);
        assert!(check(later(60)).is_ok());
        assert!(matches!(check(later(61)), Err(Mistrust::Drift)));
        assert!(matches!(check(earlier), Err(Mistrust::Drift)));
        assert!(check(start).is_ok(), "the difference is over");
    }

    #[test]
    fn a_clock_that_has_jumped_is_believed_when_it_has_been_steady() {
        let start = At::from_millis(1_000_000_000);
        for jumped in [
            start.plus(3600 * SECOND),
            At::from_millis(1_000_000_000 - 3_600_000),
        ] {
            let mut watch = Watch::new(start);
            // The database runs on the same machine: it has jumped as well.
            assert!(matches!(watch.check(jumped, SECOND, jumped), Err(Mistrust::Jump)));
            for n in 1..60 {
                let now = jumped.plus(n * SECOND);
                assert!(
                    matches!(watch.check(now, SECOND, now), Err(Mistrust::Jump)),
                    "{n}"
                );
            }
            let now = jumped.plus(60 * SECOND);
            assert!(watch.check(now, SECOND, now).is_ok());
            // Where it is set right meanwhile, that is a jump too.
            assert!(matches!(watch.check(start, SECOND, start), Err(Mistrust::Jump)));
        }
    }

    #[test]
    fn small_steps_and_long_turns_are_no_jump() {
        let mut now = At::from_millis(1_000_000_000);
        let mut watch = Watch::new(now);
        for _ in 0..100 {
            now = now.plus(1001 * SECOND);
            assert!(watch.check(now, 1000 * SECOND, now).is_ok());
        }
    }
}
