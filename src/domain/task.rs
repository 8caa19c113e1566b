//! One processor's share of a request. `apply` has the one function that changes it.
#![doc = ""]
#![doc = include_str!("task/transitions.md")]

mod apply;
mod event;
mod handover;
mod state;

use serde::{Deserialize, Serialize};

pub use self::{
    apply::IllegalEvent,
    event::TaskEvent,
    state::{Deferral, Queued, TaskState, Undelivered},
};

use super::{
    ids::{Label, ProcessorId},
    time::At,
    words::{AbandonCause, Action, Outcome, Proof},
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

    /// Whether it is the copies of the share at this place.
    pub fn is_wave_of(&self, source: u16) -> bool {
        matches!(self, Self::Wave { sources, .. } if sources.contains(&source))
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
    #[serde(rename = "ByHand")]
    Retried,
    /// What is left when the copies have grown old, where the subject's key could not be destroyed before.
    AtHorizon,
    /// What the request asks, once more: a backup that was put back may have brought it back.
    Restored,
    /// Has its processor done what it had accepted, now that its published term has passed?
    Probe {
        /// The generation that was accepted.
        of: u32,
        /// What was proved before that one, which was a sweep.
        proved: Option<Proof>,
    },
    /// Has its processor done what it was sent, whose answer was lost? It must not be sent the same twice.
    Check {
        /// The generation that was sent.
        of: u32,
        /// How many of its sends count towards the registry's limit.
        sends: u32,
        /// What was proved before that one, which was a sweep.
        proved: Option<Proof>,
    },
}

impl Purpose {
    /// Whether it only asks what has become of something, and erases nothing.
    pub const fn only_asks(self) -> bool {
        match self {
            Self::Verify(_) | Self::Probe { .. } | Self::Check { .. } => true,
            Self::Asked | Self::Sweep(_) | Self::Retried | Self::AtHorizon | Self::Restored => false,
        }
    }

    /// The earlier generation that it asks about; `None`: about none, or about one that was proved.
    pub const fn asks_about(self) -> Option<u32> {
        match self {
            Self::Probe { of, .. } | Self::Check { of, .. } => Some(of),
            Self::Asked
            | Self::Sweep(_)
            | Self::Verify(_)
            | Self::Retried
            | Self::AtHorizon
            | Self::Restored => None,
        }
    }

    /// What was proved before.
    pub const fn proved(self) -> Option<Proof> {
        match self {
            Self::Sweep(proof) | Self::Verify(proof) => Some(proof),
            Self::Probe { proved, .. } | Self::Check { proved, .. } => proved,
            Self::Asked | Self::Retried | Self::AtHorizon | Self::Restored => None,
        }
    }
}

#[cfg(test)]
mod tests;
