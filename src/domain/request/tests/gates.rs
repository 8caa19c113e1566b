//! The gates before the first dispatch, in their order, and the decisions that people take about them.

use super::*;
use crate::domain::{
    calendar::{Regimes, Terms, tests::deadline},
    command::Decision,
    ids::RegimeName,
    request::{Check, gates::Rulebook, operate::DecisionError},
    words::{ExtensionReason, RefusalBasis, Status, VerificationResult, Why},
};

pub(super) fn unverified() -> Opening {
    Opening {
        identity_verified: false,
        ..opening()
    }
}

pub(super) fn gated(name: &str) -> Rules {
    Rules {
        regime: regime(name),
        require_verification: true,
        grace: Period::days(2),
        ..rules()
    }
}

fn under(name: &str) -> Rules {
    Rules {
        regime: regime(name),
        ..rules()
    }
}

pub(super) fn decide(bench: &mut Bench, decision: &Decision, actor: &str) -> Result<(), DecisionError> {
    decide_under(bench, decision, actor, rules().rulebook())
}

fn decide_under(
    bench: &mut Bench,
    decision: &Decision,
    actor: &str,
    rulebook: Rulebook<'_>,
) -> Result<(), DecisionError> {
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
fn gates_open_in_order_and_nothing_is_sent_before_the_last() {
    let mut bench = Bench::open_under(vec![processor("crm")], &unverified(), &gated("days:10"), true);
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
    let bench = Bench::open_under(vec![processor("crm")], &opening(), &gated("days:10"), false);
    assert_eq!(bench.request.life.verification, Check::NotNeeded);
    assert_eq!(bench.request.life.status, Status::Scheduled);
}

#[test]
fn an_identity_that_is_not_verified_refuses() {
    let mut failed = Bench::open_under(vec![processor("crm")], &unverified(), &gated("days:10"), false);
    decide(&mut failed, &verified(VerificationResult::Failed), "clerk").unwrap();
    let mut late = Bench::open_under(vec![processor("crm")], &unverified(), &gated("days:10"), false);
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
            !bench.request.bookkeeping.readable,
            "nobody needs the identifiers any more"
        );
    }
}

#[test]
fn the_clock_stands_still_only_where_the_regime_says_so() {
    // regime, whether five days of doubt move its deadline by five days
    for (name, moves) in [
        ("gdpr", true),
        ("uk_gdpr", true),
        ("ccpa", false),
        ("days:30", false),
    ] {
        let mut bench = Bench::open_under(vec![processor("crm")], &unverified(), &gated(name), false);
        let before = bench.request.life.clock.due;
        bench.now = START.plus(5 * DAY);
        decide(&mut bench, &verified(VerificationResult::Passed), "clerk").unwrap();
        let expected = if moves {
            deadline(&regime(name), START.plus(5 * DAY), &rules().calendar).unrolled
        } else {
            before
        };
        assert_eq!(bench.request.life.clock.due, expected, "{name}");
        let moved = bench.entries.iter().any(|entry| {
            *entry
                == Entry::DeadlineMoved {
                    from: before,
                    to: expected,
                    reason: None,
                }
        });
        assert_eq!(moved, moves, "{name}");
    }
}

#[test]
fn whoever_submitted_it_neither_approves_nor_refuses() {
    let mut bench = Bench::open_under(vec![processor("crm")], &opening(), &rules(), true);
    assert_eq!(
        decide(&mut bench, &Decision::Approve, "submitter"),
        Err(DecisionError::Submitter)
    );
    assert_eq!(
        decide(&mut bench, &refusal(None), "submitter"),
        Err(DecisionError::Submitter)
    );
    assert_eq!(bench.request.life.status, Status::AwaitingApproval);
    decide(&mut bench, &Decision::Approve, "boss").unwrap();
    assert_eq!(bench.request.life.status, Status::InProgress);
    assert!(matches!(
        decide(&mut bench, &Decision::Approve, "boss"),
        Err(DecisionError::NotNow(_))
    ));
    assert!(matches!(
        decide(&mut bench, &verified(VerificationResult::Passed), "boss"),
        Err(DecisionError::NotNow(_))
    ));
}

#[test]
fn refusal_only_before_dispatch_or_for_unsent_share() {
    let mut early = Bench::open_under(vec![processor("crm")], &opening(), &rules(), true);
    decide(&mut early, &refusal(None), "counsel").unwrap();
    assert_eq!(early.request.life.status, Status::Refused);
    assert_eq!(
        decide(&mut early, &refusal(None), "counsel"),
        Err(DecisionError::Closed)
    );

    let after = Processor {
        after: vec![id("crm")],
        ..processor("mail")
    };
    let mut late = Bench::open(vec![processor("crm"), after]);
    for refused in [refusal(None), refusal(Some("crm")), refusal(Some("nobody"))] {
        assert!(matches!(
            decide(&mut late, &refused, "counsel"),
            Err(DecisionError::NotNow(_))
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
fn extension_counts_from_start_once_and_in_time() {
    for (name, months, days) in [("gdpr", 3, 0), ("uk_gdpr", 3, 0), ("ccpa", 0, 90)] {
        let mut bench = Bench::open_under(vec![processor("crm")], &opening(), &under(name), false);
        let before = bench.request.life.clock.due;
        bench.now = START.plus(20 * DAY);
        decide(&mut bench, &EXTEND, "clerk").unwrap();
        let start = START.timestamp().to_zoned(TimeZone::UTC).date();
        let last = start.saturating_add(jiff::Span::new().months(months).days(days));
        let due = bench.request.life.clock.due.timestamp().to_zoned(TimeZone::UTC);
        assert_eq!(due.date(), last, "{name}");
        assert!(bench.entries.contains(&Entry::DeadlineMoved {
            from: before,
            to: bench.request.life.clock.due,
            reason: Some(ExtensionReason::Complexity),
        }));
        assert!(matches!(
            decide(&mut bench, &EXTEND, "clerk"),
            Err(DecisionError::NotNow(_))
        ));
    }
    let mut none = Bench::open(vec![processor("crm")]);
    assert!(matches!(
        decide(&mut none, &EXTEND, "clerk"),
        Err(DecisionError::NotNow(_))
    ));
    let mut late = Bench::open_under(vec![processor("crm")], &opening(), &under("gdpr"), false);
    late.now = late.request.life.clock.due.plus(SECOND);
    assert!(matches!(
        decide(&mut late, &EXTEND, "clerk"),
        Err(DecisionError::NotNow(_))
    ));
}

/// The deadline and what it was moved by, by the ledger.
fn moves(bench: &Bench) -> Vec<(At, At, Option<ExtensionReason>)> {
    let moved = |entry: &Entry| match entry {
        Entry::DeadlineMoved { from, to, reason } => Some((*from, *to, *reason)),
        _ => None,
    };
    bench.entries.iter().filter_map(moved).collect()
}

#[test]
fn pause_and_extension_come_to_the_same_in_either_order() {
    let reason = Some(ExtensionReason::Complexity);
    let passed = verified(VerificationResult::Passed);
    let due = |text: &str| At::parse(text).unwrap();
    // Asked on 21 November, five days of doubt: a month from the 26th, and three.
    let (first, last) = (due("2026-12-26T23:59:59Z"), due("2027-02-26T23:59:59Z"));
    let mut pause_first = Bench::open_under(vec![processor("crm")], &unverified(), &gated("gdpr"), false);
    let mut extension_first = pause_first.clone();
    let before = pause_first.request.life.clock.due;
    assert_eq!(before, due("2026-12-21T23:59:59Z"));
    pause_first.now = START.plus(5 * DAY);
    decide(&mut pause_first, &passed, "clerk").unwrap();
    assert_eq!(pause_first.request.life.clock.extensible_until(), Some(first));
    decide(&mut pause_first, &EXTEND, "clerk").unwrap();
    assert_eq!(
        moves(&pause_first),
        [(before, first, None), (first, last, reason)]
    );

    extension_first.now = START.plus(2 * DAY);
    decide(&mut extension_first, &EXTEND, "clerk").unwrap();
    extension_first.now = START.plus(5 * DAY);
    decide(&mut extension_first, &passed, "clerk").unwrap();
    let unpaused = due("2027-02-21T23:59:59Z");
    assert_eq!(
        moves(&extension_first),
        [(before, unpaused, reason), (unpaused, last, None)]
    );
    for bench in [&pause_first, &extension_first] {
        let clock = &bench.request.life.clock;
        assert_eq!((clock.start, clock.paused_days), (START.plus(5 * DAY), 5));
        assert_eq!((clock.first_due, clock.due), (first, last));
        assert!(clock.is_extended() && clock.extensible_until().is_none());
    }
    assert_eq!(pause_first.request.life.clock, extension_first.request.life.clock);
    assert!(matches!(
        decide(&mut pause_first, &EXTEND, "clerk"),
        Err(DecisionError::NotNow(_))
    ));
}

#[test]
fn a_request_whose_regime_was_removed_keeps_its_dates() {
    let mut bench = Bench::open_under(vec![processor("crm")], &unverified(), &gated("gdpr"), false);
    let before = bench.request.life.clock;
    let none = Rules {
        regimes: Regimes::default(),
        ..rules()
    };
    bench.now = START.plus(5 * DAY);
    assert_eq!(
        decide_under(&mut bench, &EXTEND, "clerk", none.rulebook()),
        Err(DecisionError::NotNow("its regime is not configured any more"))
    );
    let passed = verified(VerificationResult::Passed);
    decide_under(&mut bench, &passed, "clerk", none.rulebook()).unwrap();
    assert_eq!(bench.request.life.clock, before);
    assert!(moves(&bench).is_empty());
    let packed = bench.request.pack().unwrap();
    let read = Request::unpack(bench.request.id, bench.request.revision, &packed).unwrap();
    assert_eq!(read.head.regime.to_string(), "gdpr");
}

#[test]
fn an_extension_that_the_table_has_lost_is_not_taken_back() {
    let mut bench = Bench::open_under(vec![processor("crm")], &unverified(), &gated("gdpr"), false);
    decide(&mut bench, &EXTEND, "clerk").unwrap();
    let extended = bench.request.life.clock;
    let mut table = regimes();
    let name = RegimeName::new("gdpr").unwrap();
    let shorter = Terms {
        extend_to: None,
        ..*table.get(&name).unwrap()
    };
    table.insert(name, shorter);
    let changed = Rules {
        regimes: table,
        ..rules()
    };
    bench.now = START.plus(5 * DAY);
    let passed = verified(VerificationResult::Passed);
    decide_under(&mut bench, &passed, "clerk", changed.rulebook()).unwrap();
    assert_eq!(bench.request.life.clock, extended);
}

#[test]
fn unknown_regime_opens_nothing_and_names_known_ones() {
    let unknown = Opening {
        regime: Some(regime("hippa")),
        ..opening()
    };
    let refused = Bench::opened(vec![processor("crm")], &unknown, &rules(), ADMISSION).unwrap_err();
    let expected = "regime: expected one of: ccpa, drop, gdpr, lgpd, uk_gdpr, or days:N, working_days:N (N from 1 to 3650) \
                    or months:N (N from 1 to 120)";
    assert_eq!(refused.to_string(), expected);
    assert_eq!(
        rules().fault_of_regime(&unknown, START).unwrap().to_string(),
        expected
    );
    assert!(rules().fault_of_regime(&opening(), START).is_none());
}

#[test]
fn grace_window_that_consumes_regime_opens_nothing() {
    // Grace: two days.
    let under = |name: &str| Opening {
        regime: Some(regime(name)),
        ..opening()
    };
    let refused = Bench::opened(
        vec![processor("crm")],
        &under("days:1"),
        &gated("days:10"),
        ADMISSION,
    );
    assert_eq!(
        refused.unwrap_err().to_string(),
        "regime: expected a longer time than days:1, of which the grace window (policy.grace) would leave nothing"
    );
    for name in ["days:2", "days:3", "gdpr"] {
        let opened = Bench::opened(vec![processor("crm")], &under(name), &gated("days:10"), ADMISSION);
        assert!(opened.is_ok(), "{name}");
    }
    assert!(rules().fault_of_regime(&under("days:1"), START).is_none());
}

#[test]
fn start_after_deadline_is_at_risk_from_the_beginning() {
    let late = Opening {
        not_before: Some(START.plus(40 * DAY)),
        ..opening()
    };
    let mut bench = Bench::open_under(vec![processor("crm")], &late, &under("gdpr"), false);
    assert!(bench.request.life.at_risk && bench.request.waits_past_deadline());
    // An extension mends it.
    decide(&mut bench, &EXTEND, "clerk").unwrap();
    assert!(!bench.request.life.at_risk && !bench.request.waits_past_deadline());
    let just = Opening {
        not_before: Some(bench.request.life.clock.first_due),
        ..opening()
    };
    let bench = Bench::open_under(vec![processor("crm")], &just, &under("gdpr"), false);
    assert!(!bench.request.life.at_risk);
}

pub(super) fn passed() -> Decision {
    verified(VerificationResult::Passed)
}
