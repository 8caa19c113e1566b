//! Tasks in the queues of their lanes.

use super::{Context, Request, Trail};
use crate::domain::{
    ids::ProcessorId,
    task::{IllegalEvent, Queued, TaskEvent, TaskState},
    time::At,
};

/// A task that was claimed and not sent after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotSent {
    /// The place of the task.
    pub ordinal: u16,
    /// The generation that was claimed.
    pub generation: u32,
    /// The attempt that was claimed.
    pub attempt: u32,
}

impl Request {
    /// The tasks in queues, by place, and from when they may be claimed.
    pub fn queued(&self) -> impl Iterator<Item = (u16, &ProcessorId, At)> {
        self.ordinals().filter_map(|ordinal| {
            let task = self.task(ordinal);
            match &task.state {
                TaskState::Queued { due, .. } => Some((ordinal, &task.processor, *due)),
                _ => None,
            }
        })
    }

    /// Puts back into their queues what was claimed and certainly not sent. What has moved on meanwhile stays as it is.
    pub fn give_back(&mut self, not_sent: &[NotSent], context: &Context<'_>) -> Result<Trail, IllegalEvent> {
        let mut trail = Trail::default();
        for one in not_sent {
            let Some(task) = self.tasks.get(usize::from(one.ordinal)) else {
                continue;
            };
            let is_out = matches!(task.state, TaskState::Dispatched { .. });
            if !is_out || (task.generation, task.attempt) != (one.generation, one.attempt) {
                continue;
            }
            let stopped = context.facts.stops().of(&task.processor);
            let event = TaskEvent::Unsent {
                due: context.now,
                why: stopped.unwrap_or(Queued::Turn),
            };
            self.record_event(one.ordinal, event, &mut trail)?;
        }
        if !trail.entries.is_empty() {
            self.conclude(context, &mut trail)?;
            self.revision += 1;
        }
        Ok(trail)
    }
}
