//! A person's decision: cancel a request, have a task done again, do without one.

use super::{Context, Request, Trail};
use crate::domain::{
    entry::Entry,
    task::{IllegalEvent, TaskEvent, TaskState},
    words::Status,
};

/// Why a decision cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The first task has been dispatched: an erasure cannot be taken back.
    #[error("the first task has been dispatched: an erasure cannot be taken back")]
    TooLate,
    /// The request is closed.
    #[error("the request is closed")]
    Closed,
    /// The state of the task does not allow it.
    #[error("the task's state does not allow it")]
    WrongState,
}

impl From<IllegalEvent> for Refused {
    fn from(_: IllegalEvent) -> Self {
        Self::WrongState
    }
}

impl Request {
    /// Withdraws it, as long as nothing has been sent.
    pub fn cancel(&mut self, actor: Option<&str>, context: &Context<'_>) -> Result<Trail, Refused> {
        if self.life.status.is_final() {
            return Err(Refused::Closed);
        }
        if self.tasks.iter().any(super::Task::was_sent) {
            return Err(Refused::TooLate);
        }
        let mut trail = acted_by(actor);
        for ordinal in self.ordinals() {
            if !self.task(ordinal).state.is_closed() {
                self.happen(ordinal, TaskEvent::Cancelled, &mut trail)?;
            }
        }
        self.enter_status(Status::Cancelled, context.now, &mut trail);
        self.conclude(context, &mut trail)?;
        self.revision += 1;
        Ok(trail)
    }

    /// Has a task done again, as a new generation.
    pub fn retry(&mut self, ordinal: u16, actor: &str, context: &Context<'_>) -> Result<Trail, Refused> {
        if self.life.status.is_final() {
            return Err(Refused::Closed);
        }
        // Without an identity, or before it can be sent at all, there is nothing to send again.
        if !self.task(ordinal).was_sent() && !matches!(self.task(ordinal).state, TaskState::Abandoned { .. })
        {
            return Err(Refused::WrongState);
        }
        let mut trail = acted_by(Some(actor));
        self.happen(
            ordinal,
            TaskEvent::Retried {
                due: self.gate_or(context.now),
            },
            &mut trail,
        )?;
        self.conclude(context, &mut trail)?;
        self.revision += 1;
        Ok(trail)
    }

    /// Does without a task: the request can then only close with exceptions.
    pub fn waive(&mut self, ordinal: u16, actor: &str, context: &Context<'_>) -> Result<Trail, Refused> {
        if self.life.status.is_final() {
            return Err(Refused::Closed);
        }
        let mut trail = acted_by(Some(actor));
        self.happen(ordinal, TaskEvent::Waived, &mut trail)?;
        self.conclude(context, &mut trail)?;
        self.revision += 1;
        Ok(trail)
    }
}

fn acted_by(actor: Option<&str>) -> Trail {
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
