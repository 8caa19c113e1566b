//! Identifiers that a processor's answer brings for those that come after it (`provides` in the registry).

use super::{Context, Request, Trail, operate::Supplied};
use crate::domain::{
    entry::Entry,
    ids::{HoldId, IdentityType},
    plan,
    registry::MissingIdentity,
    task::{IllegalEvent, TaskEvent, TaskState},
};

impl Request {
    /// Takes the types of identifiers that an answer to a task has brought, and gives the tasks that are sent them from
    /// now on: those that come after it, directly or not, were not sent yet and can use them. `known`: the types that a
    /// task's processor is sent already. What nobody can use is not taken.
    ///
    /// The caller ends the batch for this request with [`Request::finish_answers`].
    pub fn provide(
        &mut self,
        from: u16,
        brought: &[IdentityType],
        known: impl Fn(&Self, u16) -> Vec<IdentityType>,
        holds: &[HoldId],
        context: &Context<'_>,
        trail: &mut Trail,
    ) -> Result<Supplied, IllegalEvent> {
        let mut supplied = Supplied::new();
        for ordinal in self.ordinals() {
            let task = self.task(ordinal);
            if task.was_sent() || task.state.is_closed() || !self.comes_after(ordinal, from) {
                continue;
            }
            let registered = context.registry.get(&task.processor);
            let wanted = registered.map_or(&[][..], |processor| &processor.identities);
            let mut kinds = known(self, ordinal);
            let before = kinds.len();
            for kind in brought {
                if wanted.contains(kind) && !kinds.contains(kind) {
                    kinds.push(kind.clone());
                }
            }
            if kinds.len() > before {
                supplied.push((ordinal, kinds));
            }
        }
        if supplied.is_empty() {
            return Ok(supplied);
        }
        trail.entries.push(Entry::Supplied {
            types: brought.to_vec(),
        });
        self.add_subject_holds(holds);
        for (ordinal, _) in &supplied {
            if self.task(*ordinal).state == TaskState::WithoutIdentity {
                self.record_event(*ordinal, TaskEvent::Identified, trail)?;
            }
        }
        Ok(supplied)
    }

    /// A hold on the subject may be found by what was not known before.
    pub(super) fn add_subject_holds(&mut self, holds: &[HoldId]) {
        for hold in holds {
            if !self.life.subject_holds.contains(hold) {
                self.life.subject_holds.push(*hold);
            }
        }
    }

    /// The open tasks whose answers may still bring an identifier that this one waits for.
    pub fn may_be_provided_by(&self, ordinal: u16, context: &Context<'_>) -> Vec<u16> {
        let task = self.task(ordinal);
        if task.state != TaskState::WithoutIdentity {
            return Vec::new();
        }
        let wanted = context
            .registry
            .get(&task.processor)
            .map_or(&[][..], |processor| &processor.identities);
        let provides = |place: &u16| {
            context
                .registry
                .get(&self.task(*place).processor)
                .is_some_and(|processor| processor.provides.iter().any(|kind| wanted.contains(kind)))
        };
        self.ordinals()
            .filter(|place| !self.task(*place).state.is_closed() && self.comes_after(ordinal, *place))
            .filter(provides)
            .collect()
    }

    /// Leaves out those that the registry has left out without an identity, once nobody can bring one any more.
    pub(super) fn exempt_without_identity(
        &mut self,
        context: &Context<'_>,
        trail: &mut Trail,
    ) -> Result<(), IllegalEvent> {
        loop {
            let mut has_changed = false;
            for ordinal in self.ordinals() {
                let task = self.task(ordinal);
                let is_left_out = task.state == TaskState::WithoutIdentity
                    && !task.share.is_wave()
                    && context
                        .registry
                        .get(&task.processor)
                        .is_some_and(|processor| processor.missing_identity == MissingIdentity::Exempt);
                if is_left_out && self.may_be_provided_by(ordinal, context).is_empty() {
                    let basis = plan::label(plan::NO_IDENTITY);
                    self.record_event(ordinal, TaskEvent::Exempted { basis }, trail)?;
                    has_changed = true;
                }
            }
            // Who was left out brings nobody anything any more.
            if !has_changed {
                return Ok(());
            }
        }
    }

    /// Whether one task waits for another, directly or for one that does. `after` has no circles.
    fn comes_after(&self, later: u16, earlier: u16) -> bool {
        self.task(later)
            .after
            .iter()
            .any(|place| *place == earlier || self.comes_after(*place, earlier))
    }
}
