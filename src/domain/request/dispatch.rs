//! Sending: what is due goes out in the step that made it so, unless something keeps it back.

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, Request, Trail};
use crate::domain::{
    ids::ProcessorId,
    registry::Lane,
    task::{IllegalEvent, Task, TaskEvent, TaskState, Undelivered},
    time::At,
};

/// What is not sent in a step, although it could be.
#[derive(Debug, Clone, Copy)]
pub enum Withheld<'a> {
    /// Nothing.
    Nothing,
    /// All of it: commands that came before the request are still to be carried out.
    Everything,
    /// What some lanes cannot take.
    Lanes {
        /// What a restore has brought back into these processors: they have enough to do, and its replay comes to it.
        replays: &'a BTreeSet<ProcessorId>,
        /// What topics do not take.
        shut: &'a Shut,
    },
}

/// Which topics do not take what is meant for them, as far as this worker has found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shut {
    /// The processors whose topic takes nothing, each with the time at which it is tried again.
    pub lanes: BTreeMap<ProcessorId, At>,
    /// How large a message some topics take, in bytes.
    pub limits: BTreeMap<ProcessorId, u32>,
}

impl Shut {
    /// Whether what was too large for its topic still is: the topic takes no more than it did then.
    fn is_still_too_large(&self, task: &Task) -> bool {
        let TaskState::Undeliverable {
            why: Undelivered::TooLarge {
                limit: Some(then), ..
            },
            ..
        } = &task.state
        else {
            return false;
        };
        self.limits.get(&task.processor).is_some_and(|now| now <= then)
    }
}

impl Withheld<'_> {
    fn has(self, task: &Task) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Lanes { replays, shut } => {
                (task.is_unsent_replay() && replays.contains(&task.processor))
                    || shut.is_still_too_large(task)
            }
        }
    }

    /// When the topic of a processor is tried again that takes nothing now; `None`: it is open.
    pub(super) fn shut_until(self, processor: &ProcessorId) -> Option<At> {
        match self {
            Self::Nothing | Self::Everything => None,
            Self::Lanes { shut, .. } => shut.lanes.get(processor).copied(),
        }
    }
}

impl Request {
    /// Sends what is due. A relayed lane takes it at once, so a task that is ready is dispatched in the same step.
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
            let task = self.task(ordinal);
            let (due, is_known) = match &task.state {
                TaskState::Ready { due } => (*due, false),
                TaskState::Undeliverable { due, .. } => (*due, true),
                _ => continue,
            };
            // A processor that is no longer registered cannot be asked: the task waits, and `conclude` raises attention.
            let Some(processor) = context.registry.get(&task.processor) else {
                continue;
            };
            if due > context.now
                || context.withheld.has(task)
                || !self.can_be_asked(ordinal, context)
                || !self.spares(task, processor)
            {
                continue;
            }
            match context.withheld.shut_until(&task.processor) {
                // Invariant 11: what its topic would not take is not produced, so that nothing waits for it.
                Some(until) if !is_known => {
                    let event = TaskEvent::Undeliverable {
                        due: until.max(context.now),
                        why: Undelivered::Refused,
                        certain: true,
                    };
                    self.happen(ordinal, event, trail)?;
                }
                Some(_) => {}
                None => match processor.lane() {
                    Lane::Relayed => {
                        let event = TaskEvent::Dispatched {
                            at: context.now,
                            ack_by: context.now.plus(processor.ack_timeout),
                        };
                        self.happen(ordinal, event, trail)?;
                        trail.dispatched.push(ordinal);
                    }
                },
            }
        }
        Ok(())
    }
}
