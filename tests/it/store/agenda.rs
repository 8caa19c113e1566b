//! The agenda.

use lacuna::store::MovedRow;

use super::{
    fixture::Fixture,
    rows::{at, due, ids, ids_of, moved, moving, opening, request, write},
};

pub async fn gives_what_is_due_earliest_first(fixture: Fixture) {
    let store = &*fixture.store;
    let times = [
        (1, Some(30)),
        (2, Some(10)),
        (3, None),
        (4, Some(20)),
        (5, Some(31)),
    ];
    write(store, &opening(times.map(|(n, wake_at)| request(n, wake_at))))
        .await
        .unwrap();
    assert_eq!(due(store, 30, 10).await, ids([2, 4, 1]));
    assert_eq!(due(store, 30, 2).await, ids([2, 4]));
    assert!(due(store, 9, 10).await.is_empty());
    for (now, is_due) in [(9, false), (10, true), (31, true)] {
        assert_eq!(store.is_due(at(now)).await.unwrap(), is_due, "{now}");
    }
}

pub async fn follows_its_requests(fixture: Fixture) {
    let store = &*fixture.store;
    write(
        store,
        &opening([
            request(1, Some(10)),
            request(2, Some(20)),
            request(3, None),
            request(4, Some(40)),
        ]),
    )
    .await
    .unwrap();

    let wake = |n, was: Option<i64>, wake_at: Option<i64>| {
        moved(request(n, was), |request| {
            request.bookkeeping.wake_at = wake_at.map(at)
        })
    };
    let unmoved = MovedRow {
        rewake: false,
        ..wake(4, Some(40), Some(5))
    };
    // Later, gone, new where there was none, and one whose row stays as it is.
    write(
        store,
        &moving([
            wake(1, Some(10), Some(50)),
            wake(2, Some(20), None),
            wake(3, None, Some(30)),
            unmoved,
        ]),
    )
    .await
    .unwrap();
    assert_eq!(due(store, 39, 10).await, ids([3]));
    assert_eq!(due(store, 100, 10).await, ids([3, 4, 1]));
    assert_eq!(ids_of(&store.open_page(None, 10).await.unwrap()), ids([1, 3, 4]));
    assert_eq!(
        store.oldest_open().await.unwrap(),
        Some(request(1, None).head.received_at)
    );

    // A row that is gone already may be deleted again.
    let mut again = wake(2, None, None);
    again.from_revision = 2;
    again.state.revision = 3;
    write(store, &moving([again])).await.unwrap();
}
