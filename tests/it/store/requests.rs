//! Requests: opened, read, moved, shredded.

use lacuna::{
    domain::{
        ids::{CommandId, Tenant},
        words::Status,
    },
    store::{Changes, InboxRow, MovedRow, StoreError},
};
use uuid::Uuid;

use super::{
    fixture::Fixture,
    rows::{id, ids, ids_of, load, moved, moving, opened, opening, request, sorted, write},
};

pub async fn are_read_back(fixture: Fixture) {
    let store = &*fixture.store;
    write(store, &opening([request(2, Some(20)), request(1, None)]))
        .await
        .unwrap();

    let mut found = store.requests(&ids([1, 2, 3])).await.unwrap();
    found.sort_unstable_by_key(|stored| stored.request.id);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].request, request(1, None));
    assert_eq!(found[1].request, request(2, Some(20)));
    assert_eq!(found[1].wrapped_key, opened(request(2, None)).wrapped_key);

    let bodies = store.bodies(&ids([1])).await.unwrap();
    let [body] = &bodies[..] else { panic!("{bodies:?}") };
    assert_eq!((&body.body, &body.sealed), (&vec![1; 100], &vec![1; 200]));
    assert_eq!(
        sorted(store.revisions(&ids([1, 2, 3])).await.unwrap()),
        [(id(1), 1), (id(2), 1)]
    );
    assert!(store.requests(&[]).await.unwrap().is_empty());
    assert!(store.bytes_on_disk().await.unwrap() > 0);
}

pub async fn are_paged_by_id(fixture: Fixture) {
    let store = &*fixture.store;
    assert_eq!(store.oldest_open().await.unwrap(), None);
    // Every third one is closed: it has no row in the agenda.
    write(
        store,
        &opening((1..=25).map(|n| request(n, (n % 3 != 0).then_some(50)))),
    )
    .await
    .unwrap();

    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = ids_of(&store.page(after, 10).await.unwrap());
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 10);
        after = Some(*last);
        seen.extend(page);
    }
    assert_eq!(seen, ids(1..=25));

    let first = ids_of(&store.open_page(None, 10).await.unwrap());
    assert_eq!(first, ids([1, 2, 4, 5, 7, 8, 10, 11, 13, 14]));
    let second = ids_of(&store.open_page(first.last().copied(), 10).await.unwrap());
    assert_eq!(second, ids([16, 17, 19, 20, 22, 23, 25]));
    assert!(
        store
            .open_page(second.last().copied(), 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        store.oldest_open().await.unwrap(),
        Some(request(1, None).head.received_at)
    );
}

pub async fn are_found_by_their_subject(fixture: Fixture) {
    let store = &*fixture.store;
    let mut changes = opening([request(3, None), request(1, None), request(2, None)]);
    for row in &mut changes.opened[..2] {
        // The same value twice, as when an address is both the login and the contact.
        row.digests = vec![[42; 16], [42; 16], [43; 16]];
    }
    write(store, &changes).await.unwrap();
    assert_eq!(
        store.of_subject(&[[42; 16]], 10).await.unwrap(),
        ids([3, 1]),
        "newest first"
    );
    assert_eq!(store.of_subject(&[[43; 16]], 1).await.unwrap(), ids([3]));
    assert_eq!(store.of_subject(&[[2; 16]], 10).await.unwrap(), ids([2]));
    assert!(store.of_subject(&[[44; 16]], 10).await.unwrap().is_empty());
    assert_eq!(
        store
            .of_subject(&[[44; 16], [2; 16], [43; 16]], 10)
            .await
            .unwrap(),
        ids([3, 2, 1]),
        "under any of them"
    );
}

pub async fn are_of_tenants_that_are_known(fixture: Fixture) {
    let store = &*fixture.store;
    assert!(store.tenants(10).await.unwrap().is_empty());
    let row = |n: u128, tenant: &str| InboxRow {
        tenant: Tenant::new(tenant).unwrap(),
        command_id: CommandId(Uuid::from_u128(n)),
        digest: [0; 16],
        request_id: id(n),
    };
    let changes = Changes {
        inbox: vec![
            row(1, "globex"),
            row(2, "acme"),
            row(3, "globex"),
            row(4, "acme"),
            row(5, "Initech"),
        ],
        ..Changes::default()
    };
    write(store, &changes).await.unwrap();
    let mut found = store.tenants(10).await.unwrap();
    found.sort_unstable();
    let expected = ["Initech", "acme", "globex"].map(|name| Tenant::new(name).unwrap());
    assert_eq!(found, expected, "each once");
    assert_eq!(store.tenants(2).await.unwrap().len(), 2);
}

pub async fn of_another_revision_are_not_written(fixture: Fixture) {
    let store = &*fixture.store;
    write(store, &opening([request(1, Some(10)), request(2, Some(10))]))
        .await
        .unwrap();
    let finish = |n| {
        moved(request(n, Some(10)), |request| {
            request.life.status = Status::Completed
        })
    };
    write(store, &moving([finish(2)])).await.unwrap();

    let lost = write(store, &moving([finish(1), finish(2)])).await;
    assert!(matches!(lost, Err(StoreError::Conflict)), "{lost:?}");
    assert_eq!(
        load(store, 1).await.request,
        request(1, Some(10)),
        "its neighbour was rolled back with it"
    );
    assert_eq!(load(store, 2).await.request.revision, 2);
    let unknown = write(store, &moving([finish(3)])).await;
    assert!(matches!(unknown, Err(StoreError::Conflict)), "{unknown:?}");
}

pub async fn keep_no_key_once_shredded(fixture: Fixture) {
    let store = &*fixture.store;
    write(store, &opening([request(1, None), request(2, None)]))
        .await
        .unwrap();
    let shred = MovedRow {
        shred: true,
        ..moved(request(1, None), |request| request.bookkeeping.readable = false)
    };
    let keep = moved(request(2, None), |_| {});
    write(store, &moving([shred, keep])).await.unwrap();

    assert_eq!(load(store, 1).await.wrapped_key, None);
    assert!(!load(store, 1).await.request.bookkeeping.readable);
    assert_eq!(load(store, 2).await.wrapped_key, Some(vec![2; 60]));
}

pub async fn are_gone_without_a_commit(fixture: Fixture) {
    let store = &*fixture.store;
    let mut tx = store.begin("test").await.unwrap();
    tx.write(&opening([request(1, Some(10))])).await.unwrap();
    drop(tx);
    assert!(store.requests(&ids([1])).await.unwrap().is_empty());
    assert!(store.bodies(&ids([1])).await.unwrap().is_empty());
    // And nothing is left locked.
    write(store, &opening([request(1, Some(10))])).await.unwrap();
}

/// More rows than go into one statement, and none at all.
pub async fn come_in_any_number(fixture: Fixture) {
    let store = &*fixture.store;
    write(store, &opening([])).await.unwrap();
    write(store, &opening((1..=700).map(|n| request(n, Some(10)))))
        .await
        .unwrap();
    assert_eq!(store.page(None, 1_000).await.unwrap().len(), 700);
    let rows = (1..=700).map(|n| moved(request(n, Some(10)), |request| request.bookkeeping.wake_at = None));
    write(store, &moving(rows)).await.unwrap();
    assert!(
        store
            .revisions(&ids(1..=700))
            .await
            .unwrap()
            .iter()
            .all(|(_, revision)| *revision == 2)
    );
    assert!(store.open_page(None, 1).await.unwrap().is_empty());
}
