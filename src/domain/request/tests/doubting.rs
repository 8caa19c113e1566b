//! Processors for which the same task twice is not harmless: after a lost answer they are asked before they are sent it
//! again.

use super::*;
use crate::domain::{
    registry::CompletesBy,
    request::queue::NotSent,
    task::{Purpose, Queued, TaskEvent},
    words::{AbandonCause, Proof, Status},
};

/// Sent once to a processor that must not be sent the same twice.
fn sent() -> Bench {
    sent_to(processor("crm"))
}

fn sent_to(of: Processor) -> Bench {
    let delicate = Processor {
        idempotent: false,
        ..of
    };
    let mut bench = Bench::open(vec![delicate]);
    assert_eq!(
        *bench.state(0),
        TaskState::Queued {
            due: START,
            why: Queued::Turn
        },
        "the relay sends what nobody confirmed again, so it has a queue"
    );
    bench.claims.insert((bench.request.id, 0));
    bench.wake();
    assert_eq!(bench.dispatched, [0]);
    bench
}

fn lose(bench: &mut Bench) {
    let lost = Answer::Lost {
        retry_after_seconds: None,
    };
    bench.answer(0, lost).unwrap();
}

/// The next message that leaves.
fn next_asks(bench: &mut Bench) -> Action {
    for _ in 0..10 {
        bench.pass(60 * SECOND);
        bench.wake_seeing(bench.now.plus(SECOND));
        if !bench.dispatched.is_empty() {
            return bench.request.task(0).asks();
        }
    }
    panic!("nothing leaves: {:?}", bench.state(0));
}

fn done(bench: &Bench) -> Option<Proof> {
    match bench.state(0) {
        TaskState::Done { proof, .. } => Some(*proof),
        _ => None,
    }
}

#[test]
fn a_lost_answer_is_asked_about_before_it_is_sent_again() {
    let mut bench = sent();
    lose(&mut bench);
    assert_eq!(bench.request.task(0).asks(), Action::Verify);
    assert_eq!(next_asks(&mut bench), Action::Verify);
    bench.answer(0, Answer::Present).unwrap();
    assert_eq!(next_asks(&mut bench), Action::Erase);
    assert_eq!(bench.numbers(0), (3, 1, 1), "the send that was lost counts");
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(done(&bench), Some(Proof::Erased));
}

#[test]
fn absent_after_a_lost_answer_settles_it_as_not_found() {
    let mut bench = sent();
    lose(&mut bench);
    next_asks(&mut bench);
    bench.answer(0, Answer::Absent).unwrap();
    assert_eq!(done(&bench), Some(Proof::NotFound));
    assert_eq!(bench.answer(0, Answer::Absent), Ok(Taken::Repeated));
    assert_eq!(bench.request.life.status, Status::Completed);
}

#[test]
fn an_answer_that_does_not_come_in_time_is_lost() {
    // Also where the worker that had claimed it has died: nothing else tells.
    let mut bench = sent();
    bench.pass(2 * ACK_TIMEOUT);
    bench.wake_seeing(bench.now.plus(SECOND));
    assert!(matches!(
        bench.request.task(0).purpose,
        Purpose::Check { of: 1, sends: 1, .. }
    ));
    assert_eq!(next_asks(&mut bench), Action::Verify);
}

#[test]
fn what_its_topic_did_not_confirm_is_asked_about() {
    use crate::domain::{request::undeliverable::NotTaken, task::Undelivered};
    for (certain, asks) in [(true, Action::Erase), (false, Action::Verify)] {
        let mut bench = sent();
        let not_taken = [NotTaken {
            ordinal: 0,
            generation: 1,
            attempt: 1,
            why: Undelivered::Refused,
            certain,
        }];
        bench.run(|request, context| ((), request.put_back(&not_taken, context).unwrap()));
        assert_eq!(bench.request.task(0).asks(), asks, "{certain}");
        assert_eq!(next_asks(&mut bench), asks, "{certain}");
        assert_eq!(bench.request.task(0).counted, 0, "no processor has failed");
    }
}

#[test]
fn what_certainly_did_not_leave_is_sent_without_a_question() {
    let mut bench = sent();
    let not_sent = [NotSent {
        ordinal: 0,
        generation: 1,
        attempt: 1,
    }];
    bench.claims.clear();
    bench.run(|request, context| ((), request.give_back(&not_sent, context).unwrap()));
    bench.claims.insert((bench.request.id, 0));
    assert_eq!(next_asks(&mut bench), Action::Erase);
    assert_eq!(bench.request.task(0).generation, 1);
}

#[test]
fn what_was_answered_is_sent_again_without_a_question() {
    let not_now = Answer::NotNow {
        retry_after_seconds: None,
    };
    for answer in [failed(), partial(), not_now] {
        let mut bench = sent();
        bench.answer(0, answer).unwrap();
        assert_eq!(next_asks(&mut bench), Action::Erase);
    }
}

#[test]
fn a_late_proof_of_the_first_send_settles_it() {
    let mut bench = sent();
    lose(&mut bench);
    let mut waiting = bench.clone();
    waiting.ack(0, 1, 1, Answer::Erased).unwrap();
    assert_eq!(done(&waiting), Some(Proof::Erased), "before it was asked");
    next_asks(&mut bench);
    bench.ack(0, 1, 1, Answer::Erased).unwrap();
    assert_eq!(done(&bench), Some(Proof::Erased));
    assert_eq!(bench.answer(0, Answer::Absent), Ok(Taken::Repeated));
    assert_eq!(bench.ack(0, 1, 1, Answer::Erased), Ok(Taken::Repeated));
}

#[test]
fn a_late_acceptance_of_the_first_send_keeps_it_from_another() {
    let mut bench = sent();
    lose(&mut bench);
    next_asks(&mut bench);
    bench.ack(0, 1, 1, accepted(None)).unwrap();
    assert!(matches!(bench.state(0), TaskState::Accepted { .. }));
    // It is on its way, so that it is still there is no news.
    assert_eq!(bench.answer(0, Answer::Present), Ok(Taken::Repeated));
    assert_eq!(bench.ack(0, 1, 1, accepted(None)), Ok(Taken::Repeated));
    bench.ack(0, 1, 1, Answer::Erased).unwrap();
    assert_eq!(done(&bench), Some(Proof::Erased));
}

#[test]
fn a_late_failure_of_the_first_send_does_not_count() {
    for answer in [failed(), Answer::Rejected, retained(None), Answer::Present] {
        let mut bench = sent();
        lose(&mut bench);
        next_asks(&mut bench);
        let before = bench.request.clone();
        assert_eq!(bench.ack(0, 1, 1, answer), Err(AckRejection::Stale));
        assert_eq!(bench.request, before);
    }
}

#[test]
fn a_question_without_an_answer_ends_with_an_operator() {
    let mut bench = sent();
    lose(&mut bench);
    for _ in 0..3 {
        assert_eq!(next_asks(&mut bench), Action::Verify);
        bench.answer(0, accepted(None)).unwrap();
    }
    let given_up = TaskState::Abandoned {
        cause: AbandonCause::AttemptsUsed,
    };
    assert_eq!(*bench.state(0), given_up);
    assert!(bench.request.life.needs_attention);
    // What an operator has done again is asked about first: nobody knows yet.
    bench.run(|request, context| ((), request.retry(0, "bob", context).unwrap()));
    assert_eq!(next_asks(&mut bench), Action::Verify);
    bench.answer(0, Answer::Present).unwrap();
    assert_eq!(next_asks(&mut bench), Action::Erase);
    assert_eq!(bench.request.task(0).counted, 0, "a new beginning");
}

#[test]
fn answers_that_are_always_lost_use_up_the_attempts() {
    let mut bench = sent();
    let mut sends = 1;
    loop {
        lose(&mut bench);
        assert_eq!(next_asks(&mut bench), Action::Verify);
        bench.answer(0, Answer::Present).unwrap();
        if matches!(bench.state(0), TaskState::Abandoned { .. }) {
            break;
        }
        assert_eq!(next_asks(&mut bench), Action::Erase);
        sends += 1;
    }
    assert_eq!(sends, 3, "as often as the registry says");
}

#[test]
fn what_was_promised_and_not_kept_is_asked_about_before_a_retry() {
    let mut bench = sent();
    bench.answer(0, accepted(None)).unwrap();
    bench.pass(2 * ACK_TIMEOUT);
    bench.run(|request, context| ((), request.retry(0, "bob", context).unwrap()));
    assert_eq!(next_asks(&mut bench), Action::Verify);
}

#[test]
fn a_question_is_not_kept_back_for_a_person_who_is_back() {
    let mut bench = sent();
    lose(&mut bench);
    let now = bench.now;
    bench.run(|request, context| ((), request.reactivate(now, context).unwrap()));
    assert_eq!(next_asks(&mut bench), Action::Verify);
    bench.answer(0, Answer::Present).unwrap();
    bench.pass(HOUR);
    bench.wake();
    assert!(
        bench.request.life.needs_attention,
        "erasing again takes somebody who wants it"
    );
}

#[test]
fn a_late_acceptance_has_a_term_of_its_own() {
    let term = CompletesBy {
        after: Period::days(3),
        probe: true,
    };
    let mut bench = sent_to(Processor {
        completes_by: Some(term),
        ..processor("crm")
    });
    lose(&mut bench);
    bench.ack(0, 1, 1, accepted(None)).unwrap();
    bench.pass(3 * DAY);
    assert_eq!(next_asks(&mut bench), Action::Verify);
    assert!(matches!(
        bench.request.task(0).purpose,
        Purpose::Probe { of: 1, .. }
    ));
    bench.ack(0, 1, 1, Answer::Erased).unwrap();
    assert_eq!(done(&bench), Some(Proof::Erased));
}

#[test]
fn the_ledger_says_that_nobody_knew() {
    let mut bench = sent();
    lose(&mut bench);
    let doubted = |entry: &Entry| {
        matches!(
            entry,
            Entry::Task {
                event: TaskEvent::ResultUnknown { sends: 1, .. },
                ..
            }
        )
    };
    assert_eq!(bench.count_entries(doubted), 1);
}
