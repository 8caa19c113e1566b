//! Processors for which the same task twice is not harmless (`idempotent = false` in the registry): where an answer was
//! lost, nobody knows whether the task was carried out. They are asked that (`verify`) before they are sent it again.

use super::{Context, Request};
use crate::domain::task::{Purpose, TaskState};

impl Request {
    /// Whether a task that was sent, and of which no more is known, has to be asked about before it is sent again.
    pub(super) fn is_in_doubt(&self, ordinal: u16, context: &Context<'_>) -> bool {
        let task = self.task(ordinal);
        let harms = context
            .registry
            .get(&task.processor)
            .is_some_and(|processor| !processor.idempotent);
        // A question may be asked as often as one likes, and of a backup set nothing else is asked.
        harms && task.was_sent() && !task.purpose.only_asks() && !task.share.is_wave()
    }

    /// Whether an operator who has a task done again has it asked about first: nobody has heard how it ended.
    pub(super) fn is_unheard_of(&self, ordinal: u16, context: &Context<'_>) -> bool {
        let task = self.task(ordinal);
        let has_promised = matches!(
            task.state,
            TaskState::Accepted { .. } | TaskState::Attesting { .. }
        );
        let is_checked = matches!(task.purpose, Purpose::Check { .. });
        is_checked || (has_promised && self.is_in_doubt(ordinal, context))
    }
}
