//! Random lives over the pure domain. A model of the test's own says what may happen: it shares no rule with what it
//! checks, it only reads states.
//!
//! These pairs of events commute, told at the same moment of the same state: two rotations; two holds; two releases of
//! different holds; a hold and a rotation; a hold and an answer that is no success. These do not: a lock and a rotation that it denies, a hold and a release of another one
//! that let something go, a hold and a success that lets others go, and a restore with anything that sends or confirms.

use std::time::Duration;

use lacuna::{
    domain::{
        ack::{Ack, Answer, Evidence, Retained},
        backup::{BackupChange, BackupEvent},
        command::Command,
        fact::{Fact, Facts},
        hold::Hold,
        ids::{EventId, HoldId, Label, ProcessorId, Tenant},
        registry::Registry,
        request::{
            Context, Request, Trail, Withheld,
            answer::AckRejection,
            open::{Admission, open},
            outlook::Need,
        },
        time::At,
        words::HoldBasis,
    },
    lab::scenario::{attributes, registry},
    wire::{
        command::{Channel, parse_command},
        envelope::Envelope,
    },
};
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::{
    model::{Model, SKEW, SOURCES},
    ops::{Op, commuting, op, rules},
};
use crate::schedules::world::settings;

static UTC: jiff::tz::TimeZone = jiff::tz::TimeZone::UTC;

/// One life.
pub struct Bench {
    pub request: Request,
    pub facts: Facts,
    pub registry: Registry,
    pub now: At,
    pub last: Option<Ack>,
    /// Every fact that was told.
    pub heard: Vec<Fact>,
    told: u128,
}

impl Bench {
    pub fn new(text: &str) -> Self {
        let registry =
            lacuna::config::registry_file::read_text("processors.toml", &registry_of(text)).unwrap();
        let tenant = Tenant::new("acme").unwrap();
        let command = json!({ "command_id": Uuid::from_u128(1), "type": "erase", "reason": "account_closed",
            "subject": { "identities": [{ "type": "email", "value": "a@example.org" },
                                        { "type": "customer_id", "value": "1" }] } });
        let text = command.to_string();
        let parsed = parse_command(text.as_bytes(), &Envelope::bare(&tenant), Channel::Commands).unwrap();
        let Command::Open(opening) = parsed.command else {
            panic!("no opening")
        };
        let (facts, now) = (Facts::default(), At::parse("2026-11-21T12:00:00Z").unwrap());
        let rules = settings().rules;
        let opened = open(
            &opening,
            Admission {
                digests: &[],
                former: &[],
                commitment: [0; 32],
                revision: 1,
                needs_approval: false,
                earlier: &[],
            },
            &rules,
            &context(&registry, &facts, now),
        )
        .unwrap();
        Self {
            request: opened.request,
            facts,
            registry,
            now,
            last: None,
            heard: Vec::new(),
            told: 0,
        }
    }

    pub fn tell(&mut self, fact: &Fact) {
        let version = self.facts.version() + 1;
        self.facts.learn(version, self.now, fact);
        self.heard.push(fact.clone());
    }

    fn review(&mut self) -> Trail {
        self.request
            .review(&context(&self.registry, &self.facts, self.now))
            .unwrap()
    }

    /// Takes an answer, as settling does: nothing is kept of one that does not count. Says whether it did.
    fn take(&mut self, ack: &Ack, token_matches: bool) -> (Result<bool, AckRejection>, Trail) {
        let (mut request, mut trail) = (self.request.clone(), Trail::default());
        let context = context(&self.registry, &self.facts, self.now);
        let taken = request.answer(ack, token_matches, &context, &mut trail);
        let changes = matches!(taken, Ok(lacuna::domain::request::answer::Taken::Counted { .. }));
        if changes {
            request.finish_answers(&context, &mut trail).unwrap();
            self.request = request;
        }
        (taken.map(|_| changes), trail)
    }

    pub fn ack(&self, task: u16, answer: u8, late: bool) -> Ack {
        let ordinal = task % u16::try_from(self.request.tasks.len()).unwrap();
        let task = self.request.task(ordinal);
        let until = self.now.plus(Duration::from_secs(15 * 24 * 3600));
        let retained = |until| {
            Answer::Retained(Retained {
                basis: Label::new("tax_law").unwrap(),
                until,
                categories: Vec::new(),
            })
        };
        let answer = match answer {
            0..=2 => Answer::Erased,
            3 => Answer::NotFound,
            4 => Answer::Failed {
                retry_after_seconds: None,
            },
            5 => Answer::Accepted { expected_by: None },
            6 => retained(Some(until)),
            7 => retained(None),
            _ => Answer::Rejected,
        };
        Ack {
            request_id: self.request.id,
            task_id: self.request.task_id(ordinal),
            generation: task.generation,
            attempt: task.attempt.saturating_sub(u32::from(late)).max(1),
            processor: task.processor.clone(),
            token: String::new(),
            answer,
            evidence: Some(Evidence {
                method: Some("crypto_erase".to_owned()),
                ..Evidence::default()
            }),
            at: None,
            identities: Vec::new(),
            message: None,
        }
    }

    fn ago(&self, hours: u32) -> At {
        At::from_millis(self.now.millis() - i64::from(hours) * 3_600_000)
    }

    fn backup(&mut self, set: usize, change: BackupChange) -> Fact {
        self.told += 1;
        let name = ["nightly", "weekly"][set];
        Fact::Backup(BackupEvent {
            event_id: EventId(Uuid::from_u128(self.told)),
            processor: ProcessorId::new(name).unwrap(),
            set: Label::new(name).unwrap(),
            change,
            at: None,
        })
    }

    /// What an operation tells, if it tells a fact. One that was told before is told no more.
    fn fact_of(&mut self, op: &Op) -> Option<Fact> {
        Some(match op {
            Op::Rotated { set, hours_ago } => {
                let oldest_retained_at = self.ago(*hours_ago);
                self.backup(*set, BackupChange::Rotated { oldest_retained_at })
            }
            Op::Locked { set, hours_ago, days } => {
                let taken_at = self.ago(*hours_ago);
                let lock_until = Some(taken_at.plus(Duration::from_secs(u64::from(*days) * 24 * 3600)));
                self.backup(*set, BackupChange::Taken { taken_at, lock_until })
            }
            Op::Restored { source, hours_ago } => {
                let taken_at = self.ago(*hours_ago);
                let restored_into = vec![ProcessorId::new(SOURCES[*source]).unwrap()];
                self.backup(
                    0,
                    BackupChange::Restored {
                        taken_at,
                        restored_into,
                    },
                )
            }
            Op::Hold { name, on } => {
                let (tenant, hold_id) = (self.request.head.tenant.clone(), hold_id(*name));
                // A name is used once: the engine refuses it a second time, also when its hold was released.
                let used = |fact: &Fact| matches!(fact, Fact::Hold(hold) if hold.hold_id == hold_id);
                (!self.heard.iter().any(used)).then_some(())?;
                Fact::Hold(Hold {
                    hold_id,
                    tenant,
                    basis: HoldBasis::LegalClaims,
                    actor: "legal".to_owned(),
                    subject: Vec::new(),
                    found: Vec::new(),
                    request_id: (*on == SOURCES.len()).then_some(self.request.id),
                    processor: SOURCES.get(*on).map(|id| ProcessorId::new(id).unwrap()),
                    categories: Vec::new(),
                    placed_at: self.now,
                })
            }
            Op::Release { name } => {
                let (tenant, hold_id) = (self.request.head.tenant.clone(), hold_id(*name));
                self.facts.holds().get(&tenant, hold_id)?;
                let actor = "legal".to_owned();
                Fact::Release {
                    tenant,
                    hold_id,
                    actor,
                }
            }
            _ => return None,
        })
    }
}

pub fn context<'a>(registry: &'a Registry, facts: &'a Facts, now: At) -> Context<'a> {
    Context {
        now,
        registry,
        facts,
        zones: lacuna::domain::calendar::Zones::only(&UTC),
        clock_skew: SKEW,
        delay: &|_, _| Duration::from_secs(3600),
        keep_after_completion: Duration::ZERO,
        withheld: Withheld::Nothing,
        lease: Duration::ZERO,
    }
}

fn hold_id(name: u8) -> HoldId {
    HoldId(Uuid::from_u128(0x401d + u128::from(name)))
}

/// The registry of some rules, a processor a line.
pub fn registry_of(text: &str) -> String {
    let processors: Vec<_> = text
        .lines()
        .map(|line| {
            let mut words = line.split_whitespace();
            (words.next().unwrap().to_owned(), attributes(words))
        })
        .collect();
    registry(&processors)
}

/// Lets one thing happen, with everything that follows, and checks it against the model.
pub fn step(bench: &mut Bench, model: &mut Model, op: &Op) {
    let before = bench.request.clone();
    let mut answered = None;
    let trail = match op {
        Op::Ack { task, answer, late } => {
            let ack = bench.ack(*task, *answer, *late);
            let (taken, trail) = bench.take(&ack, true);
            answered = (taken == Ok(true)).then_some(ack.task_id);
            bench.last = Some(ack);
            trail
        }
        Op::AckAgain => {
            let Some(ack) = bench.last.clone() else { return };
            let (taken, trail) = bench.take(&ack, true);
            answered = (taken == Ok(true)).then_some(ack.task_id);
            trail
        }
        Op::Forged { task } => {
            let ack = bench.ack(*task, 0, false);
            assert_eq!(bench.take(&ack, false).0, Err(AckRejection::Forged));
            assert_eq!(bench.request, before, "invariant 7");
            return;
        }
        Op::Pass { hours } => {
            bench.now = bench.now.plus(Duration::from_secs(u64::from(*hours) * 3600));
            let context = context(&bench.registry, &bench.facts, bench.now);
            bench.request.wake(&context, At::default()).unwrap()
        }
        Op::Review => bench.review(),
        fact => {
            if let Some(fact) = bench.fact_of(fact) {
                bench.tell(&fact);
                model.hear(&fact, bench.now, &bench.request);
            }
            // Some sweeps come late: whatever happens next sees the fact.
            if matches!(fact, Op::Restored { .. } | Op::Hold { .. }) {
                return;
            }
            bench.review()
        }
    };
    // An answer that does not count looks at nothing else either.
    if answered.is_none() && matches!(op, Op::Ack { .. } | Op::AckAgain) {
        assert_eq!(bench.request, before, "invariant 7");
        return;
    }
    model.check(bench, &before, &trail, answered);
    check_attention(bench);
    let rested = bench.request.clone();
    let again = bench.review();
    assert!(
        again.entries.is_empty() && bench.request == rested,
        "invariant 6: a second look changed something"
    );
    if let (Op::Ack { .. }, Some(ack)) = (op, bench.last.clone()) {
        let _stale_or_repeated = bench.take(&ack, true);
        assert_eq!(bench.request, rested, "invariant 6: the same answer twice");
    }
}

/// What needs somebody says what for.
fn check_attention(bench: &Bench) {
    let (request, context) = (&bench.request, context(&bench.registry, &bench.facts, bench.now));
    if request.life.status.is_final() {
        return;
    }
    let asks = |ordinal: u16| request.needs_somebody(ordinal, &context);
    let any = request.ordinals().any(asks) || request.nobody_was_asked();
    assert_eq!(request.life.needs_attention, any);
    for ordinal in request.ordinals().filter(|ordinal| asks(*ordinal)) {
        let need = request.need_of(ordinal, &context);
        let goes_on_by_itself = matches!(
            need,
            None | Some(
                Need::Answer(_) | Need::Nothing(_) | Need::Others(_) | Need::SecondLook(_) | Need::Law(..)
            )
        );
        assert!(!goes_on_by_itself, "{need:?}: {:?}", request.task(ordinal));
    }
}

/// What two orders of the same events have to agree on.
pub fn essence(request: &Request) -> impl PartialEq + std::fmt::Debug + use<> {
    let (life, kept) = (&request.life, &request.bookkeeping);
    (
        request.tasks.clone(),
        life.status,
        kept.readable,
        kept.capsule,
        life.live_clean_at,
        life.needs_attention,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_invariants_hold(rules in rules(), ops in prop::collection::vec(op(), 1..40)) {
        let mut bench = Bench::new(&rules);
        let mut model = Model::of(&bench);
        for op in &ops {
            step(&mut bench, &mut model, op);
        }
    }

    #[test]
    fn what_commutes_ends_alike(rules in rules(), ops in prop::collection::vec(op(), 0..25), (a, b) in commuting()) {
        let run = |last: [&Op; 2]| {
            let mut bench = Bench::new(&rules);
            let mut model = Model::of(&bench);
            ops.iter().for_each(|op| step(&mut bench, &mut model, op));
            bench.review();
            for op in last {
                step(&mut bench, &mut model, op);
                bench.review();
            }
            essence(&bench.request)
        };
        prop_assert!(run([&a, &b]) == run([&b, &a]));
    }
}
