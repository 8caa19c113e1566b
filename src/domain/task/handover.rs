//! A task that another processor takes over, because its own has left the registry.

use super::{Purpose, Task, TaskState};
use crate::domain::{
    time::At,
    words::{AbandonCause, Action},
};

impl Task {
    /// Whether another processor may take it over. Copies belong to their set, and what waits for a date and could not be
    /// asked for then stays where it is.
    pub fn can_be_handed_over(&self, named: bool) -> bool {
        !self.share.is_wave() && !self.state.is_closed() && (named || !self.state.is_deferred())
    }

    /// Where it stands with whoever takes it over; `None`: it is not taken over.
    pub(super) fn handed_over(&self, action: Option<Action>, named: bool, due: At) -> Option<TaskState> {
        if !self.can_be_handed_over(named) {
            return None;
        }
        if !named {
            return Some(TaskState::WithoutIdentity);
        }
        if action.is_none() {
            return Some(TaskState::Abandoned {
                cause: AbandonCause::Unsupported,
            });
        }
        Some(match &self.state {
            // What waits for something else goes on waiting.
            TaskState::Parked { .. }
            | TaskState::Verifying { .. }
            | TaskState::Held { .. }
            | TaskState::Blocked => self.state.clone(),
            TaskState::WithoutIdentity => TaskState::Blocked,
            _ if !self.was_sent() && !self.after.is_empty() => TaskState::Blocked,
            _ => TaskState::Ready { due },
        })
    }

    /// What its next generation is for. A question was about what another one has done.
    pub(super) const fn purpose_of_successor(&self) -> Purpose {
        match self.purpose {
            Purpose::Probe { .. } | Purpose::Check { .. } => Purpose::Asked,
            purpose => purpose,
        }
    }
}
