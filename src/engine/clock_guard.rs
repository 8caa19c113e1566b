//! The one place that says what time it is to whoever decides.
//!
//! An erasure is irreversible: time may make it late, never early. So nothing at all is decided while the clocks of this
//! machine and of the database disagree, nor for a while after this machine's clock has jumped: no command is taken in, no
//! answer settled, nothing opened, woken, swept, forgotten or deleted. All of it waits, as for a store that is away, and goes
//! on by itself.
//!
//! The database's clock comes with the gate lock, so a decision's time is looked at within its own transaction.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{Engine, EngineError};
use crate::{
    clock::{Clock, Stopwatch},
    domain::time::At,
    store::Seen,
};

/// Beyond this difference nothing is decided.
const MAX_DRIFT: Duration = Duration::from_secs(60);

/// A clock that has jumped is believed again when it has been steady for so long: whoever has set it wrongly may set it right.
const STEADY_AFTER: Duration = Duration::from_secs(60);

/// Why there is no time to decide by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mistrust {
    /// The clocks disagree.
    #[error(
        "the clock is not trusted: this machine's is {seconds} s {direction} the database's, and more than 60 s is too much; \
         nothing is decided until they agree"
    )]
    Drift {
        /// By how much.
        seconds: u64,
        /// To which side.
        direction: &'static str,
    },
    /// This machine's clock has jumped, or has done so a short while ago.
    #[error(
        "the clock is not trusted: this machine's has jumped by more than 60 s, and is watched for a minute before it is \
         believed; nothing is decided until then"
    )]
    Jump,
}

/// Watches the machine's clock, for all use cases of a worker.
#[derive(Debug)]
pub(super) struct ClockGuard(Mutex<Watch>);

impl ClockGuard {
    /// Begins at this machine's time.
    pub(super) fn new(clock: &Clock) -> Self {
        Self(Mutex::new(Watch::new(clock.now())))
    }

    /// The time to decide by, as the database has just told its own: that one. A clock that is moved by hand is believed.
    pub(super) fn time(&self, clock: &Clock, database: At) -> Result<At, Mistrust> {
        if !clock.is_system() {
            return Ok(clock.now());
        }
        let mut watch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = watch.since.elapsed();
        watch.check(clock.now(), passed, database)?;
        Ok(database)
    }
}

/// The time to decide by in a process that has only just begun: nothing can have jumped yet.
pub(super) fn agreed(clock: &Clock, database: At) -> Result<At, Mistrust> {
    if !clock.is_system() {
        return Ok(clock.now());
    }
    compare(clock.now(), database)?;
    Ok(database)
}

/// Compares the machine's clock with the database's, and with the time that has really passed.
#[derive(Debug)]
struct Watch {
    wall: At,
    since: Stopwatch,
    /// For how long yet the machine's clock has to be steady.
    doubt: Duration,
}

impl Watch {
    fn new(now: At) -> Self {
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
        compare(now, database)?;
        if self.doubt.is_zero() {
            Ok(())
        } else {
            Err(Mistrust::Jump)
        }
    }
}

impl Engine {
    /// The time to decide by outside of a transaction: the database's, where the clocks agree.
    pub async fn trusted_now(&self) -> Result<At, EngineError> {
        let database = self.store.now().await?;
        Ok(self.clock_guard.time(&self.clock, database)?)
    }

    /// Says how far partitions have been read. By these times acks are found missing, so a time that this machine's clock has
    /// only imagined must not get there: while it is not trusted nothing is said, and the next reading says it.
    pub async fn seen(&self, seen: &[Seen]) -> Result<(), EngineError> {
        let now = match self.trusted_now().await {
            Err(EngineError::Clock(_)) => return Ok(()),
            now => now?,
        };
        let known: Vec<Seen> = seen
            .iter()
            .filter(|seen| !self.clock.is_system() || seen.at <= now.plus(MAX_DRIFT))
            .cloned()
            .collect();
        if !known.is_empty() {
            self.store.seen(&known).await?;
        }
        Ok(())
    }
}

fn compare(machine: At, database: At) -> Result<(), Mistrust> {
    let apart = distance(machine, database);
    if apart <= MAX_DRIFT {
        return Ok(());
    }
    Err(Mistrust::Drift {
        seconds: apart.as_secs(),
        direction: if machine > database { "ahead of" } else { "behind" },
    })
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
        assert!(matches!(
            check(later(61)),
            Err(Mistrust::Drift { seconds: 61, .. })
        ));
        assert!(matches!(check(earlier), Err(Mistrust::Drift { seconds: 61, .. })));
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
    fn a_clock_that_is_off_says_by_how_much_and_to_which_side() {
        let (machine, database) = (At::from_millis(1_000_000_000), At::from_millis(4_456_000_000));
        let said = |result: Result<(), Mistrust>| result.unwrap_err().to_string();
        assert!(said(compare(machine, database)).contains("3456000 s behind the database's"));
        assert!(said(compare(database, machine)).contains("3456000 s ahead of the database's"));
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
