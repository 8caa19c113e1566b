//! What only PostgreSQL has: several writers.

use std::{sync::Arc, time::Duration};

use lacuna::{
    clock::Clock,
    store::{
        Attempts, Changes, Closing, Exclusive, Gate, Line, Lock, Store, StoreError, StoreOptions,
        Transaction, open::open,
    },
};
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use crate::{forwarder::Forwarder, support::unique};

use super::{
    fixture::{Fixture, on_postgres, options},
    rows::{advance, at, ids, ids_of, inbox, load, moved, moving, opening, request, take_in, write},
};

/// Long enough to show that somebody waits.
pub const A_WHILE: Duration = Duration::from_millis(300);

/// Whoever waits for a lock is refused later than this, and what is free is had sooner, on the busiest machine too.
pub const AT_ONCE: Duration = Duration::from_secs(8);

/// A transaction that will have to wait, and a look whether it does.
pub struct Late {
    name: &'static str,
    url: String,
}

impl Late {
    pub async fn begin(fixture: &Fixture) -> (Box<dyn Transaction>, Self) {
        // The name shows in the database, and every other test has another one.
        let name: &'static str = unique("late_").leak();
        let url = fixture.place.url();
        (fixture.store.begin(name).await.unwrap(), Self { name, url })
    }

    /// Comes back once the transaction waits for somebody else's lock.
    pub async fn waits(&self) {
        let mut beside = PgConnection::connect(&self.url).await.unwrap();
        let sql =
            "select count(*) from pg_stat_activity where application_name = $1 and wait_event_type = 'Lock'";
        let waiting = async {
            loop {
                let asked = sqlx::query_scalar(sql).bind(format!("lacuna {}", self.name));
                let waiting: i64 = asked.fetch_one(&mut beside).await.unwrap();
                if waiting == 1 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(AT_ONCE, waiting).await.expect("it waits for nobody");
        beside.close().await.unwrap();
    }
}

pub async fn begin(fixture: &Fixture) -> Box<dyn Transaction> {
    fixture.store.begin("test").await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn due_passes_over_what_another_worker_has_locked() {
    on_postgres(|fixture: Fixture| async move {
        write(&*fixture.store, &opening((1..=5).map(|n| request(n, Some(10)))))
            .await
            .unwrap();
        let (mut one, mut other) = (begin(&fixture).await, begin(&fixture).await);
        let first = ids_of(&one.due(at(10), 2).await.unwrap());
        let second = ids_of(&other.due(at(10), 10).await.unwrap());
        assert_eq!((first.len(), second.len()), (2, 3));
        assert!(first.iter().all(|id| !second.contains(id)));
        drop(one);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locked_rows_come_in_order_and_are_waited_for() {
    on_postgres(|fixture: Fixture| async move {
        write(&*fixture.store, &opening((1..=9).map(|n| request(n, None))))
            .await
            .unwrap();
        let mut holder = begin(&fixture).await;
        let locked = holder.load(&ids([7, 3, 9, 1]), Lock::Rows).await.unwrap();
        assert_eq!(ids_of(&locked), ids([1, 3, 7, 9]));

        let mut reader = begin(&fixture).await;
        assert_eq!(
            reader.load(&ids([3]), Lock::None).await.unwrap().len(),
            1,
            "reading does not wait"
        );
        drop(reader);
        let store = fixture.store.clone();
        let mut waiting = tokio::spawn(async move {
            let mut tx = store.begin("test").await.unwrap();
            tx.load(&ids([3]), Lock::Rows)
                .await
                .unwrap()
                .pop()
                .unwrap()
                .request
                .revision
        });
        assert!(timeout(A_WHILE, &mut waiting).await.is_err());
        holder
            .write(&moving([moved(request(3, None), |_| {})]))
            .await
            .unwrap();
        holder.commit().await.unwrap();
        assert_eq!(
            waiting.await.unwrap(),
            2,
            "it sees what was committed while it waited"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_optimistic_writers_the_second_finds_a_conflict() {
    on_postgres(|fixture: Fixture| async move {
        write(&*fixture.store, &opening([request(1, Some(10))]))
            .await
            .unwrap();
        let (mut one, mut other) = (begin(&fixture).await, begin(&fixture).await);
        for tx in [&mut one, &mut other] {
            assert_eq!(
                tx.load(&ids([1]), Lock::None).await.unwrap()[0].request.revision,
                1
            );
        }
        one.write(&moving([moved(request(1, Some(10)), |_| {})]))
            .await
            .unwrap();
        let late = tokio::spawn(async move {
            other
                .write(&moving([moved(request(1, Some(10)), |request| {
                    request.bookkeeping.leaves = 9
                })]))
                .await
        });
        tokio::task::yield_now().await;
        one.commit().await.unwrap();
        let late = late.await.unwrap();
        assert!(matches!(late, Err(StoreError::Conflict)), "{late:?}");
        assert_eq!(load(&*fixture.store, 1).await.request.bookkeeping.leaves, 0);
    })
    .await;
}

/// The one that waits for the other's key or position must not fail for good: it has only lost a race.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_a_key_in_vain_has_lost_a_race() {
    on_postgres(|fixture: Fixture| async move {
        let (mut one, (mut other, is_late)) = (begin(&fixture).await, Late::begin(&fixture).await);
        one.advance(&[advance(0, 5)]).await.unwrap();
        let late = tokio::spawn(async move { other.advance(&[advance(0, 5)]).await });
        is_late.waits().await;
        one.commit().await.unwrap();
        let late = late.await.unwrap();
        assert!(matches!(late, Err(StoreError::Race(_))), "{late:?}");
        let again = take_in(&*fixture.store, &[advance(0, 5)]).await;
        assert!(matches!(again, Err(StoreError::Fenced { .. })), "{again:?}");

        let taking = Changes {
            inbox: vec![inbox(1, 1)],
            at: at(1),
            ..Changes::default()
        };
        let (mut one, (mut other, is_late)) = (begin(&fixture).await, Late::begin(&fixture).await);
        one.write(&taking).await.unwrap();
        let late = tokio::spawn(async move {
            other
                .write(&Changes {
                    inbox: vec![inbox(1, 1)],
                    at: at(1),
                    ..Changes::default()
                })
                .await
        });
        is_late.waits().await;
        one.commit().await.unwrap();
        let late = late.await.unwrap();
        assert!(matches!(late, Err(StoreError::Race(_))), "{late:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_is_shared_by_many_and_exclusive_to_one() {
    on_postgres(|fixture: Fixture| async move {
        let (mut one, mut other) = (begin(&fixture).await, begin(&fixture).await);
        one.gate(Gate::Shared).await.unwrap();
        other.gate(Gate::Shared).await.unwrap();
        let store = fixture.store.clone();
        let mut fact = tokio::spawn(async move {
            let mut tx = store.begin("fact").await.unwrap();
            tx.gate(Gate::Exclusive).await.unwrap();
            tx.commit().await.unwrap();
        });
        assert!(timeout(A_WHILE, &mut fact).await.is_err());
        // Another schema has a gate of its own.
        on_postgres(|elsewhere: Fixture| async move {
            let mut tx = begin(&elsewhere).await;
            timeout(AT_ONCE, tx.gate(Gate::Exclusive)).await.unwrap().unwrap();
        })
        .await;
        one.commit().await.unwrap();
        drop(other);
        fact.await.unwrap();
    })
    .await;
}

/// A command that begins to wait for its request keeps openings away, and nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_commands_exclude_openings_only() {
    on_postgres(|fixture: Fixture| async move {
        let (mut one, mut other) = (begin(&fixture).await, begin(&fixture).await);
        one.gate(Gate::Opening).await.unwrap();
        other.gate(Gate::Opening).await.unwrap();
        let store = fixture.store.clone();
        let mut waits = tokio::spawn(async move {
            let mut tx = store.begin("waits").await.unwrap();
            tx.gate(Gate::Waiting).await.unwrap();
            tx
        });
        assert!(timeout(A_WHILE, &mut waits).await.is_err());
        one.commit().await.unwrap();
        drop(other);
        let waiting = waits.await.unwrap();

        let mut settles = begin(&fixture).await;
        timeout(AT_ONCE, settles.gate(Gate::Shared))
            .await
            .unwrap()
            .unwrap();
        let store = fixture.store.clone();
        let mut opens = tokio::spawn(async move {
            let mut tx = store.begin("opens").await.unwrap();
            tx.gate(Gate::Opening).await.unwrap();
            tx.commit().await.unwrap();
        });
        assert!(timeout(A_WHILE, &mut opens).await.is_err());
        waiting.commit().await.unwrap();
        opens.await.unwrap();
        settles.commit().await.unwrap();
    })
    .await;
}

async fn with(fixture: &Fixture, change: impl FnOnce(&mut StoreOptions)) -> Arc<dyn Store> {
    let mut options = StoreOptions::new(Clock::System, Exclusive::Yes);
    change(&mut options);
    open(&fixture.place.url(), &options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wait_has_an_end() {
    on_postgres(|fixture: Fixture| async move {
        write(&*fixture.store, &opening([request(1, None)]))
            .await
            .unwrap();
        let mut holder = begin(&fixture).await;
        holder.load(&ids([1]), Lock::Rows).await.unwrap();

        let hasty = with(&fixture, |options| {
            options.connections = 1;
            options.lock_timeout = A_WHILE;
            options.acquire_timeout = A_WHILE;
        })
        .await;
        let mut tx = hasty.begin("test").await.unwrap();
        let lock = tx.load(&ids([1]), Lock::Rows).await;
        assert!(matches!(lock, Err(StoreError::Race(_))), "{lock:?}");
        let full = hasty.begin("test").await.map(|_| ());
        assert!(matches!(full, Err(StoreError::Unreachable(_))), "{full:?}");

        let hasty = with(&fixture, |options| options.statement_timeout = A_WHILE).await;
        let mut tx = hasty.begin("test").await.unwrap();
        let slow = tx.load(&ids([1]), Lock::Rows).await;
        assert!(matches!(slow, Err(StoreError::Unreachable(_))), "{slow:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_is_an_outage_and_is_replaced() {
    on_postgres(|fixture: Fixture| async move {
        let store = with(&fixture, |options| options.connections = 1).await;
        let mut tx = store.begin("to_be_cut").await.unwrap();
        fixture
            .execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'lacuna to_be_cut'",
            )
            .await;
        let cut = tx.load(&ids([1]), Lock::None).await;
        assert!(matches!(cut, Err(StoreError::Unreachable(_))), "{cut:?}");
        drop(tx);
        assert!(store.begin("test").await.is_ok());
    })
    .await;
}

/// A line that was only looked at, and a try that lost a race: their rollbacks take a while to reach the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_try_had_locked_is_free_once_it_is_concluded() {
    on_postgres(|fixture: Fixture| async move {
        let closing = Closing {
            line: Line::Lookups,
            at: at(1),
            id: uuid::Uuid::from_u128(1),
            requests: ids([1]),
        };
        write(
            &*fixture.store,
            &Changes {
                closings: vec![closing],
                at: at(1),
                ..Changes::default()
            },
        )
        .await
        .unwrap();
        let forwarder = Forwarder::to(fixture.place.port());
        forwarder.hold_up("rollback", Duration::from_millis(500));
        let store = open(&fixture.place.through(&forwarder), &options())
            .await
            .unwrap();
        for _ in 0..2 {
            let mut attempts = Attempts::new(&*store, &(), "test");
            assert_eq!(look(&mut attempts).await.unwrap(), 1);
            let lost: Result<usize, _> = Err(StoreError::Conflict);
            assert!(attempts.conclude(lost).await.is_none(), "it is tried again");
            let looked = look(&mut attempts).await;
            assert_eq!(attempts.conclude(looked).await.unwrap().unwrap(), 1);
        }
    })
    .await;
}

/// Looks at a line, and decides that there is nothing to do.
async fn look(attempts: &mut Attempts<'_>) -> Result<usize, StoreError> {
    let mut tx = attempts.begin().await?;
    Ok(tx.closings(Line::Lookups, 10).await?.len())
}
