//! What makes a request stand out: flags, failures, and the states that few are in. A mark has a row of its own in the store, so
//! that lists find what is marked without looking at the others.

use super::Request;
use crate::domain::{
    task::{Task, TaskState},
    words::{Mark, Outcome, Status},
};

/// The marks of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks(u16);

impl Marks {
    const fn bit(mark: Mark) -> u16 {
        1 << mark.code()
    }

    const fn with(self, mark: Mark, is_so: bool) -> Self {
        if is_so {
            Self(self.0 | Self::bit(mark))
        } else {
            self
        }
    }

    /// Whether it has none, as most requests do.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this one is among them.
    pub const fn has(self, mark: Mark) -> bool {
        self.0 & Self::bit(mark) != 0
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = Mark> {
        Mark::ALL.iter().copied().filter(move |mark| self.has(*mark))
    }
}

impl Request {
    /// What makes it stand out.
    pub fn marks(&self) -> Marks {
        let life = &self.life;
        let marks = Marks::default()
            .with(Mark::Overdue, life.overdue)
            .with(Mark::AtRisk, life.at_risk)
            .with(Mark::NeedsAttention, life.needs_attention)
            .with(Mark::Failing, self.is_failing());
        match mark_of(life.status) {
            Some(mark) => marks.with(mark, true),
            None => marks,
        }
    }

    /// Whether a task of it has failed and not succeeded since.
    pub fn is_failing(&self) -> bool {
        !self.life.status.is_final() && self.tasks.iter().any(is_failing)
    }
}

/// The mark of a state that few requests are in; the others are most of what is open, or of what is closed.
pub const fn mark_of(status: Status) -> Option<Mark> {
    match status {
        Status::AwaitingVerification => Some(Mark::AwaitingVerification),
        Status::AwaitingApproval => Some(Mark::AwaitingApproval),
        Status::ClosedWithExceptions => Some(Mark::ClosedWithExceptions),
        Status::Refused => Some(Mark::Refused),
        Status::Cancelled => Some(Mark::Cancelled),
        Status::Scheduled | Status::InProgress | Status::Deferred | Status::Completed | Status::Merged => {
            None
        }
    }
}

/// Given up, waiting for another attempt after one that failed or was not answered, or out again after such a one. A processor
/// that did a part of it, or says that it will do it, does not fail.
fn is_failing(task: &Task) -> bool {
    match &task.state {
        TaskState::Abandoned { .. } => true,
        TaskState::Ready { .. } | TaskState::Queued { .. } | TaskState::Undeliverable { .. } => {
            task.counted > 0 && task.answered != Some(Outcome::Partial)
        }
        TaskState::Dispatched { .. } => task.counted > 0,
        TaskState::Blocked
        | TaskState::WithoutIdentity
        | TaskState::Parked { .. }
        | TaskState::Accepted { .. }
        | TaskState::Attesting { .. }
        | TaskState::Done { .. }
        | TaskState::Exempt { .. }
        | TaskState::Waived
        | TaskState::Cancelled
        | TaskState::Held { .. }
        | TaskState::Verifying { .. } => false,
    }
}
