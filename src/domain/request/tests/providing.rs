//! Identifiers that an answer brings for the processors that come after it.

use super::*;
use crate::domain::{request::outlook::Need, words::Status};

/// `billing` may bring a phone number; `calls` knows nothing else and comes after it.
fn chain() -> Vec<Processor> {
    let billing = Processor {
        provides: vec![kind("phone")],
        ..processor("billing")
    };
    let calls = Processor {
        identities: vec![kind("phone")],
        after: vec![id("billing")],
        ..processor("calls")
    };
    vec![billing, calls]
}

/// An answer that brings these types.
fn bring(bench: &mut Bench, from: u16, types: &[&str]) -> Vec<u16> {
    let types: Vec<IdentityType> = types.iter().map(|text| kind(text)).collect();
    let task = bench.request.task(from);
    let ack = bench.ack_of(from, task.generation, task.attempt, Answer::Erased);
    bench.run(|request, context| {
        let mut trail = Trail::default();
        request.answer(&ack, true, context, &mut trail).unwrap();
        let email = |_: &Request, place| match place {
            0 => vec![kind("email")],
            _ => Vec::new(),
        };
        let supplied = request
            .provide(from, &types, email, &[], context, &mut trail)
            .unwrap();
        request.finish_answers(context, &mut trail).unwrap();
        (supplied.into_iter().map(|(place, _)| place).collect(), trail)
    })
}

#[test]
fn what_an_answer_brings_opens_the_task_that_waits_for_it() {
    let mut bench = Bench::open(chain());
    assert_eq!(*bench.state(1), TaskState::WithoutIdentity);
    assert!(
        !bench.request.life.needs_attention,
        "an answer may still bring it"
    );
    let need = bench.see(|request, context| {
        request
            .need_of(1, context)
            .is_some_and(|need| matches!(need, Need::Others(places) if places == [0]))
    });
    assert!(need, "it waits for that answer");
    let best = bench.see(|request, context| request.best_case(context));
    assert_eq!(best.closed.map(|(status, _)| status), Some(Status::Completed));
    assert_eq!(bring(&mut bench, 0, &["phone"]), [1]);
    assert_eq!(bench.dispatched, [1]);
    bench.answer(1, Answer::Erased).unwrap();
    assert_eq!(bench.request.life.status, Status::Completed);
}

#[test]
fn where_nothing_was_brought_somebody_has_to_look() {
    for types in [&[][..], &["device_id"]] {
        let mut bench = Bench::open(chain());
        assert!(bring(&mut bench, 0, types).is_empty());
        assert_eq!(*bench.state(1), TaskState::WithoutIdentity);
        assert!(bench.request.life.needs_attention);
        assert_eq!(
            bench.count_entries(|entry| matches!(entry, Entry::Supplied { .. })),
            0
        );
    }
}

/// As `chain`, where `calls` is left out without an identity.
fn exempting() -> Vec<Processor> {
    let mut processors = chain();
    processors[1].missing_identity = MissingIdentity::Exempt;
    processors
}

#[test]
fn who_is_exempt_without_identity_waits_for_one_that_may_come() {
    let mut bench = Bench::open(exempting());
    assert_eq!(*bench.state(1), TaskState::WithoutIdentity);
    assert_eq!(bring(&mut bench, 0, &["phone"]), [1]);
    assert_eq!(bench.dispatched, [1]);
    bench.answer(1, Answer::Erased).unwrap();
    assert_eq!(bench.request.life.status, Status::Completed);
}

#[test]
fn who_is_exempt_without_identity_is_left_out_once_none_came() {
    let exempt = TaskState::Exempt {
        basis: label(crate::domain::plan::NO_IDENTITY),
    };
    let mut bench = Bench::open(exempting());
    assert!(bring(&mut bench, 0, &["device_id"]).is_empty());
    assert_eq!(*bench.state(1), exempt);
    assert_eq!(bench.request.life.status, Status::ClosedWithExceptions);
    // Somebody else may still bring it, and comes before it by another.
    let mut processors = exempting();
    processors.insert(
        1,
        Processor {
            after: vec![id("billing")],
            provides: vec![kind("phone")],
            ..processor("accounts")
        },
    );
    processors[2].after = vec![id("accounts")];
    let mut bench = Bench::open(processors);
    assert!(bring(&mut bench, 0, &[]).is_empty());
    assert_eq!(*bench.state(2), TaskState::WithoutIdentity);
    bench.answer(1, Answer::NotFound).unwrap();
    assert_eq!(*bench.state(2), exempt);
}

#[test]
fn who_waits_for_an_identity_may_bring_another_one() {
    // In an order in which whoever comes first here is asked last.
    let mut processors = chain();
    processors[1] = Processor {
        identities: vec![kind("device_id")],
        after: vec![id("accounts")],
        missing_identity: MissingIdentity::Exempt,
        ..processor("calls")
    };
    processors.push(Processor {
        identities: vec![kind("phone")],
        after: vec![id("billing")],
        provides: vec![kind("device_id")],
        missing_identity: MissingIdentity::Exempt,
        ..processor("accounts")
    });
    let mut bench = Bench::open(processors.clone());
    for place in [1, 2] {
        assert_eq!(*bench.state(place), TaskState::WithoutIdentity);
    }
    assert_eq!(bring(&mut bench, 0, &["phone"]), [2]);
    assert_eq!(bring(&mut bench, 2, &["device_id"]), [1]);
    assert_eq!(bench.dispatched, [1]);
    // Where the first brings nothing, both are left out at once.
    let mut bench = Bench::open(processors);
    bring(&mut bench, 0, &[]);
    assert_eq!(bench.request.life.status, Status::ClosedWithExceptions);
}

#[test]
fn only_those_that_come_after_it_and_were_not_sent_are_given_it() {
    let phone = |name: &str, after: &[&str]| Processor {
        identities: vec![kind("phone"), kind("email")],
        after: after.iter().map(|name| id(name)).collect(),
        ..processor(name)
    };
    let mut processors = chain();
    processors.push(phone("later", &["calls"]));
    processors.push(phone("apart", &[]));
    let mut bench = Bench::open(processors);
    // Also one that has another identity already, and one that comes after it by another.
    assert_eq!(bring(&mut bench, 0, &["phone"]), [1, 2]);
    assert!(
        bring(&mut bench, 3, &["phone"]).is_empty(),
        "nobody comes after that one"
    );
}

#[test]
fn added_wave_gets_identities_of_its_set_despite_later_one() {
    let set = Processor {
        kind: ProcessorKind::Backup,
        backup: Some(crate::domain::registry::BackupSet {
            sources: vec![id("a")],
            set: label("nightly"),
            keep: Period::days(35),
            confirm_by: crate::domain::registry::ConfirmBy::Ack,
            overdue_after: Period::days(2),
            erase_by_key: false,
        }),
        ..processor("nightly")
    };
    let mut request = Bench::open(vec![processor("a"), set]).request;
    // Two waves were added, and only the later one was ever given identifiers of its own.
    for _ in 0..2 {
        request.tasks.push(request.task(1).clone());
    }
    let email = vec![kind("email")];
    let phone = vec![kind("phone")];
    let mut body = crate::domain::body::Body::of(&opening(), vec![vec![kind("customer_id")], email.clone()]);
    body.identify(&[(3, phone.clone())]);
    assert_eq!(body.identities_of(&request, 2), email);
    assert_eq!(body.identities_of(&request, 3), phone);
}
