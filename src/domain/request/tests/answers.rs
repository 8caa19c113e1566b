//! The whole table: every outcome in every state, from the current attempt, an earlier one, a later one, and from other
//! generations.

use super::*;
use crate::domain::words::{Proof, TaskStateName};

/// In the order of the table's columns.
fn every_answer() -> [Answer; 11] {
    [
        accepted(None),
        Answer::Erased,
        Answer::Anonymized,
        Answer::NotFound,
        retained(Some(START.plus(100 * DAY))),
        partial(),
        failed(),
        Answer::Rejected,
        Answer::Unsupported,
        Answer::Present,
        Answer::Absent,
    ]
}

/// One processor that takes `anonymized` for an erasure, at generation 2 and attempt 2.
fn second_attempt() -> Bench {
    let lenient = Processor {
        accept_anonymized: true,
        ..processor("crm")
    };
    let mut bench = Bench::open(vec![lenient, processor("other")]);
    bench.answer(0, Answer::Rejected).unwrap();
    bench.run(|request, context| ((), request.retry(0, "operator", context).unwrap()));
    bench.answer(0, failed()).unwrap();
    bench.sleep();
    assert_eq!(
        (bench.numbers(0), bench.state(0).name()),
        ((2, 2, 1), TaskStateName::Dispatched)
    );
    bench
}

/// A bench whose first task has come to a state by itself.
fn in_state(name: &str) -> Bench {
    let mut bench = second_attempt();
    match name {
        "dispatched" => {}
        "accepted" => drop(bench.answer(0, accepted(None)).unwrap()),
        "ready" => drop(bench.answer(0, failed_with(3600)).unwrap()),
        "parked" => drop(bench.answer(0, retained(Some(START.plus(50 * DAY)))).unwrap()),
        "done" => drop(bench.answer(0, Answer::Erased).unwrap()),
        "exempt" => drop(bench.answer(0, retained(None)).unwrap()),
        "abandoned" => drop(bench.answer(0, Answer::Rejected).unwrap()),
        "waived" => bench.run(|request, context| ((), request.waive(0, "operator", context).unwrap())),
        _ => unreachable!("{name}"),
    }
    assert_eq!(bench.state(0).name().as_str(), name);
    bench
}

fn failed_with(seconds: u32) -> Answer {
    Answer::Failed {
        retry_after_seconds: Some(seconds),
    }
}

/// `D` done, `A` accepted, `P` parked, `R` ready again, `X` abandoned; `r` repeated, `s` stale.
const CURRENT: [(&str, &str); 8] = [
    // accepted erased anonymized not_found retained partial failed rejected unsupported present absent
    ("dispatched", "ADDDPRRXXRD"),
    ("accepted", "rDDDPRRXXRD"),
    ("ready", "sDDDssrsssD"),
    ("parked", "sDDDrssssSD"),
    ("done", "rrssssssSss"),
    ("exempt", "ssssrssssss"),
    ("abandoned", "sDDDsssrssD"),
    ("waived", "sssssssssss"),
];

/// Only a success of an earlier attempt counts.
const EARLIER: [(&str, &str); 8] = [
    ("dispatched", "sDDDssssssD"),
    ("accepted", "sDDDssssssD"),
    ("ready", "sDDDssssssD"),
    ("parked", "sDDDssssssD"),
    ("done", "rrrrssssssr"),
    ("exempt", "sssssssssss"),
    ("abandoned", "sDDDssssssD"),
    ("waived", "sssssssssss"),
];

fn outcome_of(before: &Bench, generation: u32, attempt: u32, answer: &Answer) -> char {
    let mut bench = before.clone();
    match bench.ack(0, generation, attempt, answer.clone()) {
        Ok(Taken::Counted { ordinal: 0, .. }) => {
            assert_eq!(bench.request.revision, before.request.revision + 1);
            match bench.state(0) {
                TaskState::Done { .. } => 'D',
                TaskState::Accepted { .. } => 'A',
                TaskState::Parked { .. } => 'P',
                TaskState::Ready { .. } => 'R',
                TaskState::Abandoned { .. } => 'X',
                other => panic!("{other:?}"),
            }
        }
        Ok(Taken::Counted { ordinal: other, .. }) => panic!("task {other} changed"),
        unchanged => {
            assert_eq!(
                bench.request, before.request,
                "what does not count changes nothing"
            );
            assert_eq!(bench.entries.len(), before.entries.len());
            match unchanged {
                Ok(_) => 'r',
                Err(AckRejection::Stale) => 's',
                Err(other) => panic!("{other}"),
            }
        }
    }
}

fn check(table: &[(&str, &str)], generation: u32, attempt: u32) {
    for (name, row) in table {
        let before = in_state(name);
        for (answer, expected) in every_answer().iter().zip(row.chars()) {
            let found = outcome_of(&before, generation, attempt, answer);
            assert_eq!(
                found,
                if expected == 'S' { 's' } else { expected },
                "{name} + {} of generation {generation}, attempt {attempt}",
                answer.outcome()
            );
        }
    }
}

#[test]
fn the_current_attempt() {
    check(&CURRENT, 2, 2);
}

#[test]
fn an_earlier_attempt_of_this_generation() {
    check(&EARLIER, 2, 1);
}

#[test]
fn a_later_attempt_and_another_generation_are_stale() {
    let stale: Vec<_> = CURRENT.iter().map(|(name, _)| (*name, "sssssssssss")).collect();
    for (generation, attempt) in [
        (2, 3),
        (2, u32::MAX),
        (1, 1),
        (1, 2),
        (3, 1),
        (3, 2),
        (u32::MAX, 2),
    ] {
        check(&stale, generation, attempt);
    }
}

#[test]
fn a_task_that_was_never_sent_takes_no_answer() {
    let after = Processor {
        after: vec![id("crm")],
        ..processor("ads")
    };
    let bench = Bench::open(vec![processor("crm"), after]);
    assert_eq!(*bench.state(1), TaskState::Blocked);
    for answer in every_answer() {
        let mut bench = bench.clone();
        assert_eq!(bench.ack(1, 1, 1, answer), Err(AckRejection::Stale));
    }
}

#[test]
fn a_withdrawn_request_takes_no_answer() {
    let later = Opening {
        not_before: Some(START.plus(DAY)),
        ..opening()
    };
    let mut bench = Bench::open_with(vec![processor("crm")], &later);
    bench.run(|request, context| ((), request.cancel(None, context).unwrap()));
    for answer in every_answer() {
        assert_eq!(bench.clone().ack(0, 1, 1, answer), Err(AckRejection::Stale));
    }
}

#[test]
fn what_is_forged_or_unknown_changes_nothing_whatever_it_says() {
    for answer in every_answer() {
        let mut bench = second_attempt();
        let before = bench.request.clone();
        let ack = bench.ack_of(0, 2, 2, answer.clone());
        assert_eq!(bench.take(&ack, false), Err(AckRejection::Forged), "a bad token");
        let foreign = Ack {
            processor: id("other"),
            ..ack.clone()
        };
        assert_eq!(
            bench.take(&foreign, true),
            Err(AckRejection::Forged),
            "another processor"
        );
        let unknown = Ack {
            task_id: bench.request.task_id(2),
            ..ack
        };
        assert_eq!(bench.take(&unknown, true), Err(AckRejection::UnknownTask));
        assert_eq!(bench.request, before);
        assert!(bench.dispatched.is_empty());
    }
}

#[test]
fn a_success_says_how_it_was_proved() {
    for (answer, proof) in [
        (Answer::Erased, Proof::Erased),
        (Answer::Anonymized, Proof::Anonymized),
        (Answer::NotFound, Proof::NotFound),
        (Answer::Absent, Proof::NotFound),
    ] {
        let mut bench = second_attempt();
        bench.answer(0, answer).unwrap();
        assert_eq!(*bench.state(0), TaskState::Done { proof, at: bench.now });
    }
}
