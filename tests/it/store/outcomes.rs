//! What processors have answered over time.

use lacuna::{
    domain::{ids::ProcessorId, time::At},
    store::{Changes, CounterKey, HOUR, OUT, RECENT, Tally},
};

use super::{
    fixture::Fixture,
    journal::counters,
    rows::{at, write},
};

fn tally(since: i64, processor: &str, outcome: u8, bucket: i16, n: i64) -> Tally {
    Tally {
        since: at(since),
        processor: ProcessorId::new(processor).unwrap(),
        outcome,
        bucket,
        n,
    }
}

/// What is found, in order, without the time that was asked for.
fn sorted(found: Vec<Tally>) -> Vec<(String, u8, i16, i64)> {
    let mut found: Vec<_> = found
        .into_iter()
        .map(|tally| (tally.processor.to_string(), tally.outcome, tally.bucket, tally.n))
        .collect();
    found.sort_unstable();
    found
}

pub async fn are_summed_by_minutes_and_hours(fixture: Fixture) {
    let store = &*fixture.store;
    let start = 100 * HOUR;
    store.add_outcomes(&[]).await.unwrap();
    for _ in 0..2 {
        let tallies = [
            tally(start, "crm", 2, 40, 3),
            tally(start + RECENT, "crm", 2, 41, 1),
            tally(start + RECENT, "ads", 4, -1, 5),
            tally(start + HOUR, "crm", 4, 40, 7),
        ];
        store.add_outcomes(&tallies).await.unwrap();
    }
    let recent = async |since| sorted(store.recent_outcomes(at(since)).await.unwrap());
    let row = |processor: &str, outcome, bucket, n| (processor.to_owned(), outcome, bucket, n);
    assert_eq!(
        recent(start).await,
        [
            row("ads", 4, -1, 10),
            row("crm", 2, 40, 6),
            row("crm", 2, 41, 2),
            row("crm", 4, 40, 14)
        ]
    );
    // Five minutes are the least that is told apart.
    assert_eq!(
        recent(start + RECENT + 7).await,
        [row("ads", 4, -1, 10), row("crm", 2, 41, 2), row("crm", 4, 40, 14)]
    );
    let between = async |from, until| sorted(store.outcomes_between(at(from), at(until)).await.unwrap());
    assert_eq!(
        between(start, start + HOUR).await,
        [row("ads", 4, 0, 10), row("crm", 2, 0, 8)]
    );
    assert_eq!(
        between(start + HOUR, start + 2 * HOUR).await,
        [row("crm", 4, 0, 14)]
    );

    store.forget_outcomes(at(start + HOUR), at(start)).await.unwrap();
    assert_eq!(recent(0).await, [row("crm", 4, 40, 14)]);
    assert_eq!(
        between(0, start + HOUR).await.len(),
        2,
        "hours are kept for longer"
    );
    store
        .forget_outcomes(at(start + HOUR), at(start + HOUR))
        .await
        .unwrap();
    assert!(between(0, start + HOUR).await.is_empty());
}

/// Whoever sends counts in another slot than whoever settles.
pub async fn forget_minutes_of_which_nothing_is_out(fixture: Fixture) {
    let store = &*fixture.store;
    let count = |minute: i64, n, slot| Changes {
        counters: vec![(
            CounterKey {
                kind: OUT,
                a: "crm".to_owned(),
                b: minute.to_string(),
            },
            n,
        )],
        slot,
        at: At::default(),
        ..Changes::default()
    };
    for (minute, n, slot) in [
        (29_000_000, 3, 0),
        (29_000_000, -3, 1),
        (29_000_001, 3, 0),
        (29_000_001, -2, 1),
        (29_000_002, 1, 0),
        (29_000_002, -1, 1),
    ] {
        write(store, &count(minute, n, slot)).await.unwrap();
    }
    store.forget_out(29_000_002).await.unwrap();
    let left: Vec<(String, i64)> = counters(store)
        .await
        .into_iter()
        .map(|(key, n)| (key.b, n))
        .collect();
    // The last minute may still be counted in.
    assert_eq!(left, [("29000001".to_owned(), 1), ("29000002".to_owned(), 0)]);
}
