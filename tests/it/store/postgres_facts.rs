//! What several workers of PostgreSQL do to each other over facts, sweeps and capsules.

use lacuna::{
    domain::words::Why,
    store::{Changes, Concerned, Gate, Lock, Transaction},
};
use tokio::time::timeout;

use super::{
    capsules::{epoch, keys},
    deferred::{deferred, deferring, row},
    facts::{add, new_fact, processor, registry},
    fixture::{Fixture, on_postgres},
    postgres::{A_WHILE, AT_ONCE, Late, begin},
    rows::{at, id, ids, load, moved, moving, opening, request, write},
};

/// Its snapshot must not be of the time when it began to wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_at_the_gate_sees_the_fact_that_it_waited_for() {
    on_postgres(|fixture: Fixture| async move {
        let mut fact = begin(&fixture).await;
        assert_eq!(fact.gate(Gate::Exclusive).await.unwrap().facts.number, 0);
        let waiting: Vec<_> = [Gate::Shared, Gate::Exclusive, Gate::Shared]
            .into_iter()
            .map(|mode| {
                let store = fixture.store.clone();
                tokio::spawn(async move {
                    let mut tx = store.begin("waiting").await.unwrap();
                    let version = tx.gate(mode).await.unwrap().facts.number;
                    let facts = tx.facts_since(0).await.unwrap().len();
                    tx.commit().await.unwrap();
                    (version, facts)
                })
            })
            .collect();
        tokio::time::sleep(A_WHILE).await;
        assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
        fact.add_fact(&new_fact(registry(1), 1, true)).await.unwrap();
        fact.commit().await.unwrap();
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), (1, 1));
        }
    })
    .await;
}

/// Without the exclusive gate lock a version may be lost to somebody else, and that is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_never_given_twice() {
    on_postgres(|fixture: Fixture| async move {
        let (mut one, (mut other, is_late)) = (begin(&fixture).await, Late::begin(&fixture).await);
        one.add_fact(&new_fact(registry(1), 1, false)).await.unwrap();
        let late = tokio::spawn(async move { other.add_fact(&new_fact(registry(2), 2, false)).await });
        is_late.waits().await;
        one.commit().await.unwrap();
        assert!(late.await.unwrap().unwrap_err().is_retryable());
        assert_eq!(fixture.store.facts_since(0).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_take_different_sweeps() {
    on_postgres(|fixture: Fixture| async move {
        let store = &*fixture.store;
        for n in 1..=2 {
            add(store, &new_fact(registry(n), u128::from(n), true))
                .await
                .unwrap();
        }
        let (mut one, mut other) = (begin(&fixture).await, begin(&fixture).await);
        let mut first = one.next_sweep(&[]).await.unwrap().unwrap();
        assert_eq!(first.version, 1);
        assert_eq!(other.next_sweep(&[]).await.unwrap().unwrap().version, 2);
        let mut third = begin(&fixture).await;
        assert_eq!(
            third.next_sweep(&[]).await.unwrap(),
            None,
            "nobody waits for a sweep"
        );
        // A fact that comes meanwhile has one of its own, which is free.
        add(store, &new_fact(registry(3), 3, true)).await.unwrap();
        assert_eq!(third.next_sweep(&[]).await.unwrap().unwrap().version, 3);
        third.commit().await.unwrap();

        first.done = 500;
        one.move_sweep(&first).await.unwrap();
        assert_eq!(
            store.sweeps(true, 9).await.unwrap().len(),
            3,
            "readers do not wait"
        );
        one.commit().await.unwrap();
        let mut again = begin(&fixture).await;
        assert_eq!(again.next_sweep(&[]).await.unwrap(), Some(first));
        drop(again);
        other.commit().await.unwrap();
    })
    .await;
}

/// What a sweep lists may be closed by somebody else until its rows are locked: the lock tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_goes_on_beside_those_who_change_it() {
    on_postgres(|fixture: Fixture| async move {
        let store = &*fixture.store;
        write(store, &opening((1..=4).map(|n| request(n, Some(10)))))
            .await
            .unwrap();
        let parked = |n| row(n, 0, Why::BackupRotation, "vault", Some(100), 50);
        write(store, &deferring((1..=4).map(parked))).await.unwrap();
        let of = Concerned::Deferred {
            reason: Why::BackupRotation,
            processor: processor("vault"),
            up_to: at(50),
        };
        let mut settle = begin(&fixture).await;
        settle.gate(Gate::Shared).await.unwrap();
        settle.load(&ids([2]), Lock::Rows).await.unwrap();
        let changes = Changes {
            resumed: vec![(id(2), 0)],
            ..moving([moved(request(2, Some(10)), |request| {
                request.bookkeeping.leaves = 7
            })])
        };
        settle.write(&changes).await.unwrap();

        let mut sweep = begin(&fixture).await;
        sweep.gate(Gate::Shared).await.unwrap();
        let listed = sweep.concerned(&of, None, 10).await.unwrap();
        assert_eq!(listed.len(), 4, "what is not committed does not count");
        let listed: Vec<_> = listed.into_iter().map(|(_, id)| id).collect();
        let mut waiting = tokio::spawn(async move {
            let loaded = sweep.load(&listed, Lock::Rows).await.unwrap();
            sweep.commit().await.unwrap();
            loaded[1].request.bookkeeping.leaves
        });
        assert!(timeout(A_WHILE, &mut waiting).await.is_err());
        settle.commit().await.unwrap();
        assert_eq!(waiting.await.unwrap(), 7);
        assert_eq!(deferred(store).await.len(), 3);
        assert_eq!(load(store, 2).await.request.bookkeeping.leaves, 7);
    })
    .await;
}

/// Both are given the key of whoever was first, in whatever order they name the epochs; neither deadlocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_have_the_same_key_of_an_epoch() {
    on_postgres(|fixture: Fixture| async move {
        let offered = |key: u8, weeks: [u32; 2]| weeks.map(|week| (epoch(week, "vault"), vec![key]));
        let mut one = begin(&fixture).await;
        let first = one.capsule_keys(&offered(1, [7, 8])).await.unwrap();
        let mut other = begin(&fixture).await;
        let mut late = tokio::spawn(async move {
            let keys = other.capsule_keys(&offered(2, [8, 7])).await.unwrap();
            other.commit().await.unwrap();
            keys
        });
        assert!(
            timeout(A_WHILE, &mut late).await.is_err(),
            "it has to know the key that will be in force"
        );
        one.commit().await.unwrap();
        assert_eq!((first, late.await.unwrap()), (vec![vec![1]; 2], vec![vec![1]; 2]));

        // From then on nobody waits for anybody.
        let mut one = begin(&fixture).await;
        one.capsule_keys(&offered(3, [7, 8])).await.unwrap();
        let at_once = timeout(AT_ONCE, keys(&*fixture.store, &offered(4, [8, 7]))).await;
        assert_eq!(at_once.unwrap(), vec![vec![1]; 2]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_lists_are_estimated() {
    on_postgres(|fixture: Fixture| async move {
        fixture
            .execute(
                "insert into agenda (request_id, wake_at, received_at) \
                 select gen_random_uuid(), 1, 1 from generate_series(1, 400000)",
            )
            .await;
        let mut tx: Box<dyn Transaction> = begin(&fixture).await;
        let n = tx.count_concerned(&Concerned::Open).await.unwrap();
        assert!((300_000..500_000).contains(&n), "{n}");
    })
    .await;
}
