//! What a report reads: requests by the time of their receipt, their leaves, what is forgotten; and lists that were taken in.

use lacuna::{
    domain::{
        ids::{RequestId, Tenant},
        words::Status,
    },
    store::{Changes, FetchedList, PurgedRow, Stretch},
};
use uuid::Uuid;

use super::{
    fixture::Fixture,
    rows::{at, id, leaf, opening, request, tenant, write},
};

const NOBODY: RequestId = RequestId(Uuid::nil());

pub async fn read_requests_by_their_receipt(fixture: Fixture) {
    let store = &*fixture.store;
    // Three at one time, given in no order, and one of another tenant.
    let mut all: Vec<_> = [5, 3, 4, 1, 2].map(|n| request(n, None)).into_iter().collect();
    for of_one_time in &mut all[..3] {
        of_one_time.head.received_at = at(2_000);
    }
    all[3].head.tenant = Tenant::new("other").unwrap();
    write(store, &opening(all)).await.unwrap();
    let find = async |tenant: Option<&Tenant>, from, after, to, limit| {
        let stretch = Stretch {
            from: at(from),
            after,
            to: at(to),
        };
        let rows = store.received_between(tenant, stretch, limit).await.unwrap();
        rows.into_iter().map(|(_, found)| found).collect::<Vec<_>>()
    };
    assert_eq!(
        find(None, 0, NOBODY, 9_000, 10).await,
        [id(1), id(2), id(3), id(4), id(5)]
    );
    assert_eq!(
        find(None, 0, NOBODY, 9_000, 4).await,
        [id(1), id(2), id(3), id(4)]
    );
    assert_eq!(find(None, 2_000, id(4), 9_000, 4).await, [id(5)]);
    assert_eq!(find(None, 1_001, NOBODY, 2_000, 4).await, [id(1), id(2)]);
    assert_eq!(find(None, 1_001, id(1), 2_000, 4).await, [id(2)]);
    assert_eq!(find(Some(&tenant()), 0, NOBODY, 2_000, 4).await, [id(2)]);
    assert!(find(None, 2_001, NOBODY, 9_000, 4).await.is_empty());
}

pub async fn read_leaves_of_many_requests(fixture: Fixture) {
    let store = &*fixture.store;
    let changes = Changes {
        leaves: (0..3)
            .flat_map(|n| [leaf(2, n), leaf(1, n), leaf(9, n)])
            .collect(),
        ..opening([request(1, None), request(2, None)])
    };
    write(store, &changes).await.unwrap();
    let found = store.leaves_of(&[id(2), id(1), id(7)]).await.unwrap();
    let found: Vec<(RequestId, u32)> = found.into_iter().map(|(request, n, _)| (request, n)).collect();
    assert_eq!(
        found,
        [
            (id(1), 0),
            (id(1), 1),
            (id(1), 2),
            (id(2), 0),
            (id(2), 1),
            (id(2), 2)
        ]
    );
}

pub async fn know_how_many_are_forgotten(fixture: Fixture) {
    const HOUR: i64 = 3_600_000;
    let store = &*fixture.store;
    write(store, &opening((1..=4).map(|n| request(n, None))))
        .await
        .unwrap();
    let purged = |n, hour, regime: &str, status| PurgedRow {
        id: id(n),
        tenant: tenant(),
        revision: 1,
        received_at: at(hour * HOUR + 1),
        regime: regime.to_owned(),
        status,
    };
    let rows = [
        purged(1, 5, "gdpr", Status::Completed),
        purged(2, 5, "gdpr", Status::Completed),
        purged(3, 6, "ccpa", Status::Refused),
    ];
    // One after the other: the same hour is counted on.
    for row in rows {
        let purging = Changes {
            purged: vec![row],
            ..Changes::default()
        };
        write(store, &purging).await.unwrap();
    }
    let find = async |tenant: Option<&Tenant>, regime, from, to| {
        let mut found = store.forgotten(tenant, regime, at(from), at(to)).await.unwrap();
        found.sort();
        found
    };
    let all = vec![(Status::Completed, 2), (Status::Refused, 1)];
    assert_eq!(find(None, None, 0, 9 * HOUR).await, all);
    assert_eq!(
        find(Some(&tenant()), None, 5 * HOUR + 10, 6 * HOUR + 1).await,
        all
    );
    assert_eq!(find(None, None, 5 * HOUR, 6 * HOUR).await, all[..1]);
    assert_eq!(find(None, Some("ccpa"), 0, 9 * HOUR).await, all[1..]);
    assert_eq!(
        find(Some(&Tenant::new("other").unwrap()), None, 0, 9 * HOUR).await,
        []
    );
}

pub async fn know_when_the_newest_list_was_taken_in(fixture: Fixture) {
    let store = &*fixture.store;
    let list = |broker: &str, day: &str, kind: &str| FetchedList {
        broker: broker.to_owned(),
        day: day.to_owned(),
        kind: kind.to_owned(),
        count: 7,
    };
    assert_eq!(store.drop_fetches().await.unwrap(), []);
    for (taken, millis) in [
        (list("1", "2026-10-01", "Email"), 10),
        (list("1", "2026-11-10", "Email"), 50),
        (list("1", "2026-11-10", "Phone"), 60),
        (list("2", "2026-11-01", "nothing"), 30),
        // Again, and an older one: nothing new.
        (list("1", "2026-11-10", "Email"), 90),
        (list("1", "2026-10-01", "Phone"), 95),
    ] {
        store.drop_fetched(&taken, at(millis)).await.unwrap();
    }
    assert_eq!(
        store.drop_fetches().await.unwrap(),
        [("1".to_owned(), at(50)), ("2".to_owned(), at(30))]
    );
}
