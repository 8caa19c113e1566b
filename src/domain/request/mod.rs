//! The aggregate: one data subject's erasure or anonymization, from command to completion.
//!
//! It changes in four ways only: [`answer`] takes a processor's ack, [`wake`] takes the passing of time, [`operate`]
//! takes a person's decision, and [`Request::review`] takes what has become known since. Each goes through `Request::record_event`, which applies a task's event and writes its
//! ledger entry, and ends with `Request::conclude`, which derives everything that follows.
#![doc = ""]
#![doc = include_str!("transitions.md")]

pub mod answer;
mod attestation;
pub mod backfill;
pub mod deferral;
pub mod derived_status;
mod dispatch;
mod doubt;
pub mod duplicates;
pub mod expiry;
mod forget;
pub mod gates;
pub mod holds;
mod kept_command;
mod legal_clock;
mod manual;
pub mod marks;
pub mod merged;
mod next_wake;
mod notice;
pub mod open;
pub mod operate;
pub mod outlook;
pub mod packed;
pub mod provide;
pub mod queue;
pub mod refusal;
mod restore;
pub mod succession;
pub mod suppression;
mod trail;
pub mod undeliverable;
pub mod waiting;
pub mod wake;
pub mod waves;

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use merged::Following;

use super::{
    backup::Week,
    calendar::{Regime, Zones},
    entry::Entry,
    fact::{FactVersion, Facts},
    ids::{HoldId, ProcessorId, RequestId, TaskId, Tenant},
    registry::{Registry, RegistryRevision, Retry},
    task::{IllegalEvent, Share, Task, TaskEvent, TaskState},
    task_ids::task_id,
    time::At,
    words::{Action, Notice, Proof, Reason, RefusalBasis, Status},
};
pub use dispatch::{Claims, Shut, Withheld};
pub use legal_clock::{Extension, LegalClock};
pub use trail::{Move, Trail};

/// One data subject's erasure or anonymization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its id, given by upstream.
    pub id: RequestId,
    /// Grows by one with each transaction that changes it.
    pub revision: u32,
    /// What was settled at intake.
    pub head: Head,
    /// What moves, and may be seen.
    pub life: Life,
    /// What moves, and is nobody's to see.
    pub bookkeeping: Bookkeeping,
    /// The pinned plan and how far it has come.
    pub tasks: Vec<Task>,
}

/// What was settled at intake and does not change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The tenant.
    pub tenant: Tenant,
    /// What was asked.
    pub action: Action,
    /// The regime of its clock.
    pub regime: Regime,
    /// Why.
    pub reason: Reason,
    /// When Lacuna received it.
    pub received_at: At,
    /// When the subject asked.
    pub requested_at: At,
    /// Nothing is dispatched before it: the command asked so, or the grace window is open until then.
    pub not_before: Option<At>,
    /// Whether that is the grace window.
    pub grace: bool,
    /// Whether the command left processors out: it then closes with exceptions, also where they hold nothing.
    pub excludes: bool,
    /// Whether the command limits it to purposes, categories or processors: then it does not ask for all of a person.
    pub limited: bool,
    /// The registry's revision that the plan is pinned to.
    pub registry: RegistryRevision,
}

/// Where something stands that a person has to do before anything is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Check {
    /// Nobody has to.
    NotNeeded,
    /// Not yet.
    Awaiting,
    /// Done.
    Passed,
}

/// What moves during its life and makes a difference to whoever is told of it: where it differs, there is something to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// Its legal clock.
    pub clock: LegalClock,
    /// Whether the subject's identity is verified.
    pub verification: Check,
    /// Whether a second person has approved it.
    pub approval: Check,
    /// The ground on which it was refused.
    pub refused: Option<RefusalBasis>,
    /// Where it stands.
    pub status: Status,
    /// When it was closed.
    pub completed_at: Option<At>,
    /// Since when live systems are clean.
    pub live_clean_at: Option<At>,
    /// The deadline has passed and live systems are not clean.
    pub overdue: bool,
    /// Little of the period is left and live systems are not clean.
    pub at_risk: bool,
    /// Somebody has to look at it.
    pub needs_attention: bool,
    /// What the person should be told now.
    pub notice: Option<Notice>,
    /// The holds on its subject when it came in.
    pub subject_holds: Vec<HoldId>,
    /// Since when the person is back: what they gave since must not be erased.
    pub reactivated_at: Option<At>,
    /// Since when it is open again because a backup was put back.
    pub restored_at: Option<At>,
    /// The request that it was merged into, as long as it follows that one.
    pub following: Option<Box<Following>>,
    /// Since when it is set aside, because the program failed at a decision about it: it is tried again now and then.
    pub set_aside_at: Option<At>,
}

/// What moves during its life and makes no difference to anybody who is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookkeeping {
    /// Whether its identifiers can still be read.
    pub readable: bool,
    /// The week of its capsule, once it has one: identifiers that are kept only for a restore replay.
    pub capsule: Option<Week>,
    /// The last fact that it has been looked at for.
    pub facts: FactVersion,
    /// How many requests were merged into it.
    pub followers: u32,
    /// How many leaves it has in the ledger.
    pub leaves: u32,
    /// When its row in the agenda is due; `None`: it has none.
    pub wake_at: Option<At>,
}

/// What a decision needs to know besides the request.
pub struct Context<'a> {
    /// Now.
    pub now: At,
    /// The active registry: what is live in it is read here, what is pinned lies in the plan.
    pub registry: &'a Registry,
    /// Everything that is known: holds, copies, restores.
    pub facts: &'a Facts,
    /// The zones in which months and years are counted.
    pub zones: Zones<'a>,
    /// How far the clocks of Lacuna and of backup systems may be apart.
    pub clock_skew: Duration,
    /// The delay before the attempt that follows the n-th one.
    pub delay: &'a (dyn Fn(&Retry, u32) -> Duration + Sync),
    /// How long identifiers stay readable after the end.
    pub keep_after_completion: Duration,
    /// What is not sent in this step, although it could be.
    pub withheld: Withheld<'a>,
    /// For how long a worker has to send what it has claimed.
    pub lease: Duration,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// The id of the task at this place in the plan.
    pub fn task_id(&self, ordinal: u16) -> TaskId {
        task_id(self.id, ordinal)
    }

    /// The task of this id, with its place.
    pub fn find_task(&self, id: TaskId) -> Option<u16> {
        self.ordinals().find(|ordinal| self.task_id(*ordinal) == id)
    }

    /// The task at this place, which must be one of the plan's.
    pub fn task(&self, ordinal: u16) -> &Task {
        &self.tasks[usize::from(ordinal)]
    }

    /// The places of the plan.
    pub fn ordinals(&self) -> impl Iterator<Item = u16> + use<> {
        // A plan has at most `task_ids::MAX_TASKS` tasks, which `open` enforces.
        0..u16::try_from(self.tasks.len()).unwrap_or(u16::MAX)
    }

    /// Lets an event happen to a task and writes it down.
    fn record_event(
        &mut self,
        ordinal: u16,
        event: TaskEvent,
        trail: &mut Trail,
    ) -> Result<(), IllegalEvent> {
        let task = &mut self.tasks[usize::from(ordinal)];
        let from = task.state.name();
        task.apply(&event)?;
        trail.moves.push(Move {
            ordinal,
            from: Some(from),
            to: task.state.name(),
        });
        if let TaskEvent::Settled {
            proof: Proof::Attested,
            ..
        } = event
        {
            trail.attested.push(ordinal);
        }
        trail.entries.push(Entry::Task {
            ordinal,
            generation: task.generation,
            attempt: task.attempt,
            event,
        });
        Ok(())
    }

    /// Opens the tasks whose predecessors are out of the way.
    fn unblock(&mut self, context: &Context<'_>, trail: &mut Trail) -> Result<(), IllegalEvent> {
        for ordinal in self.ordinals() {
            let task = self.task(ordinal);
            // A wave waits for its sources to be confirmed: see `review_waves`.
            if task.state == TaskState::Blocked
                && !matches!(task.share, Share::Wave { .. })
                && task
                    .after
                    .iter()
                    .all(|earlier| self.task(*earlier).state.lets_others_go())
            {
                self.record_event(
                    ordinal,
                    TaskEvent::Unblocked {
                        due: self.gate_or(context.now),
                    },
                    trail,
                )?;
            }
        }
        Ok(())
    }

    /// Invariant 3: now, or the date before which nothing may be sent.
    fn gate_or(&self, now: At) -> At {
        self.head.not_before.map_or(now, |gate| gate.max(now))
    }

    /// Takes what has become known: restores, rotations, holds and their releases, changed rules.
    /// A request that none of it concerns stays as it is, revision and all.
    pub fn review(&mut self, context: &Context<'_>) -> Result<Trail, IllegalEvent> {
        let before = (self.life.clone(), self.tasks.clone());
        let kept = self.bookkeeping.clone();
        let mut trail = Trail::default();
        self.conclude(context, &mut trail)?;
        // A wake-up that is earlier than it needs to be is harmless.
        let wanted = self.bookkeeping.wake_at;
        let is_sooner = wanted.is_some_and(|at| kept.wake_at.is_none_or(|row| at < row));
        let unseen = Bookkeeping {
            facts: kept.facts,
            wake_at: if is_sooner { wanted } else { kept.wake_at },
            ..self.bookkeeping.clone()
        };
        let is_same = (&self.life, &self.tasks) == (&before.0, &before.1) && unseen == kept;
        if trail.entries.is_empty() && is_same {
            (self.life, self.bookkeeping) = (before.0, kept);
        } else {
            self.revision += 1;
        }
        Ok(trail)
    }

    /// Sets it aside, as it is: somebody has to look at it, and it is woken again then.
    pub fn set_aside(&mut self, now: At, wake_at: At) {
        self.life.set_aside_at = self.life.set_aside_at.or(Some(now));
        self.life.needs_attention = true;
        self.bookkeeping.wake_at = Some(wake_at);
        self.revision += 1;
    }

    /// Lets go what was withheld, now that everything that came before the request has been carried out.
    pub fn release(&mut self, context: &Context<'_>) -> Result<Trail, IllegalEvent> {
        let mut trail = Trail::default();
        self.conclude(context, &mut trail)?;
        Ok(trail)
    }

    /// Derives everything that follows from a change: opened tasks, sends, flags, status, forgetting, the next wake-up.
    fn conclude(&mut self, context: &Context<'_>, trail: &mut Trail) -> Result<(), IllegalEvent> {
        self.life.set_aside_at = None;
        self.take_restores(context, trail)?;
        if !self.life.status.is_final() {
            self.exempt_without_identity(context, trail)?;
            self.unblock(context, trail)?;
            self.review_kept(context, trail)?;
            self.review_terms(context, trail)?;
            self.review_waves(context, trail)?;
            self.review_holds(context, trail)?;
            self.dispatch_due(context, trail)?;
        }
        self.settle_status(context, trail);
        self.bookkeeping.wake_at = self.next_wake(context);
        Ok(())
    }

    /// Concludes what is a change in any case: it makes a revision.
    fn conclude_change(&mut self, context: &Context<'_>, mut trail: Trail) -> Result<Trail, IllegalEvent> {
        self.conclude(context, &mut trail)?;
        self.revision += 1;
        Ok(trail)
    }

    /// Holds what a legal hold covers, and lets go what none covers any more.
    fn review_holds(&mut self, context: &Context<'_>, trail: &mut Trail) -> Result<(), IllegalEvent> {
        for ordinal in self.ordinals() {
            let task = self.task(ordinal);
            let hold = || {
                let registered = context.registry.get(&task.processor);
                context.facts.holds().on_task(self, task, registered)
            };
            let event = match &task.state {
                TaskState::Ready { .. } | TaskState::Queued { .. } | TaskState::Undeliverable { .. } => {
                    hold().map(|hold| TaskEvent::Held { hold: hold.hold_id })
                }
                TaskState::Held { due } if hold().is_none() => Some(TaskEvent::Released { due: *due }),
                _ => None,
            };
            if let Some(event) = event {
                self.record_event(ordinal, event, trail)?;
            }
        }
        Ok(())
    }

    /// The processors of the plan, in order.
    pub fn processors(&self) -> impl Iterator<Item = &ProcessorId> {
        self.tasks.iter().map(|task| &task.processor)
    }
}
