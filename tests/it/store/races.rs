//! Several at once.

use std::sync::Arc;

use lacuna::store::{Attempts, Changes, Gate, Store, StoreError};

use super::{
    fixture::Fixture,
    rows::{id, ids, inbox, load, moved, moving, opening, request, tenant, write},
};

/// One leaf more on each of these requests, as the engine would do it.
async fn count_up(store: Arc<dyn Store>, of: Vec<u128>) -> Result<(), StoreError> {
    let of = ids(of);
    let mut attempts = Attempts::new(&*store, &(), "count_up");
    loop {
        let done = async {
            let lock = attempts.lock();
            let mut tx = attempts.begin().await?;
            tx.gate(Gate::Shared).await?;
            let rows = tx.load(&of, lock).await?;
            assert_eq!(rows.len(), of.len());
            let up = rows
                .into_iter()
                .map(|stored| moved(stored.request, |request| request.bookkeeping.leaves += 1));
            tx.write(&moving(up)).await?;
            tx.commit().await
        }
        .await;
        if let Some(done) = attempts.conclude(done).await {
            return done;
        }
    }
}

/// Optimistic first, locked on conflict: no effect is lost, and nobody deadlocks over the order of rows.
pub async fn every_writer_of_a_row_has_its_effect(fixture: Fixture) {
    write(&*fixture.store, &opening((1..=3).map(|n| request(n, Some(10)))))
        .await
        .unwrap();
    let orders = [vec![1, 2, 3], vec![3, 2, 1], vec![2, 3, 1], vec![2, 1, 3]];
    let writers: Vec<_> = orders
        .into_iter()
        .map(|order| tokio::spawn(count_up(fixture.store.clone(), order)))
        .collect();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    for n in 1..=3 {
        let request = load(&*fixture.store, n).await.request;
        assert_eq!((request.bookkeeping.leaves, request.revision), (4, 5));
    }
}

/// Takes a command in, unless it has been taken in: tells which.
async fn open_once(store: Arc<dyn Store>) -> Result<bool, StoreError> {
    let (tenant, row) = (tenant(), inbox(1, 1));
    let mut attempts = Attempts::new(&*store, &(), "open");
    loop {
        let done = async {
            let mut tx = attempts.begin().await?;
            if !tx.inbox(&[(&tenant, row.command_id)]).await?.is_empty() {
                return Ok(false);
            }
            tx.write(&Changes {
                inbox: vec![row.clone()],
                ..opening([request(1, Some(10))])
            })
            .await?;
            tx.commit().await?;
            Ok(true)
        }
        .await;
        if let Some(done) = attempts.conclude(done).await {
            return done;
        }
    }
}

/// Two workers take the same command in: the second one finds what the first one wrote.
pub async fn one_of_two_openers_wins(fixture: Fixture) {
    let openers = [(); 2].map(|()| tokio::spawn(open_once(fixture.store.clone())));
    let mut opened = 0;
    for opener in openers {
        opened += u32::from(opener.await.unwrap().unwrap());
    }
    assert_eq!(opened, 1);
    assert_eq!(load(&*fixture.store, 1).await.request.id, id(1));
}
