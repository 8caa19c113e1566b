//! Tasks that their topics do not take: they are ready again, and wait until their topics take them.
//!
//! Nothing of it counts towards the registry's limit of attempts, because no processor has failed. An attempt keeps its
//! number, also where nothing shows that it has arrived: it may have, and then its answer counts like any other.

use std::time::Duration;

use super::{Context, Request, Trail};
use crate::domain::{
    ids::ProcessorId,
    task::{IllegalEvent, TaskEvent, TaskState, Undelivered},
    time::At,
};

/// A topic that takes nothing is tried again within this, whatever the schedule of its processor: it is the topic that is
/// waited for, and not the processor.
const LONGEST: Duration = Duration::from_secs(30);
/// The same for a message that is too large: only a person makes room for it.
const LONGEST_TOO_LARGE: Duration = Duration::from_secs(3600);
/// A schedule that begins with nothing would send in a circle without a pause.
const SHORTEST: Duration = Duration::from_secs(1);

/// A message of a task that its topic did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotTaken {
    /// The place of the task.
    pub ordinal: u16,
    /// The generation that was sent.
    pub generation: u32,
    /// The attempt that was sent.
    pub attempt: u32,
    /// Why.
    pub why: Undelivered,
    /// Whether it is certain that it did not leave.
    pub certain: bool,
}

impl Request {
    /// Puts back what topics did not take. What has moved on meanwhile stays as it is: it was answered, or sent again.
    pub fn put_back(&mut self, not_taken: &[NotTaken], context: &Context<'_>) -> Result<Trail, IllegalEvent> {
        let mut trail = Trail::default();
        for NotTaken {
            ordinal,
            generation,
            attempt,
            why,
            certain,
        } in not_taken
        {
            let Some(task) = self.tasks.get(usize::from(*ordinal)) else {
                continue;
            };
            let is_out = matches!(task.state, TaskState::Dispatched { .. });
            if !is_out || (task.generation, task.attempt) != (*generation, *attempt) {
                continue;
            }
            let due = context.now.plus(self.pause_of(*ordinal, *why, context));
            let event = if !certain && self.is_in_doubt(*ordinal, context) {
                TaskEvent::ResultUnknown {
                    sends: self.task(*ordinal).counted,
                    due,
                }
            } else {
                TaskEvent::Undeliverable {
                    due,
                    why: *why,
                    certain: *certain,
                }
            };
            self.record_event(*ordinal, event, &mut trail)?;
        }
        if !trail.entries.is_empty() {
            self.conclude(context, &mut trail)?;
            self.revision += 1;
        }
        Ok(trail)
    }

    fn pause_of(&self, ordinal: u16, why: Undelivered, context: &Context<'_>) -> Duration {
        let task = self.task(ordinal);
        let registered = context.registry.get(&task.processor);
        let retry = registered.map(|processor| processor.retry).unwrap_or_default();
        let pause = (context.delay)(&retry, task.attempt);
        let longest = match why {
            Undelivered::Refused => LONGEST,
            Undelivered::TooLarge { .. } => LONGEST_TOO_LARGE,
        };
        pause.clamp(SHORTEST, longest)
    }

    /// The tasks that their topics do not take, by place: from when they may be tried again, and why they are not taken.
    pub fn undeliverable(&self) -> impl Iterator<Item = (u16, &ProcessorId, At, Undelivered)> {
        self.ordinals().filter_map(|ordinal| {
            let task = self.task(ordinal);
            match &task.state {
                TaskState::Undeliverable { due, why } => Some((ordinal, &task.processor, *due, *why)),
                _ => None,
            }
        })
    }
}
