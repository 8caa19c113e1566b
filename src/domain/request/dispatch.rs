//! Sending: what is due goes out in the step that made it so, unless something keeps it back.

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, Request, Trail};
use crate::domain::{
    ids::{ProcessorId, RequestId},
    registry::{Lane, Processor},
    task::{IllegalEvent, Queued, Task, TaskEvent, TaskState, Undelivered},
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
        /// What is claimed of the queues of lanes: nothing else is sent of them.
        claims: &'a Claims,
    },
}

/// Tasks that are claimed of the queues of their lanes, by request and place.
pub type Claims = BTreeSet<(RequestId, u16)>;

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
            Self::Lanes { replays, shut, .. } => {
                (task.is_unsent_replay() && replays.contains(&task.processor))
                    || shut.is_still_too_large(task)
            }
        }
    }

    /// Whether a task is claimed.
    fn claims(self, request: RequestId, ordinal: u16) -> bool {
        match self {
            Self::Nothing | Self::Everything => false,
            Self::Lanes { claims, .. } => claims.contains(&(request, ordinal)),
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
    /// Sends what is due. A relayed lane takes it at once, so a task that is ready is dispatched in the same step. The others
    /// have a queue: it is put there, and sent once it is claimed.
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
            if let Some(event) = self.event_of_lane(ordinal, context) {
                let is_sent = matches!(event, TaskEvent::Dispatched { .. });
                let task = self.task(ordinal);
                let registered = context.registry.get(&task.processor);
                // What goes to a topic is told of like any other task there.
                let is_called = registered.is_some_and(|processor| !processor.is_on_kafka());
                self.record_event(ordinal, event, trail)?;
                if is_sent {
                    trail.dispatched.push(ordinal);
                    trail.claimed += usize::from(is_called);
                }
            }
        }
        Ok(())
    }

    /// What becomes of a task that is ready, in its lane; `None`: it stays as it is.
    fn event_of_lane(&self, ordinal: u16, context: &Context<'_>) -> Option<TaskEvent> {
        let task = self.task(ordinal);
        let due = match &task.state {
            TaskState::Ready { due }
            | TaskState::Queued { due, .. }
            | TaskState::Undeliverable { due, .. } => *due,
            _ => return None,
        };
        let is_queued = matches!(task.state, TaskState::Queued { .. });
        // A processor that is no longer registered cannot be asked: the task waits, and `conclude` raises attention. Nobody runs
        // its lane either, so the task leaves the queue, and the agenda looks whether it is back.
        let Some(processor) = context.registry.get(&task.processor) else {
            return is_queued.then_some(TaskEvent::Unqueued { due });
        };
        if context.withheld.has(task) || !self.can_be_asked(ordinal, context) || !self.spares(task, processor)
        {
            return is_queued.then_some(TaskEvent::Unqueued { due });
        }
        let stopped = context.facts.stops().of(&task.processor);
        let is_claimed = context.withheld.claims(self.id, ordinal);
        match (processor.lane(), stopped) {
            // What a restore has brought back is sent at the pace of its replay, also once the lane goes on: in the queue
            // nobody could tell it from the rest.
            (Lane::Relayed, Some(_)) if task.is_unsent_replay() => None,
            // Nobody runs a queue for such a lane, so the agenda has to wake it.
            (Lane::Relayed, None) if due > context.now => is_queued.then_some(TaskEvent::Unqueued { due }),
            (Lane::Relayed, None) => self.event_of_relayed(ordinal, processor, context),
            (Lane::Queued | Lane::Claimed | Lane::Polled, None)
                if is_queued && is_claimed && due <= context.now =>
            {
                Some(TaskEvent::Dispatched {
                    at: context.now,
                    ack_by: context.now.plus(processor.answer_within(context.lease)),
                })
            }
            _ if is_queued => None,
            (_, stopped) => Some(TaskEvent::Queued {
                due,
                why: stopped.unwrap_or(Queued::Turn),
            }),
        }
    }

    fn event_of_relayed(
        &self,
        ordinal: u16,
        processor: &Processor,
        context: &Context<'_>,
    ) -> Option<TaskEvent> {
        let task = self.task(ordinal);
        match context.withheld.shut_until(&task.processor) {
            // Invariant 11: what its topic would not take is not produced, so that nothing waits for it.
            Some(until) => {
                let is_known = matches!(task.state, TaskState::Undeliverable { .. });
                (!is_known).then_some(TaskEvent::Undeliverable {
                    due: until.max(context.now),
                    why: Undelivered::Refused,
                    certain: true,
                })
            }
            None => Some(TaskEvent::Dispatched {
                at: context.now,
                ack_by: context.now.plus(processor.ack_timeout),
            }),
        }
    }
}
