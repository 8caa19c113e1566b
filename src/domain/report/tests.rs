//! Quantiles, periods, and what a request's ledger says of its answers.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::{history::History, months::BadPeriod, *};
use crate::domain::{
    entry::Entry,
    ids::RequestId,
    task::TaskEvent,
    words::{AbandonCause, Action, Outcome},
};

fn at(text: &str) -> At {
    At::parse(text).unwrap()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn percentile_is_one_of_the_lengths_by_nearest_rank() {
    let mut durations = Durations::default();
    assert_eq!(durations.percentile(50), None);
    for n in [5, 1, 4, 2, 3] {
        durations.push(seconds(n));
    }
    for (percent, expected) in [
        (1, 1),
        (20, 1),
        (21, 2),
        (50, 3),
        (60, 3),
        (61, 4),
        (90, 5),
        (99, 5),
        (100, 5),
    ] {
        assert_eq!(
            durations.percentile(percent),
            Some(seconds(expected)),
            "{percent}"
        );
    }
}

#[test]
fn lengths_beyond_four_bytes_are_kept_to_the_millisecond() {
    let year = Duration::from_millis(365 * 24 * 3_600_000 + 1);
    let mut durations = Durations::default();
    for length in [year, seconds(1), year + year, seconds(2)] {
        durations.push(length);
    }
    assert_eq!(durations.percentile(50), Some(seconds(2)));
    assert_eq!(durations.percentile(51), Some(year));
    assert_eq!(durations.longest(), Some(year + year));
    assert_eq!(durations.count(), 4);
}

#[test]
fn column_of_a_histogram_ends_with_its_last_day() {
    let mut days = Days::default();
    let day = 24 * 3600;
    for length in [0, day, day + 1, 30 * day, 30 * day + 1, 91 * day] {
        days.push(seconds(length));
    }
    let found: Vec<(Option<u16>, u64)> = days.columns().filter(|(_, count)| *count > 0).collect();
    assert_eq!(
        found,
        [
            (Some(1), 2),
            (Some(3), 1),
            (Some(30), 1),
            (Some(45), 1),
            (None, 1)
        ]
    );
}

#[test]
fn period_is_the_last_whole_month_of_the_zone() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let period = |from, to| period(from, to, at("2026-11-30T23:30:00Z"), &zone);
    // It is December there already.
    let november = (at("2026-10-31T23:00:00Z"), at("2026-11-30T23:00:00Z"));
    assert_eq!(period(None, None), Ok(november));
    assert_eq!(period(Some("2026-11-01"), Some("2026-12-01")), Ok(november));
    assert_eq!(
        period(Some("2026-11-30T23:00:00Z"), None),
        Ok((november.1, at("2026-11-30T23:30:00Z")))
    );
    for (from, to, fault) in [
        (None, Some("2026-12-01"), BadPeriod::From),
        (Some("2026-11-31"), None, BadPeriod::From),
        (Some("2026-11-01"), Some("soon"), BadPeriod::To),
        (Some("2026-11-02"), Some("2026-11-02"), BadPeriod::Empty),
        (Some("2027-01-01"), None, BadPeriod::Empty),
    ] {
        assert_eq!(period(from, to), Err(fault), "{from:?} {to:?}");
    }
}

fn leaf(n: u32, millis: i64, events: Vec<TaskEvent>) -> Leaf {
    let entry = |event| Entry::Task {
        ordinal: 0,
        generation: 1,
        attempt: 1,
        event,
    };
    Leaf {
        request: RequestId(uuid::Uuid::nil()),
        n,
        at: At::from_millis(millis),
        entries: events.into_iter().map(entry).collect(),
    }
}

fn opened(processor: &str) -> Leaf {
    Leaf {
        entries: vec![Entry::Opened {
            action: Action::Erase,
            regime: Regime::parse("gdpr").unwrap(),
            requested_at: At::default(),
            deadline: At::default(),
            registry: 1,
            commitment: [0; 32],
            processors: vec![ProcessorId::new(processor).unwrap()],
        }],
        ..leaf(0, 0, Vec::new())
    }
}

fn sent(millis: i64) -> TaskEvent {
    TaskEvent::Dispatched {
        at: At::from_millis(millis),
        ack_by: At::from_millis(millis + 1000),
    }
}

#[test]
fn only_the_first_answer_to_a_send_is_timed() {
    let again = |outcome| TaskEvent::AskedAgain {
        outcome,
        counts: true,
        due: At::default(),
    };
    let history = History::of(&[
        opened("crm"),
        leaf(1, 100, vec![sent(100)]),
        // Nothing came: that is no answer.
        leaf(2, 1100, vec![again(None)]),
        leaf(3, 2000, vec![sent(2000)]),
        leaf(4, 2300, vec![again(Some(Outcome::Failed))]),
        leaf(5, 3000, vec![sent(3000)]),
        leaf(
            6,
            3050,
            vec![TaskEvent::Accepted {
                at: At::from_millis(3050),
                expected_by: At::from_millis(9000),
            }],
        ),
        leaf(
            7,
            8000,
            vec![TaskEvent::Abandoned {
                cause: AbandonCause::Rejected,
                outcome: Some(Outcome::Rejected),
            }],
        ),
    ]);
    let crm = ProcessorId::new("crm").unwrap();
    assert_eq!(
        history.answered_after,
        [
            (crm.clone(), Duration::from_millis(300)),
            (crm.clone(), Duration::from_millis(50))
        ]
    );
    use super::history::Failure;
    assert_eq!(
        history.failures,
        [
            (crm.clone(), Failure::Unanswered),
            (crm.clone(), Failure::Answered(Outcome::Failed)),
            (crm, Failure::Answered(Outcome::Rejected)),
        ]
    );
}

#[test]
fn an_answer_belongs_to_whom_the_task_was_at() {
    let (old, new) = (ProcessorId::new("old").unwrap(), ProcessorId::new("new").unwrap());
    let settled = TaskEvent::Settled {
        attempt: 1,
        proof: Proof::Erased,
        at: At::from_millis(500),
    };
    let history = History::of(&[
        opened("old"),
        leaf(1, 0, vec![sent(0)]),
        leaf(
            2,
            100,
            vec![TaskEvent::HandedOver {
                from: old,
                to: new.clone(),
                action: Some(Action::Erase),
                named: true,
                due: At::from_millis(100),
            }],
        ),
        leaf(3, 200, vec![sent(200)]),
        leaf(4, 500, vec![settled]),
    ]);
    assert_eq!(history.answered_after, [(new, Duration::from_millis(300))]);
    assert_eq!(history.failures, []);
}
