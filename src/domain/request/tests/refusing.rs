//! Refusals on every ground of the contract, in whole and for one processor, and what each allows afterwards.

use super::{
    gates::{decide, gated, unverified},
    *,
};
use crate::domain::{
    command::{Decision, Exclusion},
    request::{operate::DecisionError, refusal::Refusals},
    words::{RefusalBasis, Status},
};

fn refuse(basis: RefusalBasis, processor: Option<&str>) -> Decision {
    Decision::Refuse {
        basis,
        processor: processor.map(id),
    }
}

/// One that waits for its verification, with two processors.
fn waiting() -> Bench {
    Bench::open_under(
        vec![processor("crm"), processor("ads")],
        &unverified(),
        &gated("days:10"),
        false,
    )
}

fn not_now(decided: Result<(), DecisionError>) -> bool {
    matches!(decided, Err(DecisionError::NotNow(_)))
}

#[test]
fn every_ground_refuses_the_whole_before_anything_was_sent() {
    for basis in RefusalBasis::ALL {
        let mut bench = waiting();
        bench.pass(HOUR);
        decide(&mut bench, &refuse(*basis, None), "clerk").unwrap();
        assert_eq!(bench.request.life.status, Status::Refused, "{basis}");
        assert_eq!(
            bench.request.refusal(),
            Some(Refusals {
                whole: Some((*basis, Some(START.plus(HOUR)))),
                shares: Vec::new()
            })
        );
        assert!(
            !bench.request.bookkeeping.readable,
            "nobody needs the identifiers any more"
        );
        for later in [
            refuse(*basis, None),
            refuse(*basis, Some("crm")),
            Decision::Approve,
        ] {
            assert_eq!(decide(&mut bench, &later, "clerk"), Err(DecisionError::Closed));
        }
    }
}

#[test]
fn every_ground_refuses_one_share_and_rest_goes_on() {
    for basis in RefusalBasis::ALL {
        let mut refused = waiting();
        decide(&mut refused, &refuse(*basis, Some("ads")), "clerk").unwrap();
        assert!(
            not_now(decide(&mut refused, &refuse(*basis, Some("ads")), "clerk")),
            "twice"
        );
        decide(&mut refused, &super::gates::passed(), "clerk").unwrap();
        refused.sleep();
        let excluded = Bench::open_with(
            vec![processor("crm"), processor("ads")],
            &Opening {
                exclude: vec![Exclusion {
                    processor: id("ads"),
                    basis: *basis,
                }],
                ..opening()
            },
        );
        for mut bench in [refused, excluded] {
            assert_eq!(bench.dispatched, [0], "{basis}");
            let told = Some(Refusals {
                whole: None,
                shares: vec![(&bench.request.tasks[1].processor, *basis)],
            });
            assert_eq!(bench.request.refusal(), told);
            bench.answer(0, Answer::Erased).unwrap();
            assert_eq!(bench.request.life.status, Status::ClosedWithExceptions, "{basis}");
            assert!(bench.request.refusal().is_some(), "also when it is closed");
            assert_eq!(
                decide(&mut bench, &refuse(*basis, None), "clerk"),
                Err(DecisionError::Closed)
            );
        }
    }
}

#[test]
fn what_was_sent_cannot_be_refused() {
    let mut bench = Bench::open(vec![
        processor("crm"),
        Processor {
            after: vec![id("crm")],
            ..processor("ads")
        },
    ]);
    let excessive = RefusalBasis::Excessive;
    assert!(not_now(decide(&mut bench, &refuse(excessive, None), "clerk")));
    assert!(not_now(decide(
        &mut bench,
        &refuse(excessive, Some("crm")),
        "clerk"
    )));
    decide(&mut bench, &refuse(excessive, Some("ads")), "clerk").unwrap();
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(bench.request.life.status, Status::ClosedWithExceptions);
}

#[test]
fn who_may_not_and_what_is_not_in_the_plan() {
    let mut bench = waiting();
    let before = bench.request.clone();
    for processor in [None, Some("crm")] {
        let decision = refuse(RefusalBasis::TradeSecret, processor);
        assert_eq!(
            decide(&mut bench, &decision, "submitter"),
            Err(DecisionError::Submitter)
        );
    }
    assert!(not_now(decide(
        &mut bench,
        &refuse(RefusalBasis::TradeSecret, Some("nobody")),
        "clerk"
    )));
    assert_eq!(bench.request, before, "a refused decision leaves nothing behind");
}

#[test]
fn what_a_processor_keeps_is_no_refusal() {
    let mut bench = Bench::open(vec![processor("crm"), processor("ads")]);
    let kept = Answer::Retained(Retained {
        basis: label("legal_obligation"),
        until: None,
        categories: Vec::new(),
    });
    bench.answer(0, kept).unwrap();
    assert_eq!(bench.request.refusal(), None);
}
