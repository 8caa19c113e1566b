//! When a request is closed, and what is left of it then.

use super::*;
use crate::domain::{
    command::Exclusion,
    words::{Notice, RefusalBasis, Status, Why},
};

fn status(bench: &Bench) -> &'static str {
    bench.request.life.status.as_str()
}

#[test]
fn completed_means_that_every_task_is_done() {
    let names = ["a", "b", "c"];
    let mut bench = Bench::open(names.map(processor).to_vec());
    for (ordinal, answer) in (0..).zip([Answer::Erased, Answer::NotFound, Answer::Absent]) {
        assert_eq!(status(&bench), "in_progress");
        assert_eq!(bench.request.life.completed_at, None);
        bench.pass(SECOND);
        bench.answer(ordinal, answer).unwrap();
    }
    assert_eq!(status(&bench), "completed");
    assert_eq!(bench.request.life.completed_at, Some(bench.now));
    assert_eq!(bench.request.life.live_clean_at, Some(bench.now));
    assert!(bench.request.waiting_for().is_empty());
}

#[test]
fn what_does_not_prove_does_not_complete() {
    let answers = [
        accepted(None),
        retained(Some(START.plus(DAY))),
        retained(None),
        partial(),
        failed(),
        Answer::Rejected,
        Answer::Unsupported,
        Answer::Present,
    ];
    for answer in answers {
        let mut bench = Bench::open(vec![processor("a"), processor("b")]);
        bench.answer(0, answer.clone()).unwrap();
        bench.answer(1, Answer::Erased).unwrap();
        assert_ne!(status(&bench), "completed", "{answer:?}");
    }
}

#[test]
fn an_exclusion_closes_with_an_exception() {
    let exclude = vec![Exclusion {
        processor: id("ads"),
        basis: RefusalBasis::IndependentAuthorization,
    }];
    let mut bench = Bench::open_with(
        vec![processor("crm"), processor("ads")],
        &Opening { exclude, ..opening() },
    );
    assert_eq!(
        *bench.state(1),
        TaskState::Exempt {
            basis: label("independent_authorization")
        }
    );
    assert_eq!(bench.request.counts().total, 2);
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(status(&bench), "closed_with_exceptions");
}

#[test]
fn a_plan_of_exempt_tasks_never_closes_and_needs_a_person() {
    let exempt = Processor {
        identities: vec![kind("phone")],
        missing_identity: MissingIdentity::Exempt,
        ..processor("crm")
    };
    let mut bench = Bench::open(vec![exempt]);
    assert_eq!(bench.request.counts().exempt, 1);
    for _ in 0..40 {
        assert_eq!(status(&bench), "in_progress");
        assert!(bench.request.life.needs_attention);
        assert_eq!(bench.request.life.live_clean_at, None);
        let waiting = bench.request.waiting_for();
        assert_eq!(waiting.len(), 1, "somebody has to be told why it is not done");
        assert_eq!(
            (waiting[0].processor, waiting[0].why),
            (None, Why::NeedsAttention)
        );
        bench.sleep();
    }
    assert!(bench.request.life.overdue);
    bench.run(|request, context| ((), request.cancel(Some("dpo"), context).unwrap()));
    assert_eq!(status(&bench), "cancelled");
}

#[test]
fn live_clean_ignores_backups_deferrals_exempt_and_waived() {
    let backup = Processor {
        kind: ProcessorKind::Backup,
        ..processor("nightly")
    };
    let processors = vec![
        processor("a"),
        processor("b"),
        processor("c"),
        processor("d"),
        backup,
    ];
    let mut bench = Bench::open(processors);
    bench.answer(0, Answer::Erased).unwrap();
    bench.answer(1, retained(Some(START.plus(100 * DAY)))).unwrap();
    bench.answer(2, retained(None)).unwrap();
    assert_eq!(bench.request.life.live_clean_at, None);
    bench.pass(HOUR / 2);
    bench.run(|request, context| ((), request.waive(3, "operator", context).unwrap()));
    assert_eq!(bench.request.life.live_clean_at, Some(bench.now));
    let clean_at = bench.now;
    bench.pass(HOUR);
    bench.answer(4, Answer::Erased).unwrap();
    assert_eq!(status(&bench), "deferred");
    assert_eq!(
        bench.request.life.live_clean_at,
        Some(clean_at),
        "the first time counts"
    );
}

#[test]
fn a_task_that_is_given_up_is_not_clean() {
    let mut bench = Bench::open(vec![processor("a")]);
    bench.answer(0, Answer::Rejected).unwrap();
    assert_eq!(bench.request.life.live_clean_at, None);
}

#[test]
fn identifiers_are_forgotten_at_completion() {
    let mut bench = Bench::open(vec![processor("a")]);
    assert!(bench.request.bookkeeping.readable);
    bench.answer(0, Answer::Erased).unwrap();
    assert!(!bench.request.bookkeeping.readable);
    assert_eq!(bench.entries.last(), Some(&Entry::Shredded));
    assert_eq!(bench.request.bookkeeping.wake_at, None);
}

#[test]
fn identifiers_can_be_kept_for_a_while_after_completion() {
    let mut bench = Bench::open(vec![processor("a")]);
    bench.keep = 3 * DAY;
    bench.answer(0, Answer::Erased).unwrap();
    assert!(bench.request.bookkeeping.readable);
    assert_eq!(bench.request.bookkeeping.wake_at, Some(START.plus(3 * DAY)));
    bench.sleep();
    assert!(!bench.request.bookkeeping.readable);
    assert_eq!(bench.count_entries(|entry| *entry == Entry::Shredded), 1);
    assert_eq!(
        (status(&bench), bench.request.bookkeeping.wake_at),
        ("completed", None)
    );
}

#[test]
fn a_closed_request_is_never_overdue() {
    // The only task is retained for good: nothing was erased, and the request is closed with that exception.
    let mut bench = Bench::open(vec![processor("a")]);
    bench.keep = 100 * DAY;
    bench.answer(0, retained(None)).unwrap();
    assert_eq!(status(&bench), "closed_with_exceptions");
    assert!(!bench.request.life.needs_attention);
    bench.sleep();
    assert!(!bench.request.life.overdue && !bench.request.life.at_risk);
    assert_eq!(bench.count_entries(|entry| *entry == Entry::Overdue), 0);
}

#[test]
fn all_live_tasks_waived_tells_nobody_of_an_erasure() {
    let backup = Processor {
        kind: ProcessorKind::Backup,
        ..processor("nightly")
    };
    let mut bench = Bench::open(vec![processor("a"), processor("b"), backup]);
    for ordinal in [0, 1] {
        bench.run(|request, context| ((), request.waive(ordinal, "operator", context).unwrap()));
    }
    assert_eq!(bench.request.life.live_clean_at, None, "nothing was cleaned");
    bench.pass(20 * DAY);
    bench.wake();
    assert!(bench.request.life.overdue);
    bench.answer(2, Answer::Erased).unwrap();
    let life = &bench.request.life;
    assert_eq!(life.status, Status::ClosedWithExceptions);
    assert_eq!(life.notice, Some(Notice::ClosedWithExceptions));
    assert_eq!(life.live_clean_at, None);
    assert!(!life.overdue, "what is closed is late at the most");
    assert_eq!(bench.request.counts().waived, 2);
    let left: Vec<(String, String)> = bench
        .request
        .not_erased()
        .into_iter()
        .map(|share| (share.processor.to_string(), share.why))
        .collect();
    let waived = |name: &str| (name.to_owned(), "waived".to_owned());
    assert_eq!(left, [waived("a"), waived("b")]);
    let before = bench.request.clone();
    bench.pass(DAY);
    bench.run(|request, context| ((), request.review(context).unwrap()));
    assert_eq!(bench.request.life.overdue, before.life.overdue, "and stays so");
}

#[test]
fn a_share_that_must_be_kept_is_named_with_its_basis_at_the_end() {
    let mut bench = Bench::open(vec![processor("a"), processor("b")]);
    bench.answer(0, Answer::Erased).unwrap();
    bench.answer(1, retained(None)).unwrap();
    assert_eq!(bench.request.life.notice, Some(Notice::ClosedWithExceptions));
    assert!(bench.request.life.live_clean_at.is_some());
    let left = bench.request.not_erased();
    assert_eq!(
        (left.len(), left[0].processor, left[0].why.as_str()),
        (1, &id("b"), "tax_law")
    );
}

#[test]
fn a_request_that_is_late_at_a_gate_of_people_needs_attention() {
    let mut bench = Bench::open_under(vec![processor("a")], &opening(), &rules(), true);
    assert!(!bench.request.life.needs_attention);
    bench.pass(11 * DAY);
    bench.wake();
    let life = &bench.request.life;
    assert_eq!(life.status, Status::AwaitingApproval);
    assert!(life.overdue && life.needs_attention);
    super::gates::decide(&mut bench, &crate::domain::command::Decision::Approve, "clerk").unwrap();
    assert!(!bench.request.life.needs_attention, "it goes on");
}

#[test]
fn what_is_out_at_a_processor_that_has_left_needs_attention() {
    let mut bench = Bench::open(vec![processor("a"), processor("b")]);
    bench.answer(1, accepted(Some(START.plus(DAY)))).unwrap();
    let all = std::mem::take(&mut bench.registry.processors);
    for ordinal in [0, 1] {
        assert!(bench.see(|request, context| request.needs_somebody(ordinal, context)));
        let need = bench.see(|request, context| format!("{:?}", request.need_of(ordinal, context)));
        assert_eq!(need, "Some(Registration)");
    }
    bench.run(|request, context| ((), request.review(context).unwrap()));
    assert!(bench.request.life.needs_attention);
    bench.registry.processors = all;
    bench.run(|request, context| ((), request.review(context).unwrap()));
    assert!(!bench.request.life.needs_attention, "it is registered again");
}
