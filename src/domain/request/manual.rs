//! Tasks that a person does: claimed by one at a time, confirmed like any answer, handed over.
//!
//! Until somebody claims it, such a task stands in the queue of its lane. Claimed, it is accepted: by its due date it has to be
//! confirmed, and nothing asks again by itself.

use super::{
    Context, Request, Trail,
    operate::{DecisionError, acted_by},
};
use crate::domain::{
    registry::{Processor, Registry},
    task::{TaskEvent, TaskState},
    time::At,
    words::Outcome,
};

impl Request {
    /// By when a person has to have done a task; `None`: no person does it.
    pub fn manual_due(&self, ordinal: u16, registry: &Registry) -> Option<At> {
        let task = self.task(ordinal);
        let processor = registry.get(&task.processor)?;
        let term = processor.manual()?.due.unwrap_or(processor.ack_timeout);
        match &task.state {
            TaskState::Queued { due, .. } => Some(due.plus(term)),
            TaskState::Accepted { expected_by, .. } => Some(*expected_by),
            _ => None,
        }
    }

    /// Gives a task to whoever claims it. What keeps it from being sent keeps it from being claimed.
    pub fn claim_manual(
        &mut self,
        ordinal: u16,
        actor: &str,
        context: &Context<'_>,
    ) -> Result<Trail, DecisionError> {
        self.check_open()?;
        let due = self.manual_due(ordinal, context.registry);
        let mut trail = acted_by(Some(actor));
        self.conclude(context, &mut trail)?;
        if !matches!(self.task(ordinal).state, TaskState::Dispatched { .. }) {
            return Err(DecisionError::NotNow(self.why_not_claimed(ordinal, context)));
        }
        let accepted = TaskEvent::Accepted {
            at: context.now,
            expected_by: due.unwrap_or(context.now),
        };
        self.record_event(ordinal, accepted, &mut trail)?;
        Ok(self.conclude_change(context, trail)?)
    }

    /// Gives a task back to its queue, for somebody else.
    pub fn hand_over(
        &mut self,
        ordinal: u16,
        actor: &str,
        context: &Context<'_>,
    ) -> Result<Trail, DecisionError> {
        self.check_open()?;
        match &self.task(ordinal).state {
            TaskState::Accepted { .. } => {
                let again = TaskEvent::AskedAgain {
                    outcome: Some(Outcome::Accepted),
                    counts: false,
                    due: context.now,
                };
                self.carry_out(ordinal, again, actor, context)
            }
            TaskState::Queued { .. } => Ok(self.conclude_change(context, acted_by(Some(actor)))?),
            _ => Err(DecisionError::WrongState),
        }
    }

    /// Writes down that the first of two people has confirmed a task.
    pub fn confirm_first(&mut self, actor: &str, context: &Context<'_>) -> Result<Trail, DecisionError> {
        self.check_open()?;
        Ok(self.conclude_change(context, acted_by(Some(actor)))?)
    }

    fn why_not_claimed(&self, ordinal: u16, context: &Context<'_>) -> &'static str {
        match &self.task(ordinal).state {
            TaskState::Queued { .. } if context.facts.stops().of(&self.task(ordinal).processor).is_some() => {
                "the lane of the processor is stopped"
            }
            TaskState::Held { .. } => "a legal hold covers the task",
            TaskState::Accepted { .. } => "somebody has claimed the task",
            _ => "the task does not wait for a person now",
        }
    }

    /// Whether a person should have done a task by now.
    pub(super) fn is_manual_late(&self, ordinal: u16, processor: &Processor, now: At) -> bool {
        let Some(manual) = processor.manual() else {
            return false;
        };
        let term = manual.due.unwrap_or(processor.ack_timeout);
        matches!(&self.task(ordinal).state, TaskState::Queued { due, .. } if due.plus(term) <= now)
    }
}
