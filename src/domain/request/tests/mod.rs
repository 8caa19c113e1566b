//! The aggregate against the contract: every answer in every state, the plan, the passing of time, people's decisions.

mod answers;
mod attempts;
mod attesting;
mod closing;
mod doubting;
mod duplicates;
mod gates;
mod merging;
mod notices;
mod operating;
mod outlook;
mod packing;
mod planning;
mod providing;
mod pseudonyms;
mod random;
mod refusing;
mod replays;
mod succeeding;
mod success;
mod suppression;
mod table;
mod time;
mod unsent;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::tz::TimeZone;
use uuid::Uuid;

use super::{
    Claims, Context, Move, Request, Shut, Trail, Withheld,
    answer::{AckRejection, Taken},
    duplicates::Duplicates,
    open::{Admission, CannotOpen, Opened, Rules, open},
};
use crate::domain::{
    ack::{Ack, Answer, Evidence, Retained},
    calendar::{
        Calendar, Period, Zones,
        tests::{regime, regimes},
    },
    command::{Opening, Scope},
    entry::Entry,
    fact::Facts,
    identity::{Identity, SubjectData},
    ids::{CommandId, IdentityType, Label, ProcessorId, RequestId, Tenant},
    registry::{AnonymizeFallback, Breaker, MissingIdentity, Processor, Registry, Retry, Transport},
    task::TaskState,
    time::At,
    words::{Action, ProcessorKind, Reason},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long an answer may take, in every registry here.
const ACK_TIMEOUT: Duration = Duration::from_secs(3600);

const ADMISSION: Admission<'static> = Admission {
    digests: &[[1; 16]],
    former: &[],
    commitment: [7; 32],
    revision: 1,
    needs_approval: false,
    earlier: &[],
};

static UTC: TimeZone = TimeZone::UTC;
/// How far clocks may be apart, in every test here.
const SKEW: Duration = Duration::from_secs(300);

/// 2026-11-21T10:00:00Z, when every request here is opened.
const START: At = At::from_millis(1_795_255_200_000);

/// The delay before the attempt that follows the n-th one: no jitter, so that times can be named.
fn delay(_: &Retry, attempt: u32) -> Duration {
    10 * SECOND * attempt
}

fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

const LEASE: Duration = Duration::from_secs(30);

fn id(text: &str) -> ProcessorId {
    ProcessorId::new(text).unwrap()
}

fn kind(text: &str) -> IdentityType {
    IdentityType::new(text).unwrap()
}

fn processor(name: &str) -> Processor {
    Processor {
        id: id(name),
        name: name.to_owned(),
        kind: ProcessorKind::Other,
        transport: Transport::Kafka { topic: None },
        actions: vec![Action::Erase, Action::Anonymize],
        identities: vec![kind("email"), kind("customer_id")],
        provides: Vec::new(),
        missing_identity: MissingIdentity::Block,
        honours_cutoff: false,
        idempotent: true,
        anonymize_fallback: AnonymizeFallback::Refuse,
        accept_anonymized: false,
        accept_pseudonymised: false,
        require_evidence: Vec::new(),
        require_method: Vec::new(),
        purposes: Vec::new(),
        categories: Vec::new(),
        regions: Vec::new(),
        after: Vec::new(),
        ack_timeout: ACK_TIMEOUT,
        retry: Retry {
            attempts: 3,
            ..Retry::default()
        },
        concurrency: 1,
        retention: Vec::new(),
        backup: None,
        sweep_after: None,
        verify_after: None,
        rate: None,
        breaker: Breaker::default(),
        completes_by: None,
        replaces: None,
    }
}

fn opening() -> Opening {
    Opening {
        command_id: CommandId(Uuid::from_u128(1)),
        request_id: RequestId(Uuid::from_u128(2)),
        tenant: Tenant::new("acme").unwrap(),
        action: Action::Erase,
        actions_by_processor: BTreeMap::new(),
        identities: vec![Identity {
            kind: kind("email"),
            value: SubjectData::new("ann@example.org"),
        }],
        regime: None,
        reason: Reason::AccountClosed,
        requested_at: Some(START),
        not_before: None,
        region: None,
        scope: Scope::default(),
        anchors: BTreeMap::new(),
        identity_verified: true,
        exclude: Vec::new(),
        metadata: None,
        submitter: None,
    }
}

fn rules() -> Rules {
    // Ten days, so that the last fifth begins after eight of them.
    Rules {
        regime: regime("days:10"),
        regimes: regimes(),
        calendar: Calendar {
            zone: TimeZone::UTC,
            holidays: std::collections::BTreeSet::new(),
        },
        at_risk: 0.2,
        require_verification: false,
        grace: Period::ZERO,
        inactivity_notice: Period::days(2),
        duplicates: Duplicates::default(),
    }
}

/// A request with its registry and its time.
#[derive(Debug, Clone)]
struct Bench {
    registry: Registry,
    facts: Facts,
    now: At,
    keep: Duration,
    /// The processors that have enough to do with what is replayed into them.
    full: BTreeSet<ProcessorId>,
    /// What topics do not take.
    shut: Shut,
    claims: Claims,
    request: Request,
    /// Every entry of the ledger so far.
    entries: Vec<Entry>,
    /// Every move of a task so far.
    moves: Vec<Move>,
    /// What the last operation sent, by place.
    dispatched: Vec<u16>,
}

impl Bench {
    fn open(processors: Vec<Processor>) -> Self {
        Self::open_with(processors, &opening())
    }

    /// Opens one under other rules.
    fn open_under(
        processors: Vec<Processor>,
        opening: &Opening,
        rules: &Rules,
        needs_approval: bool,
    ) -> Self {
        Self::opened(
            processors,
            opening,
            rules,
            Admission {
                needs_approval,
                ..ADMISSION
            },
        )
        .unwrap()
    }

    fn open_with(processors: Vec<Processor>, opening: &Opening) -> Self {
        Self::try_open(processors, opening).unwrap()
    }

    fn try_open(processors: Vec<Processor>, opening: &Opening) -> Result<Self, CannotOpen> {
        Self::opened(processors, opening, &rules(), ADMISSION)
    }

    fn opened(
        processors: Vec<Processor>,
        opening: &Opening,
        rules: &Rules,
        admission: Admission<'_>,
    ) -> Result<Self, CannotOpen> {
        Self::opened_at(START, processors, opening, rules, admission)
    }

    fn opened_at(
        now: At,
        processors: Vec<Processor>,
        opening: &Opening,
        rules: &Rules,
        admission: Admission<'_>,
    ) -> Result<Self, CannotOpen> {
        let registry = Registry { processors };
        let facts = Facts::default();
        let context = Context {
            now,
            registry: &registry,
            facts: &facts,
            zones: Zones::only(&UTC),
            clock_skew: SKEW,
            delay: &delay,
            keep_after_completion: Duration::ZERO,
            withheld: Withheld::Nothing,
            lease: LEASE,
        };
        let Opened { request, trail, .. } = open(opening, admission, rules, &context)?;
        let Trail {
            entries,
            moves,
            dispatched,
            claimed: _,
            attested: _,
            handed_over: _,
        } = trail;
        Ok(Self {
            registry,
            facts,
            now,
            keep: Duration::ZERO,
            full: BTreeSet::new(),
            shut: Shut::default(),
            claims: Claims::default(),
            request,
            entries,
            moves,
            dispatched,
        })
    }

    /// Lets a use case run on the request.
    fn run<T>(&mut self, case: impl FnOnce(&mut Request, &Context<'_>) -> (T, Trail)) -> T {
        let context = Context {
            now: self.now,
            registry: &self.registry,
            facts: &self.facts,
            zones: Zones::only(&UTC),
            clock_skew: SKEW,
            delay: &delay,
            keep_after_completion: self.keep,
            withheld: Withheld::Lanes {
                replays: &self.full,
                shut: &self.shut,
                claims: &self.claims,
            },
            lease: LEASE,
        };
        let (done, trail) = case(&mut self.request, &context);
        self.entries.extend(trail.entries);
        self.moves.extend(trail.moves);
        self.dispatched = trail.dispatched;
        done
    }

    /// Looks at the request.
    fn see<T>(&mut self, look: impl FnOnce(&Request, &Context<'_>) -> T) -> T {
        self.run(|request, context| (look(request, context), Trail::default()))
    }

    /// One ack, as its processor sends it, in a batch of its own.
    fn ack(
        &mut self,
        ordinal: u16,
        generation: u32,
        attempt: u32,
        answer: Answer,
    ) -> Result<Taken, AckRejection> {
        let ack = self.ack_of(ordinal, generation, attempt, answer);
        self.take(&ack, true)
    }

    /// An answer to what the task was asked last.
    fn answer(&mut self, ordinal: u16, answer: Answer) -> Result<Taken, AckRejection> {
        let task = self.request.task(ordinal);
        self.ack(ordinal, task.generation, task.attempt, answer)
    }

    fn take(&mut self, ack: &Ack, token_matches: bool) -> Result<Taken, AckRejection> {
        self.run(|request, context| {
            let mut trail = Trail::default();
            let taken = request.answer(ack, token_matches, context, &mut trail);
            if matches!(taken, Ok(Taken::Counted { .. })) {
                request.finish_answers(context, &mut trail).unwrap();
            }
            (taken, trail)
        })
    }

    fn ack_of(&self, ordinal: u16, generation: u32, attempt: u32, answer: Answer) -> Ack {
        Ack {
            request_id: self.request.id,
            task_id: self.request.task_id(ordinal),
            generation,
            attempt,
            processor: self.request.task(ordinal).processor.clone(),
            token: String::new(),
            answer,
            evidence: None,
            identities: Vec::new(),
            at: None,
            message: None,
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    /// Wakes it, with every ack read up to a time.
    fn wake_seeing(&mut self, seen: At) {
        self.run(|request, context| ((), request.wake(context, seen).unwrap()));
    }

    /// Wakes it, with every ack read up to now.
    fn wake(&mut self) {
        self.wake_seeing(self.now);
    }

    /// Moves to the time that the agenda remembers, and wakes it.
    fn sleep(&mut self) {
        let at = self.request.bookkeeping.wake_at.expect("nothing will wake it");
        self.now = self.now.max(at);
        // Settling reads on while time passes.
        self.wake_seeing(self.now.plus(SECOND));
    }

    fn state(&self, ordinal: u16) -> &TaskState {
        &self.request.task(ordinal).state
    }

    /// (generation, attempt, counted)
    fn numbers(&self, ordinal: u16) -> (u32, u32, u32) {
        let task = self.request.task(ordinal);
        (task.generation, task.attempt, task.counted)
    }

    fn count_entries(&self, is: impl Fn(&Entry) -> bool) -> usize {
        self.entries.iter().filter(|entry| is(entry)).count()
    }
}

fn failed() -> Answer {
    Answer::Failed {
        retry_after_seconds: None,
    }
}

fn partial() -> Answer {
    Answer::Partial {
        retry_after_seconds: None,
    }
}

fn accepted(expected_by: Option<At>) -> Answer {
    Answer::Accepted { expected_by }
}

fn retained(until: Option<At>) -> Answer {
    Answer::Retained(Retained {
        basis: label("tax_law"),
        until,
        categories: Vec::new(),
    })
}

fn evidence_with_method() -> Option<Evidence> {
    Some(Evidence {
        method: Some("delete".to_owned()),
        ..Evidence::default()
    })
}
