//! Backup waves: the copies of what a request's sources held when they confirmed together.
//!
//! Invariant 4: a horizon runs from the confirmation of its wave's sources, and only a proof ends it.
//!
//! Whether its copies grow old or its backup system is asked about them, a rotation that passes a wave ends it where the
//! registry takes rotations as the proof. An answer that comes after that repeats what is known or is stale.

use std::time::Duration;

use super::{Context, Move, Request, Trail};
use crate::domain::{
    entry::Entry,
    ids::Label,
    plan::KEPT_AT_SOURCE,
    registry::{BackupSet, ConfirmBy},
    task::{Deferral, IllegalEvent, Share, Task, TaskEvent, TaskState},
    task_ids::MAX_TASKS,
    time::At,
    words::Proof,
};

/// A wave whose backup system is asked, or was asked in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedWave {
    /// Its place in the plan.
    pub ordinal: u16,
    /// The time that a rotation has to pass.
    pub mark: At,
}

impl Request {
    /// Its waves that are not parked and that a rotation may end all the same, as sweeps find them.
    pub fn asked_waves(&self, clock_skew: Duration) -> impl Iterator<Item = AskedWave> {
        self.ordinals().filter_map(move |ordinal| {
            is_asked(&self.task(ordinal).state).then_some(())?;
            let mark = self.mark_of_wave(ordinal, clock_skew)?;
            Some(AskedWave { ordinal, mark })
        })
    }

    /// Starts, moves and ends horizons as far as what is known allows it.
    pub(super) fn review_waves(
        &mut self,
        context: &Context<'_>,
        trail: &mut Trail,
    ) -> Result<(), IllegalEvent> {
        self.split_waves(trail)?;
        for ordinal in self.ordinals() {
            // What is parked only now may be proved already, where a source was split off it long after the others had
            // confirmed.
            while let Some(event) = self.event_of_wave(ordinal, context) {
                self.record_event(ordinal, event, trail)?;
            }
        }
        Ok(())
    }

    /// What a source has to keep gets a wave of its own: the others' copies need not wait for it.
    fn split_waves(&mut self, trail: &mut Trail) -> Result<(), IllegalEvent> {
        for ordinal in self.ordinals() {
            let wave = self.task(ordinal);
            let Share::Wave { sources, .. } = &wave.share else {
                continue;
            };
            let waits = matches!(
                wave.state,
                TaskState::Blocked | TaskState::WithoutIdentity | TaskState::Abandoned { .. }
            );
            if !waits || sources.len() < 2 {
                continue;
            }
            let kept = |source: &u16| {
                matches!(
                    self.task(*source).state,
                    TaskState::Parked {
                        why: Deferral::Retention,
                        ..
                    }
                )
            };
            let (mut apart, mut rest): (Vec<u16>, Vec<u16>) = sources.iter().partition(|source| kept(source));
            if rest.is_empty() {
                // The last one keeps the wave that there is.
                rest.extend(apart.pop());
            }
            // A plan that is full keeps them together: their copies then wait longer, never shorter.
            apart.truncate(usize::from(MAX_TASKS).saturating_sub(self.tasks.len()));
            if apart.is_empty() {
                continue;
            }
            rest.extend(
                sources
                    .iter()
                    .filter(|source| kept(source) && !apart.contains(source)),
            );
            rest.sort_unstable();
            rest.dedup();
            let first = wave.clone();
            self.record_event(ordinal, TaskEvent::Rewaved { sources: rest }, trail)?;
            for source in apart {
                self.add_wave(&first, source, trail);
            }
        }
        Ok(())
    }

    pub(super) fn add_wave(&mut self, like: &Task, source: u16, trail: &mut Trail) {
        let Ok(ordinal) = u16::try_from(self.tasks.len()) else {
            return;
        };
        let key = matches!(like.share, Share::Wave { key: true, .. });
        let wave = Task {
            share: Share::Wave {
                sources: vec![source],
                key,
            },
            generation: 1,
            attempt: 0,
            counted: 0,
            answered: None,
            sent: None,
            ..like.clone()
        };
        trail.entries.push(Entry::WaveAdded {
            ordinal,
            processor: wave.processor.clone(),
            sources: vec![source],
        });
        trail.moves.push(Move {
            ordinal,
            from: None,
            to: wave.state.name(),
        });
        self.tasks.push(wave);
    }

    fn event_of_wave(&self, ordinal: u16, context: &Context<'_>) -> Option<TaskEvent> {
        let task = self.task(ordinal);
        let Share::Wave { sources, key } = &task.share else {
            return None;
        };
        let rule = self.rule_of_wave(ordinal, context)?;
        match &task.state {
            TaskState::Blocked => {
                let open = |source: &u16| !self.task(*source).state.is_closed();
                let earlier = |place: &u16| !self.task(*place).state.lets_others_go();
                if sources.iter().any(open) || task.after.iter().any(earlier) {
                    return None;
                }
                Some(match self.confirmed_at(ordinal) {
                    None => TaskEvent::Exempted {
                        basis: kept_at_source(),
                    },
                    Some(_) if *key => TaskEvent::Unblocked {
                        due: self.gate_or(context.now),
                    },
                    Some(confirmed) => TaskEvent::Parked {
                        why: Deferral::Rotation,
                        until: horizon(task, rule, confirmed, context),
                        outcome: None,
                    },
                })
            }
            TaskState::Parked {
                why: Deferral::Rotation,
                until,
            } => self.proof_of_rotation(ordinal, rule, context).or_else(|| {
                let to = horizon(task, rule, self.confirmed_at(ordinal)?, context);
                (to != *until).then_some(TaskEvent::Moved { from: *until, to })
            }),
            // The copies may be gone before the backup system has answered.
            state if is_asked(state) => self.proof_of_rotation(ordinal, rule, context),
            _ => None,
        }
    }

    /// C: Lacuna's receipt of the wave's last confirmation. What was exempt or waived confirms nothing.
    pub(super) fn confirmed_at(&self, ordinal: u16) -> Option<At> {
        let Share::Wave { sources, .. } = &self.task(ordinal).share else {
            return None;
        };
        sources
            .iter()
            .filter_map(|source| match self.task(*source).state {
                TaskState::Done { at, .. } => Some(at),
                _ => None,
            })
            .max()
    }

    /// The live rule of a wave's set; `None`: it is registered no more.
    pub(super) fn rule_of_wave<'a>(&self, ordinal: u16, context: &Context<'a>) -> Option<&'a BackupSet> {
        context
            .registry
            .get(&self.task(ordinal).processor)
            .and_then(|processor| processor.backup.as_ref())
    }

    /// The horizon of a wave; `None`: its sources have not confirmed, or its set is registered no more.
    pub(super) fn horizon_of(&self, ordinal: u16, context: &Context<'_>) -> Option<At> {
        let rule = self.rule_of_wave(ordinal, context)?;
        Some(horizon(
            self.task(ordinal),
            rule,
            self.confirmed_at(ordinal)?,
            context,
        ))
    }

    fn proof_of_rotation(&self, ordinal: u16, rule: &BackupSet, context: &Context<'_>) -> Option<TaskEvent> {
        let task = self.task(ordinal);
        let gone_before = context.facts.copies(&task.processor)?.gone_before()?;
        let mark = self.mark_of_wave(ordinal, context.clock_skew)?;
        (rule.confirm_by == ConfirmBy::Event && mark <= gone_before).then_some(TaskEvent::Settled {
            // No answer has proved it, so an answer that comes later contradicts nothing.
            attempt: 0,
            proof: Proof::Expired,
            at: context.now,
        })
    }

    /// The time that a rotation has to pass to end a wave that its backup system is asked about meanwhile; `None`: none would.
    pub fn rotation_that_ends(&self, ordinal: u16, context: &Context<'_>) -> Option<At> {
        let rule = self.rule_of_wave(ordinal, context)?;
        let may_end = rule.confirm_by == ConfirmBy::Event && is_asked(&self.task(ordinal).state);
        may_end
            .then(|| self.mark_of_wave(ordinal, context.clock_skew))
            .flatten()
    }

    /// The time that a rotation has to pass to prove a wave; `None`: it is none, or its horizon does not run yet, because
    /// one of its sources is not out of the way. One that was given up before it was ever asked may have such sources.
    fn mark_of_wave(&self, ordinal: u16, clock_skew: Duration) -> Option<At> {
        let Share::Wave { sources, .. } = &self.task(ordinal).share else {
            return None;
        };
        let is_closed = |source: &u16| self.task(*source).state.is_closed();
        let confirmed = self.confirmed_at(ordinal)?;
        sources.iter().all(is_closed).then(|| confirmed.plus(clock_skew))
    }

    /// Whether the backup system is asked for the subject's key, rather than for what is left at the horizon: that is
    /// asked for only where its own answer proves it.
    pub(super) fn is_asked_for_key(&self, ordinal: u16, context: &Context<'_>) -> bool {
        let asked_later = self
            .rule_of_wave(ordinal, context)
            .is_some_and(BackupSet::is_asked);
        matches!(self.task(ordinal).share, Share::Wave { key: true, .. })
            && self
                .horizon_of(ordinal, context)
                .is_some_and(|horizon| !asked_later || context.now < horizon)
    }
}

/// Whether a wave in this state is asked about, or was in vain, instead of growing old unasked.
const fn is_asked(state: &TaskState) -> bool {
    matches!(
        state,
        TaskState::Ready { .. }
            | TaskState::Queued { .. }
            | TaskState::Undeliverable { .. }
            | TaskState::Held { .. }
            | TaskState::Dispatched { .. }
            | TaskState::Accepted { .. }
            | TaskState::Attesting { .. }
            | TaskState::Abandoned { .. }
    )
}

/// C + keep + skew, and never before a copy that holds the data may be deleted.
fn horizon(task: &Task, rule: &BackupSet, confirmed: At, context: &Context<'_>) -> At {
    let by_rule = rule
        .keep
        .add_to(confirmed, context.zones.controller())
        .plus(context.clock_skew);
    let locked = context
        .facts
        .copies(&task.processor)
        .and_then(|copies| copies.locked_until(confirmed.plus(context.clock_skew)));
    locked.map_or(by_rule, |locked| by_rule.max(locked))
}

fn kept_at_source() -> Label {
    // A word of our own vocabulary is a label, which a test of `plan` proves.
    Label::new(KEPT_AT_SOURCE).unwrap_or_else(|_| unreachable!("{KEPT_AT_SOURCE} is a label"))
}
