//! Processors that say no more than `accepted` and publish a term (`completes_by` in the registry): when it has passed, the
//! task counts as done by it, which nobody has confirmed. It never counts as erased.

use super::{Context, Request, Trail};
use crate::domain::{
    registry::CompletesBy,
    task::{IllegalEvent, Purpose, TaskEvent, TaskState},
    time::At,
    words::{Proof, Status},
};

impl Request {
    /// Brings what was accepted in line with the terms as the registry has them now.
    pub(super) fn review_terms(
        &mut self,
        context: &Context<'_>,
        trail: &mut Trail,
    ) -> Result<(), IllegalEvent> {
        for ordinal in self.ordinals() {
            let (at, counts) = match &self.task(ordinal).state {
                TaskState::Accepted { at, .. } => (*at, None),
                TaskState::Attesting { at, until, .. } => (*at, Some(*until)),
                _ => continue,
            };
            let until = self
                .term_of(ordinal, context)
                .map(|term| term.after.add_to(at, context.zones.of(&self.head.tenant)));
            if until != counts {
                self.record_event(ordinal, TaskEvent::TermSet { until }, trail)?;
            }
        }
        Ok(())
    }

    /// The term of a task's processor, as it is registered now; `None`: it has published none. Copies are gone by proof
    /// alone (invariant 4).
    fn term_of(&self, ordinal: u16, context: &Context<'_>) -> Option<CompletesBy> {
        let task = self.task(ordinal);
        let registered = context.registry.get(&task.processor)?;
        registered.completes_by.filter(|_| !task.share.is_wave())
    }

    /// What comes of a term that has passed. A changed rule has moved it before: see [`Self::review_terms`].
    pub(super) fn event_of_term(&self, ordinal: u16, context: &Context<'_>) -> Option<TaskEvent> {
        let term = self.term_of(ordinal, context)?;
        // What it has accepted was this very question.
        let was_asked = matches!(self.task(ordinal).purpose, Purpose::Verify(_));
        Some(
            if term.probe && !was_asked && self.can_be_asked(ordinal, context) {
                TaskEvent::ProbeDue { due: context.now }
            } else {
                attested(context.now)
            },
        )
    }

    /// Whether a task whose processor could not say what has become of it is closed by its term; `None`: its processor has
    /// none, or the term was not what it was asked about.
    pub(super) fn attested_by_term(&self, ordinal: u16, context: &Context<'_>) -> Option<TaskEvent> {
        let is_probe = matches!(self.task(ordinal).purpose, Purpose::Probe { .. });
        self.term_of(ordinal, context)
            .filter(|_| is_probe)
            .map(|_| attested(context.now))
    }

    /// Takes it that what a term alone had closed is better known now: copies of it have to grow old from now on, and
    /// where it is not so at all, the request is open again.
    pub(super) fn correct(
        &mut self,
        ordinal: u16,
        context: &Context<'_>,
        trail: &mut Trail,
    ) -> Result<(), IllegalEvent> {
        let is_grown_old = |request: &Self, wave: u16| {
            let task = request.task(wave);
            task.share.is_wave_of(ordinal) && matches!(task.state, TaskState::Done { .. })
        };
        for wave in self.ordinals() {
            if is_grown_old(self, wave) {
                self.record_event(wave, TaskEvent::Reopened, trail)?;
            }
        }
        if !self.task(ordinal).state.is_closed() {
            self.life.live_clean_at = None;
        }
        if self.life.status.is_final() && self.tasks.iter().any(|task| !task.state.is_closed()) {
            self.enter_status(Status::InProgress, context.now, trail);
        }
        Ok(())
    }
}

/// Closed by a published term. No answer has proved it, so an answer that comes later contradicts nothing.
const fn attested(now: At) -> TaskEvent {
    TaskEvent::Settled {
        attempt: 0,
        proof: Proof::Attested,
        at: now,
    }
}
