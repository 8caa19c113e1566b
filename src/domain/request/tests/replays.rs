//! What a restore has brought back is sent at the pace of its replay. Invariant 5 holds at once all the same.

use std::time::Duration;

use uuid::Uuid;

use super::{Bench, DAY, HOUR, id, label, processor};
use crate::domain::{
    ack::Answer,
    backup::{BackupChange, BackupEvent},
    calendar::Period,
    fact::Fact,
    ids::EventId,
    registry::{BackupSet, ConfirmBy, Processor},
    task::{Purpose, TaskState},
    words::{Status, Why},
};

/// `a` and `b` have confirmed, `c` is out, and then a copy of the first two is put back.
fn restored() -> Bench {
    let nightly = Processor {
        backup: Some(BackupSet {
            sources: vec![id("a"), id("b")],
            set: label("nightly"),
            keep: Period::days(35),
            confirm_by: ConfirmBy::Event,
            overdue_after: Period::days(2),
            erase_by_key: false,
        }),
        ..processor("nightly")
    };
    let mut bench = Bench::open(vec![processor("a"), processor("b"), processor("c"), nightly]);
    bench.answer(0, Answer::Erased).unwrap();
    bench.answer(1, Answer::Erased).unwrap();
    let event = Fact::Backup(BackupEvent {
        event_id: EventId(Uuid::nil()),
        processor: id("nightly"),
        set: label("nightly"),
        change: BackupChange::Restored {
            taken_at: bench.now,
            restored_into: vec![id("a"), id("b")],
        },
        at: None,
    });
    bench.facts.learn(1, bench.now, &event);
    bench
}

fn review(bench: &mut Bench) {
    bench.run(|request, context| ((), request.review(context).unwrap()));
}

#[test]
fn restore_touched_before_replay_defers_send() {
    let mut bench = restored();
    bench.full = [id("a"), id("c")].into();
    review(&mut bench);
    assert_eq!(bench.dispatched, [1], "b has room");
    assert_eq!(bench.request.life.status, Status::InProgress);
    assert_eq!(
        bench.request.life.restored_at, None,
        "live systems were not clean yet"
    );
    assert_eq!(*bench.state(3), TaskState::Blocked);
    let a = bench.request.task(0);
    assert_eq!((a.purpose, a.generation, a.attempt), (Purpose::Restored, 2, 0));
    assert_eq!(bench.request.why_not_done(a), Some((Why::Rate, None)));
    assert!(!bench.request.life.needs_attention);

    // Others do not find it either, until there is room or its replay comes to it.
    let revision = bench.request.revision;
    review(&mut bench);
    assert_eq!(bench.request.revision, revision, "nothing is new");
    bench.full.clear();
    review(&mut bench);
    assert_eq!(bench.dispatched, [0]);
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(bench.request.task(0).state.name().as_str(), "done");
}

#[test]
fn the_agenda_looks_at_it_every_hour() {
    let mut bench = restored();
    bench.full = [id("a")].into();
    bench.answer(2, Answer::Erased).unwrap();
    bench.now = bench.now.plus(HOUR);
    bench.wake();
    assert!(!bench.dispatched.contains(&0));
    let next = bench.request.bookkeeping.wake_at.unwrap();
    assert!(next <= bench.now.plus(HOUR));
    bench.full.clear();
    bench.now = bench.now.plus(HOUR);
    bench.wake();
    assert!(bench.dispatched.contains(&0));
}

#[test]
fn what_is_sent_for_another_reason_goes_at_once() {
    let mut bench = restored();
    bench.full = [id("a"), id("b"), id("c")].into();
    bench.answer(2, super::failed()).unwrap();
    bench.now = bench.now.plus(Duration::from_secs(60));
    bench.wake();
    assert_eq!(
        bench.dispatched,
        [2],
        "another attempt of what was out is no replay"
    );
}

#[test]
fn what_was_sent_again_is_asked_again_like_any_other() {
    let mut bench = restored();
    review(&mut bench);
    bench.full = [id("a")].into();
    bench.answer(0, super::failed()).unwrap();
    bench.now = bench.now.plus(DAY);
    bench.wake();
    assert!(bench.dispatched.contains(&0), "its second attempt was out before");
}
