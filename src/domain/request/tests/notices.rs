//! The one word that upstream's mailer goes by.

use super::*;
use crate::domain::{
    command::Decision,
    request::Extension,
    words::{ExtensionReason, Notice, Status},
};

/// A request under a regime with everything: two weeks to acknowledge, forty-five days, and ninety.
fn california() -> Bench {
    let rules = Rules {
        regime: regime("ccpa"),
        ..rules()
    };
    Bench::open_under(vec![processor("crm")], &opening(), &rules, false)
}

fn decide(bench: &mut Bench, decision: &Decision) {
    let rules = rules();
    bench.run(|request, context| {
        let trail = request.decide(decision, "clerk", None, rules.rulebook(), context);
        ((), trail.unwrap())
    });
}

#[test]
fn every_word_by_where_the_request_stands() {
    struct Stand {
        status: Status,
        overdue: bool,
        restored: bool,
        clean: bool,
        at_risk: bool,
        extension: Extension,
        pauses_for_identity: bool,
        /// Whether the time to acknowledge has passed.
        late: bool,
    }
    let open = || Stand {
        status: Status::InProgress,
        overdue: false,
        restored: false,
        clean: false,
        at_risk: false,
        extension: Extension::Possible,
        pauses_for_identity: false,
        late: true,
    };
    use Notice::*;
    let cases = [
        (open(), None),
        (
            Stand {
                late: false,
                ..open()
            },
            Some(AcknowledgementDue),
        ),
        (
            Stand {
                at_risk: true,
                ..open()
            },
            Some(ExtensionDue),
        ),
        (
            Stand {
                at_risk: true,
                extension: Extension::Unknown,
                ..open()
            },
            None,
        ),
        // The days of doubt are added to the deadline, where the regime says so: nobody has to be asked for more.
        (
            Stand {
                status: Status::AwaitingVerification,
                at_risk: true,
                pauses_for_identity: true,
                ..open()
            },
            None,
        ),
        (
            Stand {
                status: Status::AwaitingVerification,
                at_risk: true,
                ..open()
            },
            Some(ExtensionDue),
        ),
        (
            Stand {
                at_risk: true,
                pauses_for_identity: true,
                ..open()
            },
            Some(ExtensionDue),
        ),
        // The nearer deadline first.
        (
            Stand {
                at_risk: true,
                late: false,
                ..open()
            },
            Some(AcknowledgementDue),
        ),
        (
            Stand {
                extension: Extension::Made,
                ..open()
            },
            Some(Extended),
        ),
        (
            Stand {
                extension: Extension::Made,
                late: false,
                at_risk: true,
                ..open()
            },
            Some(Extended),
        ),
        (
            Stand {
                overdue: true,
                ..open()
            },
            Some(Overdue),
        ),
        (
            Stand {
                overdue: true,
                restored: true,
                late: false,
                extension: Extension::Made,
                ..open()
            },
            Some(Restored),
        ),
        (
            Stand {
                restored: true,
                at_risk: true,
                ..open()
            },
            Some(Restored),
        ),
        // Live systems are clean: the deadline is kept, and what is left has dates of its own.
        (
            Stand {
                clean: true,
                extension: Extension::Made,
                late: false,
                status: Status::Deferred,
                ..open()
            },
            None,
        ),
        (
            Stand {
                status: Status::AwaitingApproval,
                at_risk: true,
                ..open()
            },
            Some(ExtensionDue),
        ),
        (
            Stand {
                status: Status::Completed,
                overdue: true,
                ..open()
            },
            Some(Completed),
        ),
        (
            Stand {
                status: Status::ClosedWithExceptions,
                ..open()
            },
            Some(ClosedWithExceptions),
        ),
        (
            Stand {
                status: Status::Refused,
                late: false,
                ..open()
            },
            Some(Refused),
        ),
        (
            Stand {
                status: Status::Cancelled,
                late: false,
                ..open()
            },
            Some(Cancelled),
        ),
        (
            Stand {
                status: Status::Merged,
                late: false,
                ..open()
            },
            Some(Merged),
        ),
    ];
    let template = california().request;
    let acknowledge_by = template.life.clock.acknowledge_by.unwrap();
    for (n, (stand, expected)) in cases.into_iter().enumerate() {
        let mut request = template.clone();
        request.life.status = stand.status;
        request.life.overdue = stand.overdue;
        request.life.restored_at = stand.restored.then_some(START);
        request.life.live_clean_at = stand.clean.then_some(START);
        request.life.at_risk = stand.at_risk;
        request.life.clock.extension = stand.extension;
        request.life.clock.pauses_for_identity = stand.pauses_for_identity;
        let now = if stand.late {
            acknowledge_by.plus(SECOND)
        } else {
            acknowledge_by
        };
        assert_eq!(request.notice_at(now), expected, "case {n}");
    }
}

#[test]
fn the_words_come_and_go_with_time_and_no_wake_is_for_nothing() {
    let mut bench = california();
    let clock = bench.request.life.clock;
    // Ten working days after Saturday 21 November, and forty-five days.
    assert_eq!(
        clock.acknowledge_by,
        Some(At::parse("2026-12-04T23:59:59Z").unwrap())
    );
    assert_eq!(clock.due, At::parse("2027-01-05T23:59:59Z").unwrap());
    bench.answer(0, Answer::Rejected).unwrap();
    let mut said = vec![(START, bench.request.life.notice)];
    let mut wakes = 0;
    while bench.now < START.plus(60 * DAY) {
        bench.sleep();
        wakes += 1;
        if said.last().unwrap().1 != bench.request.life.notice {
            said.push((bench.now, bench.request.life.notice));
        }
    }
    let after = |at: At| At::from_millis(at.millis() + 1);
    let expected = [
        (START, Some(Notice::AcknowledgementDue)),
        (after(clock.acknowledge_by.unwrap()), None),
        (clock.at_risk_from, Some(Notice::ExtensionDue)),
        (after(clock.due), Some(Notice::Overdue)),
    ];
    assert_eq!(said, expected);
    // Three for the words, and one a day once no date is left.
    assert!(wakes <= 3 + 16, "{wakes} wakes");
}

#[test]
fn a_word_stands_until_the_next() {
    let mut bench = california();
    assert_eq!(bench.request.life.notice, Some(Notice::AcknowledgementDue));
    bench.pass(DAY);
    decide(
        &mut bench,
        &Decision::Extend {
            reason: ExtensionReason::NumberOfRequests,
        },
    );
    assert_eq!(bench.request.life.notice, Some(Notice::Extended));
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(bench.request.life.notice, Some(Notice::Completed));

    let asked = Opening {
        not_before: Some(START.plus(DAY)),
        ..opening()
    };
    let mut bench = Bench::open_with(vec![processor("crm")], &asked);
    assert_eq!(
        bench.request.life.notice, None,
        "ten days, and nobody to be told that it came in"
    );
    bench.run(|request, context| ((), request.cancel(None, context).unwrap()));
    assert_eq!(bench.request.life.notice, Some(Notice::Cancelled));
}

#[test]
fn a_promise_past_the_deadline_asks_for_an_extension_at_once() {
    let rules = Rules {
        regime: regime("gdpr"),
        ..rules()
    };
    let mut bench = Bench::open_under(vec![processor("crm")], &opening(), &rules, false);
    assert_eq!(bench.request.life.notice, None);
    bench.answer(0, accepted(Some(START.plus(40 * DAY)))).unwrap();
    assert_eq!(bench.request.life.notice, Some(Notice::ExtensionDue));
}

#[test]
fn who_was_away_is_told_before_anything_is_sent() {
    let mut away = opening();
    away.reason = Reason::Inactivity;
    let mut bench = Bench::open_under(vec![processor("crm")], &away, &rules(), false);
    let life = &bench.request.life;
    assert_eq!(
        (life.status, life.notice),
        (Status::Scheduled, Some(Notice::ErasureNoticeDue))
    );
    assert!(bench.dispatched.is_empty());
    // Two days, to the second.
    bench.pass(2 * DAY - SECOND);
    bench.wake();
    assert_eq!(bench.request.life.status, Status::Scheduled);
    bench.pass(SECOND);
    bench.wake();
    assert_eq!(
        (bench.request.life.status, bench.request.life.notice),
        (Status::InProgress, None)
    );
    assert_eq!(bench.dispatched, [0]);
}

#[test]
fn longer_grace_window_is_long_enough_for_the_notice() {
    let mut away = opening();
    away.reason = Reason::Inactivity;
    let patient = Rules {
        grace: Period::days(5),
        ..rules()
    };
    let bench = Bench::open_under(vec![processor("crm")], &away, &patient, false);
    assert_eq!(bench.request.head.not_before, Some(START.plus(5 * DAY)));
    // Nobody else has to be told anything first.
    let bench = Bench::open_under(vec![processor("crm")], &opening(), &rules(), false);
    assert_eq!(
        (bench.request.head.not_before, bench.request.life.status),
        (None, Status::InProgress)
    );
}
