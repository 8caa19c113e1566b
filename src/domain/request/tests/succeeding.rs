//! Processors that leave, others that replace them, and others that come later.

use super::*;
use crate::domain::{
    registry::{BackupSet, ConfirmBy, Retention},
    request::backfill::Offer,
    task::{Share, TaskEvent},
    words::{AbandonCause, Status},
};

fn heir(of: &str) -> Processor {
    Processor {
        replaces: Some(id(of)),
        ..processor("new")
    }
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

fn nightly(of: &str) -> Processor {
    Processor {
        kind: ProcessorKind::Backup,
        backup: Some(BackupSet {
            sources: vec![id("crm"), id(of)],
            set: label("nightly"),
            keep: Period::days(35),
            confirm_by: ConfirmBy::Schedule,
            overdue_after: Period::days(2),
            erase_by_key: false,
        }),
        ..processor("nightly")
    }
}

/// Another registry, and the successor takes over what it can.
fn hand_over(bench: &mut Bench, processors: Vec<Processor>) -> Vec<(u16, Vec<IdentityType>)> {
    bench.registry.processors = processors;
    bench.run(|request, context| {
        let (trail, supplied) = request.pass_to_successors(&[kind("email")], context).unwrap();
        (supplied, trail)
    })
}

/// Tasks of `crm` in every open state that has no wave.
fn in_every_state() -> Vec<Bench> {
    let blocked = Bench::open(vec![
        processor("first"),
        Processor {
            after: vec![id("first")],
            ..processor("crm")
        },
    ]);
    let of = |processor: Processor| Bench::open(vec![processor]);
    let answered = |answer: Answer, of: Processor| {
        let mut bench = Bench::open(vec![of]);
        bench.answer(0, answer).unwrap();
        bench
    };
    let nameless = Processor {
        identities: vec![kind("phone")],
        ..processor("crm")
    };
    let looks = Processor {
        verify_after: Some(Period::days(7)),
        ..processor("crm")
    };
    let queued = Processor {
        idempotent: false,
        ..processor("crm")
    };
    vec![
        blocked,
        of(nameless),
        of(keeping("crm")),
        of(queued),
        of(processor("crm")),
        answered(failed(), processor("crm")),
        answered(accepted(None), processor("crm")),
        answered(Answer::Rejected, processor("crm")),
        answered(Answer::Erased, looks),
    ]
}

#[test]
fn whatever_is_open_at_a_processor_that_leaves_needs_attention() {
    for mut bench in in_every_state() {
        let before: Vec<TaskState> = bench
            .request
            .tasks
            .iter()
            .map(|task| task.state.clone())
            .collect();
        bench.registry.processors.retain(|one| one.id != id("crm"));
        bench.run(|request, context| ((), request.review(context).unwrap()));
        assert!(bench.request.life.needs_attention, "{before:?}");
        assert!(!bench.request.life.status.is_final(), "{before:?}");
    }
}

#[test]
fn a_successor_takes_over_whatever_is_open() {
    for mut bench in in_every_state() {
        let before = bench.request.clone();
        let mut processors = bench.registry.processors.clone();
        processors.retain(|one| one.id != id("crm"));
        processors.push(heir("crm"));
        let open = |task: &&crate::domain::task::Task| task.processor == id("crm") && !task.state.is_closed();
        let expected = before.tasks.iter().filter(open).count();
        let supplied = hand_over(&mut bench, processors);
        assert_eq!(supplied.len(), expected, "{before:#?}");
        for (ordinal, kinds) in supplied {
            let (old, new) = (before.task(ordinal), bench.request.task(ordinal));
            assert_eq!(
                (new.processor.as_str(), new.generation),
                ("new", old.generation + 1)
            );
            assert_eq!(kinds, [kind("email")], "as the successor declares them");
            assert_eq!(bench.request.task_id(ordinal), before.task_id(ordinal));
        }
        assert!(!bench.request.life.needs_attention, "{:#?}", bench.request);
        // Twice changes nothing.
        let request = bench.request.clone();
        let again = bench.registry.processors.clone();
        assert!(hand_over(&mut bench, again).is_empty());
        assert_eq!(bench.request, request);
    }
}

#[test]
fn what_was_out_is_sent_to_the_successor_and_the_old_one_is_not_heard() {
    let mut bench = Bench::open(vec![processor("crm")]);
    let late = bench.ack_of(0, 1, 1, Answer::Erased);
    hand_over(&mut bench, vec![heir("crm")]);
    assert_eq!(bench.dispatched, [0]);
    assert_eq!(bench.numbers(0), (2, 1, 0));
    assert_eq!(bench.take(&late, true), Err(AckRejection::Forged));
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(bench.request.life.status, Status::Completed);
}

#[test]
fn a_kept_share_keeps_its_date_at_the_successor() {
    let mut bench = Bench::open(vec![keeping("crm")]);
    let parked = |bench: &Bench| bench.request.tasks[1].state.clone();
    let before = parked(&bench);
    hand_over(
        &mut bench,
        vec![Processor {
            retention: keeping("x").retention,
            ..heir("crm")
        }],
    );
    assert_eq!(parked(&bench), before);
    assert_eq!(bench.request.tasks[1].processor, id("new"));
    let deferred = bench.request.deferred(SKEW).count();
    assert_eq!(deferred, 1);
}

#[test]
fn a_successor_that_knows_no_identifier_waits_for_one() {
    let mut bench = Bench::open(vec![processor("crm")]);
    let nameless = Processor {
        identities: vec![kind("phone")],
        ..heir("crm")
    };
    hand_over(&mut bench, vec![nameless]);
    assert_eq!(*bench.state(0), TaskState::WithoutIdentity);
    assert!(bench.request.life.needs_attention && bench.dispatched.is_empty());
}

#[test]
fn a_successor_that_can_do_nothing_of_it_is_given_up() {
    let mut bench = Bench::open(vec![processor("crm")]);
    let unable = Processor {
        actions: vec![Action::Anonymize],
        ..heir("crm")
    };
    hand_over(&mut bench, vec![unable]);
    let given_up = TaskState::Abandoned {
        cause: AbandonCause::Unsupported,
    };
    assert_eq!(*bench.state(0), given_up);
}

#[test]
fn what_is_closed_stays_with_the_one_that_closed_it() {
    let mut bench = Bench::open(vec![processor("crm"), processor("ads")]);
    bench.answer(0, Answer::Erased).unwrap();
    let supplied = hand_over(&mut bench, vec![heir("crm"), processor("ads")]);
    assert!(supplied.is_empty());
    assert_eq!(bench.request.task(0).processor, id("crm"));
}

#[test]
fn copies_are_not_handed_over() {
    let mut bench = Bench::open(vec![processor("crm"), nightly("ads")]);
    bench.answer(0, Answer::Erased).unwrap();
    let supplied = hand_over(&mut bench, vec![processor("crm"), heir("nightly")]);
    assert!(supplied.is_empty());
    bench.run(|request, context| ((), request.review(context).unwrap()));
    assert!(bench.request.life.needs_attention);
}

#[test]
fn the_ledger_says_who_took_over_from_whom() {
    let mut bench = Bench::open(vec![processor("crm")]);
    hand_over(&mut bench, vec![heir("crm")]);
    let handed = |entry: &Entry| {
        matches!(
            entry,
            Entry::Task { event: TaskEvent::HandedOver { from, to, .. }, .. }
                if *from == id("crm") && *to == id("new")
        )
    };
    assert_eq!(bench.count_entries(handed), 1);
}

/// Registers a processor and offers it the request.
fn offer(bench: &mut Bench, new: Processor, command: &Opening) -> Offer {
    let offered = new.id.clone();
    bench.registry.processors.retain(|one| one.id != offered);
    bench.registry.processors.push(new);
    bench.run(|request, context| {
        let new = context.registry.get(&offered).unwrap();
        request.offer(new, command, "ann", context).unwrap()
    })
}

#[test]
fn a_processor_that_comes_later_gets_its_task() {
    let mut bench = Bench::open(vec![processor("crm")]);
    let made = offer(&mut bench, processor("ads"), &opening());
    assert_eq!(made, Offer::Made(vec![(1, vec![kind("email")])]));
    assert_eq!(bench.dispatched, [1]);
    let request = bench.request.clone();
    assert_eq!(offer(&mut bench, processor("ads"), &opening()), Offer::Known);
    assert_eq!(bench.request, request, "asked twice");
    let added = |entry: &Entry| matches!(entry, Entry::TaskAdded { ordinal: 1, .. });
    assert_eq!(bench.count_entries(added), 1);
    assert_eq!(
        bench.count_entries(|entry| *entry
            == Entry::ActedBy {
                actor: "ann".to_owned()
            }),
        1
    );
    for ordinal in [0, 1] {
        bench.answer(ordinal, Answer::Erased).unwrap();
    }
    assert_eq!(bench.request.life.status, Status::Completed);
}

#[test]
fn what_comes_later_is_split_and_waits_as_a_plan_has_it() {
    let mut bench = Bench::open(vec![processor("crm")]);
    let later = Processor {
        after: vec![id("crm")],
        ..keeping("billing")
    };
    offer(&mut bench, later, &opening());
    assert_eq!(*bench.state(1), TaskState::Blocked);
    assert!(matches!(bench.state(2), TaskState::Parked { .. }));
    assert!(bench.dispatched.is_empty());
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(bench.dispatched, [1]);
}

#[test]
fn a_closed_request_is_open_again_and_not_clean() {
    let mut bench = Bench::open(vec![processor("crm")]);
    bench.keep = 30 * DAY;
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(bench.request.life.status, Status::Completed);
    offer(&mut bench, processor("ads"), &opening());
    let life = &bench.request.life;
    assert_eq!(
        (life.status, life.completed_at, life.live_clean_at),
        (Status::InProgress, None, None)
    );
    bench.answer(1, Answer::NotFound).unwrap();
    assert_eq!(bench.request.life.status, Status::Completed);
}

#[test]
fn what_cannot_be_read_or_does_not_concern_it_is_told_apart() {
    let mut bench = Bench::open(vec![processor("crm")]);
    bench.answer(0, Answer::Erased).unwrap();
    let before = bench.request.clone();
    assert_eq!(offer(&mut bench, processor("ads"), &opening()), Offer::Unreadable);
    let elsewhere = Processor {
        regions: vec![label("us")],
        ..processor("us")
    };
    let of_region = Opening {
        region: Some(label("eu")),
        ..opening()
    };
    assert_eq!(offer(&mut bench, elsewhere, &of_region), Offer::NotConcerned);
    let limited = Opening {
        scope: Scope {
            processors: vec![id("crm")],
            ..Scope::default()
        },
        ..opening()
    };
    assert_eq!(offer(&mut bench, processor("ads"), &limited), Offer::NotConcerned);
    assert_eq!(bench.request, before);
    let mut cancelled = Bench::open_under(vec![processor("crm")], &opening(), &rules(), true);
    cancelled.run(|request, context| ((), request.cancel(None, context).unwrap()));
    assert_eq!(
        offer(&mut cancelled, processor("ads"), &opening()),
        Offer::Withdrawn
    );
}

#[test]
fn what_a_command_left_out_is_listed_and_not_asked() {
    let without = Opening {
        exclude: vec![crate::domain::command::Exclusion {
            processor: id("ads"),
            basis: crate::domain::words::RefusalBasis::LegalClaims,
        }],
        ..opening()
    };
    let mut bench = Bench::open_with(vec![processor("crm")], &without);
    offer(&mut bench, processor("ads"), &without);
    assert!(matches!(bench.state(1), TaskState::Exempt { .. }));
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(bench.request.life.status, Status::ClosedWithExceptions);
}

#[test]
fn nothing_is_sent_before_the_gates_of_what_is_offered() {
    let mut bench = Bench::open_under(vec![processor("crm")], &opening(), &rules(), true);
    offer(&mut bench, processor("ads"), &opening());
    assert!(bench.dispatched.is_empty());
    assert_eq!(bench.request.life.status, Status::AwaitingApproval);
}

#[test]
fn copies_of_what_comes_later_grow_old_too() {
    // A set that waits for its sources waits for one more; one that grows old already gets another wave.
    let mut waiting = Bench::open(vec![processor("crm"), nightly("ads")]);
    offer(&mut waiting, processor("ads"), &opening());
    let sources = |bench: &Bench, place: u16| match &bench.request.task(place).share {
        Share::Wave { sources, .. } => sources.clone(),
        share => panic!("{share:?}"),
    };
    assert_eq!(sources(&waiting, 1), [0, 2]);
    let mut growing = Bench::open(vec![processor("crm"), processor("slow"), nightly("ads")]);
    growing.answer(0, Answer::Erased).unwrap();
    assert!(matches!(growing.state(2), TaskState::Parked { .. }));
    offer(&mut growing, processor("ads"), &opening());
    assert_eq!((sources(&growing, 2), sources(&growing, 4)), (vec![0], vec![3]));
    growing.answer(3, Answer::Erased).unwrap();
    assert!(matches!(growing.state(4), TaskState::Parked { .. }));
    // A set that comes later covers what is in the plan.
    let mut set = Bench::open(vec![processor("crm"), processor("ads")]);
    offer(&mut set, nightly("ads"), &opening());
    assert_eq!(sources(&set, 2), [0, 1]);
}
