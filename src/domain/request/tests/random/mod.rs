//! Random lives of a request: whatever happens in whatever order, the numbered invariants hold after every step.

mod checks;
mod gates;
mod ops;
mod sending;

use proptest::prelude::*;

use self::{
    checks::{check_step, check_whole, initial},
    ops::{Op, answer_of, ops, worlds},
};
use super::{super::operate::DecisionError, *};
use crate::domain::task::Task;

/// A life: the bench, what it was planned as, and what was said to it last.
#[derive(Debug)]
struct Life {
    bench: Bench,
    all: Vec<Processor>,
    planned: Vec<Task>,
    last: Option<(Ack, bool)>,
}

impl Life {
    fn new(bench: Bench) -> Self {
        // The plan before anything happened to it, which the ledger's entries start from.
        let registry = &bench.registry;
        let planned = bench
            .request
            .tasks
            .iter()
            .map(|task| initial(task, &bench, registry))
            .collect();
        Self {
            all: registry.processors.clone(),
            planned,
            last: None,
            bench,
        }
    }

    fn apply(&mut self, op: &Op) {
        let tasks = u16::try_from(self.bench.request.tasks.len()).unwrap();
        match op {
            Op::Ack {
                task,
                generation,
                attempt,
                answer,
                seconds,
                genuine,
                proof,
            } => {
                let ordinal = task % tasks;
                let asked = self.bench.request.task(ordinal);
                let shifted = |n: u32, by: i64| u32::try_from((i64::from(n) + by).max(1)).unwrap();
                let (generation, attempt) = (
                    shifted(asked.generation, *generation),
                    shifted(asked.attempt, *attempt),
                );
                let answer = answer_of(*answer, *seconds, self.bench.now);
                let evidence = if *proof { evidence_with_method() } else { None };
                let ack = Ack {
                    evidence,
                    ..self.bench.ack_of(ordinal, generation, attempt, answer)
                };
                self.take(ack, *genuine);
            }
            Op::AckAgain => {
                if let Some((ack, genuine)) = self.last.clone() {
                    self.take(ack, genuine);
                }
            }
            Op::Pass(time) => self.bench.pass(*time),
            Op::Wake { seen } => {
                self.bench
                    .wake_seeing(if *seen { self.bench.now } else { At::default() });
                self.check_rested();
            }
            Op::Sleep => {
                if self.bench.request.bookkeeping.wake_at.is_some() {
                    self.bench.sleep();
                    self.check_rested();
                }
            }
            Op::Retry(task) => self.decide(|request, context| request.retry(task % tasks, "bob", context)),
            Op::Waive(task) => self.decide(|request, context| request.waive(task % tasks, "bob", context)),
            Op::Cancel => self.decide(|request, context| request.cancel(None, context)),
            Op::Register(every) => {
                self.bench.registry.processors = self.all.iter().step_by(*every).cloned().collect();
            }
        }
    }

    fn decide(&mut self, decision: impl FnOnce(&mut Request, &Context<'_>) -> Result<Trail, DecisionError>) {
        // As the engine does it: what a refused decision leaves behind is thrown away.
        self.bench.run(|request, context| {
            let mut tried = request.clone();
            match decision(&mut tried, context) {
                Ok(trail) => {
                    *request = tried;
                    ((), trail)
                }
                Err(_) => ((), Trail::default()),
            }
        });
    }

    /// Invariants 6 and 7: what is forged or refused changes nothing, and a second copy changes nothing.
    fn take(&mut self, ack: Ack, genuine: bool) {
        self.last = Some((ack.clone(), genuine));
        let before = self.bench.request.clone();
        let taken = self.bench.take(&ack, genuine);
        assert!(genuine || taken == Err(AckRejection::Forged));
        if matches!(taken, Ok(Taken::Counted { .. })) {
            let asked = before.task(before.find_task(ack.task_id).unwrap());
            let is_asked_about = asked.purpose.asks_about() == Some(ack.generation);
            assert!(is_asked_about || ack.generation == asked.generation);
            let sent = std::mem::take(&mut self.bench.dispatched);
            let counted = self.bench.request.clone();
            let again = self.bench.take(&ack, genuine);
            assert!(
                !matches!(again, Ok(Taken::Counted { .. })),
                "counted twice: {ack:?}"
            );
            assert_eq!(self.bench.request, counted, "a duplicate changes nothing");
            self.bench.dispatched = sent;
        } else {
            assert_eq!(self.bench.request, before, "{taken:?} changes nothing");
        }
    }

    /// After a wake-up nothing is due any more: the agenda never turns in a circle.
    fn check_rested(&self) {
        if let Some(at) = self.bench.request.bookkeeping.wake_at {
            assert!(
                at > self.bench.now,
                "due again at once: {at} at {}",
                self.bench.now
            );
        }
    }
}

/// A few seconds' worth in a debug build; a hundred times as many have been run by hand.
const CASES: u32 = 500;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_breaks_an_invariant(world in worlds(), ops in ops()) {
        let mut life = Life::new(world);
        check_whole(&life);
        for op in &ops {
            let before = life.bench.clone();
            life.apply(op);
            check_step(&before, &life);
            check_whole(&life);
        }
    }

    /// Whatever has happened: with everybody registered and answering, a request comes to its end, but for what only a
    /// person can decide.
    #[test]
    fn a_request_comes_to_its_end(world in worlds(), ops in ops()) {
        let mut life = Life::new(world);
        for op in &ops {
            life.apply(op);
        }
        life.bench.registry.processors.clone_from(&life.all);
        let (best, needs) = life
            .bench
            .see(|request, context| (request.best_case(context), request.needs(context).len()));
        let open = |task: &Task| !task.state.is_closed();
        let is_open = !life.bench.request.life.status.is_final();
        let waiting = life.bench.request.tasks.iter().filter(|task| is_open && open(task)).count();
        prop_assert_eq!(needs, waiting, "whoever asks hears what each task waits for");
        for _ in 0..400 {
            for ordinal in life.bench.request.ordinals() {
                let task = life.bench.request.task(ordinal);
                if matches!(
                    task.state,
                    TaskState::Dispatched { .. } | TaskState::Accepted { .. } | TaskState::Attesting { .. }
                ) {
                    let answer = if task.answered.is_none() { Answer::Erased } else { Answer::NotFound };
                    let ack = life.bench.ack_of(ordinal, task.generation, task.attempt, answer);
                    life.take(Ack { evidence: evidence_with_method(), ..ack }, true);
                }
            }
            if life.bench.request.bookkeeping.wake_at.is_none() {
                break;
            }
            life.bench.sleep();
        }
        let request = &life.bench.request;
        // What was attested, and turned out not to be so when its identifiers were gone, nobody can be asked for.
        let unnamed = !request.life.status.is_final() && !request.bookkeeping.readable;
        let stuck = |state: &TaskState| unnamed || matches!(
            state,
            TaskState::Blocked | TaskState::WithoutIdentity | TaskState::Abandoned { .. } | TaskState::Exempt { .. }
        );
        prop_assert!(
            request.life.status.is_final()
                || (request.life.needs_attention && request.tasks.iter().any(|task| stuck(&task.state))),
            "{request:#?}"
        );
        let was_closed = life.bench.count_entries(|entry| *entry == Entry::Shredded) > 0;
        prop_assert_eq!(request.life.status.is_final() || (unnamed && was_closed), !request.bookkeeping.readable);
        // Processors that answer worse than they could do not come further than the best case says.
        prop_assert!(best.closed.is_some() || !request.life.status.is_final(), "{best:#?}");
    }
}
