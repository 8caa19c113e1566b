//! One processor's share of a request, and the one function that changes its state.

use serde::{Deserialize, Serialize};

use super::{
    ids::{Label, ProcessorId},
    time::At,
    words::{AbandonCause, Action, Outcome, Proof, TaskStateName},
};

/// One processor's share of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The processor.
    pub processor: ProcessorId,
    /// What it is asked.
    pub action: Action,
    /// The categories of its share, where the share was split; empty: all of it.
    pub categories: Vec<Label>,
    /// The tasks, by their place in the plan, that must be out of the way first.
    pub after: Vec<u16>,
    /// Whether it is a backup: live systems are clean without it.
    pub backup: bool,
    /// Grows each time the task must be done again.
    pub generation: u32,
    /// Grows each time this generation is sent.
    pub attempt: u32,
    /// How many attempts of this generation count towards the registry's limit.
    pub counted: u32,
    /// What the current attempt has been answered, where it has counted.
    pub answered: Option<Outcome>,
    /// Where it stands.
    pub state: TaskState,
}

/// Where a task stands. New members go to the end: the order is part of the packed form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskState {
    /// Waits for other tasks.
    Blocked,
    /// Waits until the subject has an identity that the processor knows.
    WithoutIdentity,
    /// Waits for a date on which it may go.
    Parked {
        /// The date.
        until: At,
    },
    /// May be sent from this time on.
    Ready {
        /// The time.
        due: At,
    },
    /// Sent and not answered.
    Dispatched {
        /// When.
        at: At,
        /// By when an answer is expected.
        ack_by: At,
    },
    /// The processor says that it will do it.
    Accepted {
        /// When it said so.
        at: At,
        /// By when it is expected to be done.
        expected_by: At,
    },
    /// Proved.
    Done {
        /// How.
        proof: Proof,
        /// When the proof was received.
        at: At,
    },
    /// Not asked, or not asked any more, for a reason that the law or the registry gives.
    Exempt {
        /// The legal basis, or `no_identity`.
        basis: Label,
    },
    /// Given up until an operator retries or waives it.
    Abandoned {
        /// Why.
        cause: AbandonCause,
    },
    /// An operator has decided to do without it.
    Waived,
    /// Withdrawn before it was sent.
    Cancelled,
}

/// Something that happens to a task. The ledger keeps these, so new members go to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskEvent {
    /// What it waited for is out of the way.
    Unblocked {
        /// From when it may be sent.
        due: At,
    },
    /// The parked date has come.
    Woken {
        /// From when it may be sent.
        due: At,
    },
    /// One more attempt is sent.
    Dispatched {
        /// When.
        at: At,
        /// By when an answer is expected.
        ack_by: At,
    },
    /// The processor says that it will do it.
    Accepted {
        /// When it said so.
        at: At,
        /// By when it is expected to be done.
        expected_by: At,
    },
    /// The attempt did not lead to an end: it is sent again.
    AskedAgain {
        /// What it was answered; `None`: nothing in time.
        outcome: Option<Outcome>,
        /// Whether the attempt counts towards the limit.
        counts: bool,
        /// From when it may be sent.
        due: At,
    },
    /// Proved.
    Settled {
        /// The attempt whose answer it was: the current one, or an earlier one that was late.
        attempt: u32,
        /// How.
        proof: Proof,
        /// When the proof was received.
        at: At,
    },
    /// The processor has to keep it until a date.
    Retained {
        /// The date.
        until: At,
    },
    /// The processor has to keep it for good.
    RetainedForGood {
        /// The legal basis.
        basis: Label,
    },
    /// Given up.
    Abandoned {
        /// Why.
        cause: AbandonCause,
        /// What the last attempt was answered; `None`: nothing in time.
        outcome: Option<Outcome>,
    },
    /// An operator has it done again.
    Retried {
        /// From when it may be sent.
        due: At,
    },
    /// An operator has decided to do without it.
    Waived,
    /// Withdrawn before it was sent.
    Cancelled,
}

/// An event that the state of a task does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a task that is {state} cannot take the event {event:?}")]
pub struct IllegalEvent {
    /// The state it is in.
    pub state: TaskStateName,
    /// What should have happened.
    pub event: TaskEvent,
}

impl Task {
    /// The one way in which a task changes. Live running and replay share it; an unlisted pair is an error.
    pub fn apply(&mut self, event: &TaskEvent) -> Result<(), IllegalEvent> {
        use TaskEvent as E;
        use TaskState as S;
        let next = match (&self.state, event) {
            (S::Blocked | S::WithoutIdentity, E::Unblocked { due })
            | (S::Parked { .. }, E::Woken { due })
            | (S::Dispatched { .. } | S::Accepted { .. }, E::AskedAgain { due, .. })
            | (
                S::Abandoned { .. }
                | S::Ready { .. }
                | S::Dispatched { .. }
                | S::Accepted { .. }
                | S::Parked { .. },
                E::Retried { due },
            ) => S::Ready { due: *due },
            (S::Ready { .. }, E::Dispatched { at, ack_by }) => S::Dispatched {
                at: *at,
                ack_by: *ack_by,
            },
            (S::Dispatched { .. }, E::Accepted { at, expected_by }) => S::Accepted {
                at: *at,
                expected_by: *expected_by,
            },
            // A success of any attempt of the generation settles, also while the next attempt waits, and after all were used.
            (
                S::Dispatched { .. }
                | S::Accepted { .. }
                | S::Ready { .. }
                | S::Parked { .. }
                | S::Abandoned { .. },
                E::Settled { proof, at, .. },
            ) => S::Done {
                proof: *proof,
                at: *at,
            },
            (S::Dispatched { .. } | S::Accepted { .. }, E::Retained { until }) => S::Parked { until: *until },
            (S::Dispatched { .. } | S::Accepted { .. }, E::RetainedForGood { basis }) => {
                S::Exempt { basis: basis.clone() }
            }
            (S::Dispatched { .. } | S::Accepted { .. }, E::Abandoned { cause, .. }) => {
                S::Abandoned { cause: *cause }
            }
            (
                S::Blocked
                | S::WithoutIdentity
                | S::Parked { .. }
                | S::Ready { .. }
                | S::Dispatched { .. }
                | S::Accepted { .. }
                | S::Abandoned { .. },
                E::Waived,
            ) => S::Waived,
            (
                S::Blocked | S::WithoutIdentity | S::Parked { .. } | S::Ready { .. } | S::Abandoned { .. },
                E::Cancelled,
            ) => S::Cancelled,
            _ => {
                return Err(IllegalEvent {
                    state: self.state.name(),
                    event: event.clone(),
                });
            }
        };
        self.count(event);
        self.state = next;
        Ok(())
    }

    fn count(&mut self, event: &TaskEvent) {
        match event {
            TaskEvent::Dispatched { .. } => {
                self.attempt += 1;
                self.answered = None;
            }
            TaskEvent::Accepted { .. } => self.answered = Some(Outcome::Accepted),
            TaskEvent::AskedAgain { outcome, counts, .. } => {
                self.answered = Some(outcome.unwrap_or(Outcome::Failed));
                self.counted += u32::from(*counts);
            }
            TaskEvent::Abandoned { outcome, .. } => {
                self.answered = Some(outcome.unwrap_or(Outcome::Failed));
                self.counted += 1;
            }
            TaskEvent::Retained { .. } | TaskEvent::RetainedForGood { .. } => {
                self.answered = Some(Outcome::Retained)
            }
            TaskEvent::Settled { attempt, proof, .. } if *attempt == self.attempt => {
                self.answered = Some(proof.outcome());
            }
            // What the current attempt is answered later repeats it or is stale.
            TaskEvent::Settled { .. } => {}
            TaskEvent::Retried { .. } => {
                self.generation += 1;
                self.attempt = 0;
                self.counted = 0;
                self.answered = None;
            }
            TaskEvent::Unblocked { .. }
            | TaskEvent::Woken { .. }
            | TaskEvent::Waived
            | TaskEvent::Cancelled => {}
        }
    }

    /// Whether it was ever sent.
    pub const fn was_sent(&self) -> bool {
        self.attempt > 0 || self.generation > 1
    }
}

impl TaskState {
    /// The name that lists and metrics show.
    pub const fn name(&self) -> TaskStateName {
        match self {
            Self::Blocked | Self::WithoutIdentity => TaskStateName::Blocked,
            Self::Parked { .. } => TaskStateName::Parked,
            Self::Ready { .. } => TaskStateName::Ready,
            Self::Dispatched { .. } => TaskStateName::Dispatched,
            Self::Accepted { .. } => TaskStateName::Accepted,
            Self::Done { .. } => TaskStateName::Done,
            Self::Exempt { .. } => TaskStateName::Exempt,
            Self::Abandoned { .. } => TaskStateName::Abandoned,
            Self::Waived => TaskStateName::Waived,
            Self::Cancelled => TaskStateName::Cancelled,
        }
    }

    /// Whether nothing more is to be done about it, by its own proof or by somebody's decision.
    pub const fn is_closed(&self) -> bool {
        match self {
            Self::Done { .. } | Self::Exempt { .. } | Self::Waived | Self::Cancelled => true,
            Self::Blocked
            | Self::WithoutIdentity
            | Self::Parked { .. }
            | Self::Ready { .. }
            | Self::Dispatched { .. }
            | Self::Accepted { .. }
            | Self::Abandoned { .. } => false,
        }
    }

    /// When it has to be looked at again.
    pub const fn wake_at(&self) -> Option<At> {
        match self {
            Self::Parked { until } => Some(*until),
            Self::Ready { due } => Some(*due),
            Self::Dispatched { ack_by, .. } => Some(*ack_by),
            Self::Accepted { expected_by, .. } => Some(*expected_by),
            Self::Blocked
            | Self::WithoutIdentity
            | Self::Done { .. }
            | Self::Exempt { .. }
            | Self::Abandoned { .. }
            | Self::Waived
            | Self::Cancelled => None,
        }
    }
}

#[cfg(test)]
mod tests;
