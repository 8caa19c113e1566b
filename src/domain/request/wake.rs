//! The passing of time: what is due is sent, what was not answered is asked again, what is late is flagged.

use super::{Context, Request, Trail};
use crate::domain::{
    ids::ProcessorId,
    task::{IllegalEvent, TaskState},
    time::At,
    words::AbandonCause,
};

impl Request {
    /// Takes the passing of time, with every ack read up to one time.
    pub fn wake(&mut self, context: &Context<'_>, acks_seen_until: At) -> Result<Trail, IllegalEvent> {
        self.wake_as_read(context, &|_| acks_seen_until)
    }

    /// Takes the passing of time. `acks_seen_until`: up to when every ack that was sent by a processor for this request has been
    /// read; an answer is missing only when it would have been seen.
    pub fn wake_as_read(
        &mut self,
        context: &Context<'_>,
        acks_seen_until: &dyn Fn(&ProcessorId) -> At,
    ) -> Result<Trail, IllegalEvent> {
        let mut trail = Trail::default();
        // What has become known comes before what time does: a date must not settle what a restore has undone.
        self.take_restores(context, &mut trail)?;
        self.give_up_verification(context, &mut trail)?;
        if !self.life.status.is_final() {
            // Terms are read again first.
            self.review_terms(context, &mut trail)?;
        }
        if !self.life.status.is_final() {
            for ordinal in self.ordinals() {
                if let Some(event) = self.event_of_date(ordinal, context) {
                    self.record_event(ordinal, event, &mut trail)?;
                }
                match self.task(ordinal).state {
                    TaskState::Dispatched { ack_by, .. }
                        if ack_by <= context.now
                            && ack_by < acks_seen_until(&self.task(ordinal).processor) =>
                    {
                        self.miss_ack(ordinal, context, &mut trail)?;
                    }
                    // A proof may lie unread as well.
                    TaskState::Attesting { until, .. }
                        if until <= context.now && until < acks_seen_until(&self.task(ordinal).processor) =>
                    {
                        if let Some(event) = self.event_of_term(ordinal, context) {
                            self.record_event(ordinal, event, &mut trail)?;
                        }
                    }
                    _ => {}
                }
            }
        }
        self.conclude(context, &mut trail)?;
        self.postpone_unseen(context);
        // Also where nothing else happened: the agenda's row has to move, and rows move under the revision's guard.
        self.revision += 1;
        Ok(trail)
    }

    fn miss_ack(
        &mut self,
        ordinal: u16,
        context: &Context<'_>,
        trail: &mut Trail,
    ) -> Result<(), IllegalEvent> {
        let event = self
            .failure_of(ordinal, None, None, context)
            .unwrap_or_else(|| self.given_up(ordinal, AbandonCause::AttemptsUsed, None, context));
        self.record_event(ordinal, event, trail)
    }

    /// An answer that may still lie unread in the ack topic is looked for again soon.
    fn postpone_unseen(&mut self, context: &Context<'_>) {
        // Settling reports how far it has read every second, so a shorter wait would only wake for nothing.
        const LOOK_AGAIN_AFTER: std::time::Duration = std::time::Duration::from_secs(1);
        if self.bookkeeping.wake_at.is_some_and(|at| at <= context.now) {
            self.bookkeeping.wake_at = Some(context.now.plus(LOOK_AGAIN_AFTER));
        }
    }
}
