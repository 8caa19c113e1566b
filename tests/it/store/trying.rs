//! The tries of a transaction.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use lacuna::store::{Attempts, Lock, Observer, StoreError};

use super::{
    fixture::Fixture,
    rows::{ids, opening, request},
};

/// Counts what it is told.
#[derive(Default)]
struct Told(AtomicU32);

impl Observer for Told {
    fn observe(&self, name: &'static str, _: Duration) {
        assert_eq!(name, "trying");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn race() -> StoreError {
    StoreError::Race(sqlx::Error::RowNotFound)
}

/// Opens a request in each try, until one of these outcomes lets it commit; tells which locks the tries had.
async fn try_with(
    fixture: &Fixture,
    told: &Told,
    outcomes: impl Fn(usize) -> Result<(), StoreError>,
) -> (Result<(), StoreError>, Vec<Lock>) {
    let mut locks = Vec::new();
    let mut attempts = Attempts::new(&*fixture.store, told, "trying");
    loop {
        locks.push(attempts.lock());
        let done = async {
            let mut tx = attempts.begin().await?;
            // What a failed try writes is rolled back: otherwise the next one would violate the key.
            tx.write(&opening([request(1, None)])).await?;
            outcomes(locks.len())?;
            tx.commit().await
        }
        .await;
        if let Some(done) = attempts.conclude(done).await {
            return (done, locks);
        }
    }
}

pub async fn a_lost_race_is_tried_again_with_locks(fixture: Fixture) {
    let told = Told::default();
    let outcomes = |attempt| {
        if attempt < 3 {
            Err(StoreError::Conflict)
        } else {
            Ok(())
        }
    };
    let (done, locks) = try_with(&fixture, &told, outcomes).await;
    done.unwrap();
    assert_eq!(locks, [Lock::None, Lock::Rows, Lock::Rows]);
    assert_eq!(told.0.into_inner(), 3);
    assert_eq!(fixture.store.requests(&ids([1])).await.unwrap().len(), 1);
}

pub async fn what_never_succeeds_is_given_up(fixture: Fixture) {
    let told = Told::default();
    // The last error is the one that is handed back.
    let outcomes = |attempt| Err(if attempt < 8 { StoreError::Conflict } else { race() });
    let (done, locks) = try_with(&fixture, &told, outcomes).await;
    assert!(matches!(done, Err(StoreError::Race(_))), "{done:?}");
    assert_eq!((locks.len(), told.0.into_inner()), (8, 8));
    assert!(fixture.store.requests(&ids([1])).await.unwrap().is_empty());
}

pub async fn what_is_refused_is_not_tried_again(fixture: Fixture) {
    let refuse = |_| Err(StoreError::Refused(sqlx::Error::RowNotFound));
    let (done, locks) = try_with(&fixture, &Told::default(), refuse).await;
    assert!(matches!(done, Err(StoreError::Refused(_))), "{done:?}");
    assert_eq!(locks, [Lock::None]);
}
