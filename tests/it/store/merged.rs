//! Requests that were merged into another one.

use std::{sync::Arc, time::Duration};

use lacuna::store::{Changes, Store};
use tokio::{task::JoinHandle, time::timeout};

use super::{
    expiry::purging,
    fixture::Fixture,
    rows::{at, id, opening, request, write},
};

/// How long a transaction is given to wait for another one, where it does.
const A_MOMENT: Duration = Duration::from_millis(200);

fn rousing() -> Changes {
    Changes {
        roused: vec![id(1)],
        at: at(20),
        ..Changes::default()
    }
}

/// One request that was merged into another one.
async fn merged(store: &dyn Store) {
    let mut changes = opening([request(1, None), request(2, None)]);
    changes.merged = vec![(id(1), id(2))];
    write(store, &changes).await.unwrap();
}

fn beside(store: &Arc<dyn Store>, changes: Changes) -> JoinHandle<()> {
    let store = Arc::clone(store);
    tokio::spawn(async move { write(&*store, &changes).await.unwrap() })
}

/// Two transactions that meet: the second is begun while the first has written and not committed.
async fn meet(fixture: Fixture, first: Changes, second: Changes) {
    let store = &fixture.store;
    merged(&**store).await;
    let mut tx = store.begin("test").await.unwrap();
    tx.write(&first).await.unwrap();
    let mut other = beside(store, second);
    let waited = timeout(A_MOMENT, &mut other).await;
    tx.commit().await.unwrap();
    match waited {
        Ok(done) => done.unwrap(),
        Err(_) => other.await.unwrap(),
    }
    assert!(store.requests(&[id(2)]).await.unwrap().is_empty());
    assert!(
        !store.is_due(at(100)).await.unwrap(),
        "a wake-up of nobody would be due for ever"
    );
    assert_eq!(store.oldest_open().await.unwrap(), None);
}

pub async fn no_wake_up_outlives_a_purge_that_came_first(fixture: Fixture) {
    meet(fixture, purging(2, 1), rousing()).await;
}

pub async fn no_wake_up_outlives_a_purge_that_came_second(fixture: Fixture) {
    meet(fixture, rousing(), purging(2, 1)).await;
}
