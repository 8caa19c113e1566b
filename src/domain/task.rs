//! One processor's share of a request: its states and what can happen to it. `apply` has the one function that changes it.
#![doc = ""]
#![doc = include_str!("task/transitions.md")]

mod apply;

use serde::{Deserialize, Serialize};

pub use apply::IllegalEvent;

use super::{
    ids::{HoldId, Label, ProcessorId},
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
    /// What its share is.
    pub share: Share,
    /// What its current generation is for.
    pub purpose: Purpose,
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
    /// When it was really sent, in whatever generation; `None`: never. See [`Sent`].
    pub sent: Option<Sent>,
}

/// That a task was sent. It is written by [`TaskEvent::Dispatched`] alone, and never derived from what a task looks like:
/// a generation that an operator has begun says nothing about what has left the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// When the latest generation that asks for the erasure itself, and not whether it has happened, was sent first: what
    /// was given until then is gone once it is proved. 0: before this was written down.
    pub asked_at: At,
}

impl Task {
    /// What came of it, in one word: how it was proved, else what its current attempt was answered. What was only
    /// pseudonymised is called that in any case.
    pub fn outcome(&self) -> Option<&'static str> {
        match (&self.state, &self.purpose) {
            (TaskState::Done { proof, .. }, _)
            | (TaskState::Verifying { .. }, Purpose::Sweep(proof) | Purpose::Verify(proof)) => {
                Some(proof.as_str())
            }
            (
                TaskState::Abandoned {
                    cause: cause @ AbandonCause::Pseudonymised,
                },
                _,
            ) => Some(cause.as_str()),
            _ => self.answered.map(Outcome::as_str),
        }
    }
}

/// What a task's share is. New members go to the end: the order is part of the packed form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Share {
    /// What a live system holds and need not keep.
    Live,
    /// What a live system has to keep for a time.
    Kept {
        /// The legal basis.
        basis: Label,
        /// The time that the rule counts from.
        anchor: At,
    },
    /// What a backup system holds that is asked like any other system.
    Backup,
    /// What the copies of a backup set hold of one wave.
    Wave {
        /// The tasks, by their place, whose confirmation the horizon runs from.
        sources: Vec<u16>,
        /// Whether the backup system is asked to destroy the subject's key before the copies have grown old.
        key: bool,
    },
}

impl Share {
    /// Whether it is a wave of a backup set.
    pub const fn is_wave(&self) -> bool {
        matches!(self, Self::Wave { .. })
    }

    /// Whether live systems are clean without it.
    pub const fn is_backup(&self) -> bool {
        match self {
            Self::Live | Self::Kept { .. } => false,
            Self::Backup | Self::Wave { .. } => true,
        }
    }
}

/// What a generation is for. New members go to the end: the order is part of the packed form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// What the request asks.
    Asked,
    /// Once more, for what has come in late. What was proved before stands beside it.
    Sweep(Proof),
    /// Is the data really gone?
    Verify(Proof),
    /// What the request asks, because an operator wants it now.
    ByHand,
    /// What is left when the copies have grown old, where the subject's key could not be destroyed before.
    AtHorizon,
    /// What the request asks, once more: a backup that was put back may have brought it back.
    Restored,
}

/// Why a task is parked. New members go to the end: the order is part of the packed form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deferral {
    /// The data has to be kept until then.
    Retention,
    /// The copies live until then.
    Rotation,
}

/// Where a task stands. New members go to the end: the order is part of the packed form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskState {
    /// Waits for other tasks.
    Blocked,
    /// Waits until the subject has an identity that the processor knows.
    WithoutIdentity,
    /// Waits for a date or an event.
    Parked {
        /// Why.
        why: Deferral,
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
    /// May not be sent while a legal hold covers it.
    Held {
        /// From when it could be sent without the hold.
        due: At,
    },
    /// Proved once, and looked at again later.
    Verifying {
        /// When.
        until: At,
    },
    /// Ready, and its topic does not take its message. To everybody outside it is `ready`.
    Undeliverable {
        /// From when it may be tried again.
        due: At,
        /// Why its topic does not take it.
        why: Undelivered,
    },
}

/// Why a topic does not take a message. New members go to the end: the order is part of the packed form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Undelivered {
    /// It takes nothing just now: it is missing or forbidden, has no leader, or does not confirm in time.
    Refused,
    /// The message is larger than it takes.
    TooLarge {
        /// How large the message is.
        bytes: u32,
        /// How much the topic takes, where it could be asked.
        limit: Option<u32>,
    },
}

/// Something that happens to a task. The ledger keeps these, so new members go to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskEvent {
    /// What it waited for is out of the way.
    Unblocked {
        /// From when it may be sent.
        due: At,
    },
    /// The date that it waited for has come.
    Woken {
        /// What is asked now.
        action: Action,
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
    /// Nothing can be done before a date.
    Parked {
        /// Why.
        why: Deferral,
        /// The date.
        until: At,
        /// What the last attempt was answered, where there was one; `None`: nothing in time.
        outcome: Option<Outcome>,
    },
    /// The date of a parked task has moved.
    Moved {
        /// Before.
        from: At,
        /// After.
        to: At,
    },
    /// A legal hold covers it.
    Held {
        /// One that does.
        hold: HoldId,
    },
    /// No hold covers it any more.
    Released {
        /// From when it may be sent.
        due: At,
    },
    /// Proved, and to be looked at again.
    SecondLook {
        /// The attempt whose answer it was.
        attempt: u32,
        /// What the next generation is for.
        purpose: Purpose,
        /// When.
        until: At,
    },
    /// A second look has found data.
    Found {
        /// From when it may be sent.
        due: At,
    },
    /// A backup was put back into its processor: it has to be done again.
    Restored {
        /// From when it may be sent.
        due: At,
    },
    /// A source of its wave has to be done again, so its horizon has to run anew.
    Reopened,
    /// The tasks of its wave are others now.
    Rewaved {
        /// The tasks, by their place.
        sources: Vec<u16>,
    },
    /// An identity that its processor knows was supplied.
    Identified,
    /// It was refused on a legal ground before it was sent.
    Refused {
        /// The ground.
        basis: Label,
    },
    /// None of its sources was erased, so there is nothing to wait for.
    Exempted {
        /// The legal basis of the first of them.
        basis: Label,
    },
    /// Its topic does not take its message.
    Undeliverable {
        /// From when it may be tried again.
        due: At,
        /// Why.
        why: Undelivered,
        /// Whether it is certain that the current attempt did not leave; nothing left where it was not sent at all.
        certain: bool,
    },
}

impl TaskState {
    /// The name that lists and metrics show.
    pub const fn name(&self) -> TaskStateName {
        match self {
            Self::Blocked | Self::WithoutIdentity => TaskStateName::Blocked,
            Self::Parked { .. } => TaskStateName::Parked,
            Self::Ready { .. } | Self::Undeliverable { .. } => TaskStateName::Ready,
            Self::Dispatched { .. } => TaskStateName::Dispatched,
            Self::Accepted { .. } => TaskStateName::Accepted,
            Self::Done { .. } => TaskStateName::Done,
            Self::Exempt { .. } => TaskStateName::Exempt,
            Self::Abandoned { .. } => TaskStateName::Abandoned,
            Self::Waived => TaskStateName::Waived,
            Self::Cancelled => TaskStateName::Cancelled,
            Self::Held { .. } => TaskStateName::Held,
            Self::Verifying { .. } => TaskStateName::Verifying,
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
            | Self::Undeliverable { .. }
            | Self::Dispatched { .. }
            | Self::Accepted { .. }
            | Self::Held { .. }
            | Self::Verifying { .. }
            | Self::Abandoned { .. } => false,
        }
    }

    /// Whether nothing can be done about it now: it waits for a date, or for an event that nobody can hasten.
    pub const fn is_deferred(&self) -> bool {
        matches!(self, Self::Parked { .. } | Self::Verifying { .. })
    }

    /// When it has to be looked at again.
    pub const fn wake_at(&self) -> Option<At> {
        match self {
            Self::Parked { until, .. } | Self::Verifying { until } => Some(*until),
            Self::Ready { due } | Self::Undeliverable { due, .. } => Some(*due),
            Self::Dispatched { ack_by, .. } => Some(*ack_by),
            Self::Accepted { expected_by, .. } => Some(*expected_by),
            Self::Blocked
            | Self::WithoutIdentity
            | Self::Done { .. }
            | Self::Exempt { .. }
            | Self::Abandoned { .. }
            | Self::Held { .. }
            | Self::Waived
            | Self::Cancelled => None,
        }
    }
}

#[cfg(test)]
mod tests;
