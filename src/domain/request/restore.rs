//! Restores: what a backup that was put back can have brought back is done again.
//!
//! Invariant 5. A restore holds from the moment that it is known: whatever touches a request first takes it, and from
//! then on nothing of it passes for done. What has to be done again is sent at the pace of the replay: see
//! [`super::Withheld`].

use super::{Context, Request, Trail};
use crate::domain::{
    backup::earlier,
    entry::Entry,
    fact::Restore,
    plan::KEPT_AT_SOURCE,
    task::{IllegalEvent, Share, Task, TaskEvent, TaskState},
    time::At,
    words::Status,
};

impl Request {
    /// Takes the restores that it has not been looked at for.
    pub(super) fn take_restores(
        &mut self,
        context: &Context<'_>,
        trail: &mut Trail,
    ) -> Result<(), IllegalEvent> {
        let seen = self.bookkeeping.facts;
        if seen == context.facts.version() {
            return Ok(());
        }
        self.bookkeeping.facts = context.facts.version();
        if self.is_withdrawn() {
            return Ok(());
        }
        for restore in context.facts.restores_since(seen) {
            self.replay(restore, context, trail)?;
        }
        Ok(())
    }

    fn replay(
        &mut self,
        restore: &Restore,
        context: &Context<'_>,
        trail: &mut Trail,
    ) -> Result<(), IllegalEvent> {
        let since = earlier(restore.taken_at, context.clock_skew);
        let again: Vec<u16> = self
            .ordinals()
            .filter(|ordinal| {
                let task = self.task(*ordinal);
                restore.into.contains(&task.processor) && can_be_back(task, since)
            })
            .collect();
        if again.is_empty() {
            return Ok(());
        }
        trail.entries.push(Entry::Restored {
            fact: restore.version,
            taken_at: restore.taken_at,
        });
        let due = self.gate_or(context.now);
        for ordinal in &again {
            self.record_event(*ordinal, TaskEvent::Restored { due }, trail)?;
        }
        for ordinal in self.ordinals() {
            if runs_from(self.task(ordinal), &again) {
                self.record_event(ordinal, TaskEvent::Reopened, trail)?;
            }
        }
        // Whoever was not told that live systems are clean, or that it is over, need not be told that it goes on.
        if self.life.status.is_final() || self.life.live_clean_at.is_some() {
            self.life.restored_at = Some(context.now);
        }
        self.life.live_clean_at = None;
        self.enter_status(Status::InProgress, context.now, trail);
        Ok(())
    }
}

/// Whether a copy taken at that time, or since, can have brought back what this task has erased.
fn can_be_back(task: &Task, since: At) -> bool {
    // What was never sent has erased nothing.
    if task.share.is_backup() || !task.was_sent() {
        return false;
    }
    match &task.state {
        TaskState::Done { at, .. } => *at >= since,
        // It was out, or had erased a part of its share, at a time that nobody has confirmed.
        TaskState::Ready { .. }
        | TaskState::Queued { .. }
        | TaskState::Undeliverable { .. }
        | TaskState::Held { .. }
        | TaskState::Dispatched { .. }
        | TaskState::Accepted { .. }
        | TaskState::Attesting { .. }
        | TaskState::Verifying { .. }
        | TaskState::Parked { .. }
        | TaskState::Exempt { .. }
        | TaskState::Abandoned { .. } => true,
        TaskState::Blocked | TaskState::WithoutIdentity | TaskState::Waived | TaskState::Cancelled => false,
    }
}

/// Whether this is a wave whose horizon runs from one of these tasks.
fn runs_from(task: &Task, again: &[u16]) -> bool {
    let Share::Wave { sources, .. } = &task.share else {
        return false;
    };
    let open_again = match &task.state {
        // A command that left the set out is not undone by a restore.
        TaskState::Exempt { basis } => basis.as_str() == KEPT_AT_SOURCE,
        TaskState::Waived | TaskState::Cancelled | TaskState::WithoutIdentity => false,
        _ => true,
    };
    open_again && sources.iter().any(|source| again.contains(source))
}
