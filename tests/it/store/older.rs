//! Stores that older versions have written: they open, everything in them is read, and it goes on.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use lacuna::{
    domain::{entry::Leaf, ids::RequestId, time::At, words::Status},
    engine::intake::Verdict,
    store::{CounterKey, DeadLetterFilter, Gate, OpenLetters, open::open},
    vault::{Keyring, Vault},
};
use serde_json::json;
use sqlx::{Connection as _, PgConnection, SqliteConnection, migrate::Migrator};
use uuid::Uuid;

use super::fixture::{Fixture, Place, on_empty_postgres, on_empty_sqlite, options};
use crate::{
    schedules::{
        control::{control, tell},
        world::{Sent, World, answer},
    },
    support::repository,
};

/// The n-th request of the fixture.
fn id(n: u128) -> RequestId {
    RequestId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + n))
}

/// What each request of the fixture is, in order.
const STATUSES: [Status; 11] = [
    Status::Completed,
    Status::Deferred,
    Status::InProgress,
    Status::InProgress,
    Status::InProgress,
    Status::Scheduled,
    Status::Cancelled,
    Status::Refused,
    Status::AwaitingApproval,
    Status::AwaitingApproval,
    Status::AwaitingApproval,
];

/// The hash over all facts, and over all revisions of the registry, as the older version had them.
const FACTS: &str = "e13f0edd16806d4f5acf4b2ab2a54d144c108b2f345b24d3259805cfa71bf38c";
const REGISTRY: &str = "d746d56cac30ba2267b227f84f307490c71d87d1a6d4d2368993faa9df3ff0b5";

/// Opens a copy of a fixture as a later version does, an hour after it was written.
async fn reopened(folder: &Path, name: &str) -> World {
    let fixture = repository("tests/it/store/fixtures").join(name);
    for file in ["lacuna.db", "lacuna.keys"] {
        fs::copy(fixture.join(file), folder.join(file)).unwrap();
        // Git keeps no permissions of this kind, and a keyring that others can read is refused.
        fs::set_permissions(folder.join(file), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let place = Place::Sqlite(folder.join("lacuna.db"));
    let store = open(&place.url(), &options()).await.unwrap();
    store.migrate().await.unwrap();
    store.check_schema().await.unwrap();
    let vault = Vault::new(Keyring::open(&folder.join("lacuna.keys")).unwrap());
    let now = At::parse("2026-11-30T10:05:00Z").unwrap();
    let mut world = World::over(Fixture { store, place }, vault, now);
    world.is_older = true;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_migration_18_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let world = reopened(folder.path(), "migration-0018").await;
    let store = &world.fixture.store;

    let requests = store.page(None, 100).await.unwrap();
    let read: Vec<(RequestId, Status)> = requests
        .iter()
        .map(|stored| (stored.request.id, stored.request.life.status))
        .collect();
    let written: Vec<_> = (1..).map(id).zip(STATUSES).collect();
    assert_eq!(read, written);
    let bodies = store
        .bodies(&written.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        .await;
    assert_eq!(bodies.unwrap().len(), written.len());
    for (id, _) in &written {
        let leaves = store.leaves(*id).await.unwrap();
        assert!(!leaves.is_empty(), "{id} is in the ledger");
        for leaf in leaves {
            Leaf::from_bytes(&leaf.leaf).unwrap();
        }
    }

    let mut tx = store.begin("test").await.unwrap();
    let passed = tx.gate(Gate::Shared).await.unwrap();
    drop(tx);
    assert_eq!(
        (passed.facts.number, hex::encode(passed.facts.chain)),
        (4, FACTS.to_owned())
    );
    assert_eq!(
        (passed.registry.number, hex::encode(passed.registry.chain)),
        (1, REGISTRY.to_owned())
    );
    let facts = store.facts_since(0).await.unwrap();
    assert_eq!(facts.last().unwrap().chain, Some(passed.facts.chain));
    assert_eq!(
        store.sweeps(true, 10).await.unwrap(),
        [],
        "every sweep is finished"
    );

    let letters = store
        .dead_letters(DeadLetterFilter {
            open_only: true,
            with_payload: true,
            limit: 10,
            ..DeadLetterFilter::default()
        })
        .await
        .unwrap();
    assert_eq!(letters.len(), 4);
    assert!(
        letters
            .iter()
            .all(|letter| letter.kept && letter.sealed.is_some())
    );
    let counted: u64 = store
        .open_dead_letters()
        .await
        .unwrap()
        .iter()
        .map(|open| open.count)
        .sum();
    assert_eq!(counted, 4);

    // Counters, agenda, lines, deferred tasks and the order of the leaves agree with the states.
    world.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_migration_18_is_decided_on() {
    let folder = tempfile::tempdir().unwrap();
    let world = reopened(folder.path(), "migration-0018").await;
    let engine = world.worker().await;

    // What the older version sealed is opened: the fourth request was held, and its identifiers go out with its tasks.
    let release = json!({
        "type": "release", "hold_id": "01900000-0000-7000-a000-000000000001",
    });
    let (verdict, mut sent) = tell(&world, &engine, &control(1, release)).await;
    assert!(matches!(verdict, Verdict::Taken(_)), "{verdict:?}");
    loop {
        let swept = engine.fact_sweeps().sweep().await.unwrap();
        sent.tasks.extend(Sent::of(&swept.emission).tasks);
        if !swept.busy {
            break;
        }
    }
    let task = sent.task("crm").clone();
    assert_eq!(task["request_id"], json!(id(4).0));
    assert_eq!(
        task["identities"],
        json!([{"type": "email", "value": "person-4@example.org"}])
    );
    world.settle(&engine, &answer(&task, "erased")).await;

    // A gate that the older version closed opens.
    let approve = json!({ "type": "approve", "request_id": id(9).0 });
    let (_, sent) = tell(&world, &engine, &control(2, approve)).await;
    assert_eq!(sent.asked(), ["ads", "crm", "mail"]);

    // A wake-up that the older version set comes: the sixth request was scheduled for the first of June.
    let until = At::parse("2027-06-01T00:00:01Z").unwrap();
    let days = u64::try_from(until.millis() - world.clock.now().millis()).unwrap();
    let sent = world.pass(&engine, Duration::from_millis(days)).await;
    let six = sent
        .tasks
        .iter()
        .find(|task| task["request_id"] == json!(id(6).0));
    assert_eq!(six.unwrap()["processor"], "ads");
    world.check().await;
}

/// Runs the migrations of a folder up to a number, as a version of that time did.
async fn migrate_to(number: i64, place: &Place) {
    let dialect = match place {
        Place::Postgres(_) => "postgres",
        Place::Sqlite(_) => "sqlite",
    };
    let folder = repository("src/store").join(dialect).join("migrations");
    let migrator = Migrator::new(folder).await.unwrap();
    match place {
        Place::Postgres(url) => {
            let mut on = PgConnection::connect(url).await.unwrap();
            migrator.run_direct(Some(number), &mut on, false).await.unwrap();
            on.close().await.unwrap();
        }
        Place::Sqlite(_) => {
            let url = format!("{}?mode=rwc", place.url());
            let mut on = SqliteConnection::connect(&url).await.unwrap();
            migrator.run_direct(Some(number), &mut on, false).await.unwrap();
            on.close().await.unwrap();
        }
    }
}

/// Rows as migration 15 has them, with ids and bytes as each database writes them.
fn rows_of_migration_15(place: &Place) -> Vec<String> {
    let (id, blob) = match place {
        Place::Postgres(_) => ("'", "'\\x"),
        Place::Sqlite(_) => ("x'", "x'"),
    };
    let uuid = |n: u128| format!("{id}{}'", Uuid::from_u128(n).simple());
    let bytes = |hex: &str| format!("{blob}{hex}'");
    let letter = |n: u128, kind: &str, state: i16| {
        format!(
            "insert into dead_letter (id, cluster, topic, part, off, reason, detail, at, state, sealed, kind, headers) \
             values ({}, 'c', 'commands', 0, {n}, 'schema', 'd', {n}, {state}, {}, {kind}, {})",
            uuid(n),
            bytes("0102030405"),
            bytes("0607"),
        )
    };
    let parked = |n: u128, key: &str| {
        [
            format!(
                "insert into state (id, revision, status, packed, wrapped_key) values ({}, 1, 0, {}, {key})",
                uuid(n),
                bytes("00")
            ),
            format!(
                "insert into capsule (request_id, week, sets, sealed) values ({}, 2900, 'main', {})",
                uuid(n),
                bytes("00")
            ),
        ]
    };
    let mut rows = vec![
        letter(1, "null", 0),
        letter(2, "'erase'", 0),
        letter(3, "'erase'", 0),
        letter(4, "'hold'", 2),
        format!(
            "insert into capsule_epoch (week, sets, wrapped_key) values (2900, 'main', {})",
            bytes("01")
        ),
        format!(
            "insert into agenda (request_id, wake_at, received_at) values ({}, 50, 7)",
            uuid(11)
        ),
    ];
    rows.extend(parked(11, "null"));
    rows.extend(parked(12, "null"));
    rows.extend(parked(13, &bytes("02")));
    rows
}

/// Each of migrations 16 to 18 counts what is there already.
async fn a_store_of_migration_15_is_brought_up(place: Place) {
    migrate_to(15, &place).await;
    let fixture = Fixture {
        store: open(&place.url(), &options()).await.unwrap(),
        place,
    };
    assert!(fixture.store.check_schema().await.is_err());
    for row in rows_of_migration_15(&fixture.place) {
        fixture.execute(&row).await;
    }
    let store = &fixture.store;
    store.migrate().await.unwrap();
    store.check_schema().await.unwrap();

    // 16: the payload of a letter that was decided about goes, and what stays is counted.
    let filter = DeadLetterFilter {
        with_payload: true,
        limit: 10,
        ..DeadLetterFilter::default()
    };
    let letters = store.dead_letters(filter).await.unwrap();
    let kept: Vec<bool> = letters.iter().map(|letter| letter.kept).collect();
    assert_eq!(kept, [true, true, true, false]);
    assert_eq!(letters[3].headers, None);
    let topics = store.letters_by_topic().await.unwrap();
    assert_eq!((topics[0].bytes, topics[0].open), (21, 1));
    // 17: requests that only a capsule can open are counted by its epoch.
    let capsules: Vec<(CounterKey, i64)> = store.counters().await.unwrap();
    let key = CounterKey {
        kind: "capsules",
        a: "2900".to_owned(),
        b: "main".to_owned(),
    };
    // 28: what was there before is not counted by regime; from when on it is, the row `census` says.
    let (census, capsules): (Vec<_>, Vec<_>) = capsules
        .into_iter()
        .partition(|(key, _)| key.kind == lacuna::store::CENSUS);
    assert!(census.len() == 1 && census[0].1 > 0, "{census:?}");
    assert_eq!(capsules, [(key, 2)]);
    // 18: open letters are counted by reason and command, with the oldest of each.
    let open = |kind, count, oldest| OpenLetters {
        reason: "schema".to_owned(),
        kind,
        count,
        oldest: At::from_millis(oldest),
    };
    let erase = Some(lacuna::domain::words::CommandKind::Erase);
    assert_eq!(
        store.open_dead_letters().await.unwrap(),
        [open(None, 1, 1), open(erase, 2, 2)]
    );
    assert_eq!(store.oldest_open().await.unwrap(), Some(At::from_millis(7)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_migration_15_is_brought_up_on_postgres() {
    on_empty_postgres(a_store_of_migration_15_is_brought_up).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_migration_15_is_brought_up_on_sqlite() {
    on_empty_sqlite(a_store_of_migration_15_is_brought_up).await;
}
