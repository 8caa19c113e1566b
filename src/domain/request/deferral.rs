//! What is deferred: parked on a date or an event, held, or waiting for a second look.

use super::{Context, Request, Trail};
use crate::domain::{
    calendar::Period,
    registry::ConfirmBy,
    task::{Deferral, IllegalEvent, Purpose, Share, TaskEvent, TaskState},
    time::At,
    words::{Action, Proof, Why},
};

/// A deferred task, as lists and sweeps find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deferred {
    /// Its place in the plan.
    pub ordinal: u16,
    /// Why.
    pub why: Why,
    /// Until when, as far as it is known.
    pub until: Option<At>,
    /// What a fact is compared with: for copies the time that a rotation has to pass.
    pub mark: At,
}

impl Request {
    /// Its deferred tasks.
    pub fn deferred(&self, clock_skew: std::time::Duration) -> impl Iterator<Item = Deferred> {
        self.ordinals().filter_map(move |ordinal| {
            let (why, until, mark) = match &self.task(ordinal).state {
                TaskState::Parked {
                    why: Deferral::Retention,
                    until,
                } => (Why::Retention, Some(*until), *until),
                TaskState::Parked {
                    why: Deferral::Rotation,
                    until,
                } => {
                    let confirmed = self.confirmed_at(ordinal).unwrap_or(*until);
                    (Why::BackupRotation, Some(*until), confirmed.plus(clock_skew))
                }
                TaskState::Verifying { until } => (Why::Verification, Some(*until), *until),
                TaskState::Held { .. } => (Why::Hold, None, At::default()),
                _ => return None,
            };
            Some(Deferred {
                ordinal,
                why,
                until,
                mark,
            })
        })
    }

    /// Moves the dates of what is kept to where the rules have them now.
    pub(super) fn review_kept(
        &mut self,
        context: &Context<'_>,
        trail: &mut Trail,
    ) -> Result<(), IllegalEvent> {
        for ordinal in self.ordinals() {
            let TaskState::Parked {
                why: Deferral::Retention,
                until,
            } = self.task(ordinal).state
            else {
                continue;
            };
            if let Some(to) = self.kept_until(ordinal, context).filter(|to| *to != until) {
                self.record_event(ordinal, TaskEvent::Moved { from: until, to }, trail)?;
            }
        }
        Ok(())
    }

    /// Until when the live rule keeps a share; `None`: no rule keeps it. A processor that has said itself until when it
    /// keeps it is taken at its word, and a rule that is gone leaves the date that it had: whoever wants it sooner says
    /// so with a shorter one.
    fn kept_until(&self, ordinal: u16, context: &Context<'_>) -> Option<At> {
        let task = self.task(ordinal);
        let Share::Kept { anchor, .. } = &task.share else {
            return None;
        };
        if task.was_sent() {
            return None;
        }
        let rule = context
            .registry
            .get(&task.processor)?
            .retention_of(&task.categories)?;
        Some(rule.keep.add_to(*anchor, context.zones.of(&self.head.tenant)))
    }

    /// What comes of a deferred task whose date has come: rules are read again first.
    pub(super) fn event_of_date(&self, ordinal: u16, context: &Context<'_>) -> Option<TaskEvent> {
        let task = self.task(ordinal);
        let woken = |action: Action| TaskEvent::Woken {
            action,
            due: context.now,
        };
        match task.state {
            TaskState::Verifying { until } if until <= context.now => Some(woken(task.action)),
            TaskState::Parked {
                why: Deferral::Retention,
                until,
            } if until <= context.now => match self.kept_until(ordinal, context) {
                Some(to) if to > context.now => Some(TaskEvent::Moved { from: until, to }),
                _ => Some(woken(self.action_then(ordinal, context))),
            },
            TaskState::Parked {
                why: Deferral::Rotation,
                until,
            } if until <= context.now => {
                let horizon = self.horizon_of(ordinal, context)?;
                if horizon > context.now {
                    return Some(TaskEvent::Moved {
                        from: until,
                        to: horizon,
                    });
                }
                match self.rule_of_wave(ordinal, context)?.confirm_by {
                    // Past the horizon and not proved: overdue, and loud, but not done.
                    ConfirmBy::Event => None,
                    ConfirmBy::Ack => Some(woken(task.action)),
                    ConfirmBy::Schedule => Some(TaskEvent::Settled {
                        attempt: 0,
                        proof: Proof::Expired,
                        at: context.now,
                    }),
                }
            }
            _ => None,
        }
    }

    /// What the live rule wants done with a share that was kept.
    pub(super) fn action_then(&self, ordinal: u16, context: &Context<'_>) -> Action {
        let task = self.task(ordinal);
        let rule = matches!(task.share, Share::Kept { .. })
            .then(|| context.registry.get(&task.processor))
            .flatten()
            .and_then(|processor| processor.retention_of(&task.categories));
        rule.map_or(task.action, |rule| rule.then)
    }

    /// The event of a success: settled, or looked at again where the registry wants it.
    pub(super) fn event_of_success(
        &self,
        ordinal: u16,
        attempt: u32,
        proof: Proof,
        context: &Context<'_>,
    ) -> TaskEvent {
        let task = self.task(ordinal);
        let registered = context
            .registry
            .get(&task.processor)
            .filter(|_| !task.share.is_backup());
        let sweep = registered.and_then(|processor| processor.sweep_after);
        let verify = registered.and_then(|processor| processor.verify_after);
        let look = |purpose, after: Period| TaskEvent::SecondLook {
            attempt,
            purpose,
            until: after.add_to(context.now, context.zones.of(&self.head.tenant)),
        };
        let settled = TaskEvent::Settled {
            attempt,
            proof,
            at: context.now,
        };
        match (task.purpose, sweep, verify) {
            (Purpose::Verify(_) | Purpose::Probe { .. }, ..) => settled,
            (Purpose::Sweep(_) | Purpose::Check { proved: Some(_), .. }, _, None) => settled,
            (Purpose::Sweep(_) | Purpose::Check { proved: Some(_), .. }, _, Some(after)) => {
                look(Purpose::Verify(proof), after)
            }
            (
                Purpose::Asked
                | Purpose::Retried
                | Purpose::AtHorizon
                | Purpose::Restored
                | Purpose::Check { proved: None, .. },
                sweep,
                verify,
            ) => match (sweep, verify) {
                (Some(after), _) => look(Purpose::Sweep(proof), after),
                (None, Some(after)) => look(Purpose::Verify(proof), after),
                (None, None) => settled,
            },
        }
    }
}
