//! Invariant 3, from all sides: random policies, and decisions, dates, holds and answers in random orders. What the
//! test believes about the gates it has found by itself, from what was said and when.

use proptest::{collection::vec, option, prelude::*};
use uuid::Uuid;

use super::super::{super::operate::DecisionError, gates::decide, *};
use crate::domain::{
    command::Decision,
    fact::Fact,
    hold::Hold,
    ids::HoldId,
    words::{ExtensionReason, HoldBasis, RefusalBasis, Status, VerificationResult},
};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const CATEGORIES: [&str; 2] = ["mail", "invoices"];

/// What a request is opened under.
#[derive(Debug, Clone)]
struct Policy {
    verification: bool,
    approval: bool,
    grace_days: u16,
    not_before: Option<u64>,
    /// For each processor: whether it comes after the one before it, and the place of its category.
    processors: Vec<(bool, Option<usize>)>,
}

fn policies() -> impl Strategy<Value = Policy> {
    let processor = (any::<bool>(), option::of(0..CATEGORIES.len()));
    (
        any::<bool>(),
        any::<bool>(),
        0..3u16,
        option::of(0..400_000u64),
        vec(processor, 1..=NAMES.len()),
    )
        .prop_map(
            |(verification, approval, grace_days, not_before, processors)| Policy {
                verification,
                approval,
                grace_days,
                not_before,
                processors,
            },
        )
}

/// What a hold covers; nothing named: all of the tenant's.
#[derive(Debug, Clone, Copy)]
enum Cover {
    Processor(usize),
    Category(usize),
    Subject,
    Everything,
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
    Ack(u16, usize),
    Place(Cover),
    Release(usize),
    Pass(u64),
    /// The agenda and the sweeps have caught up. Without it the next thing happens while they still lag behind.
    CatchUp,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let cover = prop_oneof![
        (0..NAMES.len()).prop_map(Cover::Processor),
        (0..CATEGORIES.len()).prop_map(Cover::Category),
        Just(Cover::Subject),
        Just(Cover::Everything),
    ];
    let op = prop_oneof![
        4 => Just(Op::Verify(VerificationResult::Passed)),
        1 => Just(Op::Verify(VerificationResult::Failed)),
        4 => Just(Op::Approve),
        1 => Just(Op::Refuse),
        1 => (0..NAMES.len()).prop_map(Op::RefuseShare),
        1 => Just(Op::Extend),
        1 => Just(Op::Cancel),
        1 => (0..4u16).prop_map(Op::Waive),
        2 => (0..4u16).prop_map(Op::Retry),
        8 => (0..4u16, 0..11usize).prop_map(|(task, answer)| Op::Ack(task, answer)),
        4 => cover.prop_map(Op::Place),
        4 => (0..4usize).prop_map(Op::Release),
        6 => (0..150_000u64).prop_map(Op::Pass),
        8 => Just(Op::CatchUp),
    ];
    vec(op, 1..50)
}

/// A request, and what the test believes about its gates.
struct Trial {
    bench: Bench,
    policy: Policy,
    verified: bool,
    approved: bool,
    gate: At,
    /// Cancelled or refused.
    withdrawn: bool,
    holds: Vec<(HoldId, Cover)>,
    placed: u128,
}

impl Trial {
    fn new(policy: &Policy) -> Self {
        let processors = (0..)
            .zip(&policy.processors)
            .map(|(n, (after, category))| Processor {
                after: if *after && n > 0 {
                    vec![id(NAMES[n - 1])]
                } else {
                    Vec::new()
                },
                categories: category.iter().map(|place| label(CATEGORIES[*place])).collect(),
                ..processor(NAMES[n])
            });
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
        let bench = Bench::open_under(processors.collect(), &opening, &rules, policy.approval);
        let grace = START.plus(DAY * u32::from(policy.grace_days));
        let trial = Self {
            bench,
            policy: policy.clone(),
            verified: !policy.verification,
            approved: !policy.approval,
            gate: not_before.map_or(grace, |date| date.max(grace)),
            withdrawn: false,
            holds: Vec::new(),
            placed: 0,
        };
        trial.check_sent();
        trial
    }

    fn gates_are_open(&self) -> bool {
        self.verified && self.approved && self.bench.now >= self.gate
    }

    fn is_held(&self, ordinal: u16) -> bool {
        let (_, category) = self.policy.processors[usize::from(ordinal)];
        self.holds.iter().any(|(_, cover)| match cover {
            Cover::Processor(n) => *n == usize::from(ordinal),
            // A processor that names no categories may hold any.
            Cover::Category(held) => category.is_none_or(|category| category == *held),
            Cover::Subject | Cover::Everything => true,
        })
    }

    fn waits_for_another(&self, ordinal: u16) -> bool {
        let (after, _) = self.policy.processors[usize::from(ordinal)];
        after && ordinal > 0 && {
            let state = self.bench.state(ordinal - 1);
            !(state.is_closed() || state.is_deferred())
        }
    }

    /// Nothing goes while any gate is closed, or a hold covers it, or it was withdrawn.
    fn check_sent(&self) {
        for ordinal in &self.bench.dispatched {
            assert!(self.gates_are_open(), "sent before a gate was open");
            assert!(!self.withdrawn, "sent after it was withdrawn");
            assert!(!self.is_held(*ordinal), "sent although a hold covers it");
            assert!(
                self.bench.request.task(*ordinal).attempt > 1
                    || self.bench.request.task(*ordinal).generation > 1
                    || !self.waits_for_another(*ordinal),
                "sent before what it comes after"
            );
        }
    }

    /// Everything that may go has gone.
    fn check_nothing_is_left_behind(&self) {
        if !self.gates_are_open() || self.bench.request.life.status.is_final() {
            return;
        }
        for ordinal in self.bench.request.ordinals() {
            let task = self.bench.request.task(ordinal);
            let waits = matches!(
                task.state,
                TaskState::Ready { .. } | TaskState::Blocked | TaskState::Held { .. }
            );
            assert!(
                task.was_sent() || !waits || self.is_held(ordinal) || self.waits_for_another(ordinal),
                "left behind: {task:?}"
            );
        }
    }

    fn apply(&mut self, op: &Op) {
        self.bench.dispatched.clear();
        let tasks = u16::try_from(self.policy.processors.len()).unwrap();
        match op {
            Op::Verify(result) => {
                let method = label("passport");
                let decision = Decision::VerifyIdentity {
                    method,
                    result: *result,
                };
                if self.decide(&decision) {
                    self.verified |= *result == VerificationResult::Passed;
                    self.withdrawn |= *result == VerificationResult::Failed;
                }
            }
            Op::Approve => self.approved |= self.decide(&Decision::Approve),
            Op::Refuse => self.withdrawn |= self.decide(&refusal(None)),
            Op::RefuseShare(n) => {
                let done = self.decide(&refusal(Some(id(NAMES[*n]))));
                assert!(!done || self.bench.dispatched.iter().all(|sent| usize::from(*sent) != *n));
            }
            Op::Extend => {
                let reason = ExtensionReason::Complexity;
                self.decide(&Decision::Extend { reason });
            }
            Op::Cancel => self.withdrawn |= self.operate(|request, context| request.cancel(None, context)),
            Op::Waive(task) => {
                self.operate(|request, context| request.waive(task % tasks, "bob", context));
            }
            Op::Retry(task) => {
                self.operate(|request, context| request.retry(task % tasks, "bob", context));
            }
            Op::Ack(task, answer) => {
                let answer = super::ops::answer_of(*answer, None, self.bench.now);
                // What was never sent has no answer; the aggregate says so itself.
                let _stale = self.bench.answer(task % tasks, answer);
            }
            Op::Place(cover) => self.place(*cover),
            Op::Release(n) => self.release(*n),
            Op::Pass(seconds) => self.bench.pass(Duration::from_secs(*seconds)),
            Op::CatchUp => return self.catch_up(),
        }
        self.check_sent();
    }

    fn catch_up(&mut self) {
        self.bench
            .run(|request, context| ((), request.review(context).unwrap()));
        self.check_sent();
        if self
            .bench
            .request
            .bookkeeping
            .wake_at
            .is_some_and(|at| at <= self.bench.now)
        {
            self.bench.wake();
            self.withdrawn |= self.bench.request.life.status == Status::Refused;
            self.check_sent();
        }
        self.check_nothing_is_left_behind();
    }

    fn decide(&mut self, decision: &Decision) -> bool {
        let done = decide(&mut self.bench, decision, "clerk").is_ok();
        assert!(done || self.bench.dispatched.is_empty());
        done
    }

    fn operate(
        &mut self,
        decision: impl FnOnce(&mut Request, &Context<'_>) -> Result<Trail, DecisionError>,
    ) -> bool {
        self.bench.run(|request, context| {
            let mut tried = request.clone();
            match decision(&mut tried, context) {
                Ok(trail) => {
                    *request = tried;
                    (true, trail)
                }
                Err(_) => (false, Trail::default()),
            }
        })
    }

    fn tell(&mut self, fact: &Fact) {
        let version = self.bench.facts.version() + 1;
        self.bench.facts.learn(version, self.bench.now, fact);
    }

    fn place(&mut self, cover: Cover) {
        self.placed += 1;
        let hold_id = HoldId(Uuid::from_u128(self.placed));
        let request = &self.bench.request;
        let of_subject = matches!(cover, Cover::Subject);
        let hold = Hold {
            hold_id,
            tenant: request.head.tenant.clone(),
            basis: HoldBasis::Dispute,
            actor: "dpo".to_owned(),
            subject: if of_subject { vec![[1; 16]] } else { Vec::new() },
            found: if of_subject { vec![request.id] } else { Vec::new() },
            request_id: None,
            processor: match cover {
                Cover::Processor(n) => Some(id(NAMES[n])),
                _ => None,
            },
            categories: match cover {
                Cover::Category(n) => vec![label(CATEGORIES[n])],
                _ => Vec::new(),
            },
            placed_at: self.bench.now,
        };
        self.tell(&Fact::Hold(hold));
        self.holds.push((hold_id, cover));
    }

    fn release(&mut self, n: usize) {
        if self.holds.is_empty() {
            return;
        }
        let (hold_id, _) = self.holds.remove(n % self.holds.len());
        let tenant = self.bench.request.head.tenant.clone();
        self.tell(&Fact::Release {
            tenant,
            hold_id,
            actor: "dpo".to_owned(),
        });
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
    fn closed_gate_sends_nothing_open_gates_send_all(policy in policies(), ops in ops()) {
        let mut trial = Trial::new(&policy);
        for op in &ops {
            trial.apply(op);
        }
        trial.catch_up();
        // Whatever was decided before: once every gate is open and every hold released, everything goes.
        for op in [Op::Verify(VerificationResult::Passed), Op::Approve] {
            trial.apply(&op);
        }
        while !trial.holds.is_empty() {
            trial.apply(&Op::Release(0));
        }
        trial.bench.now = trial.bench.now.max(trial.gate);
        trial.catch_up();
    }
}
