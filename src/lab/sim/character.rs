//! How simulated processors behave.

use std::time::Duration;

use super::random::share;

/// How a simulated processor behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Character {
    /// Erases at once.
    Fast,
    /// Erases after a while.
    Slow {
        /// How long it takes.
        after: Duration,
    },
    /// Fails at times, and erases when it is asked often enough.
    Flaky {
        /// The share of attempts that fail.
        share: f64,
    },
    /// Holds nothing of anybody.
    NotFound,
    /// Says that it will do it, and does it later.
    AcceptedFirst {
        /// How much later.
        after: Duration,
    },
    /// Fails the first attempt of each task, and erases at the second.
    FailsOnce,
    /// Erases after a time that differs from task to task.
    Spread {
        /// The longest time.
        within: Duration,
    },
}

/// What a simulated processor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// It will do it.
    Accepted,
    /// Done.
    Erased,
    /// There was nothing.
    NotFound,
    /// It could not be done this time.
    Failed,
}

impl Says {
    /// The outcome on the wire.
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Erased => "erased",
            Self::NotFound => "not_found",
            Self::Failed => "failed",
        }
    }
}

/// One answer and how long after the task it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimulatedAnswer {
    /// The time after the task's arrival.
    pub after: Duration,
    /// The answer.
    pub says: Says,
}

impl Character {
    /// What is answered to an attempt: one answer, or a promise and the answer that keeps it. The same attempt with
    /// the same chance is always answered alike, as it should be where a task comes twice.
    pub fn answers(self, attempt: u32, chance: u64) -> (SimulatedAnswer, Option<SimulatedAnswer>) {
        let at_once = |says| {
            (
                SimulatedAnswer {
                    after: Duration::ZERO,
                    says,
                },
                None,
            )
        };
        match self {
            Self::Fast => at_once(Says::Erased),
            Self::Slow { after } => (
                SimulatedAnswer {
                    after,
                    says: Says::Erased,
                },
                None,
            ),
            Self::Flaky { share: failing } => at_once(if share(chance) < failing {
                Says::Failed
            } else {
                Says::Erased
            }),
            Self::NotFound => at_once(Says::NotFound),
            Self::AcceptedFirst { after } => {
                let promise = SimulatedAnswer {
                    after: Duration::ZERO,
                    says: Says::Accepted,
                };
                (
                    promise,
                    Some(SimulatedAnswer {
                        after,
                        says: Says::Erased,
                    }),
                )
            }
            Self::FailsOnce => at_once(if attempt == 1 { Says::Failed } else { Says::Erased }),
            Self::Spread { within } => (
                SimulatedAnswer {
                    after: within.mul_f64(share(chance)),
                    says: Says::Erased,
                },
                None,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_differ() {
        let says = |character: Character, attempt| {
            let (first, second) = character.answers(attempt, 0);
            (first.says, second.map(|answer| answer.says))
        };
        let second = Duration::from_secs(1);
        assert_eq!(says(Character::Fast, 1), (Says::Erased, None));
        assert_eq!(says(Character::NotFound, 1), (Says::NotFound, None));
        assert_eq!(says(Character::FailsOnce, 1), (Says::Failed, None));
        assert_eq!(says(Character::FailsOnce, 2), (Says::Erased, None));
        assert_eq!(says(Character::Flaky { share: 0.5 }, 1), (Says::Failed, None));
        assert_eq!(
            Character::Flaky { share: 0.5 }.answers(1, u64::MAX).0.says,
            Says::Erased
        );
        assert_eq!(
            says(Character::AcceptedFirst { after: second }, 1),
            (Says::Accepted, Some(Says::Erased))
        );
        assert_eq!(Character::Slow { after: second }.answers(1, 0).0.after, second);
        assert!(Character::Spread { within: second }.answers(1, u64::MAX).0.after <= second);
    }
}
