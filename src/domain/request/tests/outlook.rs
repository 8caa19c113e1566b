//! What is said of the future comes true: what a request will meet, what it needs, and how it ends.

use std::time::Duration;

use uuid::Uuid;

use super::{ACK_TIMEOUT, Bench, DAY, HOUR, SKEW, START, failed, id, label, opening, processor};
use crate::domain::{
    ack::Answer,
    backup::{BackupChange, BackupEvent, end_of, week_of},
    calendar::Period,
    fact::Fact,
    hold::Hold,
    ids::{AnchorName, EventId, HoldId},
    registry::{BackupSet, ConfirmBy, Processor, Retention},
    request::outlook::{Ahead, BestCase, CapsuleEnd, Coming, Need},
    stops::Stop,
    task::{Purpose, Queued, TaskState},
    time::At,
    words::{AbandonCause, Action, HoldBasis, Proof, Status},
};

fn set(sources: &[&str], confirm_by: ConfirmBy) -> Processor {
    Processor {
        backup: Some(BackupSet {
            sources: sources.iter().map(|name| id(name)).collect(),
            set: label("nightly"),
            keep: Period::days(35),
            confirm_by,
            overdue_after: Period::days(2),
            erase_by_key: false,
        }),
        ..processor("nightly")
    }
}

fn taxed(name: &str) -> Processor {
    Processor {
        retention: vec![Retention {
            categories: vec![label("invoices")],
            basis: label("tax_law"),
            keep: Period::days(100),
            then: Action::Anonymize,
            from: Some(AnchorName::new("account_closed_at").unwrap()),
        }],
        ..processor(name)
    }
}

fn days(n: u32) -> Duration {
    DAY * n
}

impl Bench {
    fn ahead(&mut self) -> Vec<Ahead> {
        self.see(|request, context| request.outlook(context))
    }

    fn coming(&mut self, ordinal: u16) -> Vec<(At, Coming)> {
        let ahead = self.ahead();
        let own = ahead.into_iter().filter(|ahead| ahead.ordinal == Some(ordinal));
        own.map(|ahead| (ahead.at, ahead.what)).collect()
    }

    fn best(&mut self) -> BestCase {
        self.see(|request, context| request.best_case(context))
    }

    #[track_caller]
    fn needs(&mut self, ordinal: u16, expected: &Need<'_>) {
        let (found, same) = self.see(|request, context| {
            let need = request.need_of(ordinal, context);
            (format!("{need:?}"), need.as_ref() == Some(expected))
        });
        assert!(same, "{found}, not {expected:?}");
    }

    fn told(&mut self, fact: &Fact) {
        let version = self.facts.version() + 1;
        self.facts.learn(version, self.now, fact);
        self.run(|request, context| ((), request.review(context).unwrap()));
    }

    fn rotated(&mut self, oldest_retained_at: At) {
        self.told(&Fact::Backup(BackupEvent {
            event_id: EventId(Uuid::from_u128(9)),
            processor: id("nightly"),
            set: label("nightly"),
            change: BackupChange::Rotated { oldest_retained_at },
            at: None,
        }));
    }
}

fn hold() -> Hold {
    Hold {
        hold_id: HoldId(Uuid::from_u128(5)),
        tenant: opening().tenant,
        basis: HoldBasis::Dispute,
        actor: "dpo".to_owned(),
        subject: Vec::new(),
        found: Vec::new(),
        request_id: Some(opening().request_id),
        processor: None,
        categories: Vec::new(),
        placed_at: START,
    }
}

#[test]
fn a_stopped_lane_needs_somebody_who_has_it_go_on() {
    let last = Processor {
        after: vec![id("a")],
        ..processor("b")
    };
    let mut bench = Bench::open(vec![processor("a"), last]);
    let stop = |n| Stop {
        id: Uuid::from_u128(n),
        actor: "ops".to_owned(),
        out: 1,
    };
    bench.told(&Fact::Paused {
        processor: id("b"),
        stop: stop(1),
    });
    bench.needs(0, &Need::Answer(START.plus(ACK_TIMEOUT)));
    bench.answer(0, Answer::Erased).unwrap();
    assert!(bench.dispatched.is_empty());
    bench.needs(1, &Need::Resumption(Queued::Paused));
    assert_eq!(bench.best().stuck, [1]);
    bench.told(&Fact::Braked { stop: stop(2) });
    bench.needs(1, &Need::Resumption(Queued::Braked));
    bench.told(&Fact::Resumed {
        processor: id("b"),
        stop: Uuid::from_u128(1),
        actor: "ops".to_owned(),
    });
    assert!(bench.dispatched.is_empty(), "the brake is on");
    // What ends another stop does not end this one.
    bench.told(&Fact::Unbraked {
        stop: Uuid::from_u128(1),
        actor: "ops".to_owned(),
    });
    bench.needs(1, &Need::Resumption(Queued::Braked));
    bench.told(&Fact::Unbraked {
        stop: Uuid::from_u128(2),
        actor: "ops".to_owned(),
    });
    assert_eq!(bench.dispatched, [1]);
}

#[test]
fn dates_are_told_in_order_and_come_true() {
    let mut bench = Bench::open(vec![processor("crm")]);
    let at_risk = START.plus(days(8));
    let ahead = bench.ahead();
    let whats: Vec<Coming> = ahead.iter().map(|ahead| ahead.what).collect();
    let due = Coming::AnswerDue {
        attempt: 1,
        last: false,
    };
    assert_eq!(whats, [due, Coming::AtRisk, Coming::Deadline]);
    assert!(ahead.is_sorted_by_key(|ahead| ahead.at));
    assert_eq!(
        (ahead[0].at, ahead[1].at > at_risk),
        (START.plus(ACK_TIMEOUT), true)
    );
    bench.needs(0, &Need::Answer(START.plus(ACK_TIMEOUT)));
    // Three attempts, and the third is the last one.
    for attempt in 1..=2 {
        bench.answer(0, failed()).unwrap();
        let due = bench.now.plus(Duration::from_secs(10 * attempt));
        bench.needs(0, &Need::Nothing(due));
        let attempt = u32::try_from(attempt).unwrap() + 1;
        assert_eq!(bench.coming(0), [(due, Coming::Asked(attempt))]);
        bench.sleep();
    }
    let last = Coming::AnswerDue {
        attempt: 3,
        last: true,
    };
    assert_eq!(bench.coming(0), [(bench.now.plus(ACK_TIMEOUT), last)]);
    bench.answer(0, failed()).unwrap();
    bench.needs(0, &Need::Decision(AbandonCause::AttemptsUsed));
    assert_eq!(bench.coming(0), []);
    let best = bench.best();
    assert_eq!((best.closed, best.stuck), (None, vec![0]));
}

#[test]
fn a_promise_is_waited_for_and_not_longer() {
    let mut bench = Bench::open(vec![processor("crm")]);
    let by = START.plus(days(3));
    bench
        .answer(
            0,
            Answer::Accepted {
                expected_by: Some(by),
            },
        )
        .unwrap();
    bench.needs(0, &Need::Promise(by));
    assert_eq!(bench.coming(0), [(by, Coming::PromiseDue)]);
    assert_eq!(bench.best().closed, Some((Status::Completed, by)));
}

#[test]
fn copies_need_a_rotation_that_passes_their_confirmation() {
    let mut bench = Bench::open(vec![processor("crm"), set(&["crm"], ConfirmBy::Event)]);
    bench.needs(1, &Need::Others(vec![0]));
    bench.pass(HOUR);
    bench.answer(0, Answer::Erased).unwrap();
    let (confirmed, horizon) = (bench.now, bench.now.plus(days(35)).plus(SKEW));
    let passed = confirmed.plus(SKEW);
    bench.needs(
        1,
        &Need::Rotation {
            oldest_retained_at: passed,
            horizon,
        },
    );
    assert_eq!(
        bench.coming(1),
        [
            (horizon, Coming::Horizon(ConfirmBy::Event)),
            (horizon.plus(days(2)), Coming::ProofOverdue)
        ]
    );
    let best = bench.best();
    assert_eq!(best.closed, Some((Status::Completed, horizon)));
    // Nobody has to be asked any more, so the identifiers went into a capsule already.
    let copies_before = end_of(week_of(confirmed)).plus(SKEW);
    let end = CapsuleEnd {
        copies_before,
        expected: Some(copies_before.plus(days(35)).plus(SKEW)),
    };
    assert_eq!((best.forgotten_at, best.capsule), (None, Some(end)));
    // What was named is what it takes, and a moment less is not.
    bench.pass(days(1));
    bench.rotated(At::from_millis(passed.millis() - 1));
    assert!(matches!(bench.state(1), TaskState::Parked { .. }));
    bench.rotated(passed);
    assert_eq!(bench.request.life.status, Status::Completed);
    assert!(bench.ahead().is_empty());
    // Past its horizon it slips when its set's patience is over, and not before.
    let mut late = Bench::open(vec![processor("crm"), set(&["crm"], ConfirmBy::Event)]);
    late.answer(0, Answer::Erased).unwrap();
    for (days_after, slipped) in [(36, false), (38, true)] {
        late.now = START.plus(days(days_after));
        assert_eq!(
            late.see(|request, context| request.has_slipped(1, context)),
            slipped
        );
    }
}

#[test]
fn other_proofs_of_copies_are_named() {
    for confirm_by in [ConfirmBy::Ack, ConfirmBy::Schedule] {
        let mut bench = Bench::open(vec![processor("crm"), set(&["crm"], confirm_by)]);
        bench.answer(0, Answer::Erased).unwrap();
        let horizon = START.plus(days(35)).plus(SKEW);
        bench.needs(1, &Need::Horizon(confirm_by, horizon));
        assert_eq!(bench.coming(1), [(horizon, Coming::Horizon(confirm_by))]);
        assert_eq!(bench.best().closed, Some((Status::Completed, horizon)));
    }
}

#[test]
fn what_the_law_keeps_is_told_with_its_copies() {
    let mut bench = Bench::open(vec![taxed("billing"), set(&["billing"], ConfirmBy::Event)]);
    let (basis, until) = (label("tax_law"), START.plus(days(100)));
    bench.needs(1, &Need::Law(Some(&basis), until));
    assert_eq!(bench.coming(1), [(until, Coming::KeepEnds(Action::Anonymize))]);
    let best = bench.best();
    let end = until.plus(days(35)).plus(SKEW);
    assert_eq!(best.closed, Some((Status::Completed, end)));
    assert_eq!(best.forgotten_at, Some(until));
    // Live systems are clean, and nothing can be done about the rest: that is no work in progress.
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(bench.request.life.status, Status::Deferred);
}

#[test]
fn second_looks_are_part_of_the_way() {
    let mut bench = Bench::open(vec![Processor {
        sweep_after: Some(Period::days(1)),
        verify_after: Some(Period::days(7)),
        ..processor("crm")
    }]);
    let end = START.plus(days(8));
    assert_eq!(bench.best().closed, Some((Status::Completed, end)));
    bench.answer(0, Answer::Erased).unwrap();
    let look = START.plus(days(1));
    bench.needs(0, &Need::SecondLook(look));
    let purpose = Purpose::Sweep(Proof::Erased);
    assert_eq!(bench.coming(0), [(look, Coming::SecondLook(purpose))]);
    assert_eq!(bench.best().closed, Some((Status::Completed, end)));
}

#[test]
fn a_hold_is_named_and_ends_every_way() {
    let mut bench = Bench::open(vec![
        processor("crm"),
        Processor {
            after: vec![id("crm")],
            ..processor("ads")
        },
    ]);
    bench.told(&Fact::Hold(hold()));
    // What was sent before goes on; what would be sent then is held.
    bench.needs(0, &Need::Answer(START.plus(ACK_TIMEOUT)));
    let best = bench.best();
    assert_eq!((best.closed, best.stuck), (None, vec![1]));
    bench.answer(0, Answer::Erased).unwrap();
    let held = hold();
    bench.needs(1, &Need::Release(vec![&held]));
    assert_eq!(bench.coming(1), []);
    bench.told(&Fact::Release {
        tenant: held.tenant,
        hold_id: held.hold_id,
        actor: "dpo".to_owned(),
    });
    assert_eq!(bench.best().closed, Some((Status::Completed, START)));
}

#[test]
fn what_is_registered_no_more_is_named() {
    let mut bench = Bench::open(vec![processor("crm"), set(&["crm"], ConfirmBy::Event)]);
    bench.answer(0, Answer::Erased).unwrap();
    bench.registry.processors.pop();
    bench.needs(1, &Need::Registration);
    assert_eq!(bench.coming(1), []);
    let best = bench.best();
    assert_eq!((best.closed, best.stuck), (None, vec![1]));
    assert_eq!(best.capsule.map(|end| end.expected), Some(None));
}

#[test]
fn identifiers_are_kept_as_long_as_the_controller_wants() {
    let mut bench = Bench::open(vec![processor("crm")]);
    bench.keep = days(2);
    let best = bench.best();
    assert_eq!(best.closed, Some((Status::Completed, START)));
    assert_eq!(best.forgotten_at, Some(START.plus(days(2))));
    bench.answer(0, Answer::Erased).unwrap();
    let forgotten = Ahead {
        at: START.plus(days(2)),
        ordinal: None,
        what: Coming::Forgotten,
    };
    assert_eq!(bench.ahead(), [forgotten]);
}

#[test]
fn what_people_have_to_open_first_is_told_in_its_order() {
    use crate::domain::request::gates::ClosedGate;
    let grace = super::gates::gated("days:10");
    let unverified = crate::domain::command::Opening {
        identity_verified: false,
        ..opening()
    };
    let mut bench = Bench::open_under(vec![processor("crm")], &unverified, &grace, true);
    assert_eq!(
        bench.request.gates_of_people(),
        [ClosedGate::Verification, ClosedGate::Approval]
    );
    let sends: Vec<At> = bench
        .ahead()
        .into_iter()
        .filter(|ahead| ahead.what.begins())
        .map(|ahead| ahead.at)
        .collect();
    assert_eq!(sends, [START.plus(days(2))], "at the end of the grace window");
    let (status, at) = bench.best().closed.unwrap();
    assert_eq!((status, at), (Status::Completed, START.plus(days(2))));
    let sent = Bench::open(vec![processor("crm")]);
    assert!(sent.request.gates_of_people().is_empty());
}

#[test]
fn what_falls_due_on_the_way_is_dated_with_its_own_date() {
    // One is stuck, another is kept for a hundred days: the deadline is after ten.
    let mut bench = Bench::open(vec![taxed("shop"), processor("crm")]);
    let stuck = u16::try_from(bench.request.tasks.len() - 1).unwrap();
    bench.answer(stuck, Answer::Rejected).unwrap();
    let due = bench.request.life.clock.due;
    let best = bench.best();
    let overdue = best
        .steps
        .iter()
        .find(|step| step.entries.contains(&crate::domain::entry::Entry::Overdue))
        .expect("it falls overdue");
    assert_eq!(overdue.at, At::from_millis(due.millis() + 1));
}
