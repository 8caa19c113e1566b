//! Deferred tasks.

use lacuna::{
    domain::{ids::RequestId, time::At, words::Why},
    store::{Changes, DeferredFilter, DeferredRow, Store},
};

use super::{
    facts::processor,
    fixture::Fixture,
    rows::{at, id, write},
};

pub fn row(n: u128, ordinal: u16, reason: Why, of: &str, until: Option<i64>, mark: i64) -> DeferredRow {
    DeferredRow {
        request_id: id(n),
        ordinal,
        reason,
        processor: processor(of),
        until: until.map(at),
        mark: at(mark),
    }
}

pub fn deferring(rows: impl IntoIterator<Item = DeferredRow>) -> Changes {
    Changes {
        deferred: rows.into_iter().collect(),
        at: at(1),
        ..Changes::default()
    }
}

const ALL: DeferredFilter = DeferredFilter {
    processor: None,
    reason: None,
    due_before: None,
    after: None,
    limit: 1_000,
};

/// All of them, by date.
pub async fn deferred(store: &dyn Store) -> Vec<DeferredRow> {
    store.deferred(&ALL).await.unwrap()
}

fn backup(n: u128, ordinal: u16, until: i64) -> DeferredRow {
    row(n, ordinal, Why::BackupRotation, "vault", Some(until), until - 90)
}

fn retention(n: u128, ordinal: u16, until: i64) -> DeferredRow {
    row(n, ordinal, Why::Retention, "billing", Some(until), until)
}

fn held(n: u128, ordinal: u16) -> DeferredRow {
    row(n, ordinal, Why::Hold, "crm", None, 0)
}

pub async fn tasks_are_written_over_and_resumed(fixture: Fixture) {
    let store = &*fixture.store;
    assert!(deferred(store).await.is_empty());
    write(
        store,
        &deferring([retention(1, 1, 50), backup(1, 0, 100), held(2, 0)]),
    )
    .await
    .unwrap();
    assert_eq!(
        deferred(store).await,
        [retention(1, 1, 50), backup(1, 0, 100), held(2, 0)]
    );

    // The same again, another date, another reason; what a batch says last counts.
    let moved = row(2, 0, Why::Verification, "crm", Some(70), 0);
    write(
        store,
        &deferring([
            retention(1, 1, 50),
            backup(1, 0, 10),
            backup(1, 0, 30),
            moved.clone(),
        ]),
    )
    .await
    .unwrap();
    assert_eq!(
        deferred(store).await,
        [backup(1, 0, 30), retention(1, 1, 50), moved.clone()]
    );

    // What is not there may be resumed, and what is resumed and deferred in one batch is deferred.
    write(
        store,
        &Changes {
            resumed: vec![(id(1), 1), (id(9), 9), (id(2), 0), (id(1), 1)],
            deferred: vec![moved.clone(), backup(3, 7, 40)],
            at: at(1),
            ..Changes::default()
        },
    )
    .await
    .unwrap();
    assert_eq!(deferred(store).await, [backup(1, 0, 30), backup(3, 7, 40), moved]);
}

fn numbers(rows: &[DeferredRow]) -> Vec<(u128, u16)> {
    rows.iter()
        .map(|row| (row.request_id.0.as_u128(), row.ordinal))
        .collect()
}

pub async fn tasks_are_listed_by_date(fixture: Fixture) {
    let store = &*fixture.store;
    let rows = [
        backup(4, 0, 10),
        retention(2, 0, 20),
        backup(3, 0, 20),
        backup(3, 1, 20),
        row(1, 0, Why::BackupRotation, "tapes", Some(30), 5),
        retention(1, 1, 30),
        held(1, 2),
        held(5, 0),
        row(6, 0, Why::Retention, "billing", None, 0),
    ];
    let mut shuffled = rows.to_vec();
    shuffled.reverse();
    write(store, &deferring(shuffled)).await.unwrap();
    assert_eq!(deferred(store).await, rows, "what has no date comes last");

    let listed = async |filter: DeferredFilter| numbers(&store.deferred(&filter).await.unwrap());
    assert_eq!(
        listed(DeferredFilter {
            reason: Some(Why::BackupRotation),
            ..ALL
        })
        .await,
        [(4, 0), (3, 0), (3, 1), (1, 0)]
    );
    assert_eq!(
        listed(DeferredFilter {
            processor: Some(processor("billing")),
            ..ALL
        })
        .await,
        [(2, 0), (1, 1), (6, 0)]
    );
    let both = DeferredFilter {
        reason: Some(Why::BackupRotation),
        processor: Some(processor("vault")),
        ..ALL
    };
    assert_eq!(listed(both).await, [(4, 0), (3, 0), (3, 1)]);
    let due = DeferredFilter {
        due_before: Some(at(20)),
        ..ALL
    };
    assert_eq!(listed(due).await, [(4, 0)]);
    let due = DeferredFilter {
        due_before: Some(at(21)),
        ..ALL
    };
    assert_eq!(listed(due).await, [(4, 0), (2, 0), (3, 0), (3, 1)]);

    for limit in 1..=4 {
        let mut all: Vec<DeferredRow> = Vec::new();
        loop {
            let after: Option<(Option<At>, RequestId, u16)> =
                all.last().map(|row| (row.until, row.request_id, row.ordinal));
            let page = store
                .deferred(&DeferredFilter { after, limit, ..ALL })
                .await
                .unwrap();
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
        assert_eq!(all, rows, "in pages of {limit}");
    }
}

pub async fn tasks_are_counted_by_date(fixture: Fixture) {
    let store = &*fixture.store;
    write(
        store,
        &deferring([
            backup(1, 0, 10),
            backup(2, 0, 20),
            row(3, 0, Why::Retention, "vault", Some(15), 15),
            row(4, 0, Why::Verification, "vault", Some(15), 15),
            row(5, 0, Why::Hold, "vault", Some(15), 15),
            row(6, 0, Why::Hold, "vault", None, 0),
            retention(1, 1, 10),
        ]),
    )
    .await
    .unwrap();
    let counted = store
        .deferred_before(&[
            (processor("vault"), at(20)),
            (processor("nobody"), at(100)),
            (processor("billing"), at(10)),
            (processor("vault"), at(i64::MAX)),
        ])
        .await
        .unwrap();
    assert_eq!(
        counted,
        [("vault", 4), ("nobody", 0), ("billing", 0), ("vault", 5)].map(|(of, n)| (processor(of), n))
    );
    assert!(store.deferred_before(&[]).await.unwrap().is_empty());
}
