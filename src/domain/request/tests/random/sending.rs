//! Invariant 3, whatever people, backups and registries do: requests with retention, waves, unsupported actions, missing
//! identifiers and gates of every kind, under retries, refusals, restores, other registries, returns of the person, holds
//! and cancels in random orders. What was sent the test has counted by itself, from what left the aggregate.

use std::collections::BTreeSet;

use proptest::{collection::vec, option, prelude::*};
use uuid::Uuid;

use super::super::{super::operate::DecisionError, gates::decide, *};
use crate::domain::{
    backup::{BackupChange, BackupEvent},
    command::Decision,
    fact::Fact,
    hold::Hold,
    ids::{EventId, HoldId},
    registry::{BackupSet, ConfirmBy, Retention},
    words::{ExtensionReason, HoldBasis, RefusalBasis, Status, VerificationResult},
};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// What kind of processor stands at a place.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Plain,
    /// It has to keep its invoices for so many days.
    Keeps(u16),
    /// It cannot do what is asked, until another registry says that it can.
    Unable,
    /// The subject has no identifier that it knows, until one is supplied.
    Nameless,
    /// A backup set of all that stand before it.
    Copies(ConfirmBy, bool),
}

#[derive(Debug, Clone)]
struct Policy {
    verification: bool,
    approval: bool,
    grace_days: u16,
    not_before: Option<u64>,
    /// Each with whether it comes after the one before it, and whether it honours the cut-off.
    processors: Vec<(Kind, bool, bool)>,
}

fn policies() -> impl Strategy<Value = Policy> {
    let proof = prop_oneof![
        Just(ConfirmBy::Event),
        Just(ConfirmBy::Ack),
        Just(ConfirmBy::Schedule)
    ];
    let one = prop_oneof![
        3 => Just(Kind::Plain),
        2 => (1..4u16).prop_map(Kind::Keeps),
        2 => Just(Kind::Unable),
        1 => Just(Kind::Nameless),
        2 => (proof, any::<bool>()).prop_map(|(by, key)| Kind::Copies(by, key)),
    ];
    (
        any::<bool>(),
        any::<bool>(),
        0..3u16,
        option::of(0..400_000u64),
        vec((one, any::<bool>(), any::<bool>()), 1..=NAMES.len()),
    )
        .prop_map(
            |(verification, approval, grace_days, not_before, mut processors)| {
                // A set has to be one of something.
                if matches!(processors[0].0, Kind::Copies(..)) {
                    processors[0].0 = Kind::Plain;
                }
                Policy {
                    verification,
                    approval,
                    grace_days,
                    not_before,
                    processors,
                }
            },
        )
}

#[derive(Debug, Clone)]
enum Op {
    Verify(VerificationResult),
    Approve,
    Refuse,
    RefuseShare(usize),
    Extend,
    Cancel,
    Waive(u16),
    Retry(u16),
    Supply,
    Reactivate,
    Ack(u16, usize),
    Hold(Option<usize>),
    Release(usize),
    Restore(usize, u64),
    Rotate,
    /// Another registry: everything as at first, the unable able, or without one processor.
    Register(Option<usize>, bool),
    Pass(u64),
    Sleep,
    CatchUp,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let n = || 0..NAMES.len();
    let op = prop_oneof![
        3 => Just(Op::Verify(VerificationResult::Passed)),
        1 => Just(Op::Verify(VerificationResult::Failed)),
        3 => Just(Op::Approve),
        1 => Just(Op::Refuse),
        2 => n().prop_map(Op::RefuseShare),
        1 => Just(Op::Extend),
        1 => Just(Op::Cancel),
        1 => (0..8u16).prop_map(Op::Waive),
        8 => (0..8u16).prop_map(Op::Retry),
        2 => Just(Op::Supply),
        2 => Just(Op::Reactivate),
        8 => (0..8u16, 0..11usize).prop_map(|(task, answer)| Op::Ack(task, answer)),
        2 => option::of(n()).prop_map(Op::Hold),
        3 => (0..4usize).prop_map(Op::Release),
        3 => (n(), 0..400_000u64).prop_map(|(into, ago)| Op::Restore(into, ago)),
        2 => Just(Op::Rotate),
        4 => (option::of(n()), any::<bool>()).prop_map(|(without, able)| Op::Register(without, able)),
        4 => (0..150_000u64).prop_map(Op::Pass),
        4 => Just(Op::Sleep),
        4 => Just(Op::CatchUp),
    ];
    vec(op, 1..60)
}

/// A request, and what the test believes about it.
struct Trial {
    bench: Bench,
    all: Vec<Processor>,
    verified: bool,
    approved: bool,
    gate: At,
    withdrawn: bool,
    holds: Vec<(HoldId, Option<usize>)>,
    /// The tasks that have left the aggregate, by place.
    sent: BTreeSet<u16>,
    told: u128,
}

fn processors_of(policy: &Policy) -> Vec<Processor> {
    let mut made: Vec<Processor> = Vec::new();
    for (n, (kind_of, after, honours)) in policy.processors.iter().enumerate() {
        let mut new = processor(NAMES[n]);
        new.honours_cutoff = *honours;
        if *after && n > 0 {
            new.after = vec![id(NAMES[n - 1])];
        }
        match kind_of {
            Kind::Plain => {}
            Kind::Keeps(days) => {
                new.retention = vec![Retention {
                    categories: vec![label("invoices")],
                    basis: label("tax_law"),
                    keep: Period::days(*days),
                    then: Action::Erase,
                    from: None,
                }];
            }
            Kind::Unable => new.actions = vec![Action::Anonymize],
            Kind::Nameless => new.identities = vec![kind("phone")],
            Kind::Copies(confirm_by, erase_by_key) => {
                new.kind = ProcessorKind::Backup;
                new.backup = Some(BackupSet {
                    sources: made
                        .iter()
                        .filter(|one| one.backup.is_none())
                        .map(|one| one.id.clone())
                        .collect(),
                    set: label("nightly"),
                    keep: Period::days(2),
                    confirm_by: *confirm_by,
                    overdue_after: Period::days(1),
                    erase_by_key: *erase_by_key,
                });
            }
        }
        made.push(new);
    }
    made
}

impl Trial {
    fn new(policy: &Policy) -> Self {
        let all = processors_of(policy);
        let not_before = policy
            .not_before
            .map(|seconds| START.plus(SECOND * u32::try_from(seconds).unwrap()));
        let opening = Opening {
            identity_verified: false,
            not_before,
            ..opening()
        };
        let rules = Rules {
            require_verification: policy.verification,
            grace: Period::days(policy.grace_days),
            ..rules()
        };
        let bench = Bench::open_under(all.clone(), &opening, &rules, policy.approval);
        let grace = START.plus(DAY * u32::from(policy.grace_days));
        let mut trial = Self {
            bench,
            all,
            verified: !policy.verification,
            approved: !policy.approval,
            gate: not_before.map_or(grace, |date| date.max(grace)),
            withdrawn: false,
            holds: Vec::new(),
            sent: BTreeSet::new(),
            told: 0,
        };
        trial.check();
        trial
    }

    fn gates_are_open(&self) -> bool {
        self.verified && self.approved && self.bench.now >= self.gate
    }

    /// What holds after every step.
    fn check(&mut self) {
        for ordinal in std::mem::take(&mut self.bench.dispatched) {
            let task = self.bench.request.task(ordinal);
            assert!(self.gates_are_open(), "sent before a gate was open: {task:?}");
            assert!(!self.withdrawn, "sent after it was withdrawn: {task:?}");
            let place = NAMES.iter().position(|name| *name == task.processor.as_str());
            let is_held = self.holds.iter().any(|(_, on)| on.is_none() || *on == place);
            assert!(!is_held, "sent although a hold covers it: {task:?}");
            self.sent.insert(ordinal);
        }
        let request = &self.bench.request;
        for ordinal in request.ordinals() {
            let task = request.task(ordinal);
            assert_eq!(task.was_sent(), self.sent.contains(&ordinal), "{task:?}");
        }
        let read = Request::unpack(request.id, request.revision, &request.pack().unwrap()).unwrap();
        assert_eq!(read, *request);
    }

    /// A person's decision that takes all of it back succeeds exactly as long as nothing was sent.
    fn withdraw(&mut self, decision: impl FnOnce(&mut Self) -> Result<(), DecisionError>) {
        let was_open = !self.bench.request.life.status.is_final();
        let done = decision(self);
        if was_open {
            assert_eq!(done.is_ok(), self.sent.is_empty(), "{done:?}");
        }
        self.withdrawn |= done.is_ok();
    }

    fn apply(&mut self, op: &Op) {
        self.bench.dispatched.clear();
        let tasks = u16::try_from(self.bench.request.tasks.len()).unwrap();
        let places = self.all.len();
        match op {
            Op::Verify(VerificationResult::Passed) => {
                self.verified |= self.decide(&verdict(VerificationResult::Passed)).is_ok();
            }
            Op::Verify(VerificationResult::Failed) => {
                self.withdrawn |= self.decide(&verdict(VerificationResult::Failed)).is_ok();
            }
            Op::Approve => self.approved |= self.decide(&Decision::Approve).is_ok(),
            Op::Refuse => self.withdraw(|trial| trial.decide(&refusal(None))),
            Op::RefuseShare(n) => self.refuse_share(id(NAMES[n % places])),
            Op::Extend => {
                let reason = ExtensionReason::Complexity;
                // Whether it can be extended does not matter here.
                let _either_way = self.decide(&Decision::Extend { reason });
            }
            Op::Cancel => {
                self.withdraw(|trial| trial.operate(|request, context| request.cancel(None, context)));
            }
            Op::Waive(task) => {
                let _either_way =
                    self.operate(|request, context| request.waive(task % tasks, "bob", context));
            }
            Op::Retry(task) => {
                let _either_way =
                    self.operate(|request, context| request.retry(task % tasks, "bob", context));
            }
            Op::Supply => {
                let _either_way = self.operate(|request, context| {
                    let types = [kind("phone")];
                    Ok(request.supply(&types, &[], "bob", context)?.0)
                });
            }
            Op::Reactivate => {
                let now = self.bench.now;
                self.bench
                    .run(|request, context| ((), request.reactivate(now, context).unwrap()));
            }
            Op::Ack(task, answer) => {
                let answer = super::ops::answer_of(*answer, None, self.bench.now);
                // What was never sent has no answer; the aggregate says so itself.
                let _stale = self.bench.answer(task % tasks, answer);
            }
            Op::Hold(on) => self.hold(on.map(|n| n % places)),
            Op::Release(n) => self.release(*n),
            Op::Restore(into, ago) => {
                let taken_at = At::from_millis(self.bench.now.millis() - i64::try_from(ago * 1000).unwrap());
                let restored_into = vec![id(NAMES[into % places])];
                self.backup(BackupChange::Restored {
                    taken_at,
                    restored_into,
                });
            }
            Op::Rotate => {
                let oldest_retained_at = self.bench.now;
                self.backup(BackupChange::Rotated { oldest_retained_at });
            }
            Op::Register(without, able) => self.register(without.map(|n| n % places), *able),
            Op::Pass(seconds) => self.bench.pass(Duration::from_secs(*seconds)),
            Op::Sleep => {
                if self.bench.request.bookkeeping.wake_at.is_some() {
                    self.bench.sleep();
                }
            }
            Op::CatchUp => self
                .bench
                .run(|request, context| ((), request.review(context).unwrap())),
        }
        // A verification that nobody gave in time refuses it.
        self.withdrawn |= self.bench.request.life.status == Status::Refused;
        self.check();
    }

    fn refuse_share(&mut self, processor: ProcessorId) {
        let request = &self.bench.request;
        let open: Vec<u16> = request
            .ordinals()
            .filter(|ordinal| {
                let task = request.task(*ordinal);
                task.processor == processor && !task.state.is_closed()
            })
            .collect();
        let can_be = !open.is_empty() && open.iter().all(|ordinal| !self.sent.contains(ordinal));
        let is_open = !request.life.status.is_final();
        let done = self.decide(&refusal(Some(processor)));
        assert!(!is_open || done.is_ok() == can_be, "{done:?}");
    }

    fn decide(&mut self, decision: &Decision) -> Result<(), DecisionError> {
        decide(&mut self.bench, decision, "clerk").map(drop)
    }

    fn operate(
        &mut self,
        decision: impl FnOnce(&mut Request, &Context<'_>) -> Result<Trail, DecisionError>,
    ) -> Result<(), DecisionError> {
        self.bench.run(|request, context| {
            let mut tried = request.clone();
            match decision(&mut tried, context) {
                Ok(trail) => {
                    *request = tried;
                    (Ok(()), trail)
                }
                Err(refused) => (Err(refused), Trail::default()),
            }
        })
    }

    fn tell(&mut self, fact: &Fact) {
        let version = self.bench.facts.version() + 1;
        self.bench.facts.learn(version, self.bench.now, fact);
    }

    /// Something happens to the copies of every set.
    fn backup(&mut self, change: BackupChange) {
        let sets: Vec<ProcessorId> = self
            .all
            .iter()
            .filter(|one| one.backup.is_some())
            .map(|one| one.id.clone())
            .collect();
        for processor in sets {
            self.told += 1;
            self.tell(&Fact::Backup(BackupEvent {
                event_id: EventId(Uuid::from_u128(self.told)),
                processor,
                set: label("nightly"),
                change: change.clone(),
                at: None,
            }));
        }
    }

    fn register(&mut self, without: Option<usize>, able: bool) {
        let mut processors = self.all.clone();
        for one in &mut processors {
            if able && one.actions == [Action::Anonymize] {
                one.actions.push(Action::Erase);
            }
        }
        if let Some(n) = without {
            processors.remove(n);
        }
        self.bench.registry.processors = processors;
    }

    fn hold(&mut self, on: Option<usize>) {
        self.told += 1;
        let hold_id = HoldId(Uuid::from_u128(self.told));
        self.tell(&Fact::Hold(Hold {
            hold_id,
            tenant: self.bench.request.head.tenant.clone(),
            basis: HoldBasis::Dispute,
            actor: "dpo".to_owned(),
            subject: Vec::new(),
            found: Vec::new(),
            request_id: None,
            processor: on.map(|n| id(NAMES[n])),
            categories: Vec::new(),
            placed_at: self.bench.now,
        }));
        self.holds.push((hold_id, on));
    }

    fn release(&mut self, n: usize) {
        if self.holds.is_empty() {
            return;
        }
        let (hold_id, _) = self.holds.remove(n % self.holds.len());
        self.tell(&Fact::Release {
            tenant: self.bench.request.head.tenant.clone(),
            hold_id,
            actor: "dpo".to_owned(),
        });
    }
}

fn verdict(result: VerificationResult) -> Decision {
    Decision::VerifyIdentity {
        method: label("passport"),
        result,
    }
}

fn refusal(processor: Option<ProcessorId>) -> Decision {
    Decision::Refuse {
        basis: RefusalBasis::Excessive,
        processor,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: super::CASES, ..ProptestConfig::default() })]

    #[test]
    fn nothing_but_people_and_the_date_opens_a_gate(policy in policies(), ops in ops()) {
        let mut trial = Trial::new(&policy);
        for op in &ops {
            trial.apply(op);
        }
    }
}
