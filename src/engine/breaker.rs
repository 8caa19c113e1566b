//! The circuit breaker of a lane: where a processor fails, or does not let us in, nothing more is sent to it but one task now and
//! then, until it answers again.
//!
//! An open circuit uses up nobody's attempts. It never fails people one by one.

use std::{collections::VecDeque, time::Duration};

use super::circuits::OpenCircuit;
use crate::domain::{registry::Breaker as Rules, time::At};

/// What came of a call, as the breaker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The processor answered, whatever it said.
    Answered,
    /// It failed, or asked for patience.
    Failed(String),
    /// It does not let us in.
    Unauthorised(String),
}

/// The breaker of a lane.
#[derive(Debug)]
pub struct Breaker {
    rules: Rules,
    /// What came of the calls of the window, the oldest first; `true`: it failed.
    calls: VecDeque<(At, bool)>,
    failures: usize,
    open: Option<OpenCircuit>,
    /// Whether the one task that tries is out.
    is_probing: bool,
}

/// More calls than this are not remembered: a ratio of the latest of them says as much.
const MOST_CALLS: usize = 10_000;

impl Breaker {
    /// One that stands as another worker, or this one before a restart, has left it.
    pub fn new(rules: Rules, open: Option<OpenCircuit>) -> Self {
        Self {
            rules,
            calls: VecDeque::new(),
            failures: 0,
            open,
            is_probing: false,
        }
    }

    /// Other rules hold from now on.
    pub const fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// The circuit, where it is open.
    pub const fn open(&self) -> Option<&OpenCircuit> {
        self.open.as_ref()
    }

    /// How many tasks may be sent at the most; `None`: as many as there is room for.
    pub fn most(&self, now: At) -> Option<usize> {
        let open = self.open.as_ref()?;
        Some(usize::from(open.until <= now && !self.is_probing))
    }

    /// When to look again.
    pub fn next_look(&self) -> Option<At> {
        self.open
            .as_ref()
            .filter(|_| !self.is_probing)
            .map(|open| open.until)
    }

    /// So many tasks were claimed: where the circuit is open, it is the one that tries.
    pub const fn claimed(&mut self, tasks: usize) {
        if self.open.is_some() && tasks > 0 {
            self.is_probing = true;
        }
    }

    /// The task that was to try was not sent.
    pub const fn given_back(&mut self) {
        self.is_probing = false;
    }

    /// Takes what came of a call. The answer is whether the circuit opened, closed, or stays open for longer.
    pub fn see(&mut self, seen: Seen, now: At) -> bool {
        match (seen, self.open.is_some()) {
            (Seen::Answered, true) => {
                *self = Self::new(self.rules, None);
                true
            }
            (Seen::Answered, false) => {
                self.count(false, now);
                false
            }
            (Seen::Unauthorised(why), _) => self.open_up(why, true, now),
            (Seen::Failed(why), true) => {
                // What was out when it opened says nothing new; the one that tried does.
                self.is_probing && self.open_up(why, false, now)
            }
            (Seen::Failed(why), false) => {
                self.count(true, now);
                let calls = self.calls.len();
                let is_enough = calls >= self.rules.min_requests as usize;
                #[expect(clippy::cast_precision_loss, reason = "at most ten thousand calls")]
                let ratio = self.failures as f64 / calls.max(1) as f64;
                if !is_enough || ratio < self.rules.failure_ratio {
                    return false;
                }
                let why = format!(
                    "{} of the last {calls} calls failed; the last one: {why}",
                    self.failures
                );
                self.open_up(why, false, now)
            }
        }
    }

    fn open_up(&mut self, why: String, unauthorised: bool, now: At) -> bool {
        let earlier = self.open.take();
        let until = now.plus(self.rules.probe_after);
        self.is_probing = false;
        self.open = Some(match earlier {
            // Calls that were out together say the same, one after the other.
            Some(open) if open.unauthorised && !unauthorised => OpenCircuit { until, ..open },
            Some(open) => OpenCircuit {
                until,
                why,
                unauthorised,
                ..open
            },
            None => OpenCircuit {
                since: now,
                until,
                why,
                unauthorised,
            },
        });
        true
    }

    fn count(&mut self, failed: bool, now: At) {
        self.calls.push_back((now, failed));
        self.failures += usize::from(failed);
        let is_old = |at: At, window: Duration| at.plus(window) <= now;
        while let Some((at, failed)) = self.calls.front().copied() {
            if !is_old(at, self.rules.window) && self.calls.len() <= MOST_CALLS {
                break;
            }
            self.calls.pop_front();
            self.failures -= usize::from(failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        failure_ratio: 0.5,
        window: Duration::from_secs(60),
        min_requests: 4,
        probe_after: Duration::from_secs(10),
    };

    fn at(seconds: i64) -> At {
        At::from_millis(seconds * 1000)
    }

    fn failed() -> Seen {
        Seen::Failed("it answered 500".to_owned())
    }

    #[test]
    fn opens_at_its_ratio_of_enough_calls() {
        let mut breaker = Breaker::new(RULES, None);
        assert!(!breaker.see(Seen::Answered, at(0)));
        assert!(!breaker.see(failed(), at(1)));
        assert!(!breaker.see(failed(), at(2)), "three calls are not enough");
        assert!(breaker.see(failed(), at(3)));
        let open = breaker.open().unwrap();
        assert_eq!((open.since, open.until), (at(3), at(13)));
        assert_eq!(
            open.why,
            "3 of the last 4 calls failed; the last one: it answered 500"
        );
    }

    #[test]
    fn calls_outside_of_the_window_do_not_count() {
        let mut breaker = Breaker::new(RULES, None);
        for n in 0..3 {
            assert!(!breaker.see(failed(), at(n)));
        }
        assert!(!breaker.see(failed(), at(100)), "the others are too old");
    }

    #[test]
    fn one_task_tries_and_its_answer_closes() {
        let mut breaker = Breaker::new(RULES, None);
        for n in 0..4 {
            breaker.see(failed(), at(n));
        }
        assert_eq!(breaker.most(at(12)), Some(0));
        assert_eq!(breaker.most(at(13)), Some(1));
        breaker.claimed(1);
        assert_eq!(breaker.most(at(20)), Some(0), "one at a time");
        assert!(breaker.see(failed(), at(21)), "it stays open for longer");
        assert_eq!(breaker.open().unwrap().until, at(31));
        breaker.claimed(1);
        assert!(breaker.see(Seen::Answered, at(32)));
        assert_eq!(breaker.most(at(32)), None);
    }

    #[test]
    fn what_was_out_when_it_opened_says_nothing_new() {
        let mut breaker = Breaker::new(RULES, None);
        for n in 0..4 {
            breaker.see(failed(), at(n));
        }
        assert!(!breaker.see(failed(), at(5)));
        assert_eq!(breaker.open().unwrap().until, at(13));
    }

    #[test]
    fn refused_authorisation_opens_at_once() {
        let mut breaker = Breaker::new(RULES, None);
        let refused = Seen::Unauthorised("it answered 401".to_owned());
        assert!(breaker.see(refused, at(0)));
        assert!(breaker.open().unwrap().unauthorised);
        breaker.claimed(1);
        breaker.given_back();
        assert_eq!(breaker.most(at(10)), Some(1), "what was not sent has not tried");
    }
}
