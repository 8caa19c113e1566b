//! People's decisions: cancel, retry, waive.

use super::*;
use crate::domain::{
    request::operate::DecisionError,
    words::{AbandonCause, Status},
};

fn cancel(bench: &mut Bench) -> Result<(), DecisionError> {
    bench.run(|request, context| match request.cancel(Some("ann"), context) {
        Ok(trail) => (Ok(()), trail),
        Err(refused) => (Err(refused), Trail::default()),
    })
}

fn retry(bench: &mut Bench, ordinal: u16) -> Result<(), DecisionError> {
    bench.run(|request, context| match request.retry(ordinal, "bob", context) {
        Ok(trail) => (Ok(()), trail),
        Err(refused) => (Err(refused), Trail::default()),
    })
}

fn waive(bench: &mut Bench, ordinal: u16) -> Result<(), DecisionError> {
    bench.run(|request, context| match request.waive(ordinal, "bob", context) {
        Ok(trail) => (Ok(()), trail),
        Err(refused) => (Err(refused), Trail::default()),
    })
}

fn scheduled(processors: Vec<Processor>) -> Bench {
    Bench::open_with(
        processors,
        &Opening {
            not_before: Some(START.plus(DAY)),
            ..opening()
        },
    )
}

#[test]
fn before_the_first_dispatch_a_request_can_be_withdrawn() {
    let after = Processor {
        after: vec![id("a")],
        ..processor("b")
    };
    let mut bench = scheduled(vec![processor("a"), after]);
    assert_eq!(cancel(&mut bench), Ok(()));
    assert_eq!(bench.request.life.status, Status::Cancelled);
    assert_eq!(bench.request.life.completed_at, Some(START));
    assert!(
        bench
            .request
            .tasks
            .iter()
            .all(|task| task.state == TaskState::Cancelled)
    );
    assert!(
        !bench.request.bookkeeping.readable,
        "nobody needs the identifiers any more"
    );
    assert_eq!(bench.request.bookkeeping.wake_at, None);
    assert_eq!(bench.request.revision, 2);
    assert!(bench.entries.contains(&Entry::ActedBy {
        actor: "ann".to_owned()
    }));
    bench.pass(10 * DAY);
    bench.wake();
    assert!(bench.dispatched.is_empty(), "invariant 3");
    assert_eq!(bench.request.life.status, Status::Cancelled);
    assert_eq!(cancel(&mut bench), Err(DecisionError::Closed));
}

#[test]
fn after_the_first_dispatch_it_is_too_late() {
    let after = Processor {
        after: vec![id("a")],
        ..processor("b")
    };
    let mut bench = Bench::open(vec![processor("a"), after]);
    let before = bench.request.clone();
    assert_eq!(cancel(&mut bench), Err(DecisionError::TooLate));
    bench.answer(0, failed()).unwrap();
    assert_eq!(
        cancel(&mut bench),
        Err(DecisionError::TooLate),
        "between two attempts as well"
    );
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(cancel(&mut bench), Err(DecisionError::TooLate));
    assert_ne!(bench.request, before, "work goes on");
    bench.answer(1, Answer::Erased).unwrap();
    assert_eq!(
        cancel(&mut bench),
        Err(DecisionError::TooLate),
        "an erasure is irreversible, also once it is complete"
    );
}

#[test]
fn a_refused_decision_changes_nothing() {
    let mut bench = Bench::open(vec![processor("a"), processor("b")]);
    bench.answer(0, Answer::Erased).unwrap();
    let before = bench.request.clone();
    assert_eq!(cancel(&mut bench), Err(DecisionError::TooLate));
    assert_eq!(retry(&mut bench, 0), Err(DecisionError::WrongState));
    assert_eq!(waive(&mut bench, 0), Err(DecisionError::WrongState));
    assert_eq!(bench.request, before);
}

#[test]
fn a_retry_is_a_new_generation() {
    let mut bench = Bench::open(vec![processor("a")]);
    bench.answer(0, Answer::Rejected).unwrap();
    let task_id = bench.request.task_id(0);
    assert_eq!(retry(&mut bench, 0), Ok(()));
    assert_eq!(bench.numbers(0), (2, 1, 0));
    assert_eq!(bench.request.task_id(0), task_id);
    assert_eq!(bench.dispatched, [0]);
    assert!(!bench.request.life.needs_attention);
    assert_eq!(
        bench.ack(0, 1, 1, Answer::Erased),
        Err(AckRejection::Stale),
        "generation 1 is over"
    );
    bench.ack(0, 2, 1, Answer::Erased).unwrap();
    assert_eq!(bench.request.life.status, Status::Completed);
    assert_eq!(retry(&mut bench, 0), Err(DecisionError::Closed));
}

#[test]
fn a_retry_starts_with_all_its_attempts() {
    let mut bench = Bench::open(vec![processor("a")]);
    for _ in 0..5 {
        bench.sleep();
    }
    assert_eq!(
        *bench.state(0),
        TaskState::Abandoned {
            cause: AbandonCause::AttemptsUsed
        }
    );
    retry(&mut bench, 0).unwrap();
    bench.answer(0, failed()).unwrap();
    assert_eq!(bench.numbers(0), (2, 1, 1));
    assert!(matches!(bench.state(0), TaskState::Ready { .. }));
}

#[test]
fn a_retry_does_not_open_a_gate() {
    let refuses = Processor {
        actions: vec![Action::Anonymize],
        ..processor("a")
    };
    let mut bench = scheduled(vec![refuses, processor("b")]);
    assert!(matches!(bench.state(0), TaskState::Abandoned { .. }));
    assert_eq!(
        retry(&mut bench, 0),
        Err(DecisionError::WrongState),
        "it still cannot do it"
    );
    bench.registry.processors[0].actions.push(Action::Erase);
    retry(&mut bench, 0).unwrap();
    assert!(
        bench.dispatched.is_empty(),
        "invariant 3: nothing is sent before its date"
    );
    assert_eq!(*bench.state(0), TaskState::Ready { due: START.plus(DAY) });
}

#[test]
fn what_was_never_sent_cannot_be_sent_again() {
    let after = Processor {
        after: vec![id("a")],
        ..processor("b")
    };
    let blocked = Processor {
        identities: vec![kind("phone")],
        ..processor("c")
    };
    let mut bench = Bench::open(vec![processor("a"), after, blocked]);
    assert_eq!(retry(&mut bench, 1), Err(DecisionError::WrongState));
    assert_eq!(retry(&mut bench, 2), Err(DecisionError::WrongState));
    let mut bench = scheduled(vec![processor("a")]);
    assert_eq!(retry(&mut bench, 0), Err(DecisionError::WrongState));
}

#[test]
fn a_task_that_names_nobody_is_never_sent() {
    // It supports nothing that is asked, and knows none of the identities: an operator's retry must not send it.
    let refuses = Processor {
        actions: vec![Action::Anonymize],
        identities: vec![kind("phone")],
        ..processor("a")
    };
    let mut bench = Bench::open(vec![refuses, processor("b")]);
    assert_eq!(*bench.state(0), TaskState::WithoutIdentity);
    assert_eq!(retry(&mut bench, 0), Err(DecisionError::WrongState));
}

#[test]
fn what_is_waived_closes_with_an_exception() {
    let mut bench = Bench::open(vec![processor("a"), processor("b")]);
    bench.answer(0, Answer::Erased).unwrap();
    bench.answer(1, Answer::Unsupported).unwrap();
    assert_eq!(waive(&mut bench, 1), Ok(()));
    assert_eq!(bench.request.life.status, Status::ClosedWithExceptions);
    assert!(!bench.request.bookkeeping.readable);
    assert_eq!(waive(&mut bench, 1), Err(DecisionError::Closed));
}

#[test]
fn a_waived_task_lets_others_go() {
    let after = Processor {
        after: vec![id("a")],
        ..processor("b")
    };
    let mut bench = Bench::open(vec![processor("a"), after]);
    bench.answer(0, Answer::Rejected).unwrap();
    assert_eq!(
        *bench.state(1),
        TaskState::Blocked,
        "what was given up is not out of the way"
    );
    waive(&mut bench, 0).unwrap();
    assert_eq!(bench.dispatched, [1]);
}

#[test]
fn a_parked_task_can_be_sent_again_or_waived() {
    let mut bench = Bench::open(vec![processor("a"), processor("b")]);
    for ordinal in [0, 1] {
        bench
            .answer(ordinal, retained(Some(START.plus(100 * DAY))))
            .unwrap();
    }
    assert_eq!(bench.request.life.status, Status::Deferred);
    retry(&mut bench, 0).unwrap();
    assert_eq!(
        (bench.numbers(0), bench.request.life.status),
        ((2, 1, 0), Status::InProgress)
    );
    waive(&mut bench, 1).unwrap();
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(bench.request.life.status, Status::ClosedWithExceptions);
}
