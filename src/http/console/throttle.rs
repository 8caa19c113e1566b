//! Sign-ins that failed, by address: whoever guesses has to wait.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::domain::time::At;

/// How many may fail within a window. People mistype; more than this is guessing.
const FAILURES: u32 = 10;

/// How long failures are counted together, and so how long somebody has to wait at the most.
const WINDOW: Duration = Duration::from_secs(60);

/// How many addresses are remembered. Beyond that, those whose window is over are forgotten, and then all of them: memory has a
/// bound, and tokens are long enough not to be guessed within one window.
const ADDRESSES: usize = 10_000;

/// Counts failures by address.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<IpAddr, Failed>>);

#[derive(Debug, Clone, Copy)]
struct Failed {
    since: At,
    count: u32,
}

impl Throttle {
    /// How long this address has to wait; `None`: it may try.
    pub(super) fn wait(&self, address: IpAddr, now: At) -> Option<Duration> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = failures.get(&address).filter(|failed| !failed.is_over(now))?;
        (failed.count >= FAILURES).then(|| failed.since.plus(WINDOW).since(now))
    }

    /// It has failed.
    pub(super) fn failed(&self, address: IpAddr, now: At) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= ADDRESSES {
            failures.retain(|_, failed| !failed.is_over(now));
        }
        if failures.len() >= ADDRESSES {
            failures.clear();
        }
        let failed = failures.entry(address).or_insert(Failed { since: now, count: 0 });
        if failed.is_over(now) {
            *failed = Failed { since: now, count: 0 };
        }
        failed.count += 1;
    }
}

impl Failed {
    fn is_over(&self, now: At) -> bool {
        self.since.plus(WINDOW) <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_fails_often_waits_and_others_do_not() {
        let throttle = Throttle::default();
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let start = At::from_millis(0);
        for _ in 0..FAILURES {
            assert_eq!(throttle.wait(one, start), None);
            throttle.failed(one, start);
        }
        let later = start.plus(Duration::from_secs(20));
        assert_eq!(throttle.wait(one, later), Some(Duration::from_secs(40)));
        assert_eq!(throttle.wait(other, later), None);
        assert_eq!(throttle.wait(one, start.plus(WINDOW)), None);
    }

    #[test]
    fn no_more_addresses_are_remembered_than_there_is_room_for() {
        let throttle = Throttle::default();
        for n in 0..u32::try_from(ADDRESSES).unwrap() + 5 {
            throttle.failed(IpAddr::from(n.to_be_bytes()), At::from_millis(0));
        }
        assert!(throttle.0.lock().unwrap().len() <= ADDRESSES);
    }
}
