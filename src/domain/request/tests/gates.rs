//! The gates before the first dispatch, in their order, and the decisions that people take about them.

use super::*;
use crate::domain::{
    calendar::deadline,
    command::Decision,
    request::{Check, gates::Rulebook, operate::Refused},
    words::{ExtensionReason, RefusalBasis, Status, VerificationResult, Why},
};

pub(super) fn unverified() -> Opening {
    Opening {
        identity_verified: false,
        ..opening()
    }
}

pub(super) fn gated(regime: Regime) -> Rules {
    Rules {
        regime,
        require_verification: true,
        grace: Period::days(2),
        ..rules()
    }
}

pub(super) fn decide(bench: &mut Bench, decision: &Decision, actor: &str) -> Result<(), Refused> {
    let calendar = rules().calendar;
    let rulebook = Rulebook {
        calendar: &calendar,
        at_risk: 0.2,
    };
    bench.run(|request, context| {
        let mut tried = request.clone();
        match tried.decide(decision, actor, Some("submitter"), rulebook, context) {
            Ok(trail) => {
                *request = tried;
                (Ok(()), trail)
            }
            Err(refused) => (Err(refused), Trail::default()),
        }
    })
}

fn verified(result: VerificationResult) -> Decision {
    Decision::VerifyIdentity {
        method: label("passport"),
        result,
    }
}

fn refusal(processor: Option<&str>) -> Decision {
    Decision::Refuse {
        basis: RefusalBasis::TradeSecret,
        processor: processor.map(id),
    }
}

const EXTEND: Decision = Decision::Extend {
    reason: ExtensionReason::Complexity,
};

fn waits(bench: &Bench) -> (Status, Vec<Why>) {
    let whys = bench
        .request
        .waiting_for()
        .iter()
        .map(|waiting| waiting.why)
        .collect();
    (bench.request.life.status, whys)
}

#[test]
fn the_gates_open_in_their_order_and_nothing_goes_before_the_last() {
    let mut bench = Bench::open_under(
        vec![processor("crm")],
        &unverified(),
        &gated(Regime::Days(10)),
        true,
    );
    assert_eq!(
        waits(&bench),
        (Status::AwaitingVerification, vec![Why::Verification; 2])
    );
    // An approval before the verification is recorded.
    decide(&mut bench, &Decision::Approve, "boss").unwrap();
    assert_eq!(bench.request.life.status, Status::AwaitingVerification);
    decide(&mut bench, &verified(VerificationResult::Passed), "clerk").unwrap();
    assert_eq!(waits(&bench), (Status::Scheduled, vec![Why::Grace; 2]));
    assert!(bench.dispatched.is_empty());
    bench.sleep();
    assert_eq!(bench.now, START.plus(2 * DAY));
    assert_eq!(
        (bench.request.life.status, bench.dispatched.len()),
        (Status::InProgress, 1)
    );
}

#[test]
fn verified_upstream_is_verified() {
    let bench = Bench::open_under(
        vec![processor("crm")],
        &opening(),
        &gated(Regime::Days(10)),
        false,
    );
    assert_eq!(bench.request.life.verification, Check::NotNeeded);
    assert_eq!(bench.request.life.status, Status::Scheduled);
}

#[test]
fn an_identity_that_is_not_verified_refuses() {
    let mut failed = Bench::open_under(
        vec![processor("crm")],
        &unverified(),
        &gated(Regime::Days(10)),
        false,
    );
    decide(&mut failed, &verified(VerificationResult::Failed), "clerk").unwrap();
    let mut late = Bench::open_under(
        vec![processor("crm")],
        &unverified(),
        &gated(Regime::Days(10)),
        false,
    );
    late.now = late.request.life.clock.due.plus(SECOND);
    late.wake_seeing(late.now);
    for bench in [failed, late] {
        assert_eq!(bench.request.life.status, Status::Refused);
        assert_eq!(
            bench.request.life.refused,
            Some(RefusalBasis::IdentityNotVerified)
        );
        assert_eq!(*bench.state(0), TaskState::Cancelled);
        assert!(
            !bench.request.life.readable,
            "nobody needs the identifiers any more"
        );
    }
}

#[test]
fn the_clock_stands_still_only_where_the_regime_says_so() {
    // regime, whether five days of doubt move its deadline by five days
    for (regime, moves) in [
        (Regime::Gdpr, true),
        (Regime::UkGdpr, true),
        (Regime::Ccpa, false),
        (Regime::Days(30), false),
    ] {
        let mut bench = Bench::open_under(vec![processor("crm")], &unverified(), &gated(regime), false);
        let before = bench.request.life.clock.due;
        bench.now = START.plus(5 * DAY);
        decide(&mut bench, &verified(VerificationResult::Passed), "clerk").unwrap();
        let expected = if moves {
            deadline(regime, START.plus(5 * DAY), &rules().calendar).unrolled
        } else {
            before
        };
        assert_eq!(bench.request.life.clock.due, expected, "{regime}");
        let moved = bench.entries.iter().any(|entry| {
            *entry
                == Entry::DeadlineMoved {
                    from: before,
                    to: expected,
                    reason: None,
                }
        });
        assert_eq!(moved, moves, "{regime}");
    }
}

#[test]
fn whoever_submitted_it_neither_approves_nor_refuses() {
    let mut bench = Bench::open_under(vec![processor("crm")], &opening(), &rules(), true);
    assert_eq!(
        decide(&mut bench, &Decision::Approve, "submitter"),
        Err(Refused::Submitter)
    );
    assert_eq!(
        decide(&mut bench, &refusal(None), "submitter"),
        Err(Refused::Submitter)
    );
    assert_eq!(bench.request.life.status, Status::AwaitingApproval);
    decide(&mut bench, &Decision::Approve, "boss").unwrap();
    assert_eq!(bench.request.life.status, Status::InProgress);
    assert!(matches!(
        decide(&mut bench, &Decision::Approve, "boss"),
        Err(Refused::NotNow(_))
    ));
    assert!(matches!(
        decide(&mut bench, &verified(VerificationResult::Passed), "boss"),
        Err(Refused::NotNow(_))
    ));
}

#[test]
fn a_refusal_comes_before_the_first_dispatch_or_for_a_share_that_was_not_sent() {
    let mut early = Bench::open_under(vec![processor("crm")], &opening(), &rules(), true);
    decide(&mut early, &refusal(None), "counsel").unwrap();
    assert_eq!(early.request.life.status, Status::Refused);
    assert_eq!(
        decide(&mut early, &refusal(None), "counsel"),
        Err(Refused::Closed)
    );

    let after = Processor {
        after: vec![id("crm")],
        ..processor("mail")
    };
    let mut late = Bench::open(vec![processor("crm"), after]);
    for refused in [refusal(None), refusal(Some("crm")), refusal(Some("nobody"))] {
        assert!(matches!(
            decide(&mut late, &refused, "counsel"),
            Err(Refused::NotNow(_))
        ));
    }
    decide(&mut late, &refusal(Some("mail")), "counsel").unwrap();
    assert_eq!(
        *late.state(1),
        TaskState::Exempt {
            basis: label("trade_secret")
        }
    );
    late.answer(0, Answer::Erased).unwrap();
    assert_eq!(late.request.life.status, Status::ClosedWithExceptions);
}

#[test]
fn an_extension_is_counted_from_the_start_and_comes_once_and_in_time() {
    for (regime, months, days) in [
        (Regime::Gdpr, 3, 0),
        (Regime::UkGdpr, 3, 0),
        (Regime::Ccpa, 0, 90),
    ] {
        let mut bench = Bench::open_under(
            vec![processor("crm")],
            &opening(),
            &Rules { regime, ..rules() },
            false,
        );
        let before = bench.request.life.clock.due;
        bench.now = START.plus(20 * DAY);
        decide(&mut bench, &EXTEND, "clerk").unwrap();
        let start = START.timestamp().to_zoned(TimeZone::UTC).date();
        let last = start.saturating_add(jiff::Span::new().months(months).days(days));
        let due = bench.request.life.clock.due.timestamp().to_zoned(TimeZone::UTC);
        assert_eq!(due.date(), last, "{regime}");
        assert!(bench.entries.contains(&Entry::DeadlineMoved {
            from: before,
            to: bench.request.life.clock.due,
            reason: Some(ExtensionReason::Complexity),
        }));
        assert!(matches!(
            decide(&mut bench, &EXTEND, "clerk"),
            Err(Refused::NotNow(_))
        ));
    }
    let mut none = Bench::open(vec![processor("crm")]);
    assert!(matches!(
        decide(&mut none, &EXTEND, "clerk"),
        Err(Refused::NotNow(_))
    ));
    let rules = Rules {
        regime: Regime::Gdpr,
        ..rules()
    };
    let mut late = Bench::open_under(vec![processor("crm")], &opening(), &rules, false);
    late.now = late.request.life.clock.due.plus(SECOND);
    assert!(matches!(
        decide(&mut late, &EXTEND, "clerk"),
        Err(Refused::NotNow(_))
    ));
}

pub(super) fn passed() -> Decision {
    verified(VerificationResult::Passed)
}
