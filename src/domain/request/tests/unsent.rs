//! Retries of what was never sent: they wait behind the gates like everything else, and take nothing from anybody.

use super::*;
use crate::domain::{
    backup::{BackupChange, BackupEvent},
    command::Decision,
    fact::Fact,
    ids::EventId,
    registry::{BackupSet, ConfirmBy, Retention},
    request::gates::ClosedGate,
    task::{Purpose, Sent},
    words::{AbandonCause, RefusalBasis, Status},
};

fn retry(bench: &mut Bench, ordinal: u16) {
    bench.run(|request, context| ((), request.retry(ordinal, "bob", context).unwrap()));
}

fn keeping(name: &str) -> Processor {
    Processor {
        retention: vec![Retention {
            categories: vec![label("invoices")],
            basis: label("tax_law"),
            keep: Period::days(400),
            then: Action::Erase,
            from: None,
        }],
        ..processor(name)
    }
}

/// Waits for an approval, with a share that a law keeps.
fn awaiting() -> Bench {
    let bench = Bench::open_under(vec![keeping("a"), processor("b")], &opening(), &rules(), true);
    assert!(bench.dispatched.is_empty());
    bench
}

/// Nothing has gone, and everything can still be taken back.
fn assert_nothing_went(bench: &mut Bench) {
    assert!(bench.dispatched.is_empty(), "sent unapproved");
    assert_eq!(bench.request.closed_gate(bench.now), Some(ClosedGate::Approval));
    assert_eq!(bench.request.life.status, Status::AwaitingApproval);
    assert!(bench.request.tasks.iter().all(|task| !task.was_sent()));
    bench.wake();
    assert!(bench.dispatched.is_empty(), "sent unapproved by the agenda");
    let mut cancelled = bench.clone();
    cancelled.run(|request, context| ((), request.cancel(Some("ann"), context).unwrap()));
    assert_eq!(cancelled.request.life.status, Status::Cancelled);
    let refusal = Decision::Refuse {
        basis: RefusalBasis::Excessive,
        processor: None,
    };
    let mut refused = bench.clone();
    super::gates::decide(&mut refused, &refusal, "clerk").unwrap();
    assert_eq!(refused.request.life.status, Status::Refused);
}

#[test]
fn a_retry_of_a_parked_share_waits_behind_the_approval() {
    let mut bench = awaiting();
    assert!(matches!(bench.state(1), TaskState::Parked { .. }));
    retry(&mut bench, 1);
    assert_eq!(bench.request.task(1).purpose, Purpose::Retried);
    assert_nothing_went(&mut bench);
    super::gates::decide(&mut bench, &Decision::Approve, "clerk").unwrap();
    assert_eq!(
        bench.dispatched,
        [0, 1, 2],
        "the retried share goes with the rest"
    );
}

#[test]
fn retry_of_unsupported_task_waits_behind_approval() {
    let unable = Processor {
        actions: vec![Action::Anonymize],
        ..processor("a")
    };
    let mut bench = Bench::open_under(vec![unable, processor("b")], &opening(), &rules(), true);
    let cause = AbandonCause::Unsupported;
    assert_eq!(*bench.state(0), TaskState::Abandoned { cause });
    bench.registry.processors[0].actions.push(Action::Erase);
    retry(&mut bench, 0);
    assert_nothing_went(&mut bench);
}

#[test]
fn a_retry_for_one_who_is_back_waits_behind_the_approval() {
    let mut bench = awaiting();
    bench.run(|request, context| ((), request.reactivate(START, context).unwrap()));
    retry(&mut bench, 0);
    assert_nothing_went(&mut bench);
}

#[test]
fn a_retry_of_an_abandoned_wave_waits_behind_the_approval() {
    let set = Processor {
        kind: ProcessorKind::Backup,
        actions: vec![Action::Anonymize],
        backup: Some(BackupSet {
            sources: vec![id("a")],
            set: label("nightly"),
            keep: Period::days(35),
            confirm_by: ConfirmBy::Ack,
            overdue_after: Period::days(2),
            erase_by_key: false,
        }),
        ..processor("nightly")
    };
    let mut bench = Bench::open_under(vec![processor("a"), set], &opening(), &rules(), true);
    assert!(matches!(bench.state(1), TaskState::Abandoned { .. }));
    bench.registry.processors[1].actions.push(Action::Erase);
    retry(&mut bench, 1);
    assert_nothing_went(&mut bench);
}

#[test]
fn a_retry_before_the_date_goes_on_the_date() {
    let mut bench = Bench::open_with(
        vec![keeping("a")],
        &Opening {
            not_before: Some(START.plus(DAY)),
            ..opening()
        },
    );
    retry(&mut bench, 1);
    assert_eq!(bench.request.life.status, Status::Scheduled);
    assert!(bench.dispatched.is_empty());
    bench.sleep();
    assert_eq!((bench.now, &bench.dispatched[..]), (START.plus(DAY), &[0, 1][..]));
}

#[test]
fn restore_ignores_retried_task_that_was_never_sent() {
    let mut bench = awaiting();
    retry(&mut bench, 1);
    let restored = Fact::Backup(BackupEvent {
        event_id: EventId(Uuid::from_u128(1)),
        processor: id("nightly"),
        set: label("nightly"),
        change: BackupChange::Restored {
            taken_at: START,
            restored_into: vec![id("a")],
        },
        at: None,
    });
    bench.facts.learn(1, bench.now, &restored);
    bench.run(|request, context| ((), request.review(context).unwrap()));
    assert_nothing_went(&mut bench);
    assert!(bench.request.life.restored_at.is_none());
}

#[test]
fn that_it_was_sent_outlives_every_generation() {
    let mut bench = Bench::open(vec![processor("a")]);
    let first = Some(Sent { asked_at: START });
    assert_eq!(bench.request.task(0).sent, first);
    bench.answer(0, Answer::Rejected).unwrap();
    bench.registry.processors.clear();
    bench.pass(DAY);
    retry(&mut bench, 0);
    assert_eq!(bench.numbers(0), (2, 0, 0));
    assert_eq!(
        bench.request.task(0).sent,
        first,
        "not sent anew, and sent all the same"
    );
    let cancelled =
        bench.run(|request, context| (request.clone().cancel(None, context).is_ok(), Trail::default()));
    assert!(!cancelled, "an erasure cannot be taken back");
}
