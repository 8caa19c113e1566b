//! When a task is asked again, and the growing pauses of whoever waits for a dependency: the one module that knows the `backoff`
//! crate.
//!
//! `backoff` is no longer maintained (RUSTSEC-2025-0012); only its exponential policy is used, and only here.

use std::time::Duration;

use backoff::{ExponentialBackoff, backoff::Backoff};

use crate::domain::registry::Retry;

/// The delay before the attempt that follows the n-th one, with its jitter.
pub fn delay(retry: &Retry, attempt: u32) -> Duration {
    // `powi` saturates to infinity, which `min` brings back to the longest delay.
    let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let grown = retry.initial.as_secs_f64() * retry.multiplier.powi(exponent);
    let current = Duration::from_secs_f64(grown.min(retry.max.as_secs_f64()));
    policy(current, retry).next_backoff().unwrap_or(retry.max)
}

fn policy(current: Duration, retry: &Retry) -> ExponentialBackoff {
    let mut policy = ExponentialBackoff {
        current_interval: current,
        initial_interval: retry.initial,
        randomization_factor: retry.jitter,
        multiplier: retry.multiplier,
        max_interval: retry.max,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    };
    // The constructor's own clock decides nothing, because no elapsed time is limited.
    policy.current_interval = current;
    policy
}

/// Growing pauses for a loop that waits for a dependency to come back: 100 ms up to 5 s, jittered, for ever.
#[derive(Debug)]
pub struct Pauses(ExponentialBackoff);

impl Default for Pauses {
    fn default() -> Self {
        Self(ExponentialBackoff {
            current_interval: Duration::from_millis(100),
            initial_interval: Duration::from_millis(100),
            randomization_factor: 0.3,
            multiplier: 2.0,
            max_interval: Duration::from_secs(5),
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }
}

impl Pauses {
    /// The next pause, longer than the one before.
    pub fn longer(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(Duration::from_secs(5))
    }

    /// Starts again from the shortest one.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_longest_one_and_keep_within_their_jitter() {
        let retry = Retry {
            jitter: 0.2,
            ..Retry::default()
        };
        for (attempt, expected) in [(1, 5.0), (2, 10.0), (3, 20.0), (20, 3600.0), (u32::MAX, 3600.0)] {
            for _ in 0..100 {
                let seconds = delay(&retry, attempt).as_secs_f64();
                assert!(
                    (expected * 0.79..=expected * 1.21).contains(&seconds),
                    "attempt {attempt}: {seconds}"
                );
            }
        }
    }

    #[test]
    fn without_jitter_a_delay_is_exact() {
        let retry = Retry {
            jitter: 0.0,
            ..Retry::default()
        };
        assert_eq!(delay(&retry, 2), Duration::from_secs(10));
    }
}
