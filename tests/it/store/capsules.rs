//! What is kept for a restore replay.

use lacuna::{
    domain::fact::CapsuleEpoch,
    store::{CapsuleRow, Changes, Gate, Store, StoredCapsule},
};

use super::{
    facts::processor,
    fixture::Fixture,
    rows::{at, id, ids, write},
};

pub fn epoch(week: u32, sets: &str) -> CapsuleEpoch {
    CapsuleEpoch {
        week,
        sets: sets.split(' ').map(processor).collect(),
    }
}

pub fn capsule(n: u128, week: u32, sets: &str) -> CapsuleRow {
    CapsuleRow {
        request_id: id(n),
        epoch: epoch(week, sets),
        sealed: vec![n as u8; 50],
    }
}

fn keeping(rows: impl IntoIterator<Item = CapsuleRow>) -> Changes {
    Changes {
        capsules: rows.into_iter().collect(),
        at: at(1),
        ..Changes::default()
    }
}

/// The keys of epochs, in a transaction of its own.
pub async fn keys(store: &dyn Store, offered: &[(CapsuleEpoch, Vec<u8>)]) -> Vec<Vec<u8>> {
    let mut tx = store.begin("test").await.unwrap();
    tx.gate(Gate::Shared).await.unwrap();
    let keys = tx.capsule_keys(offered).await.unwrap();
    tx.commit().await.unwrap();
    keys
}

async fn destroy(store: &dyn Store, epoch: &CapsuleEpoch) {
    let mut tx = store.begin("test").await.unwrap();
    tx.gate(Gate::Exclusive).await.unwrap();
    tx.destroy_capsules(epoch).await.unwrap();
    tx.commit().await.unwrap();
}

/// Request, week, sets, sealed, wrapped key.
type Told = (u128, u32, String, Vec<u8>, Vec<u8>);

fn told(mut capsules: Vec<StoredCapsule>) -> Vec<Told> {
    capsules.sort_unstable_by_key(|capsule| capsule.request_id);
    capsules
        .into_iter()
        .map(|capsule| {
            (
                capsule.request_id.0.as_u128(),
                capsule.epoch.week,
                capsule.epoch.name(),
                capsule.sealed,
                capsule.wrapped_key,
            )
        })
        .collect()
}

pub async fn have_the_key_of_their_epoch(fixture: Fixture) {
    let store = &*fixture.store;
    assert!(keys(store, &[]).await.is_empty());
    let first = [
        (epoch(8, "vault"), vec![1; 3]),
        (epoch(7, "tapes vault"), vec![2; 3]),
    ];
    assert_eq!(keys(store, &first).await, [vec![1; 3], vec![2; 3]]);
    // What has a key keeps it; the answer is in the order of the question, and an epoch may be asked for twice.
    let second = [
        (epoch(7, "vault"), vec![3; 3]),
        (epoch(7, "tapes vault"), vec![4; 3]),
        (epoch(7, "vault"), vec![3; 3]),
        (epoch(8, "vault"), vec![6; 3]),
    ];
    assert_eq!(keys(store, &second).await, [[3; 3], [2; 3], [3; 3], [1; 3]]);
    assert_eq!(
        store.capsule_epochs().await.unwrap(),
        [epoch(7, "tapes vault"), epoch(7, "vault"), epoch(8, "vault")]
    );
}

pub async fn take_the_place_of_older_ones(fixture: Fixture) {
    let store = &*fixture.store;
    let offered = [(epoch(7, "vault"), vec![7]), (epoch(8, "tapes vault"), vec![8])];
    keys(store, &offered).await;
    write(store, &keeping([capsule(2, 7, "vault"), capsule(1, 7, "vault")]))
        .await
        .unwrap();
    let newer = CapsuleRow {
        sealed: vec![99; 10],
        ..capsule(1, 8, "tapes vault")
    };
    write(store, &keeping([capsule(1, 7, "vault"), newer]))
        .await
        .unwrap();

    let expected = [
        (1, 8, "tapes vault".to_owned(), vec![99; 10], vec![8]),
        (2, 7, "vault".to_owned(), vec![2; 50], vec![7]),
    ];
    assert_eq!(told(store.capsules(&ids([1, 2, 3])).await.unwrap()), expected);
    let mut tx = store.begin("test").await.unwrap();
    assert_eq!(told(tx.capsules(&ids([1, 2, 3])).await.unwrap()), expected);
    assert!(tx.capsules(&[]).await.unwrap().is_empty());
}

pub async fn are_gone_with_their_key(fixture: Fixture) {
    let store = &*fixture.store;
    let offered = [
        (epoch(7, "vault"), vec![7]),
        (epoch(7, "tapes"), vec![8]),
        (epoch(9, "vault"), vec![9]),
    ];
    keys(store, &offered).await;
    let of = (1..=5).map(|n| capsule(n, 7, "vault"));
    let others = [capsule(6, 7, "tapes"), capsule(7, 9, "vault")];
    write(store, &keeping(of.chain(others))).await.unwrap();
    assert_eq!(
        store.drop_capsules(10).await.unwrap(),
        0,
        "none is lost by itself"
    );

    destroy(store, &epoch(7, "vault")).await;
    destroy(store, &epoch(1, "never-there")).await;
    assert_eq!(
        store.capsule_epochs().await.unwrap(),
        [epoch(7, "tapes"), epoch(9, "vault")]
    );
    let left = |capsules: Vec<StoredCapsule>| told(capsules).into_iter().map(|(n, ..)| n).collect::<Vec<_>>();
    assert_eq!(left(store.capsules(&ids(1..=7)).await.unwrap()), [6, 7]);

    // One of them gets a new capsule before it is dropped.
    write(store, &keeping([capsule(3, 9, "vault")])).await.unwrap();
    assert_eq!(store.drop_capsules(3).await.unwrap(), 3);
    assert_eq!(store.drop_capsules(3).await.unwrap(), 1);
    assert_eq!(store.drop_capsules(3).await.unwrap(), 0);
    assert_eq!(left(store.capsules(&ids(1..=7)).await.unwrap()), [3, 6, 7]);

    // An epoch whose key is destroyed has none: whoever needs one again brings another.
    assert_eq!(keys(store, &[(epoch(7, "vault"), vec![70])]).await, [vec![70]]);
    assert!(store.capsules(&ids([1])).await.unwrap().is_empty());
}
