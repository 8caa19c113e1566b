//! Sending: what is due goes out in the step that made it so, unless something keeps it back.

use std::collections::BTreeSet;

use super::{Context, Request, Trail};
use crate::domain::{
    ids::ProcessorId,
    task::{IllegalEvent, Task, TaskEvent, TaskState},
};

/// What is not sent in a step, although it could be.
#[derive(Debug, Clone, Copy)]
pub enum Withheld<'a> {
    /// Nothing.
    Nothing,
    /// All of it: commands that came before the request are still to be carried out.
    Everything,
    /// What a restore has brought back into these processors: they have enough to do, and its replay comes to it.
    Replays(&'a BTreeSet<ProcessorId>),
}

impl Withheld<'_> {
    fn has(self, task: &Task) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Replays(into) => task.is_unsent_replay() && into.contains(&task.processor),
        }
    }
}

impl Request {
    /// Sends what is due. A Kafka lane takes it at once, so a task that is ready is dispatched in the same step.
    pub(super) fn dispatch_due(
        &mut self,
        context: &Context<'_>,
        trail: &mut Trail,
    ) -> Result<(), IllegalEvent> {
        // Invariant 3.
        if self.closed_gate(context.now).is_some() {
            return Ok(());
        }
        for ordinal in self.ordinals() {
            let TaskState::Ready { due } = self.task(ordinal).state else {
                continue;
            };
            // A processor that is no longer registered cannot be asked: the task waits, and `conclude` raises attention.
            let Some(processor) = context.registry.get(&self.task(ordinal).processor) else {
                continue;
            };
            if due > context.now
                || context.withheld.has(self.task(ordinal))
                || !self.can_be_asked(ordinal, context)
                || !self.spares(self.task(ordinal), processor)
            {
                continue;
            }
            let event = TaskEvent::Dispatched {
                at: context.now,
                ack_by: context.now.plus(processor.ack_timeout),
            };
            self.happen(ordinal, event, trail)?;
            trail.dispatched.push(ordinal);
        }
        Ok(())
    }
}
