//! Processors that accept and say no more: their published term closes a task, which is never called erased.

use super::*;
use crate::domain::{
    backup::{BackupChange, BackupEvent},
    fact::Fact,
    hold::Hold,
    ids::{EventId, HoldId},
    registry::{BackupSet, CompletesBy, ConfirmBy},
    task::TaskEvent,
    words::{AbandonCause, HoldBasis, Outcome, Proof, Status, Why},
};

fn published(days: u16, probe: bool) -> Processor {
    Processor {
        completes_by: Some(CompletesBy {
            after: Period::days(days),
            probe,
        }),
        ..processor("crm")
    }
}

/// Accepted at the start, of a processor that has published thirty days.
fn promised(probe: bool) -> Bench {
    let mut bench = Bench::open(vec![published(30, probe)]);
    bench.answer(0, accepted(None)).unwrap();
    bench
}

/// The same, when the term has passed.
fn at_the_term(probe: bool) -> Bench {
    let mut bench = promised(probe);
    pass_the_term(&mut bench);
    bench
}

fn pass_the_term(bench: &mut Bench) {
    while bench.now < START.plus(30 * DAY) {
        bench.sleep();
    }
}

fn proof(bench: &Bench) -> Option<Proof> {
    match bench.state(0) {
        TaskState::Done { proof, .. } => Some(*proof),
        _ => None,
    }
}

fn assert_attested(bench: &Bench) {
    assert_eq!(proof(bench), Some(Proof::Attested), "{:?}", bench.state(0));
    let counts = bench.request.counts();
    assert_eq!((counts.done, counts.attested, counts.erased), (1, 1, 0));
    assert_eq!(bench.request.life.status, Status::Completed);
    assert_eq!(bench.request.task(0).outcome(), Some("attested"));
}

#[test]
fn a_published_term_closes_what_was_accepted_as_attested() {
    let mut bench = promised(false);
    let until = START.plus(30 * DAY);
    assert_eq!(
        *bench.state(0),
        TaskState::Attesting {
            at: START,
            expected_by: START.plus(ACK_TIMEOUT),
            until
        }
    );
    let waiting = bench.request.waiting_for();
    assert_eq!(
        (waiting[0].why, waiting[0].until),
        (Why::Attestation, Some(until))
    );
    bench.now = At::from_millis(until.millis() - 1000);
    bench.wake();
    assert_eq!(proof(&bench), None, "a second too early");
    assert!(!bench.request.life.needs_attention, "the term still runs");
    bench.pass(2 * SECOND);
    bench.wake();
    assert_attested(&bench);
    assert!(
        !bench.request.bookkeeping.readable,
        "nobody has to be asked any more"
    );
}

#[test]
fn a_proof_that_may_lie_unread_is_waited_for() {
    let mut bench = promised(false);
    bench.now = START.plus(31 * DAY);
    bench.wake_seeing(START.plus(30 * DAY));
    assert_eq!(proof(&bench), None);
    assert!(bench.request.bookkeeping.wake_at.unwrap() <= bench.now.plus(SECOND));
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(proof(&bench), Some(Proof::Erased));
}

#[test]
fn without_a_published_term_what_was_accepted_stays_open() {
    let mut bench = Bench::open(vec![processor("crm")]);
    bench.answer(0, accepted(None)).unwrap();
    bench.now = START.plus(400 * DAY);
    bench.wake();
    assert!(matches!(bench.state(0), TaskState::Accepted { .. }));
    assert!(bench.request.life.needs_attention && bench.request.life.overdue);
}

#[test]
fn a_term_past_the_deadline_puts_it_at_risk() {
    assert!(promised(false).request.life.at_risk);
    let mut bench = Bench::open(vec![published(2, false)]);
    bench.answer(0, accepted(None)).unwrap();
    assert!(!bench.request.life.at_risk);
}

#[test]
fn the_term_counts_as_it_is_registered_then() {
    let mut bench = promised(false);
    bench.registry.processors = vec![published(3, false)];
    bench.run(|request, context| ((), request.review(context).unwrap()));
    assert_eq!(bench.request.task(0).state.wake_at(), Some(START.plus(3 * DAY)));
    // Nobody has looked at it when the rule is gone: it is read again at the term.
    bench.registry.processors = vec![processor("crm")];
    bench.now = START.plus(4 * DAY);
    bench.wake();
    assert!(matches!(bench.state(0), TaskState::Accepted { .. }));
    assert!(bench.request.life.needs_attention);
    // One that comes later counts from the acceptance.
    bench.registry.processors = vec![published(5, false)];
    bench.run(|request, context| ((), request.review(context).unwrap()));
    assert_eq!(bench.request.task(0).state.wake_at(), Some(START.plus(5 * DAY)));
    assert!(!bench.request.life.needs_attention);
}

#[test]
fn a_processor_that_has_left_is_not_taken_at_its_term() {
    let mut bench = promised(false);
    bench.registry.processors = vec![processor("ads")];
    bench.run(|request, context| ((), request.review(context).unwrap()));
    assert!(bench.request.life.needs_attention);
    bench.now = START.plus(31 * DAY);
    bench.wake();
    assert_eq!(proof(&bench), None);
}

#[test]
fn with_a_probe_it_is_asked_first_and_absent_is_erased() {
    let mut bench = at_the_term(true);
    assert_eq!(bench.dispatched, [0]);
    assert_eq!(
        (bench.numbers(0), bench.request.task(0).asks()),
        ((2, 1, 0), Action::Verify)
    );
    bench.answer(0, Answer::Absent).unwrap();
    assert_eq!(proof(&bench), Some(Proof::Erased));
    assert_eq!(bench.request.counts().attested, 0);
    assert_eq!(bench.answer(0, Answer::Absent), Ok(Taken::Repeated));
}

#[test]
fn present_at_the_term_begins_the_next_generation() {
    let mut bench = at_the_term(true);
    bench.answer(0, Answer::Present).unwrap();
    assert_eq!(
        (bench.numbers(0), bench.request.task(0).asks()),
        ((3, 1, 0), Action::Erase)
    );
    // A new acceptance, a new term.
    bench.answer(0, accepted(None)).unwrap();
    let until = bench.now.plus(30 * DAY);
    assert_eq!(bench.request.task(0).state.wake_at(), Some(until));
    bench.now = until;
    bench.wake_seeing(until.plus(SECOND));
    assert_eq!(
        (bench.numbers(0), bench.request.task(0).asks()),
        ((4, 1, 0), Action::Verify)
    );
}

#[test]
fn a_probe_without_an_answer_is_attested_after_its_attempts() {
    let mut bench = at_the_term(true);
    let mut asked = 1;
    while bench.request.life.status == Status::InProgress {
        bench.sleep();
        asked += bench.dispatched.len();
    }
    assert_eq!(asked, 3, "as often as the registry says");
    assert_attested(&bench);
}

#[test]
fn a_probe_that_says_no_more_is_attested_at_once() {
    for answer in [accepted(None), Answer::Unsupported, Answer::Rejected] {
        let mut bench = at_the_term(true);
        bench.answer(0, answer).unwrap();
        assert_attested(&bench);
    }
    let mut bench = at_the_term(true);
    for _ in 0..2 {
        bench.answer(0, failed()).unwrap();
        bench.sleep();
    }
    bench.answer(0, failed()).unwrap();
    assert_attested(&bench);
}

#[test]
fn the_first_acks_proof_settles_while_the_probe_is_out() {
    let mut bench = at_the_term(true);
    assert_eq!(bench.ack(0, 1, 1, failed()), Err(AckRejection::Stale));
    bench.ack(0, 1, 1, Answer::Erased).unwrap();
    assert_eq!(proof(&bench), Some(Proof::Erased));
    assert_eq!(bench.answer(0, Answer::Absent), Ok(Taken::Repeated));
}

#[test]
fn a_proof_after_the_term_takes_its_place() {
    let mut bench = at_the_term(false);
    bench.pass(5 * DAY);
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(
        *bench.state(0),
        TaskState::Done {
            proof: Proof::Erased,
            at: bench.now
        }
    );
    let counts = bench.request.counts();
    assert_eq!((counts.attested, counts.erased), (0, 1));
    assert_eq!(bench.request.life.status, Status::Completed);
    assert_eq!(bench.answer(0, Answer::Erased), Ok(Taken::Repeated));
    assert_eq!(bench.answer(0, Answer::NotFound), Err(AckRejection::Stale));
}

#[test]
fn present_after_the_attestation_opens_it_again_loudly() {
    let mut bench = at_the_term(true);
    bench.answer(0, accepted(None)).unwrap();
    assert_attested(&bench);
    bench.answer(0, Answer::Present).unwrap();
    let life = &bench.request.life;
    assert_eq!(
        (life.status, life.completed_at, life.live_clean_at),
        (Status::InProgress, None, None)
    );
    assert!(
        life.needs_attention,
        "its identifiers are gone, so nobody can be asked"
    );
    assert!(bench.dispatched.is_empty());
}

#[test]
fn other_answers_after_the_attestation_change_nothing() {
    for answer in [failed(), Answer::Rejected, retained(None), Answer::Present] {
        let mut bench = at_the_term(false);
        let before = bench.request.clone();
        assert_eq!(bench.answer(0, answer), Err(AckRejection::Stale));
        assert_eq!(bench.request, before);
    }
    let mut bench = at_the_term(false);
    assert_eq!(bench.answer(0, accepted(None)), Ok(Taken::Repeated));
}

fn nightly() -> Processor {
    Processor {
        kind: ProcessorKind::Backup,
        backup: Some(BackupSet {
            sources: vec![id("crm")],
            set: label("nightly"),
            keep: Period::days(35),
            confirm_by: ConfirmBy::Schedule,
            overdue_after: Period::days(2),
            erase_by_key: false,
        }),
        ..processor("nightly")
    }
}

#[test]
fn copies_grow_old_from_the_attestation() {
    let mut bench = Bench::open(vec![published(30, false), nightly()]);
    bench.answer(0, accepted(None)).unwrap();
    pass_the_term(&mut bench);
    let TaskState::Done { at, .. } = *bench.state(0) else {
        panic!("{:?}", bench.state(0));
    };
    let horizon = |confirmed: At| Some(confirmed.plus(35 * DAY).plus(SKEW));
    assert_eq!(bench.request.task(1).state.wake_at(), horizon(at));
    // A proof that comes later says that data may have been copied until then.
    bench.pass(3 * DAY);
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(bench.request.task(1).state.wake_at(), horizon(bench.now));
}

#[test]
fn a_proof_after_the_copies_had_grown_old_lets_them_grow_anew() {
    let mut bench = Bench::open(vec![published(30, false), nightly()]);
    bench.answer(0, accepted(None)).unwrap();
    while !bench.request.life.status.is_final() {
        bench.sleep();
    }
    bench.pass(DAY);
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(bench.request.life.status, Status::Deferred);
    let horizon = bench.now.plus(35 * DAY).plus(SKEW);
    assert_eq!(bench.request.task(1).state.wake_at(), Some(horizon));
}

#[test]
fn a_restore_brings_back_what_was_attested() {
    let mut bench = at_the_term(false);
    let restored = Fact::Backup(BackupEvent {
        event_id: EventId(Uuid::nil()),
        processor: id("nightly"),
        set: label("nightly"),
        change: BackupChange::Restored {
            taken_at: START.plus(20 * DAY),
            restored_into: vec![id("crm")],
        },
        at: None,
    });
    bench.facts.learn(1, bench.now, &restored);
    bench.run(|request, context| ((), request.review(context).unwrap()));
    assert_eq!(bench.request.life.status, Status::InProgress);
    assert_eq!(bench.request.task(0).generation, 2);
}

#[test]
fn a_hold_keeps_the_probe_back_and_not_the_term() {
    let hold = Fact::Hold(Hold {
        hold_id: HoldId(Uuid::from_u128(9)),
        tenant: Tenant::new("acme").unwrap(),
        basis: HoldBasis::LegalClaims,
        actor: "ann".to_owned(),
        subject: Vec::new(),
        found: Vec::new(),
        request_id: None,
        processor: Some(id("crm")),
        categories: Vec::new(),
        placed_at: START,
    });
    let mut bench = promised(true);
    bench.facts.learn(1, START, &hold);
    pass_the_term(&mut bench);
    assert!(matches!(bench.state(0), TaskState::Held { .. }));
    let mut bench = promised(false);
    bench.facts.learn(1, START, &hold);
    pass_the_term(&mut bench);
    assert_attested(&bench);
}

#[test]
fn no_second_look_follows_a_term() {
    let with_looks = Processor {
        verify_after: Some(Period::days(7)),
        sweep_after: Some(Period::days(1)),
        ..published(30, true)
    };
    let mut bench = Bench::open(vec![with_looks]);
    bench.answer(0, accepted(None)).unwrap();
    pass_the_term(&mut bench);
    bench.answer(0, Answer::Absent).unwrap();
    assert_eq!(proof(&bench), Some(Proof::Erased));
}

#[test]
fn an_operator_has_it_done_again_once_the_promise_has_passed() {
    let mut bench = promised(false);
    let retry = |bench: &mut Bench| {
        bench.run(|request, context| match request.retry(0, "bob", context) {
            Ok(trail) => (true, trail),
            Err(_) => (false, Trail::default()),
        })
    };
    assert!(!retry(&mut bench), "its promise still runs");
    bench.pass(ACK_TIMEOUT);
    assert!(retry(&mut bench));
    assert_eq!(bench.numbers(0), (2, 1, 0));
}

#[test]
fn the_ledger_says_that_a_term_has_closed_it() {
    let bench = at_the_term(false);
    let attested = |entry: &Entry| {
        matches!(
            entry,
            Entry::Task {
                event: TaskEvent::Settled {
                    proof: Proof::Attested,
                    ..
                },
                ..
            }
        )
    };
    assert_eq!(bench.count_entries(attested), 1);
    assert_eq!(bench.request.task(0).answered, Some(Outcome::Accepted));
    let abandoned = |entry: &Entry| {
        matches!(
            entry,
            Entry::Task {
                event: TaskEvent::Abandoned {
                    cause: AbandonCause::AttemptsUsed,
                    ..
                },
                ..
            }
        )
    };
    assert_eq!(bench.count_entries(abandoned), 0);
}

#[test]
fn the_shortest_way_ends_at_the_term() {
    for probe in [false, true] {
        let mut bench = promised(probe);
        let best = bench.see(|request, context| request.best_case(context));
        assert_eq!(best.closed, Some((Status::Completed, START.plus(30 * DAY))));
    }
}
