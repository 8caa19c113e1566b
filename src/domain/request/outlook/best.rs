//! The shortest way to the end: the request itself goes through it, with people who open its gates at once, processors that
//! prove at once what they are asked, and backup systems that rotate on time.

use std::{collections::BTreeSet, time::Duration};

use uuid::Uuid;

use super::{CapsuleEnd, Context, Request};
use crate::domain::{
    ack::{Ack, Answer, Evidence},
    backup::{BackupChange, BackupEvent},
    entry::Entry,
    fact::{Fact, Facts},
    ids::{EventId, Label, ProcessorId},
    registry::ConfirmBy,
    request::{
        Claims, Shut, Trail, Withheld, answer::CRYPTO_ERASE, gates::ClosedGate, next_wake::just_after,
    },
    task::{Deferral, Share, Task, TaskState},
    task_ids::MAX_TASKS,
    time::At,
    words::{Action, Status},
};

/// A share of a request has a handful of steps before it: asked, swept, looked at, grown old.
const STEPS_A_TASK: usize = 16;

/// The shortest way to the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BestCase {
    /// What happens on it, in order of time.
    pub steps: Vec<Step>,
    /// How it ends, and when; `None`: it does not by itself.
    pub closed: Option<(Status, At)>,
    /// When its identifiers are forgotten, but for what a capsule keeps; `None`: they are already, or never by itself.
    pub forgotten_at: Option<At>,
    /// When its capsule is destroyed, if it has one in the end.
    pub capsule: Option<CapsuleEnd>,
    /// The tasks, by place, that somebody has to do something about first.
    pub stuck: Vec<u16>,
}

/// What happens at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: At,
    /// What.
    pub entries: Vec<Entry>,
}

impl Request {
    /// The shortest way from here to the end.
    pub fn best_case(&self, context: &Context<'_>) -> BestCase {
        let mut way = Way {
            request: self.clone(),
            facts: context.facts.clone(),
            now: context.now,
            steps: Vec::new(),
            forgotten_at: None,
            claims: (0..MAX_TASKS).map(|ordinal| (self.id, ordinal)).collect(),
        };
        if !self.gates_of_people().is_empty() {
            way.take(context, |request, here| {
                request.let_people_open(here).unwrap_or_default()
            });
        }
        for _ in 0..STEPS_A_TASK * (2 + self.tasks.len()) {
            let before = way.steps.len();
            way.answer(context);
            let Some(next) = way.next(context) else { break };
            // What is due already goes at once, as soon as somebody looks.
            let stays = next <= way.now;
            way.now = way.now.max(next);
            way.rotate(context);
            way.wake(context);
            if stays && way.steps.len() == before {
                break;
            }
        }
        way.end(context)
    }
}

/// A request on its way.
struct Way {
    request: Request,
    facts: Facts,
    now: At,
    steps: Vec<Step>,
    forgotten_at: Option<At>,
    /// Every lane has room for it.
    claims: Claims,
}

impl Way {
    /// Lets the request take something, by what is known on this way.
    fn take(&mut self, context: &Context<'_>, change: impl FnOnce(&mut Request, &Context<'_>) -> Trail) {
        let (replays, shut) = (BTreeSet::new(), Shut::default());
        let here = Context {
            now: self.now,
            facts: &self.facts,
            registry: context.registry,
            zones: context.zones,
            clock_skew: context.clock_skew,
            delay: &|_, _| Duration::ZERO,
            keep_after_completion: context.keep_after_completion,
            withheld: Withheld::Lanes {
                replays: &replays,
                shut: &shut,
                claims: &self.claims,
            },
            lease: Duration::ZERO,
        };
        let could_be_read = self.request.bookkeeping.readable;
        let trail = change(&mut self.request, &here);
        if could_be_read && !self.request.bookkeeping.readable {
            self.forgotten_at = Some(self.now);
        }
        if !trail.entries.is_empty() {
            self.steps.push(Step {
                at: self.now,
                entries: trail.entries,
            });
        }
    }

    /// Whoever has been asked proves it at once; whoever has promised it, when it is due.
    fn answer(&mut self, context: &Context<'_>) {
        loop {
            let now = self.now;
            let is_answered = |ordinal: &u16| match self.request.task(*ordinal).state {
                TaskState::Dispatched { .. } => true,
                TaskState::Accepted { expected_by, .. } => expected_by <= now,
                _ => false,
            };
            let asked: Vec<u16> = self.request.ordinals().filter(is_answered).collect();
            if asked.is_empty() {
                return;
            }
            let before = self.steps.len();
            self.take(context, |request, here| {
                // What cannot be taken leaves its task where it is, and the way ends there. So does a fault of the state
                // machine: nothing of this is written anywhere.
                let mut trail = Trail::default();
                let mut taken = asked
                    .iter()
                    .map(|ordinal| prove(request, *ordinal, here, &mut trail));
                if taken.all(|taken| taken) && request.finish_answers(here, &mut trail).is_err() {
                    trail.entries.clear();
                }
                trail
            });
            if self.steps.len() == before {
                return;
            }
        }
    }

    /// The next time at which something happens by itself.
    fn next(&self, context: &Context<'_>) -> Option<At> {
        let request = &self.request;
        if request.life.status.is_final() {
            return request
                .forget_at(context)
                .filter(|_| request.bookkeeping.readable);
        }
        let of_task = |ordinal: u16| {
            let task = request.task(ordinal);
            let registered = context.registry.get(&task.processor).is_some();
            match task.state {
                TaskState::Ready { due }
                | TaskState::Queued { due, .. }
                | TaskState::Undeliverable { due, .. }
                    if registered && request.can_be_asked(ordinal, context) =>
                {
                    Some(due)
                }
                TaskState::Parked { until, .. } | TaskState::Verifying { until } if registered => Some(until),
                TaskState::Accepted { expected_by, .. } => Some(expected_by),
                TaskState::Attesting { until, .. } if registered => Some(until),
                _ => None,
            }
        };
        let gate = request.shown_gate().and_then(ClosedGate::until);
        // What falls due on the way is told with its own date, not with that of whatever comes after it.
        let life = &request.life;
        let deadline = Some(just_after(life.clock.due))
            .filter(|at| life.live_clean_at.is_none() && !life.overdue && *at > self.now);
        request
            .ordinals()
            .filter_map(of_task)
            .chain(gate)
            .chain(deadline)
            .min()
    }

    /// Every backup system rotates as soon as the copies have grown old.
    fn rotate(&mut self, context: &Context<'_>) {
        for ordinal in self.request.ordinals() {
            let task = self.request.task(ordinal);
            let TaskState::Parked {
                why: Deferral::Rotation,
                until,
            } = task.state
            else {
                continue;
            };
            let rule = self.request.rule_of_wave(ordinal, context);
            let (Some(rule), Some(confirmed)) = (rule, self.request.copies_since(ordinal)) else {
                continue;
            };
            if until > self.now || rule.confirm_by != ConfirmBy::Event {
                continue;
            }
            let rotated = Fact::Backup(BackupEvent {
                event_id: EventId(Uuid::nil()),
                processor: task.processor.clone(),
                set: rule.set.clone(),
                change: BackupChange::Rotated {
                    oldest_retained_at: confirmed.plus(context.clock_skew),
                },
                at: None,
            });
            self.facts.learn(self.facts.version() + 1, self.now, &rotated);
        }
    }

    fn wake(&mut self, context: &Context<'_>) {
        // No answer is missing on this way, and none lies unread.
        let is_out = |task: &&Task| matches!(task.state, TaskState::Dispatched { .. });
        let out: Vec<ProcessorId> = self
            .request
            .tasks
            .iter()
            .filter(is_out)
            .map(|task| task.processor.clone())
            .collect();
        let read = |processor: &ProcessorId| {
            if out.contains(processor) {
                At::default()
            } else {
                At::from_millis(i64::MAX)
            }
        };
        self.take(context, |request, here| {
            request.wake_as_read(here, &read).unwrap_or_default()
        });
    }

    fn end(self, context: &Context<'_>) -> BestCase {
        let request = self.request;
        let is_stuck = |ordinal: &u16| {
            let state = &request.task(*ordinal).state;
            !state.is_closed() && *state != TaskState::Blocked
        };
        let life = &request.life;
        BestCase {
            closed: life
                .completed_at
                .filter(|_| life.status.is_final())
                .map(|at| (life.status, at)),
            forgotten_at: self.forgotten_at,
            capsule: request.capsule_end(context),
            stuck: if life.status.is_final() {
                Vec::new()
            } else {
                request.ordinals().filter(is_stuck).collect()
            },
            steps: self.steps,
        }
    }
}

/// Takes the proof of a task, and the identifiers that may come with it. `false`: it cannot be taken.
fn prove(request: &mut Request, ordinal: u16, context: &Context<'_>, trail: &mut Trail) -> bool {
    let registered = context.registry.get(&request.task(ordinal).processor);
    let by = registered.and_then(|processor| processor.require_method.first());
    let ack = proof_of(request, ordinal, by.map(Label::as_str));
    if request.answer(&ack, true, context, trail).is_err() {
        return false;
    }
    let brought = registered.map_or(&[][..], |processor| &processor.provides);
    // Only those that wait for one are of interest here.
    let known = |request: &Request, place| match request.task(place).state {
        TaskState::WithoutIdentity => Vec::new(),
        _ => brought.to_vec(),
    };
    request
        .provide(ordinal, brought, known, &[], context, trail)
        .is_ok()
}

/// What a processor says that has done all that it was asked, with every proof that a registry can want.
fn proof_of(request: &Request, ordinal: u16, method: Option<&str>) -> Ack {
    let task = request.task(ordinal);
    let text = || Some(CRYPTO_ERASE.to_owned());
    let destroys_key = matches!(task.share, Share::Wave { key: true, .. });
    Ack {
        request_id: request.id,
        task_id: request.task_id(ordinal),
        generation: task.generation,
        attempt: task.attempt,
        processor: task.processor.clone(),
        token: String::new(),
        answer: match task.asks() {
            Action::Erase => Answer::Erased,
            Action::Anonymize => Answer::Anonymized,
            Action::Verify => Answer::Absent,
        },
        evidence: Some(Evidence {
            method: method.filter(|_| !destroys_key).map(str::to_owned).or_else(text),
            records: Some(0),
            reference: text(),
            digest: text(),
            ..Evidence::default()
        }),
        identities: Vec::new(),
        at: None,
        message: None,
    }
}
