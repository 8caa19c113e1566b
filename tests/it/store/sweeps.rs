//! Sweeps, and the lists of requests that they walk.

use lacuna::{
    domain::{fact::FactKind, ids::RequestId, words::Why},
    store::{AskedRow, Changes, Concerned, Place, Store, StoreError, Sweep},
};

use super::{
    capsules::capsule,
    deferred::{deferred, deferring, row},
    facts::{add, new_fact, processor, registry},
    fixture::Fixture,
    rows::{at, id, ids, moved, moving, opening, request, write},
};

fn begun(version: u32) -> Sweep {
    Sweep {
        version,
        kind: FactKind::Registry,
        started_at: at(i64::from(version) * 10),
        updated_at: at(i64::from(version) * 10),
        finished_at: None,
        done: 0,
        total: None,
        stage: 0,
        after: None,
    }
}

/// Moves the next sweep on in a transaction of its own.
async fn sweep(store: &dyn Store, change: impl FnOnce(&mut Sweep)) -> Option<Sweep> {
    let mut tx = store.begin("sweep").await.unwrap();
    let mut next = tx.next_sweep(&[]).await.unwrap()?;
    change(&mut next);
    tx.move_sweep(&next).await.unwrap();
    tx.commit().await.unwrap();
    Some(next)
}

pub async fn are_taken_up_where_they_stopped(fixture: Fixture) {
    let store = &*fixture.store;
    assert_eq!(sweep(store, |_| {}).await, None);
    for n in 1..=3 {
        add(store, &new_fact(registry(n), u128::from(n), n != 2))
            .await
            .unwrap();
    }
    assert_eq!(store.sweeps(false, 10).await.unwrap(), [begun(3), begun(1)]);

    let halfway = Sweep {
        updated_at: at(500),
        done: 1_000,
        total: Some(3_000_000_000),
        stage: 2,
        after: Some((-7, id(u128::MAX))),
        ..begun(1)
    };
    sweep(store, |sweep| *sweep = halfway.clone()).await;
    let finished = Sweep {
        finished_at: Some(at(600)),
        after: None,
        ..halfway.clone()
    };
    let resumed = sweep(store, |sweep| {
        assert_eq!(*sweep, halfway, "the oldest goes on first");
        *sweep = finished.clone();
    });
    assert!(resumed.await.is_some());

    let mut tx = store.begin("sweep").await.unwrap();
    assert_eq!(tx.next_sweep(&[3, 9]).await.unwrap(), None, "it is passed over");
    drop(tx);
    let next = sweep(store, |_| {}).await.unwrap();
    assert_eq!(next, begun(3), "what is finished is not taken up again");
    assert_eq!(store.sweeps(true, 10).await.unwrap(), [begun(3)]);
    assert_eq!(store.sweeps(false, 10).await.unwrap(), [begun(3), finished]);
    assert_eq!(store.sweeps(false, 1).await.unwrap(), [begun(3)]);

    let mut tx = store.begin("test").await.unwrap();
    let lost = tx.move_sweep(&begun(2)).await;
    assert!(matches!(lost, Err(StoreError::Conflict)), "{lost:?}");
}

/// Walks a list in pages of this size: no page but the last has fewer places, and none comes twice.
pub async fn walk(store: &dyn Store, of: &Concerned, limit: u32) -> Vec<Place> {
    let mut tx = store.begin("sweep").await.unwrap();
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = tx.concerned(of, after, limit).await.unwrap();
        assert!(page.len() <= limit as usize);
        all.extend_from_slice(&page);
        after = page.last().copied();
        if page.len() < limit as usize {
            break;
        }
    }
    assert!(
        all.iter().zip(all.iter().skip(1)).all(|(x, y)| x < y),
        "in order, and none twice: {all:?}"
    );
    assert_eq!(
        tx.count_concerned(of).await.unwrap(),
        all.len() as u64,
        "what is short is counted"
    );
    all
}

async fn walked(store: &dyn Store, of: &Concerned) -> Vec<Place> {
    let at_once = walk(store, of, 100).await;
    for limit in 1..=4 {
        assert_eq!(walk(store, of, limit).await, at_once, "in pages of {limit}");
    }
    at_once
}

fn places(of: impl IntoIterator<Item = (i64, u128)>) -> Vec<Place> {
    of.into_iter().map(|(mark, n)| (mark, id(n))).collect()
}

pub async fn walk_what_is_open(fixture: Fixture) {
    let store = &*fixture.store;
    assert!(walked(store, &Concerned::Open).await.is_empty());
    let open = [3, 1, 9, 4, 1 << 62];
    write(store, &opening(open.map(|n| request(n, Some(10)))))
        .await
        .unwrap();
    write(store, &opening([request(2, None)])).await.unwrap();
    let close = moved(request(4, Some(10)), |request| request.bookkeeping.wake_at = None);
    write(store, &moving([close])).await.unwrap();
    assert_eq!(
        walked(store, &Concerned::Open).await,
        places([1, 3, 9, 1 << 62].map(|n| (0, n)))
    );
}

pub async fn walk_what_is_held_or_deferred(fixture: Fixture) {
    let store = &*fixture.store;
    let held = |n, ordinal| row(n, ordinal, Why::Hold, "crm", None, 0);
    let parked = |n, ordinal, mark| row(n, ordinal, Why::BackupRotation, "vault", Some(mark + 90), mark);
    write(
        store,
        &deferring([
            held(5, 0),
            held(2, 0),
            held(2, 1),
            row(2, 2, Why::Hold, "billing", None, 0),
            held(8, 3),
            parked(1, 0, 30),
            parked(2, 3, 10),
            // Two backup tasks of a request, at one mark and at two.
            parked(3, 0, 20),
            parked(3, 1, 20),
            parked(4, 0, 20),
            parked(4, 1, 40),
            parked(6, 0, -5),
            row(7, 0, Why::BackupRotation, "tapes", Some(20), 20),
            row(7, 1, Why::Retention, "vault", Some(20), 20),
        ]),
    )
    .await
    .unwrap();
    assert_eq!(
        walked(store, &Concerned::Held).await,
        places([(0, 2), (0, 5), (0, 8)])
    );

    let at_vault = |up_to| Concerned::Deferred {
        reason: Why::BackupRotation,
        processor: processor("vault"),
        up_to: at(up_to),
    };
    let all = [(-5, 6), (10, 2), (20, 3), (20, 4), (30, 1), (40, 4)];
    assert_eq!(walked(store, &at_vault(i64::MAX)).await, places(all));
    assert_eq!(walked(store, &at_vault(39)).await, places(all[..5].to_vec()));
    assert_eq!(walked(store, &at_vault(20)).await, places(all[..4].to_vec()));
    assert!(walked(store, &at_vault(-6)).await.is_empty());

    // A sweep moves on behind itself: what it has finished with is gone, and what it has put off comes later.
    let mut tx = store.begin("sweep").await.unwrap();
    let first = tx.concerned(&at_vault(i64::MAX), None, 3).await.unwrap();
    assert_eq!(first, places(all[..3].to_vec()));
    let changes = Changes {
        resumed: vec![(id(6), 0), (id(2), 3)],
        deferred: vec![parked(3, 0, 35)],
        at: at(1),
        ..Changes::default()
    };
    tx.write(&changes).await.unwrap();
    let rest = tx
        .concerned(&at_vault(i64::MAX), first.last().copied(), 10)
        .await
        .unwrap();
    assert_eq!(rest, places([(20, 4), (30, 1), (35, 3), (40, 4)]));
    tx.commit().await.unwrap();
    assert_eq!(deferred(store).await.len(), 12);
}

pub async fn walk_what_is_asked_about(fixture: Fixture) {
    let store = &*fixture.store;
    let asked = |n, ordinal, of: &str, mark| AskedRow {
        request_id: id(n),
        ordinal,
        processor: processor(of),
        mark: at(mark),
    };
    let changes = Changes {
        asked: vec![
            asked(5, 0, "vault", 30),
            asked(2, 3, "vault", 10),
            // Two waves of a request, at one mark and at two.
            asked(3, 0, "vault", 20),
            asked(3, 1, "vault", 20),
            asked(4, 0, "vault", 20),
            asked(4, 1, "vault", 40),
            asked(1, 0, "vault", 1),
            asked(6, 0, "tapes", 20),
            // What a batch says last counts.
            asked(1, 0, "vault", -5),
        ],
        at: at(1),
        ..Changes::default()
    };
    write(store, &changes).await.unwrap();
    let at_vault = |up_to| Concerned::Asked {
        processor: processor("vault"),
        up_to: at(up_to),
    };
    let all = [(-5, 1), (10, 2), (20, 3), (20, 4), (30, 5), (40, 4)];
    assert_eq!(walked(store, &at_vault(i64::MAX)).await, places(all));
    assert_eq!(walked(store, &at_vault(20)).await, places(all[..4].to_vec()));
    assert!(walked(store, &at_vault(-6)).await.is_empty());
    assert!(
        deferred(store).await.is_empty(),
        "what is asked about is not deferred"
    );

    // What is not there may end, and what ends and is asked about again in one batch is asked about.
    let changes = Changes {
        unasked: vec![(id(2), 3), (id(4), 0), (id(3), 0), (id(3), 1), (id(9), 9)],
        asked: vec![asked(4, 0, "vault", 25), asked(5, 0, "vault", 30)],
        at: at(2),
        ..Changes::default()
    };
    write(store, &changes).await.unwrap();
    let left = [(-5, 1), (25, 4), (30, 5), (40, 4)];
    assert_eq!(walked(store, &at_vault(i64::MAX)).await, places(left));
}

pub async fn walk_what_has_a_capsule(fixture: Fixture) {
    let store = &*fixture.store;
    let keeping = |rows| Changes {
        capsules: rows,
        at: at(1),
        ..Changes::default()
    };
    write(
        store,
        &keeping(vec![
            capsule(4, 7, "vault"),
            capsule(2, 8, "vault"),
            capsule(3, 7, "tapes vault"),
            capsule(1, 9, "vault"),
            capsule(5, 6, "vault"),
        ]),
    )
    .await
    .unwrap();
    let all = [(6, 5), (7, 3), (7, 4), (8, 2), (9, 1)];
    let from = |week| Concerned::Capsules { from: week };
    assert_eq!(walked(store, &from(0)).await, places(all));
    assert_eq!(walked(store, &from(7)).await, places(all[1..].to_vec()));
    assert_eq!(walked(store, &from(9)).await, places(all[4..].to_vec()));
    assert!(walked(store, &from(10)).await.is_empty());
}

/// As many as take several pages and several chunks: every one of them once.
pub async fn walk_long_lists(fixture: Fixture) {
    let store = &*fixture.store;
    // Not in the order of their ids, and ten of them at each mark.
    let rows = (0..1_000u128).map(|n| {
        let n = n * 7_919 % 1_000;
        let mark = i64::try_from(n / 10).unwrap();
        row(n + 1, 0, Why::Retention, "billing", Some(mark), mark)
    });
    write(store, &deferring(rows)).await.unwrap();
    let of = Concerned::Deferred {
        reason: Why::Retention,
        processor: processor("billing"),
        up_to: at(1_000),
    };
    let walked: Vec<RequestId> = walk(store, &of, 33).await.into_iter().map(|(_, id)| id).collect();
    assert_eq!(walked, ids(1..=1_000));
}
