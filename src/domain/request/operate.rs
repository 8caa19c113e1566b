//! A person's decision: cancel a request, have a task done again, do without one.

use super::{Context, Request, Trail};
use crate::domain::{
    entry::Entry,
    ids::{HoldId, IdentityType},
    registry::Processor,
    task::{Deferral, IllegalEvent, Purpose, Task, TaskEvent, TaskState, Undelivered},
    time::At,
    words::{AbandonCause, Status},
};

/// Tasks by their place, each with the types of identifiers that its processor is sent.
pub type Supplied = Vec<(u16, Vec<IdentityType>)>;

/// Why a decision cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecisionError {
    /// The first task has been dispatched: an erasure cannot be taken back.
    #[error("the first task has been dispatched: an erasure cannot be taken back")]
    TooLate,
    /// The request is closed.
    #[error("the request is closed")]
    Closed,
    /// The state of the task does not allow it.
    #[error("the task's state does not allow it")]
    WrongState,
    /// The request's state does not allow it.
    #[error("the request's state does not allow it: {0}")]
    NotNow(&'static str),
    /// Somebody else has to decide it.
    #[error("whoever submitted a request neither approves nor refuses it")]
    Submitter,
}

impl From<IllegalEvent> for DecisionError {
    fn from(_: IllegalEvent) -> Self {
        Self::WrongState
    }
}

impl Request {
    /// Withdraws it, as long as nothing has been sent.
    pub fn cancel(&mut self, actor: Option<&str>, context: &Context<'_>) -> Result<Trail, DecisionError> {
        match &self.life.following {
            // What the other one has sent was sent for both.
            Some(following) if following.bound => return Err(DecisionError::TooLate),
            // The other one goes on without it.
            Some(_) => self.life.following = None,
            None if self.was_sent() => return Err(DecisionError::TooLate),
            None => self.check_open()?,
        }
        let mut trail = acted_by(actor);
        for ordinal in self.ordinals() {
            if !self.task(ordinal).state.is_closed() {
                self.record_event(ordinal, TaskEvent::Cancelled, &mut trail)?;
            }
        }
        self.enter_status(Status::Cancelled, context.now, &mut trail);
        Ok(self.conclude_change(context, trail)?)
    }

    /// Nothing is decided any more about what is closed, nor about what another request stands for.
    pub(super) const fn check_open(&self) -> Result<(), DecisionError> {
        if self.life.following.is_some() {
            return Err(DecisionError::NotNow(
                "it was merged into another one (merged_into), which stands for both",
            ));
        }
        if self.life.status.is_final() {
            return Err(DecisionError::Closed);
        }
        Ok(())
    }

    /// Whether a task waits for an operator: it was given up, what was promised did not come, or its topic never takes it. What waits
    /// for a date that the law gives does not.
    pub fn is_given_up(&self, ordinal: u16, now: At) -> bool {
        match &self.task(ordinal).state {
            TaskState::Abandoned { .. } => true,
            TaskState::Accepted { expected_by, .. } | TaskState::Attesting { expected_by, .. } => {
                *expected_by <= now
            }
            TaskState::Undeliverable {
                why: Undelivered::TooLarge { .. },
                ..
            } => true,
            _ => false,
        }
    }

    /// Has a task done again, as a new generation.
    pub fn retry(
        &mut self,
        ordinal: u16,
        actor: &str,
        context: &Context<'_>,
    ) -> Result<Trail, DecisionError> {
        self.check_open()?;
        if !self.can_be_retried(ordinal, context) {
            return Err(DecisionError::WrongState);
        }
        // A wave is asked when its sources have confirmed and its copies have grown old, whoever wants it sooner.
        let due = self.gate_or(context.now);
        let event = if self.task(ordinal).share.is_wave() {
            TaskEvent::Reopened
        } else if self.is_unheard_of(ordinal, context) {
            TaskEvent::ResultUnknown { sends: 0, due }
        } else {
            TaskEvent::Retried { due }
        };
        self.carry_out(ordinal, event, actor, context)
    }

    /// Has somebody's decision about a task happen to it, and what follows from it.
    pub(super) fn carry_out(
        &mut self,
        ordinal: u16,
        event: TaskEvent,
        actor: &str,
        context: &Context<'_>,
    ) -> Result<Trail, DecisionError> {
        let mut trail = acted_by(Some(actor));
        self.record_event(ordinal, event, &mut trail)?;
        Ok(self.conclude_change(context, trail)?)
    }

    /// Whether an operator may have it done again: what has been given up, and what was promised and not kept. A task that is out or waits its turn goes on by
    /// itself: a new generation would throw away the answer that is on its way.
    pub fn can_be_retried(&self, ordinal: u16, context: &Context<'_>) -> bool {
        let task = self.task(ordinal);
        match &task.state {
            // One that its processor could not do is worth another try only where the registry has changed.
            TaskState::Abandoned {
                cause: AbandonCause::Unsupported,
            } if !task.was_sent() => context
                .registry
                .get(&task.processor)
                .is_some_and(|processor| processor.actions.contains(&task.action)),
            // A person may know that what was parked need not wait any more.
            TaskState::Abandoned { .. }
            | TaskState::Parked {
                why: Deferral::Retention,
                ..
            } => true,
            TaskState::Accepted { expected_by, .. } | TaskState::Attesting { expected_by, .. } => {
                *expected_by <= context.now
            }
            // Whoever has made room for it need not wait.
            TaskState::Undeliverable {
                why: Undelivered::TooLarge { .. },
                ..
            } => true,
            // It waits for exactly this.
            TaskState::Ready { .. } | TaskState::Queued { .. } | TaskState::Undeliverable { .. } => context
                .registry
                .get(&task.processor)
                .is_some_and(|processor| !self.spares(task, processor)),
            _ => false,
        }
    }

    /// Takes identifiers that it had not come with: the tasks that waited for one go on. Gives their places, each with
    /// the types that its processor is sent from now on.
    pub fn supply(
        &mut self,
        types: &[IdentityType],
        holds: &[HoldId],
        actor: &str,
        context: &Context<'_>,
    ) -> Result<(Trail, Supplied), DecisionError> {
        self.check_open()?;
        let known = |ordinal: u16| -> Vec<IdentityType> {
            let task = self.task(ordinal);
            let registered = context.registry.get(&task.processor);
            registered
                .filter(|_| task.state == TaskState::WithoutIdentity)
                .map_or(&[][..], |processor| &processor.identities)
                .iter()
                .filter(|kind| types.contains(kind))
                .cloned()
                .collect()
        };
        let opened: Supplied = self
            .ordinals()
            .map(|ordinal| (ordinal, known(ordinal)))
            .filter(|(_, kinds)| !kinds.is_empty())
            .collect();
        if opened.is_empty() {
            return Err(DecisionError::NotNow(
                "no task waits for an identifier of these types",
            ));
        }
        let mut trail = acted_by(Some(actor));
        trail.entries.push(Entry::Supplied {
            types: types.to_vec(),
        });
        self.add_subject_holds(holds);
        for (ordinal, _) in &opened {
            self.record_event(*ordinal, TaskEvent::Identified, &mut trail)?;
        }
        self.conclude(context, &mut trail)?;
        self.revision += 1;
        Ok((trail, opened))
    }

    /// The person is back. Invariant 13: what they gave since is theirs, so from now on only systems that erase what was
    /// collected before are asked without somebody wanting it.
    pub fn reactivate(&mut self, at: At, context: &Context<'_>) -> Result<Trail, IllegalEvent> {
        let mut trail = Trail::default();
        // One that was merged may stand alone again.
        let may_go_on = !self.is_withdrawn()
            || self
                .life
                .following
                .as_ref()
                .is_some_and(|following| !following.bound);
        if !may_go_on {
            return Ok(trail);
        }
        self.life.reactivated_at = Some(self.life.reactivated_at.map_or(at, |earlier| earlier.max(at)));
        trail.entries.push(Entry::Reactivated { at });
        self.conclude_change(context, trail)
    }

    /// Whether sending this task leaves alone what the person gave after coming back.
    pub(super) fn spares(&self, task: &Task, processor: &Processor) -> bool {
        // A question about what was sent before erases nothing.
        let is_harmless = task.purpose.asks_about().is_some();
        self.life.reactivated_at.is_none()
            || processor.honours_cutoff
            || is_harmless
            || task.purpose == Purpose::Retried
    }

    /// Does without a task: the request can then only close with exceptions.
    pub fn waive(
        &mut self,
        ordinal: u16,
        actor: &str,
        context: &Context<'_>,
    ) -> Result<Trail, DecisionError> {
        self.check_open()?;
        self.carry_out(ordinal, TaskEvent::Waived, actor, context)
    }
}

pub(super) fn acted_by(actor: Option<&str>) -> Trail {
    Trail {
        entries: actor
            .map(|actor| Entry::ActedBy {
                actor: actor.to_owned(),
            })
            .into_iter()
            .collect(),
        ..Trail::default()
    }
}
