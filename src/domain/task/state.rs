//! Where a task stands.

use serde::{Deserialize, Serialize};

use crate::domain::{
    ids::Label,
    time::At,
    words::{AbandonCause, Proof, TaskStateName, Why},
};

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
    /// Ready, and in the queue of its lane: whoever runs the lane claims it. To everybody outside it is `ready`.
    Queued {
        /// From when it may be claimed.
        due: At,
        /// What it waited for when it was queued.
        why: Queued,
    },
    /// The processor says that it will do it, and it counts as done when the term has passed that it has published. To
    /// everybody outside it is `accepted`.
    Attesting {
        /// When it said so.
        at: At,
        /// By when it is expected to be done.
        expected_by: At,
        /// When the term has passed.
        until: At,
    },
}

/// What a task in the queue of its lane waits for. New members go to the end: the order is part of the packed form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Queued {
    /// Its turn: the lane has a rate and a number of sends at a time.
    Turn,
    /// A person has paused the lane.
    Paused,
    /// A person has stopped all lanes.
    Braked,
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

impl Queued {
    /// The word that statuses and lists have for it.
    pub const fn word(self) -> Why {
        match self {
            Self::Turn => Why::Rate,
            Self::Paused => Why::Paused,
            Self::Braked => Why::Brake,
        }
    }
}

impl TaskState {
    /// The name that lists and metrics show.
    pub const fn name(&self) -> TaskStateName {
        match self {
            Self::Blocked | Self::WithoutIdentity => TaskStateName::Blocked,
            Self::Parked { .. } => TaskStateName::Parked,
            Self::Ready { .. } | Self::Queued { .. } | Self::Undeliverable { .. } => TaskStateName::Ready,
            Self::Dispatched { .. } => TaskStateName::Dispatched,
            Self::Accepted { .. } | Self::Attesting { .. } => TaskStateName::Accepted,
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
            | Self::Queued { .. }
            | Self::Undeliverable { .. }
            | Self::Dispatched { .. }
            | Self::Accepted { .. }
            | Self::Attesting { .. }
            | Self::Held { .. }
            | Self::Verifying { .. }
            | Self::Abandoned { .. } => false,
        }
    }

    /// Whether nothing can be done about it now: it waits for a date, or for an event that nobody can hasten.
    pub const fn is_deferred(&self) -> bool {
        matches!(self, Self::Parked { .. } | Self::Verifying { .. })
    }

    /// Whether the tasks that come after this one may go: it is done, or somebody decided that it need not be.
    pub const fn lets_others_go(&self) -> bool {
        // Parked parts are never waited for: they may be parked for years.
        self.is_closed() || self.is_deferred()
    }

    /// When it has to be looked at again.
    pub const fn wake_at(&self) -> Option<At> {
        match self {
            Self::Parked { until, .. } | Self::Verifying { until } => Some(*until),
            Self::Ready { due } | Self::Undeliverable { due, .. } => Some(*due),
            Self::Dispatched { ack_by, .. } => Some(*ack_by),
            Self::Accepted { expected_by, .. } => Some(*expected_by),
            Self::Attesting { until, .. } => Some(*until),
            // Whoever runs its lane comes to it: a queue of a million must not wake a million times.
            Self::Queued { .. }
            | Self::Blocked
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
