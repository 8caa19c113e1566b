//! What is to be done about effects that were not confirmed: whose fault it is, and so who has to wait.
//!
//! Invariant 11: what one processor's destination does not take delays nobody else. Only what is told to upstream and to
//! operators stops a stage, and a transport that takes nothing at all.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use crate::{
    domain::ids::{ProcessorId, RequestId},
    engine::effects::{DeadLetterNotice, Effect, SentTask, TaskDispatch},
    transport::{Failure, Fault},
};

/// How often what was not confirmed in time is repeated before its destination is held to be at fault although nothing
/// shows that the rest of the transport is well.
const ROUNDS: u32 = 2;
/// The same while the transport is slowed down: then nearly everything takes long.
const ROUNDS_THROTTLED: u32 = 5;

/// What is known when it is decided whose fault it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances {
    /// How often these effects were sent before.
    pub(super) rounds: u32,
    /// Whether the transport was slowed down lately.
    pub(super) throttled: bool,
}

/// A task that is larger than its destination takes.
#[derive(Debug)]
pub(super) struct TooLarge {
    pub(super) sent: SentTask,
    pub(super) processor: ProcessorId,
    pub(super) destination: Arc<str>,
    pub(super) bytes: u32,
    pub(super) limit: Option<u32>,
}

/// A destination that takes nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TakesNothing {
    pub(super) destination: Arc<str>,
    pub(super) why: Cow<'static, str>,
}

/// What is to be done about each effect that was not confirmed.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    /// Tried again, each alone: its neighbours may be what is too large.
    pub(super) apart: Vec<Effect>,
    /// Tasks that are too large.
    pub(super) too_large: Vec<TooLarge>,
    /// Tasks that their destinations did not take; whether it is certain that they did not leave.
    pub(super) refused: Vec<(SentTask, bool)>,
    /// The processors whose destinations are at fault.
    pub(super) shut: BTreeMap<ProcessorId, TakesNothing>,
    /// Tasks that are sent again as they are, if they are still out.
    pub(super) tasks: Vec<TaskDispatch>,
    /// Requests whose status is told again as it is then.
    pub(super) statuses: Vec<RequestId>,
    /// Whether the last records of keys are repeated.
    pub(super) tombstones: bool,
    /// Dead letters, as they are.
    pub(super) letters: Vec<DeadLetterNotice>,
    /// Whether a dead letter was too large.
    pub(super) large_letter: bool,
    /// What was said of the destinations that are Lacuna's own.
    pub(super) own: BTreeMap<Arc<str>, Cow<'static, str>>,
}

impl Verdicts {
    /// Whether something has to be repeated that a stage waits for.
    pub(super) fn is_waited_for(&self) -> bool {
        !(self.tasks.is_empty() && self.statuses.is_empty() && self.letters.is_empty()) || self.tombstones
    }

    /// Decides about what was not confirmed. Effects that were are dropped.
    pub(super) fn of(effects: Vec<Effect>, failures: Vec<Failure>, circumstances: Circumstances) -> Self {
        let mut verdicts = Self::default();
        let is_task = |effect: &Effect| matches!(effect, Effect::Task(_));
        let is_of_task = |failure: &Failure| effects.get(failure.place).is_none_or(is_task);
        let is_of_size =
            |failure: &Failure| matches!(failure.fault, Fault::TooLarge { .. } | Fault::TooLargeTogether);
        let own_failed = failures
            .iter()
            .any(|failure| !is_of_task(failure) && !is_of_size(failure));
        let has_own = !effects.iter().all(is_task);
        let is_well = has_own && !own_failed && !circumstances.throttled;
        let most = if circumstances.throttled {
            ROUNDS_THROTTLED
        } else {
            ROUNDS
        };
        let is_late_by_destination = is_well || (!own_failed && circumstances.rounds >= most);
        let mut failures = failures.into_iter().peekable();
        for (place, effect) in effects.into_iter().enumerate() {
            if let Some(failure) = failures.next_if(|failure| failure.place == place) {
                verdicts.add(effect, failure, is_late_by_destination);
            }
        }
        verdicts
    }

    fn add(&mut self, effect: Effect, failure: Failure, is_late_by_destination: bool) {
        if failure.fault == Fault::TooLargeTogether {
            self.apart.push(effect);
            return;
        }
        match effect {
            Effect::Task(task) => return self.add_task(task, failure, is_late_by_destination),
            Effect::Status(status) => self.statuses.push(status.id),
            Effect::DeadLetter(letter) => {
                self.large_letter |= matches!(failure.fault, Fault::TooLarge { .. });
                self.letters.push(letter);
            }
            Effect::Suppression(_) | Effect::Tombstone(_) => self.tombstones = true,
        }
        self.own.insert(failure.destination, failure.why);
    }

    fn add_task(&mut self, task: TaskDispatch, failure: Failure, is_late_by_destination: bool) {
        match failure.fault {
            Fault::TooLarge { bytes, limit } => self.too_large.push(TooLarge {
                sent: task.sent(),
                processor: task.processor,
                destination: failure.destination,
                bytes,
                limit,
            }),
            Fault::Destination => self.refuse(task, failure),
            Fault::Late if is_late_by_destination => self.refuse(task, failure),
            Fault::Late | Fault::Transport | Fault::TooLargeTogether => self.tasks.push(task),
        }
    }

    fn refuse(&mut self, task: TaskDispatch, failure: Failure) {
        self.refused.push((task.sent(), failure.certain));
        let takes_nothing = TakesNothing {
            destination: failure.destination,
            why: failure.why,
        };
        self.shut.insert(task.processor, takes_nothing);
    }

    /// Adds what was decided about effects that were tried apart.
    pub(super) fn append(&mut self, mut other: Self) {
        self.too_large.append(&mut other.too_large);
        self.refused.append(&mut other.refused);
        self.shut.append(&mut other.shut);
        self.tasks.append(&mut other.tasks);
        self.statuses.append(&mut other.statuses);
        self.tombstones |= other.tombstones;
        self.letters.append(&mut other.letters);
        self.large_letter |= other.large_letter;
        self.own.append(&mut other.own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{time::At, words::DeadLetterReason},
        store::Origin,
    };

    fn effects() -> Vec<Effect> {
        let letter = DeadLetterNotice {
            reason: DeadLetterReason::Schema,
            origin: Origin {
                cluster: Arc::from("here"),
                topic: Arc::from("commands"),
                partition: 0,
                offset: 0,
                incarnation: 0,
            },
            at: At::default(),
            sealed: bytes::Bytes::new(),
        };
        let task = |processor| Effect::Task(TaskDispatch::for_tests(processor));
        vec![Effect::DeadLetter(letter), task("crm"), task("ads")]
    }

    fn judge(failed: &[(usize, Fault)], circumstances: Circumstances) -> Verdicts {
        let failure = |(place, fault): &(usize, Fault)| Failure {
            place: *place,
            fault: *fault,
            certain: false,
            destination: Arc::from(["letters", "crm", "ads"][*place]),
            why: Cow::Borrowed("it is said so"),
        };
        Verdicts::of(effects(), failed.iter().map(failure).collect(), circumstances)
    }

    const FIRST: Circumstances = Circumstances {
        rounds: 0,
        throttled: false,
    };

    #[test]
    fn one_destination_that_takes_nothing_is_waited_for_by_nobody() {
        for fault in [Fault::Destination, Fault::Late] {
            let verdicts = judge(&[(1, fault)], FIRST);
            assert_eq!(verdicts.refused.len(), 1, "{fault:?}");
            let shut: Vec<&str> = verdicts.shut.keys().map(ProcessorId::as_str).collect();
            assert_eq!(shut, ["crm"]);
            assert!(!verdicts.is_waited_for(), "{fault:?}");
        }
    }

    #[test]
    fn where_nothing_is_taken_everything_is_repeated() {
        let all = [0, 1, 2].map(|place| (place, Fault::Late));
        let verdicts = judge(&all, FIRST);
        assert_eq!((verdicts.letters.len(), verdicts.tasks.len()), (1, 2));
        assert!(verdicts.refused.is_empty());
        let verdicts = judge(&[(1, Fault::Transport), (2, Fault::Transport)], FIRST);
        assert_eq!((verdicts.tasks.len(), verdicts.refused.len()), (2, 0));
    }

    #[test]
    fn a_throttled_transport_blames_no_destination_soon() {
        let throttled = Circumstances {
            throttled: true,
            ..FIRST
        };
        let late = [(2, Fault::Late)];
        let verdicts = judge(&late, throttled);
        assert_eq!((verdicts.tasks.len(), verdicts.letters.len()), (1, 0));
        let verdicts = judge(
            &late,
            Circumstances {
                rounds: 5,
                ..throttled
            },
        );
        assert_eq!((verdicts.tasks.len(), verdicts.refused.len()), (0, 1));
    }

    #[test]
    fn what_was_too_large_together_is_tried_apart_first() {
        let verdicts = judge(&[(1, Fault::TooLargeTogether)], FIRST);
        assert_eq!((verdicts.apart.len(), verdicts.too_large.len()), (1, 0));
        let too_large = Fault::TooLarge {
            bytes: 9,
            limit: Some(8),
        };
        let verdicts = judge(&[(1, too_large)], FIRST);
        assert_eq!((verdicts.apart.len(), verdicts.too_large.len()), (0, 1));
        assert!(!verdicts.is_waited_for());
    }
}
