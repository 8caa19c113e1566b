//! What will happen to a request and when, and what would finish it sooner: for people who ask.
//!
//! Nothing here decides: dates are read from where the request stands, and the way to the end is found by letting the
//! request itself go through it.

mod best;
mod needs;

use std::time::Duration;

use super::{Check, Context, Request, gates::ClosedGate, next_wake::overdue_from};
use crate::domain::{
    backup::end_of,
    hold::Hold,
    ids::Label,
    registry::ConfirmBy,
    task::{Deferral, Purpose, Queued, Share, TaskState, Undelivered},
    time::At,
    words::{AbandonCause, Action, Why},
};

pub use best::{BestCase, Step};

/// The reasons for which a task is deferred.
pub const REASONS: [Why; 4] = [Why::Retention, Why::BackupRotation, Why::Hold, Why::Verification];

/// What is due and has not been woken for this long has slipped: the agenda looks every second.
const WOKEN_WITHIN: Duration = Duration::from_secs(60);

/// Something that will happen at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ahead {
    /// When.
    pub at: At,
    /// The place of the task that it happens to; `None`: to the request.
    pub ordinal: Option<u16>,
    /// What.
    pub what: Coming,
}

/// What will happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coming {
    /// From now on something may be sent.
    GateOpens,
    /// Its processor is asked, for this attempt.
    Asked(u32),
    /// Its answer is due. Without one it is asked again, unless this was the last attempt.
    AnswerDue {
        /// The attempt.
        attempt: u32,
        /// Whether it is given up then.
        last: bool,
    },
    /// What its processor has promised is due: after it somebody has to look.
    PromiseDue,
    /// The term that its processor has published has passed: it counts as done then, or is asked about first.
    TermPasses {
        /// Whether it is asked about first.
        probe: bool,
    },
    /// It need not be kept any more, and this is asked then.
    KeepEnds(Action),
    /// Its copies have grown old, which this has to prove.
    Horizon(ConfirmBy),
    /// The proof of its rotation is overdue from now on.
    ProofOverdue,
    /// It is looked at again.
    SecondLook(Purpose),
    /// Little of the period is left.
    AtRisk,
    /// The legal deadline.
    Deadline,
    /// Its identifiers are forgotten, but for what a capsule keeps.
    Forgotten,
}

impl Coming {
    /// Whether a processor is asked then, for the first time.
    pub const fn begins(self) -> bool {
        matches!(self, Self::Asked(_) | Self::KeepEnds(_))
    }
}

/// What a task that is not done waits for, and so what would end the waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need<'a> {
    /// An answer of its processor, which is due then.
    Answer(At),
    /// What its processor has promised by then.
    Promise(At),
    /// The term that its processor has published.
    Term(At),
    /// Nothing: it is asked again by itself.
    Nothing(At),
    /// A person, who has to do it by then.
    Manual(At),
    /// Somebody who has its lane, or all lanes, go on.
    Resumption(Queued),
    /// A topic that takes its message, which is tried again then.
    Delivery(At, Undelivered),
    /// Other tasks, by place.
    Others(Vec<u16>),
    /// An identifier of a type that its processor knows.
    Identity,
    /// The law keeps it until then. An operator who knows better has it retried.
    Law(Option<&'a Label>, At),
    /// A rotation that says that the oldest copy left was taken at this time or later.
    Rotation {
        /// The time.
        oldest_retained_at: At,
        /// When the copies have grown old, as the registry has it.
        horizon: At,
    },
    /// The horizon: at it the backup system is asked, or its schedule counts.
    Horizon(ConfirmBy, At),
    /// The time of its second look.
    SecondLook(At),
    /// The release of these holds.
    Release(Vec<&'a Hold>),
    /// An operator's decision: retry or waive.
    Decision(AbandonCause),
    /// A person has to open this gate.
    Gate(ClosedGate),
    /// The person is back, and the processor erases everything: an operator has to want it.
    Consent,
    /// Its processor is not registered any more, or not as a backup set.
    Registration,
    /// Its identifiers are gone, and so nobody can be asked: supply them with a new command, or waive it.
    Identifiers,
}

/// What has to be proved before a capsule is destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapsuleEnd {
    /// Every copy taken before this time has to be gone.
    pub copies_before: At,
    /// When that is by the registry; `None`: a set is registered no more, so nobody knows.
    pub expected: Option<At>,
}

impl Request {
    /// Everything that is going to happen at a time that is known, in order.
    pub fn outlook(&self, context: &Context<'_>) -> Vec<Ahead> {
        let of_request = |at, what| Ahead {
            at,
            ordinal: None,
            what,
        };
        let mut ahead: Vec<Ahead> = Vec::new();
        if self.bookkeeping.readable
            && let Some(at) = self.forget_at(context)
        {
            ahead.push(of_request(at, Coming::Forgotten));
        }
        if !self.life.status.is_final() {
            if let Some(gate) = self.shown_gate().and_then(ClosedGate::until) {
                ahead.push(of_request(gate, Coming::GateOpens));
            }
            if self.life.live_clean_at.is_none() {
                ahead.push(of_request(self.life.clock.at_risk_from, Coming::AtRisk));
                ahead.push(of_request(self.life.clock.due, Coming::Deadline));
            }
            for ordinal in self.ordinals() {
                let dates = self.dates_of(ordinal, context);
                ahead.extend(dates.into_iter().map(|(at, what)| Ahead {
                    at,
                    ordinal: Some(ordinal),
                    what,
                }));
            }
        }
        ahead.retain(|ahead| ahead.at > context.now);
        ahead.sort_by_key(|ahead| (ahead.at, ahead.ordinal));
        ahead
    }

    fn dates_of(&self, ordinal: u16, context: &Context<'_>) -> Vec<(At, Coming)> {
        let task = self.task(ordinal);
        let registered = context.registry.get(&task.processor);
        match &task.state {
            TaskState::Ready { due }
            | TaskState::Queued { due, .. }
            | TaskState::Undeliverable { due, .. } => {
                vec![(*due, Coming::Asked(task.attempt + 1))]
            }
            TaskState::Dispatched { ack_by, .. } => {
                let attempts = registered.map(|p| p.retry).unwrap_or_default().attempts;
                let due = Coming::AnswerDue {
                    attempt: task.attempt,
                    last: task.counted + 1 >= attempts,
                };
                vec![(*ack_by, due)]
            }
            TaskState::Accepted { expected_by, .. } => vec![(*expected_by, Coming::PromiseDue)],
            TaskState::Attesting { until, .. } => {
                let term = registered.and_then(|processor| processor.completes_by);
                let probe = term.is_some_and(|term| term.probe);
                vec![(*until, Coming::TermPasses { probe })]
            }
            TaskState::Verifying { until } => vec![(*until, Coming::SecondLook(task.purpose))],
            TaskState::Parked {
                why: Deferral::Retention,
                until,
            } => vec![(*until, Coming::KeepEnds(self.action_then(ordinal, context)))],
            TaskState::Parked {
                why: Deferral::Rotation,
                until,
            } => {
                let Some(rule) = self.rule_of_wave(ordinal, context) else {
                    return Vec::new();
                };
                let overdue = overdue_from(task, *until, context)
                    .filter(|_| rule.confirm_by == ConfirmBy::Event)
                    .map(|at| (at, Coming::ProofOverdue));
                [(*until, Coming::Horizon(rule.confirm_by))]
                    .into_iter()
                    .chain(overdue)
                    .collect()
            }
            TaskState::Blocked
            | TaskState::WithoutIdentity
            | TaskState::Done { .. }
            | TaskState::Exempt { .. }
            | TaskState::Abandoned { .. }
            | TaskState::Held { .. }
            | TaskState::Waived
            | TaskState::Cancelled => Vec::new(),
        }
    }

    /// The gates that people have to open before anything is sent, in their order.
    pub fn gates_of_people(&self) -> Vec<ClosedGate> {
        if self.life.status.is_final() {
            return Vec::new();
        }
        let gates = [
            (self.life.verification, ClosedGate::Verification),
            (self.life.approval, ClosedGate::Approval),
        ];
        gates
            .into_iter()
            .filter(|(check, _)| *check == Check::Awaiting)
            .map(|(_, gate)| gate)
            .collect()
    }

    /// What each task that is not done waits for, by its place.
    pub fn needs<'a>(&'a self, context: &Context<'a>) -> Vec<(u16, Need<'a>)> {
        if self.life.status.is_final() {
            return Vec::new();
        }
        self.ordinals()
            .filter_map(|ordinal| Some((ordinal, self.need_of(ordinal, context)?)))
            .collect()
    }

    /// What a task waits for; `None`: for nothing any more.
    pub fn need_of<'a>(&'a self, ordinal: u16, context: &Context<'a>) -> Option<Need<'a>> {
        let task = self.task(ordinal);
        let registered = context.registry.get(&task.processor);
        Some(match &task.state {
            TaskState::Done { .. } | TaskState::Exempt { .. } | TaskState::Waived | TaskState::Cancelled => {
                return None;
            }
            TaskState::Dispatched { .. } | TaskState::Accepted { .. } | TaskState::Attesting { .. }
                if registered.is_none() =>
            {
                Need::Registration
            }
            TaskState::Dispatched { ack_by, .. } => Need::Answer(*ack_by),
            TaskState::Accepted { expected_by, .. } => Need::Promise(*expected_by),
            TaskState::Attesting { until, .. } => Need::Term(*until),
            TaskState::Abandoned { cause } => Need::Decision(*cause),
            TaskState::WithoutIdentity => match self.may_be_provided_by(ordinal, context) {
                places if places.is_empty() => Need::Identity,
                places => Need::Others(places),
            },
            _ if registered.is_none() => Need::Registration,
            TaskState::Ready { .. }
            | TaskState::Queued { .. }
            | TaskState::Undeliverable { .. }
            | TaskState::Held { .. }
                if !self.can_be_asked(ordinal, context) =>
            {
                Need::Identifiers
            }
            // Its processor is registered, and no backup set any more.
            TaskState::Blocked
                if task.share.is_wave() && registered.is_some_and(|processor| processor.backup.is_none()) =>
            {
                Need::Registration
            }
            TaskState::Ready { due }
            | TaskState::Queued { due, .. }
            | TaskState::Undeliverable { due, .. } => self.need_of_ready(ordinal, *due, context),
            TaskState::Held { .. } => Need::Release(self.holds_on(ordinal, context)),
            TaskState::Verifying { until } => Need::SecondLook(*until),
            TaskState::Blocked => Need::Others(self.waited_for(ordinal)),
            TaskState::Parked {
                why: Deferral::Retention,
                until,
            } => match &task.share {
                Share::Kept { basis, .. } => Need::Law(Some(basis), *until),
                _ => Need::Law(None, *until),
            },
            TaskState::Parked {
                why: Deferral::Rotation,
                until,
            } => self.need_of_copies(ordinal, *until, context),
        })
    }

    /// The holds that cover a task.
    pub fn holds_on<'a>(&self, ordinal: u16, context: &Context<'a>) -> Vec<&'a Hold> {
        let task = self.task(ordinal);
        let registered = context.registry.get(&task.processor);
        let mut holds = context.facts.holds().on_request(self, context.registry);
        holds.retain(|hold| hold.covers(self, task, registered));
        holds
    }

    /// The tasks, by place, that a blocked one waits for.
    pub fn waited_for(&self, ordinal: u16) -> Vec<u16> {
        let task = self.task(ordinal);
        let sources: &[u16] = match &task.share {
            Share::Wave { sources, .. } => sources,
            _ => &[],
        };
        let open = |place: &&u16| !self.task(**place).state.is_closed();
        let earlier = |place: &&u16| !self.task(**place).state.lets_others_go();
        let mut places: Vec<u16> = sources.iter().filter(open).copied().collect();
        places.extend(task.after.iter().filter(earlier));
        places.sort_unstable();
        places.dedup();
        places
    }

    /// From when on the horizon of a wave is reckoned; `None`: it is none, or its sources have not confirmed.
    pub fn copies_since(&self, ordinal: u16) -> Option<At> {
        self.confirmed_at(ordinal)
    }

    /// Whether a deferred task should be over by now and is not.
    pub fn has_slipped(&self, ordinal: u16, context: &Context<'_>) -> bool {
        let task = self.task(ordinal);
        match task.state {
            TaskState::Parked {
                why: Deferral::Rotation,
                until,
            } => overdue_from(task, until, context).is_some_and(|from| from <= context.now),
            TaskState::Parked {
                why: Deferral::Retention,
                until,
            }
            | TaskState::Verifying { until } => until.plus(WOKEN_WITHIN) <= context.now,
            _ => false,
        }
    }

    /// When the capsule of a request is destroyed; `None`: it has none, or none any more.
    pub fn capsule_end(&self, context: &Context<'_>) -> Option<CapsuleEnd> {
        let epoch = self
            .capsule_epoch()
            .filter(|epoch| !context.facts.is_forgotten(epoch))?;
        let copies_before = end_of(epoch.week).plus(context.clock_skew);
        let gone_by = |set| -> Option<At> {
            let rule = context.registry.get(set)?.backup.as_ref()?;
            let by_rule = rule
                .keep
                .add_to(copies_before, context.zones.controller())
                .plus(context.clock_skew);
            let locked = context
                .facts
                .copies(set)
                .and_then(|copies| copies.locked_until(copies_before));
            Some(locked.map_or(by_rule, |locked| by_rule.max(locked)))
        };
        let expected: Option<Vec<At>> = epoch.sets.iter().map(gone_by).collect();
        Some(CapsuleEnd {
            copies_before,
            expected: expected.and_then(|all| all.into_iter().max()),
        })
    }
}
