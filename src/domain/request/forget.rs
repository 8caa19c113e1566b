//! Forgetting: the identifiers go as soon as nobody has to be asked any more. For a restore they stay in a capsule,
//! until no copy is left that could bring the data back.

use super::{Context, Request, Trail};
use crate::domain::{
    backup::{Week, end_of, week_of},
    entry::Entry,
    fact::CapsuleEpoch,
    ids::ProcessorId,
    plan::KEPT_AT_SOURCE,
    task::{Deferral, Share, TaskState},
    time::At,
};

impl Request {
    /// Whether its subject can still be named to a processor.
    pub fn can_be_named(&self, context: &Context<'_>) -> bool {
        self.bookkeeping.readable
            || self
                .capsule_epoch()
                .is_some_and(|epoch| !context.facts.is_forgotten(&epoch))
    }

    /// Whether the subject can be named to the processor of this task: a capsule holds only what those need that a copy
    /// can bring data back into, and the backup systems themselves.
    pub fn can_be_asked(&self, ordinal: u16, context: &Context<'_>) -> bool {
        let task = self.task(ordinal);
        self.bookkeeping.readable
            || (self.can_be_named(context)
                && (task.share.is_wave() || self.restorable().contains(&&task.processor)))
    }

    /// With which capsules its own is forgotten; `None`: it has none.
    pub fn capsule_epoch(&self) -> Option<CapsuleEpoch> {
        Some(self.capsule_of(self.bookkeeping.capsule?))
    }

    /// With which capsules one of this week is forgotten.
    pub fn capsule_of(&self, week: Week) -> CapsuleEpoch {
        CapsuleEpoch {
            week,
            sets: self.covering_sets(),
        }
    }

    /// The processors that a restore can bring data back into: the sources of its waves.
    pub fn restorable(&self) -> Vec<&ProcessorId> {
        let sources = self.tasks.iter().filter_map(|task| match &task.share {
            Share::Wave { sources, .. } => Some(sources),
            _ => None,
        });
        let mut processors: Vec<&ProcessorId> = sources
            .flatten()
            .map(|place| &self.task(*place).processor)
            .collect();
        processors.sort_unstable();
        processors.dedup();
        processors
    }

    /// The backup sets that hold copies of what was erased. It stays the same for the life of the request.
    fn covering_sets(&self) -> Vec<ProcessorId> {
        let covers = |state: &TaskState| match state {
            TaskState::Exempt { basis } => basis.as_str() == KEPT_AT_SOURCE,
            _ => true,
        };
        let mut sets: Vec<ProcessorId> = self
            .tasks
            .iter()
            .filter(|task| matches!(task.share, Share::Wave { .. }) && covers(&task.state))
            .map(|task| task.processor.clone())
            .collect();
        sets.sort_unstable();
        sets.dedup();
        sets
    }

    /// Invariant 8: after the last need for them the identifiers are unreadable.
    pub(super) fn forget_when_spent(&mut self, context: &Context<'_>, trail: &mut Trail) {
        if !self.is_spent(context) {
            // It is asked for from its capsule, which must not go with those of the week of its first confirmation.
            if self.lives_on_capsule(context) {
                self.encapsulate_anew(week_of(context.now), trail);
            }
            return;
        }
        // Where no copy of that week is left any more, there is nothing that a restore could bring back.
        let is_left = |week: &Week| {
            !context.facts.is_forgotten(&CapsuleEpoch {
                week: *week,
                sets: self.covering_sets(),
            })
        };
        let week = self.week_of_capsule().filter(is_left);
        if self.bookkeeping.readable {
            self.bookkeeping.readable = false;
            self.bookkeeping.capsule = week;
            trail
                .entries
                .push(week.map_or(Entry::Shredded, |week| Entry::Encapsulated { week }));
        } else if let Some(week) = week
            && self.bookkeeping.capsule.is_some()
            && self.can_be_named(context)
        {
            // Confirmed anew after a restore: the copies that matter now are younger ones.
            self.encapsulate_anew(week, trail);
        }
    }

    fn encapsulate_anew(&mut self, week: Week, trail: &mut Trail) {
        if self.bookkeeping.capsule != Some(week) {
            self.bookkeeping.capsule = Some(week);
            trail.entries.push(Entry::Encapsulated { week });
        }
    }

    /// Whether somebody has to be asked, and nothing but its capsule says about whom.
    fn lives_on_capsule(&self, context: &Context<'_>) -> bool {
        !self.bookkeeping.readable && !self.is_spent(context) && self.can_be_named(context)
    }

    /// When its capsule has to be sealed for another week, because somebody still has to be asked: copies live longer
    /// than a week, or hardly anything could be restored from them.
    pub(super) fn reseal_at(&self, context: &Context<'_>) -> Option<At> {
        self.bookkeeping
            .capsule
            .filter(|_| self.lives_on_capsule(context))
            .map(end_of)
    }

    /// Nobody has to be asked any more, and the identifiers have been kept for as long as the controller wants.
    fn is_spent(&self, context: &Context<'_>) -> bool {
        // Nobody is asked for it as long as it follows another one, which it may have to do without only until that one
        // is sent.
        if let Some(following) = &self.life.following {
            return following.bound;
        }
        if let Some(at) = self.forget_at(context) {
            return at <= context.now;
        }
        // While copies only have to grow old nobody is asked.
        let grows_old = |ordinal: u16| {
            matches!(
                self.task(ordinal).state,
                TaskState::Parked {
                    why: Deferral::Rotation,
                    ..
                }
            ) && self
                .rule_of_wave(ordinal, context)
                .is_some_and(|rule| !rule.is_asked())
        };
        context.keep_after_completion.is_zero()
            && self.ordinals().any(grows_old)
            && self
                .ordinals()
                .all(|ordinal| self.task(ordinal).state.is_closed() || grows_old(ordinal))
    }

    /// When a closed request's identifiers go.
    pub(super) fn forget_at(&self, context: &Context<'_>) -> Option<At> {
        self.life
            .completed_at
            .map(|at| at.plus(context.keep_after_completion))
    }

    /// The week of the last confirmation that a copy may be older than; `None`: there is nothing to bring back.
    fn week_of_capsule(&self) -> Option<Week> {
        if self.is_withdrawn() || self.covering_sets().is_empty() {
            return None;
        }
        self.tasks
            .iter()
            .filter(|task| !task.share.is_backup())
            .filter_map(|task| match task.state {
                TaskState::Done { at, .. } => Some(at),
                _ => None,
            })
            .max()
            .map(week_of)
    }
}
