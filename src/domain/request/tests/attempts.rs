//! Failures: what they count, when the task is sent again, and when nobody sends it any more.

use super::*;
use crate::domain::{
    task::TaskEvent,
    words::{AbandonCause, Outcome},
};

fn due(bench: &Bench) -> At {
    match bench.state(0) {
        TaskState::Ready { due } => *due,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failure_counts_and_is_sent_again_by_the_registrys_schedule() {
    let mut bench = Bench::open(vec![processor("crm")]);
    bench.pass(HOUR / 2);
    bench.answer(0, failed()).unwrap();
    assert_eq!(due(&bench), bench.now.plus(10 * SECOND));
    assert_eq!(bench.numbers(0), (1, 1, 1));
    assert_eq!(bench.request.bookkeeping.wake_at, Some(due(&bench)));
    bench.sleep();
    assert_eq!(bench.numbers(0), (1, 2, 1));
    assert_eq!(bench.dispatched, [0]);
    bench.answer(0, failed()).unwrap();
    assert_eq!(due(&bench), bench.now.plus(20 * SECOND), "the schedule goes on");
}

#[test]
fn what_the_processor_asks_for_wins_over_the_schedule() {
    for answer in [
        Answer::Failed {
            retry_after_seconds: Some(7),
        },
        Answer::Partial {
            retry_after_seconds: Some(7),
        },
    ] {
        let mut bench = Bench::open(vec![processor("crm")]);
        bench.answer(0, answer).unwrap();
        assert_eq!(due(&bench), START.plus(7 * SECOND));
    }
    let mut bench = Bench::open(vec![processor("crm")]);
    bench
        .answer(
            0,
            Answer::Failed {
                retry_after_seconds: Some(0),
            },
        )
        .unwrap();
    assert_eq!(bench.numbers(0), (1, 2, 1), "at once");
}

#[test]
fn partial_costs_no_attempt() {
    let mut bench = Bench::open(vec![processor("crm")]);
    for attempt in 1..=20 {
        assert_eq!(bench.numbers(0), (1, attempt, 0));
        bench.answer(0, partial()).unwrap();
        bench.sleep();
    }
    bench.answer(0, Answer::Erased).unwrap();
    assert!(matches!(bench.state(0), TaskState::Done { .. }));
}

#[test]
fn the_last_attempt_abandons_loudly() {
    let mut bench = Bench::open(vec![processor("crm")]);
    for _ in 0..2 {
        bench.answer(0, failed()).unwrap();
        bench.sleep();
    }
    bench.answer(0, failed()).unwrap();
    assert_eq!(
        *bench.state(0),
        TaskState::Abandoned {
            cause: AbandonCause::AttemptsUsed
        }
    );
    assert_eq!(bench.numbers(0), (1, 3, 3));
    assert!(bench.request.life.needs_attention);
    assert_eq!(bench.request.life.status.as_str(), "in_progress");
    let last = bench.entries.iter().rev().find_map(|entry| match entry {
        Entry::Task { event, .. } => Some(event.clone()),
        _ => None,
    });
    let expected = TaskEvent::Abandoned {
        cause: AbandonCause::AttemptsUsed,
        outcome: Some(Outcome::Failed),
    };
    assert_eq!(last, Some(expected));
}

#[test]
fn failures_and_missing_answers_count_alike() {
    let mut bench = Bench::open(vec![processor("crm")]);
    bench.answer(0, failed()).unwrap();
    bench.sleep();
    bench.sleep();
    assert_eq!(bench.numbers(0), (1, 2, 2), "the second attempt was not answered");
    bench.sleep();
    assert_eq!(bench.numbers(0), (1, 3, 2));
    bench.sleep();
    assert_eq!(
        *bench.state(0),
        TaskState::Abandoned {
            cause: AbandonCause::AttemptsUsed
        }
    );
}

#[test]
fn rejected_and_unsupported_are_not_sent_again() {
    for (answer, cause) in [
        (Answer::Rejected, AbandonCause::Rejected),
        (Answer::Unsupported, AbandonCause::Unsupported),
    ] {
        let mut bench = Bench::open(vec![processor("crm")]);
        bench.answer(0, answer).unwrap();
        assert_eq!(*bench.state(0), TaskState::Abandoned { cause });
        assert!(bench.request.life.needs_attention);
    }
}

#[test]
fn present_is_a_failure() {
    let mut bench = Bench::open(vec![processor("crm")]);
    bench.answer(0, Answer::Present).unwrap();
    assert_eq!(due(&bench), START.plus(10 * SECOND));
    assert_eq!(bench.numbers(0), (1, 1, 1));
}

#[test]
fn a_failure_counts_once() {
    let mut bench = Bench::open(vec![processor("crm")]);
    bench.answer(0, failed()).unwrap();
    assert_eq!(bench.answer(0, failed()), Ok(Taken::Repeated));
    assert_eq!(bench.numbers(0), (1, 1, 1));
    bench.sleep();
    // The second copy comes when the next attempt is out: it says nothing about that one.
    assert_eq!(bench.ack(0, 1, 1, failed()), Err(AckRejection::Stale));
    assert_eq!(bench.numbers(0), (1, 2, 1));
}

#[test]
fn an_attempt_that_accepted_may_still_fail() {
    let mut bench = Bench::open(vec![processor("crm")]);
    bench.answer(0, accepted(None)).unwrap();
    bench.answer(0, failed()).unwrap();
    assert_eq!(bench.numbers(0), (1, 1, 1));
    assert!(matches!(bench.state(0), TaskState::Ready { .. }));
}

#[test]
fn a_lower_limit_of_attempts_counts_at_once() {
    let mut bench = Bench::open(vec![processor("crm")]);
    bench.answer(0, failed()).unwrap();
    bench.sleep();
    bench.registry.processors[0].retry.attempts = 1;
    bench.answer(0, failed()).unwrap();
    assert!(matches!(bench.state(0), TaskState::Abandoned { .. }));
}
