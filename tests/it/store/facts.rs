//! Facts, and the registry's revisions.

use std::sync::Arc;

use lacuna::{
    domain::{
        backup::{BackupChange, BackupEvent},
        fact::{CapsuleEpoch, Fact, FactKind, FactVersion},
        hold::Hold,
        ids::{EventId, HoldId, Label, ProcessorId},
        stops::Stop,
        words::HoldBasis,
    },
    store::{Attempts, Gate, Head, NewFact, Passed, Store, StoreError, StoredFact, Transaction},
};
use uuid::Uuid;

use super::{
    fixture::Fixture,
    rows::{at, id, ids, opening, request, sorted, tenant, write},
};

pub fn processor(name: &str) -> ProcessorId {
    ProcessorId::new(name).unwrap()
}

pub fn registry(revision: u32) -> Fact {
    Fact::Registry {
        revision,
        changed: Vec::new(),
        open: false,
    }
}

fn backup(event: u128, of: &str, change: BackupChange) -> Fact {
    Fact::Backup(BackupEvent {
        event_id: EventId(Uuid::from_u128(event)),
        processor: processor(of),
        set: Label::new("nightly").unwrap(),
        change,
        at: Some(at(3)),
    })
}

fn stop(n: u128) -> Stop {
    Stop {
        id: Uuid::from_u128(n),
        actor: "ops".to_owned(),
        out: 12,
    }
}

/// A fact of each kind.
fn every_kind() -> Vec<Fact> {
    let hold_id = HoldId(Uuid::from_u128(77));
    let taken = |lock_until| BackupChange::Taken {
        taken_at: at(1_000),
        lock_until,
    };
    vec![
        Fact::Hold(Hold {
            hold_id,
            tenant: tenant(),
            basis: HoldBasis::Regulator,
            actor: "legal".to_owned(),
            subject: vec![[7; 16], [255; 16]],
            found: ids([1, 2]),
            request_id: Some(id(3)),
            processor: Some(processor("crm")),
            categories: vec![Label::new("contact").unwrap()],
            placed_at: at(12_345),
        }),
        Fact::Release {
            tenant: tenant(),
            hold_id,
            actor: "legal".to_owned(),
        },
        backup(1, "vault", taken(Some(at(2_000)))),
        backup(
            2,
            "vault",
            BackupChange::Rotated {
                oldest_retained_at: at(900),
            },
        ),
        backup(
            3,
            "tapes",
            BackupChange::Restored {
                taken_at: at(800),
                restored_into: vec![processor("crm"), processor("billing")],
            },
        ),
        registry(4),
        Fact::Forgotten(CapsuleEpoch {
            week: 2_900,
            sets: vec![processor("tapes"), processor("vault")],
        }),
        backup(4, "vault", taken(None)),
        Fact::Paused {
            processor: processor("crm"),
            stop: stop(1),
        },
        Fact::Resumed {
            processor: processor("crm"),
            stop: stop(1).id,
            actor: "ops".to_owned(),
        },
        Fact::Braked { stop: stop(2) },
        Fact::Unbraked {
            stop: stop(2).id,
            actor: "ops".to_owned(),
        },
    ]
}

pub fn new_fact(fact: Fact, n: u128, sweeps: bool) -> NewFact {
    NewFact {
        id: Uuid::from_u128(n),
        fact,
        digest: [n as u8; 16],
        sealed: (n % 2 == 1).then(|| vec![n as u8; 5]),
        at: at(i64::try_from(n).unwrap() * 10),
        sweeps,
    }
}

/// Adds a fact in a transaction of its own.
pub async fn add(store: &dyn Store, new: &NewFact) -> Result<FactVersion, StoreError> {
    let mut tx = store.begin("fact").await?;
    tx.gate(Gate::Exclusive).await?;
    let version = tx.add_fact(new).await?;
    tx.commit().await?;
    Ok(version)
}

fn versions(facts: &[StoredFact]) -> Vec<FactVersion> {
    facts.iter().map(|fact| fact.version).collect()
}

fn assert_same(stored: &StoredFact, new: &NewFact) {
    assert_eq!(
        (stored.id, &stored.fact, stored.digest, &stored.sealed, stored.at),
        (new.id, &new.fact, new.digest, &new.sealed, new.at)
    );
}

pub async fn are_read_back_in_order(fixture: Fixture) {
    let store = &*fixture.store;
    let news: Vec<NewFact> = (1..)
        .zip(every_kind())
        .map(|(n, fact)| new_fact(fact, n, false))
        .collect();
    for (n, new) in (1..).zip(&news) {
        assert_eq!(add(store, new).await.unwrap(), n);
    }
    let all = store.facts_since(0).await.unwrap();
    assert_eq!(versions(&all), (1..=12).collect::<Vec<_>>());
    for (stored, new) in all.iter().zip(&news) {
        assert_same(stored, new);
    }
    let kinds: Vec<FactKind> = all.iter().map(|stored| stored.fact.kind()).collect();
    assert!(FactKind::ALL.iter().all(|kind| kinds.contains(kind)), "{kinds:?}");

    assert_eq!(versions(&store.facts_since(10).await.unwrap()), [11, 12]);
    assert!(store.facts_since(12).await.unwrap().is_empty());
    assert_eq!(
        versions(&store.backup_facts(&processor("vault")).await.unwrap()),
        [3, 4, 8]
    );
    assert_eq!(
        versions(&store.backup_facts(&processor("tapes")).await.unwrap()),
        [5]
    );
    assert!(store.backup_facts(&processor("crm")).await.unwrap().is_empty());

    let mut tx = store.begin("test").await.unwrap();
    assert_eq!(tx.gate(Gate::Shared).await.unwrap().facts.number, 12);
    assert_eq!(versions(&tx.facts_since(11).await.unwrap()), [12]);
    let known = tx.fact(&news[2].fact.key()).await.unwrap().unwrap();
    assert_same(&known, &news[2]);
    assert!(tx.fact("backup/of-nobody").await.unwrap().is_none());

    let last = async |tx: &mut dyn Transaction, lane: Option<&str>| {
        let lane = lane.map(processor);
        let found = tx.last_stop(lane.as_ref()).await.unwrap();
        found.map(|stored| stored.version)
    };
    assert_eq!(last(&mut *tx, Some("crm")).await, Some(10));
    assert_eq!(
        last(&mut *tx, Some("vault")).await,
        None,
        "its backup events are none"
    );
    assert_eq!(last(&mut *tx, None).await, Some(12));
}

pub async fn of_the_same_key_conflict(fixture: Fixture) {
    let store = &*fixture.store;
    let mut tx = store.begin("test").await.unwrap();
    assert_eq!(
        tx.gate(Gate::Exclusive).await.unwrap().facts,
        Head::default(),
        "there is none yet"
    );
    drop(tx);
    assert_eq!(add(store, &new_fact(registry(1), 1, true)).await.unwrap(), 1);

    let mut tx = store.begin("test").await.unwrap();
    assert_eq!(tx.gate(Gate::Exclusive).await.unwrap().facts.number, 1);
    let again = tx.add_fact(&new_fact(registry(1), 2, true)).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    // The refusal is no error of the database: the transaction goes on, and no version was used up.
    assert_eq!(tx.add_fact(&new_fact(registry(2), 2, false)).await.unwrap(), 2);
    assert_eq!(
        versions(&tx.facts_since(0).await.unwrap()),
        [1, 2],
        "its own are seen"
    );
    tx.commit().await.unwrap();
    let sweeps = store.sweeps(false, 10).await.unwrap();
    assert_eq!(sweeps.iter().map(|sweep| sweep.version).collect::<Vec<_>>(), [1]);
}

pub async fn without_a_commit_leave_nothing(fixture: Fixture) {
    let store = &*fixture.store;
    let mut tx = store.begin("test").await.unwrap();
    tx.gate(Gate::Exclusive).await.unwrap();
    tx.add_fact(&new_fact(registry(1), 1, true)).await.unwrap();
    drop(tx);
    assert_eq!(add(store, &new_fact(registry(2), 2, false)).await.unwrap(), 1);
    assert!(store.sweeps(false, 10).await.unwrap().is_empty());
}

async fn add_ten(store: Arc<dyn Store>, worker: u32) -> Vec<FactVersion> {
    let mut added = Vec::new();
    for n in 0..10 {
        let new = new_fact(registry(100 * worker + n), u128::from(100 * worker + n), n == 0);
        let mut tx = store.begin("fact").await.unwrap();
        let before = tx.gate(Gate::Exclusive).await.unwrap().facts.number;
        let version = tx.add_fact(&new).await.unwrap();
        assert_eq!(
            version,
            before + 1,
            "the gate tells what there is, however long it was waited for"
        );
        tx.commit().await.unwrap();
        added.push(version);
    }
    added
}

pub async fn of_several_workers_have_no_gaps(fixture: Fixture) {
    let workers: Vec<_> = (1..=4)
        .map(|worker| tokio::spawn(add_ten(fixture.store.clone(), worker)))
        .collect();
    let mut all = Vec::new();
    for worker in workers {
        let added = worker.await.unwrap();
        assert!(added.is_sorted());
        all.extend(added);
    }
    assert_eq!(sorted(all), (1..=40).collect::<Vec<_>>());
    assert_eq!(fixture.store.sweeps(true, 100).await.unwrap().len(), 4);
}

pub async fn name_subjects_that_are_found(fixture: Fixture) {
    let store = &*fixture.store;
    let mut changes = opening((1..=4).map(|n| request(n, None)));
    changes.opened[3].digests = vec![[1; 16], [4; 16]];
    write(store, &changes).await.unwrap();
    let mut tx = store.begin("test").await.unwrap();
    assert_eq!(
        tx.of_subjects(&[[4; 16], [1; 16], [2; 16], [99; 16]])
            .await
            .unwrap(),
        ids([1, 2, 4])
    );
    assert!(tx.of_subjects(&[]).await.unwrap().is_empty());
}

/// Makes a text the active registry, as the engine would do it; `None`: it was active already.
async fn activate(store: Arc<dyn Store>, text: String) -> Result<Option<u32>, StoreError> {
    let mut attempts = Attempts::new(&*store, &(), "registry");
    loop {
        let done = async {
            let mut tx = attempts.begin().await?;
            tx.gate(Gate::Exclusive).await?;
            let current = tx.registry().await?;
            if current.as_ref().is_some_and(|current| current.text == text) {
                return Ok(None);
            }
            let next = current.map_or(0, |current| current.revision) + 1;
            tx.add_registry(next, &text, at(i64::from(next))).await?;
            tx.commit().await?;
            Ok(Some(next))
        }
        .await;
        if let Some(done) = attempts.conclude(done).await {
            return done;
        }
    }
}

pub async fn activate_a_registry_once(fixture: Fixture) {
    let store = &*fixture.store;
    assert_eq!(store.registry().await.unwrap(), None);
    let same = [(); 4].map(|()| tokio::spawn(activate(fixture.store.clone(), "same".into())));
    let mut activated = Vec::new();
    for racer in same {
        activated.extend(racer.await.unwrap().unwrap());
    }
    assert_eq!(activated, [1], "the others find it");

    let others = ["a", "b", "c"].map(|text| tokio::spawn(activate(fixture.store.clone(), text.into())));
    let mut activated = Vec::new();
    for racer in others {
        activated.extend(racer.await.unwrap().unwrap());
    }
    assert_eq!(sorted(activated), [2, 3, 4]);

    let mut tx = store.begin("test").await.unwrap();
    let late = tx.add_registry(4, "late", at(9)).await;
    assert!(matches!(late, Err(StoreError::Conflict)), "{late:?}");
    let active = tx.registry().await.unwrap().unwrap();
    assert_eq!((active.revision, active.activated_at), (4, at(4)));
    drop(tx);
    assert_eq!(store.registry().await.unwrap(), Some(active));
}

async fn heads(store: &dyn Store) -> Passed {
    let mut tx = store.begin("test").await.unwrap();
    let passed = tx.gate(Gate::Shared).await.unwrap();
    tx.commit().await.unwrap();
    passed
}

/// A failover that lost commits has given the number away again.
pub async fn replaced_fact_changes_chain_of_all_that_follow(fixture: Fixture) {
    let store = &*fixture.store;
    for n in 1..=3 {
        add(store, &new_fact(registry(n), u128::from(n), n == 3))
            .await
            .unwrap();
    }
    let before = heads(store).await;
    fixture.execute("delete from sweep where version = 3").await;
    fixture.execute("delete from fact where version = 3").await;
    let two = heads(store).await;
    assert_eq!(two.facts.number, 2);
    assert_eq!(
        store.facts_since(1).await.unwrap()[0].chain,
        Some(two.facts.chain)
    );
    add(store, &new_fact(registry(30), 30, false)).await.unwrap();
    let other = heads(store).await;
    assert_eq!(other.facts.number, before.facts.number);
    assert_ne!(other.facts.chain, before.facts.chain);
    add(store, &new_fact(registry(4), 4, false)).await.unwrap();
    assert_ne!(heads(store).await.facts.chain, other.facts.chain);
    // What is forgotten of a fact later does not make it another one.
    let mut tx = store.begin("test").await.unwrap();
    let four = tx.gate(Gate::Exclusive).await.unwrap().facts;
    tx.rewrite_fact(4, &registry(5)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(heads(store).await.facts, four);
}

/// Workers of the version before go on while the schema is new already.
pub async fn older_facts_are_chained_from_the_start(fixture: Fixture) {
    let store = &*fixture.store;
    for n in 1..=4 {
        add(store, &new_fact(registry(n), u128::from(n), false))
            .await
            .unwrap();
    }
    for text in ["a", "b"] {
        activate(fixture.store.clone(), text.into()).await.unwrap();
    }
    let all = heads(store).await;
    for since in [0, 2, 3] {
        fixture
            .execute(&format!("update fact set chain = null where version > {since}"))
            .await;
        fixture
            .execute(&format!(
                "update registry set chain = null where revision > {since}"
            ))
            .await;
        let again = heads(store).await;
        assert_eq!(
            (again.facts, again.registry),
            (all.facts, all.registry),
            "{since}"
        );
    }
    fixture.execute("update fact set chain = null").await;
    add(store, &new_fact(registry(5), 5, false)).await.unwrap();
    assert!(
        store
            .facts_since(0)
            .await
            .unwrap()
            .iter()
            .all(|fact| fact.chain.is_some())
    );
}
