//! Processors that take over the open tasks of one that has left the registry (`replaces`).

use super::{Context, Request, Trail, operate::Supplied};
use crate::domain::{
    ids::{IdentityType, ProcessorId},
    plan::possible_action,
    registry::{Processor, Registry},
    task::{IllegalEvent, TaskEvent},
};

impl Registry {
    /// Who takes over the tasks of a processor that has left; `None`: it has not, or nobody does.
    pub fn successor_of(&self, left: &ProcessorId) -> Option<&Processor> {
        let replaces = |processor: &&Processor| processor.replaces.as_ref() == Some(left);
        self.processors
            .iter()
            .find(replaces)
            .filter(|_| self.get(left).is_none())
    }
}

impl Request {
    /// Whether another processor may take over one of its tasks.
    pub fn has_heirs(&self, registry: &Registry) -> bool {
        !self.life.status.is_final()
            && self.bookkeeping.readable
            && self
                .tasks
                .iter()
                .any(|task| task.can_be_handed_over(true) && registry.successor_of(&task.processor).is_some())
    }

    /// Gives the open tasks of processors that have left to those that replace them: each keeps its id, and is the next
    /// generation. `types`: the types of the subject's identifiers. The answer has the tasks, by place, with the types that
    /// their processors are sent from now on.
    pub fn pass_to_successors(
        &mut self,
        types: &[IdentityType],
        context: &Context<'_>,
    ) -> Result<(Trail, Supplied), IllegalEvent> {
        let mut trail = Trail::default();
        let mut supplied = Supplied::new();
        let due = self.gate_or(context.now);
        for ordinal in self.ordinals() {
            let task = self.task(ordinal);
            let Some(successor) = context.registry.successor_of(&task.processor) else {
                continue;
            };
            let known = |kind: &&IdentityType| types.contains(kind);
            let kinds: Vec<IdentityType> = successor.identities.iter().filter(known).cloned().collect();
            let named = !kinds.is_empty();
            if !task.can_be_handed_over(named) {
                continue;
            }
            let (from, before) = (task.processor.clone(), task.state.name());
            let event = TaskEvent::HandedOver {
                from: from.clone(),
                to: successor.id.clone(),
                action: possible_action(successor, task.action),
                named,
                due,
            };
            self.record_event(ordinal, event, &mut trail)?;
            // It has left one processor and is new at the other.
            if let Some(moved) = trail.moves.last_mut() {
                moved.from = None;
            }
            trail.handed_over.push((ordinal, from, before));
            supplied.push((ordinal, kinds));
        }
        if !supplied.is_empty() {
            self.conclude(context, &mut trail)?;
            self.revision += 1;
        }
        Ok((trail, supplied))
    }
}
