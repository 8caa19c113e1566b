//! Where a request stands: what follows from its tasks and the time, never the other way round.

use super::{Context, Request, Trail, next_wake::overdue_from};
use crate::domain::{
    entry::Entry,
    ids::{Label, ProcessorId},
    task::{Deferral, Share, Task, TaskState, Undelivered},
    time::At,
    words::{Proof, Status},
};

/// The counts that a status shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All tasks, exempt ones too.
    pub total: u32,
    /// Proved ones.
    pub done: u32,
    /// Parked on a date.
    pub parked: u32,
    /// Given up until somebody acts.
    pub abandoned: u32,
    /// Proved as erased.
    pub erased: u32,
    /// Proved as anonymized.
    pub anonymized: u32,
    /// Proved as pseudonymised, which is no anonymization: the registry says that it will do.
    pub pseudonymised: u32,
    /// The processor had no data.
    pub not_found: u32,
    /// Closed by the term that its processor has published: nobody has confirmed it.
    pub attested: u32,
    /// Exempt.
    pub exempt: u32,
    /// Done without, as an operator has decided.
    pub waived: u32,
}

/// A share that was not erased although its request has come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotErased<'a> {
    /// The processor.
    pub processor: &'a ProcessorId,
    /// The categories of the share; none: all of it.
    pub categories: &'a [Label],
    /// The basis on which it is exempt, or that it was waived.
    pub why: String,
}

impl Request {
    /// Counts its tasks.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            total: u32::try_from(self.tasks.len()).unwrap_or(u32::MAX),
            ..Counts::default()
        };
        for task in &self.tasks {
            match &task.state {
                TaskState::Done { proof, .. } => {
                    counts.done += 1;
                    match proof {
                        Proof::Erased | Proof::Expired => counts.erased += 1,
                        Proof::Anonymized => counts.anonymized += 1,
                        Proof::Pseudonymised => counts.pseudonymised += 1,
                        Proof::NotFound => counts.not_found += 1,
                        Proof::Attested => counts.attested += 1,
                    }
                }
                TaskState::Parked { .. } => counts.parked += 1,
                TaskState::Abandoned { .. } => counts.abandoned += 1,
                TaskState::Exempt { .. } => counts.exempt += 1,
                TaskState::Waived => counts.waived += 1,
                TaskState::Blocked
                | TaskState::WithoutIdentity
                | TaskState::Held { .. }
                | TaskState::Verifying { .. }
                | TaskState::Ready { .. }
                | TaskState::Queued { .. }
                | TaskState::Undeliverable { .. }
                | TaskState::Dispatched { .. }
                | TaskState::Accepted { .. }
                | TaskState::Attesting { .. }
                | TaskState::Cancelled => {}
            }
        }
        counts
    }

    /// Brings status, flags and the life of the key in line with the tasks and the time.
    pub(super) fn settle_status(&mut self, context: &Context<'_>, trail: &mut Trail) {
        if !self.life.status.is_final() {
            let status = self.status_of_tasks(context.now);
            self.enter_status(status, context.now, trail);
        }
        if self.life.status.is_final() {
            self.life.restored_at = None;
        }
        self.settle_flags(context, trail);
        self.life.notice = self.notice_at(context.now);
        self.forget_when_spent(context, trail);
    }

    /// Enters a status, which writes an entry where it is another one.
    pub(super) fn enter_status(&mut self, status: Status, now: At, trail: &mut Trail) {
        let before = self.life.status;
        if status == before {
            return;
        }
        trail.entries.push(Entry::Status {
            from: before,
            to: status,
        });
        self.life.status = status;
        self.life.completed_at = status.is_final().then_some(now);
    }

    /// Invariant 2: `completed` only if every task of the pinned plan is done.
    fn status_of_tasks(&self, now: At) -> Status {
        if let Some(gate) = self.closed_gate(now) {
            return gate.status();
        }
        let done = |state: &TaskState| matches!(state, TaskState::Done { .. });
        if self.tasks.iter().all(|task| done(&task.state)) && !self.head.excludes {
            Status::Completed
        } else if self.tasks.iter().all(|task| task.state.is_closed()) {
            // Nothing that was never sent anywhere may close: a plan of exempt tasks alone needs a person.
            if self.nobody_was_asked() {
                Status::InProgress
            } else {
                Status::ClosedWithExceptions
            }
        } else if self.ordinals().all(|ordinal| self.waits_for_dates(ordinal)) {
            Status::Deferred
        } else {
            Status::InProgress
        }
    }

    /// Whether nothing can be done about a task now. The copies of what is parked wait for its date as well.
    fn waits_for_dates(&self, ordinal: u16) -> bool {
        let waits = |state: &TaskState| state.is_closed() || state.is_deferred();
        let task = self.task(ordinal);
        waits(&task.state)
            || match (&task.share, &task.state) {
                (Share::Wave { sources, .. }, TaskState::Blocked) => {
                    sources.iter().all(|source| waits(&self.task(*source).state))
                }
                _ => false,
            }
    }

    fn settle_flags(&mut self, context: &Context<'_>, trail: &mut Trail) {
        if self.life.following.is_some() {
            return self.settle_flags_of_follower(context, trail);
        }
        if self.life.status.is_final()
            && self.life.status != Status::Completed
            && self.life.status != Status::ClosedWithExceptions
        {
            (self.life.overdue, self.life.at_risk, self.life.needs_attention) = (false, false, false);
            return;
        }
        // Kept from then on: what still moves afterwards was parked, and a deferral that slips is not an overdue request.
        self.life.live_clean_at = self
            .life
            .live_clean_at
            .or_else(|| self.is_live_clean().then_some(context.now));
        let clean = self.life.live_clean_at.is_some();
        let is_open = !self.life.status.is_final();
        // What is closed is late at the most: nothing is owed any more.
        let overdue = is_open && !clean && context.now > self.life.clock.due;
        if overdue && !self.life.overdue {
            trail.entries.push(Entry::Overdue);
        }
        self.life.overdue = overdue;
        let due = self.life.clock.due;
        let late_promise = |state: &TaskState| match state {
            TaskState::Accepted { expected_by, .. } => *expected_by > due,
            TaskState::Attesting {
                expected_by, until, ..
            } => *expected_by.max(until) > due,
            _ => false,
        };
        self.life.at_risk = is_open
            && !overdue
            && !clean
            && (context.now >= self.life.clock.at_risk_from
                || self.begins_too_late(context.now)
                || self
                    .tasks
                    .iter()
                    .any(|task| !task.share.is_backup() && late_promise(&task.state)));
        self.life.needs_attention = is_open && self.wants_attention(context);
    }

    /// Whether its own date keeps everything back until the deadline has passed.
    fn begins_too_late(&self, now: At) -> bool {
        self.closed_gate(now).is_some() && self.waits_past_deadline()
    }

    /// Whether the date before which nothing is sent lies past the deadline, which then cannot be kept.
    pub fn waits_past_deadline(&self) -> bool {
        self.head
            .not_before
            .is_some_and(|date| date > self.life.clock.due)
    }

    /// Its deadline is its own, whatever has become of that of the request that it follows.
    fn settle_flags_of_follower(&mut self, context: &Context<'_>, trail: &mut Trail) {
        let is_kept = self.life.completed_at.is_some()
            || self
                .life
                .following
                .as_ref()
                .is_some_and(|following| following.is_clean);
        let overdue = !is_kept && context.now > self.life.clock.due;
        if overdue && !self.life.overdue {
            trail.entries.push(Entry::Overdue);
        }
        (self.life.overdue, self.life.at_risk, self.life.needs_attention) = (overdue, false, false);
    }

    /// Whether every task was exempt from the start.
    pub fn nobody_was_asked(&self) -> bool {
        self.tasks
            .iter()
            .all(|task| matches!(task.state, TaskState::Exempt { .. }) && !task.was_sent())
    }

    fn is_live_clean(&self) -> bool {
        // Where nobody was ever asked, nothing shows that anything is clean.
        if self.nobody_was_asked() {
            return false;
        }
        let live = || self.tasks.iter().filter(|task| !task.share.is_backup());
        let is_proved =
            |task: &Task| matches!(task.state, TaskState::Done { .. } | TaskState::Verifying { .. });
        // Doing without a task delays nothing, and cleans nothing either: where no live system has proved anything, nobody
        // may be told that theirs are clean.
        let only_waived = live().any(|task| task.state == TaskState::Waived) && !live().any(is_proved);
        !only_waived && live().all(|task| task.state.is_closed() || task.state.is_deferred())
    }

    /// What was not erased of a request that has come to its end, in the order of the plan: why, by processor and part.
    pub fn not_erased(&self) -> Vec<NotErased<'_>> {
        if self.life.status != Status::ClosedWithExceptions {
            return Vec::new();
        }
        let why = |task: &'_ Task| match &task.state {
            TaskState::Exempt { basis } => Some(basis.as_str().to_owned()),
            TaskState::Waived => Some(task.state.name().as_str().to_owned()),
            _ => None,
        };
        let mut found: Vec<NotErased<'_>> = Vec::new();
        for task in &self.tasks {
            let share = why(task).map(|why| NotErased {
                processor: &task.processor,
                categories: &task.categories,
                why,
            });
            found.extend(share.filter(|share| !found.contains(share)));
        }
        found
    }

    fn wants_attention(&self, context: &Context<'_>) -> bool {
        self.nobody_was_asked()
            || self.is_late_at_a_gate()
            || self
                .ordinals()
                .any(|ordinal| self.needs_somebody(ordinal, context))
    }

    /// Whether its deadline has passed while a person has yet to open a gate: nothing else hastens it.
    pub fn is_late_at_a_gate(&self) -> bool {
        self.life.overdue && !self.gates_of_people().is_empty()
    }

    /// Whether a task goes on only when somebody does something.
    pub fn needs_somebody(&self, ordinal: u16, context: &Context<'_>) -> bool {
        let task = self.task(ordinal);
        match &task.state {
            TaskState::Abandoned { .. } => true,
            // While another answer may bring one, nobody has to look for it.
            TaskState::WithoutIdentity => self.may_be_provided_by(ordinal, context).is_empty(),
            TaskState::Accepted { expected_by, .. } => {
                *expected_by <= context.now || context.registry.get(&task.processor).is_none()
            }
            // While the term runs nobody has to ask after what was promised.
            TaskState::Attesting { .. } => context.registry.get(&task.processor).is_none(),
            // A restore that needs identifiers which are gone is never silent.
            TaskState::Ready { .. }
            | TaskState::Queued { .. }
            | TaskState::Undeliverable { .. }
            | TaskState::Held { .. }
                if !self.can_be_asked(ordinal, context) =>
            {
                true
            }
            // Only a person makes its topic take more.
            TaskState::Undeliverable {
                why: Undelivered::TooLarge { .. },
                ..
            } => true,
            // The person is back: somebody has to decide whether a system that erases everything is asked.
            TaskState::Ready { .. } | TaskState::Queued { .. } | TaskState::Undeliverable { .. } => {
                context.registry.get(&task.processor).is_none_or(|processor| {
                    !self.spares(task, processor) || self.is_manual_late(ordinal, processor, context.now)
                })
            }
            TaskState::Parked {
                why: Deferral::Rotation,
                until,
            } if overdue_from(task, *until, context).is_none_or(|from| from <= context.now) => true,
            // The copies of a set that is none any more never grow old.
            TaskState::Blocked if task.share.is_wave() => context
                .registry
                .get(&task.processor)
                .is_none_or(|processor| processor.backup.is_none()),
            // What was asked may be answered all the same, but nobody asks again.
            TaskState::Held { .. }
            | TaskState::Verifying { .. }
            | TaskState::Blocked
            | TaskState::Dispatched { .. }
            | TaskState::Parked { .. } => context.registry.get(&task.processor).is_none(),
            TaskState::Done { .. } | TaskState::Exempt { .. } | TaskState::Waived | TaskState::Cancelled => {
                false
            }
        }
    }

    /// Whether nobody is asked anything, nor about to be: what is left waits for a date, an event or a person.
    pub fn is_at_rest(&self) -> bool {
        !self.tasks.iter().any(|task| {
            matches!(
                task.state,
                TaskState::Ready { .. }
                    | TaskState::Queued { .. }
                    | TaskState::Undeliverable { .. }
                    | TaskState::Dispatched { .. }
                    | TaskState::Accepted { .. }
                    | TaskState::Attesting { .. }
            )
        })
    }
}
