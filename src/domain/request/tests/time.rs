//! The passing of time: gates, missing answers, retries, deadlines, promises, and the row in the agenda.

use super::*;
use crate::domain::words::Why;

fn at_risk_from() -> At {
    // The period ends at 23:59:59 of the tenth day.
    let deadline = At::parse("2026-12-01T23:59:59Z").unwrap();
    let left = deadline.since(START).mul_f64(0.2);
    At::from_millis(deadline.millis() - i64::try_from(left.as_millis()).unwrap())
}

#[test]
fn nothing_is_sent_before_its_date() {
    let gate = START.plus(2 * DAY);
    let first = Processor {
        after: vec![id("a")],
        ..processor("b")
    };
    let mut bench = Bench::open_with(
        vec![processor("a"), first],
        &Opening {
            not_before: Some(gate),
            ..opening()
        },
    );
    assert_eq!(bench.request.life.status.as_str(), "scheduled");
    assert_eq!(bench.request.bookkeeping.wake_at, Some(gate));
    let waiting = bench.request.waiting_for();
    assert_eq!(
        (waiting[0].processor, waiting[0].why, waiting[0].until),
        (None, Why::NotBefore, Some(gate))
    );
    assert!(bench.dispatched.is_empty());
    bench.now = At::from_millis(gate.millis() - 1);
    bench.wake();
    assert!(bench.dispatched.is_empty());
    assert_eq!(bench.request.life.status.as_str(), "scheduled");
    bench.sleep();
    assert_eq!(bench.dispatched, [0]);
    assert_eq!(bench.request.life.status.as_str(), "in_progress");
}

#[test]
fn a_date_that_has_passed_is_no_gate() {
    for gate in [START, At::from_millis(START.millis() - 1)] {
        let bench = Bench::open_with(
            vec![processor("a")],
            &Opening {
                not_before: Some(gate),
                ..opening()
            },
        );
        assert_eq!(bench.dispatched, [0]);
        assert_eq!(bench.request.head.not_before, None);
    }
}

#[test]
fn a_dependency_that_ends_before_the_date_opens_nothing() {
    let exempt = Processor {
        identities: vec![kind("phone")],
        missing_identity: MissingIdentity::Exempt,
        ..processor("a")
    };
    let after = Processor {
        after: vec![id("a")],
        ..processor("b")
    };
    let gate = START.plus(2 * DAY);
    let mut bench = Bench::open_with(
        vec![exempt, after],
        &Opening {
            not_before: Some(gate),
            ..opening()
        },
    );
    assert_eq!(*bench.state(1), TaskState::Ready { due: gate });
    assert!(bench.dispatched.is_empty());
    bench.sleep();
    assert_eq!(bench.dispatched, [1]);
}

#[test]
fn an_answer_is_missing_only_when_it_would_have_been_read() {
    let mut bench = Bench::open(vec![processor("a")]);
    let ack_by = START.plus(ACK_TIMEOUT);
    bench.now = ack_by;
    for seen in [At::default(), START, ack_by] {
        bench.wake_seeing(seen);
        assert!(
            matches!(bench.state(0), TaskState::Dispatched { .. }),
            "it may lie unread in the topic"
        );
        assert!(
            bench.request.bookkeeping.wake_at.unwrap() > bench.now,
            "no busy loop"
        );
    }
    // A week without settling costs nobody an attempt.
    bench.pass(7 * DAY);
    bench.wake_seeing(ack_by);
    assert_eq!(bench.numbers(0), (1, 1, 0));
    bench.wake_seeing(At::from_millis(ack_by.millis() + 1));
    assert_eq!(bench.numbers(0), (1, 1, 1));
    assert!(matches!(bench.state(0), TaskState::Ready { .. }));
}

#[test]
fn an_answer_is_not_missing_before_its_time() {
    let mut bench = Bench::open(vec![processor("a")]);
    bench.now = At::from_millis(START.plus(ACK_TIMEOUT).millis() - 1);
    bench.wake_seeing(bench.now.plus(DAY));
    assert_eq!(bench.numbers(0), (1, 1, 0));
}

#[test]
fn overdue_one_millisecond_after_the_deadline_and_once() {
    let mut bench = Bench::open(vec![processor("a")]);
    bench.answer(0, Answer::Rejected).unwrap();
    let deadline = bench.request.life.clock.due;
    assert_eq!(deadline, At::parse("2026-12-01T23:59:59Z").unwrap());
    bench.sleep();
    assert_eq!((bench.now, bench.request.life.at_risk), (at_risk_from(), true));
    bench.now = deadline;
    bench.wake();
    assert!(
        !bench.request.life.overdue,
        "the last moment belongs to the period"
    );
    bench.sleep();
    assert_eq!(bench.now.millis(), deadline.millis() + 1);
    assert!(bench.request.life.overdue && !bench.request.life.at_risk);
    for _ in 0..5 {
        bench.sleep();
    }
    assert_eq!(bench.count_entries(|entry| *entry == Entry::Overdue), 1);
}

#[test]
fn a_request_that_comes_too_late_is_overdue_from_the_start() {
    let early = At::from_millis(START.millis() - i64::try_from((20 * DAY).as_millis()).unwrap());
    let bench = Bench::open_with(
        vec![processor("a")],
        &Opening {
            requested_at: Some(early),
            ..opening()
        },
    );
    assert!(bench.request.life.overdue);
    assert_eq!(bench.count_entries(|entry| *entry == Entry::Overdue), 1);
    assert_eq!(bench.dispatched, [0]);
}

#[test]
fn a_late_success_takes_the_flag_away() {
    let mut bench = Bench::open(vec![processor("a")]);
    bench.now = bench.request.life.clock.due.plus(DAY);
    bench.wake();
    assert!(bench.request.life.overdue);
    bench.ack(0, 1, 1, Answer::Erased).unwrap();
    assert!(!bench.request.life.overdue);
    assert_eq!(
        bench.request.life.live_clean_at,
        Some(bench.now),
        "late, and the time shows it"
    );
}

#[test]
fn a_promise_beyond_the_deadline_puts_it_at_risk_at_once() {
    let mut bench = Bench::open(vec![processor("a")]);
    bench
        .answer(0, accepted(Some(bench.request.life.clock.due)))
        .unwrap();
    assert!(!bench.request.life.at_risk);
    let mut bench = Bench::open(vec![processor("a")]);
    bench
        .answer(0, accepted(Some(bench.request.life.clock.due.plus(SECOND))))
        .unwrap();
    assert!(bench.request.life.at_risk);
    // A backup's promise is none of live systems.
    let backup = Processor {
        kind: ProcessorKind::Backup,
        ..processor("b")
    };
    let mut bench = Bench::open(vec![processor("a"), backup]);
    bench
        .answer(1, accepted(Some(bench.request.life.clock.due.plus(SECOND))))
        .unwrap();
    assert!(!bench.request.life.at_risk);
}

#[test]
fn a_promise_that_was_not_kept_needs_attention() {
    let mut bench = Bench::open(vec![processor("a")]);
    bench.answer(0, accepted(Some(START.plus(DAY)))).unwrap();
    assert!(!bench.request.life.needs_attention);
    bench.sleep();
    assert_eq!(bench.now, START.plus(DAY));
    assert!(bench.request.life.needs_attention);
    assert!(
        matches!(bench.state(0), TaskState::Accepted { .. }),
        "it is not asked again by itself"
    );
    let mut wakes = 0;
    while bench.now < START.plus(20 * DAY) {
        bench.sleep();
        wakes += 1;
    }
    assert!(wakes < 15, "{wakes} wakes in twenty days, and nothing to do");
    bench.answer(0, Answer::Erased).unwrap();
    assert!(!bench.request.life.needs_attention);
}

#[test]
fn missing_processor_needs_attention_and_is_asked_when_back() {
    let mut bench = Bench::open(vec![processor("a"), processor("b")]);
    bench.answer(1, Answer::Erased).unwrap();
    bench.answer(0, failed()).unwrap();
    let gone = bench.registry.processors.remove(0);
    bench.sleep();
    assert!(
        matches!(bench.state(0), TaskState::Ready { .. }),
        "nothing is lost"
    );
    assert!(bench.request.life.needs_attention);
    for _ in 0..3 {
        bench.sleep();
    }
    bench.registry.processors.push(gone);
    let back = bench.now;
    bench.sleep();
    assert_eq!(bench.dispatched, [0]);
    assert!(!bench.request.life.needs_attention);
    assert!(bench.now.since(back) <= HOUR, "it goes on by itself, and soon");
}

#[test]
fn a_request_that_nobody_answers_is_woken_a_few_times_only() {
    let mut bench = Bench::open(vec![processor("a"), processor("b"), processor("c")]);
    let mut wakes = 0;
    while bench.now < START.plus(100 * DAY) {
        let before = bench.now;
        bench.sleep();
        assert!(bench.now > before, "no busy loop");
        wakes += 1;
    }
    assert!(bench.request.life.overdue && bench.request.life.needs_attention);
    assert!(wakes < 150, "{wakes} wakes in a hundred days");
}

#[test]
fn waiting_for_says_why() {
    let after = Processor {
        after: vec![id("a")],
        ..processor("b")
    };
    let blocked = Processor {
        identities: vec![kind("phone")],
        ..processor("c")
    };
    let refuses = Processor {
        actions: vec![Action::Anonymize],
        ..processor("d")
    };
    let mut bench = Bench::open(vec![
        processor("a"),
        after,
        blocked,
        refuses,
        processor("e"),
        processor("f"),
    ]);
    bench.answer(4, accepted(Some(START.plus(DAY)))).unwrap();
    bench.answer(5, failed()).unwrap();
    let found: Vec<_> = bench
        .request
        .waiting_for()
        .iter()
        .map(|waiting| (waiting.why, waiting.until))
        .collect();
    let expected = [
        (Why::Ack, Some(START.plus(ACK_TIMEOUT))),
        (Why::Dependency, None),
        (Why::Identity, None),
        (Why::Abandoned, None),
        (Why::ExpectedCompletion, Some(START.plus(DAY))),
        (Why::Retry, Some(START.plus(10 * SECOND))),
    ];
    assert_eq!(found, expected);
}
