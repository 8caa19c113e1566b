//! The log is not what the store remembers: invariants 1 and 6.

use lacuna::{
    delivery::republish::republish,
    domain::entry::{Entry, Leaf},
    engine::{
        Engine,
        intake::Verdict,
        positions::{Accepting, accept},
        prepare::{Arrival, PreparedCommand, Reading},
    },
    store::{Acceptance, DeadLetterFilter, Origin, StoreError},
};
use serde_json::json;
use std::sync::{Arc, atomic::Ordering};

use super::world::{
    ACKS, COMMANDS, Sent, World, ack_from, answer, backup_from, cancel, command_from, erase, id, origin_at,
};
use crate::store::fixture::Fixture;

on_both_stores!(
    what_a_store_lost_under_a_running_worker_is_not_jumped_over,
    replays_are_known_whatever_became_of_them,
    a_replay_that_nothing_knows_is_found,
    an_accepted_log_is_taken_in_and_changes_nothing_twice,
    a_log_is_accepted_once_and_the_ledger_has_who,
);

/// The n-th command at this offset, read after another one.
fn read(engine: &Engine, n: u128, offset: i64, after: Option<i64>) -> Arrival<PreparedCommand> {
    read_text(
        engine,
        &erase(n).to_string(),
        origin_at(COMMANDS, 0, offset),
        after,
    )
}

fn read_text(engine: &Engine, text: &str, origin: Origin, after: Option<i64>) -> Arrival<PreparedCommand> {
    Arrival {
        reading: Some(Reading { after, at: None }),
        ..command_from(engine, Some(origin), text)
    }
}

async fn what_a_store_lost_under_a_running_worker_is_not_jumped_over(fixture: Fixture) {
    let world = World::new(fixture).await;
    let worker = world.worker().await;
    worker
        .take_in(&[read(&worker, 1, 0, None), read(&worker, 2, 1, Some(1))])
        .await
        .unwrap();
    // A failover that loses the second commit.
    world
        .fixture
        .execute("update position set next_offset = 1, last_offset = 0")
        .await;
    let next = [read(&worker, 3, 2, Some(2))];
    assert!(worker.take_in(&next).await.unwrap_err().is_fenced());
    assert!(world.stored(3).await.is_none());
    let from_the_position = [read(&worker, 2, 1, Some(1)), read(&worker, 3, 2, Some(2))];
    worker.take_in(&from_the_position).await.unwrap();
    assert!(world.stored(3).await.is_some());
    let position = world.fixture.store.positions("test").await.unwrap().remove(0);
    assert_eq!(position.next_offset, 3);
    let last = position.last.expect("the record before it is remembered");
    let bytes = erase(3).to_string();
    assert_eq!(
        (last.offset, last.digest),
        (2, world.vault.log_digest(bytes.as_bytes()))
    );
    world.check().await;
}

async fn replays_are_known_whatever_became_of_them(fixture: Fixture) {
    let world = World::new(fixture).await;
    let worker = world.worker().await;
    let origin = |n| origin_at(COMMANDS, 0, n);
    let mut other = erase(1);
    other["reason"] = json!("another_payload");
    let hold = json!({
        "command_id": uuid::Uuid::from_u128(77), "type": "hold", "tenant": "acme", "hold_id": uuid::Uuid::from_u128(78),
        "actor": "j.doe", "basis": "dispute", "request_id": uuid::Uuid::from_u128(1),
    });
    let texts = [
        erase(1).to_string(),
        "{ not json".to_owned(),
        other.to_string(),
        erase(1).to_string(),
        cancel(1).to_string(),
        cancel(99).to_string(),
        hold.to_string(),
    ];
    let batch: Vec<_> = (0..)
        .zip(&texts)
        .map(|(n, text)| read_text(&worker, text, origin(n), None))
        .collect();
    let taken = worker.take_in(&batch).await.unwrap();
    assert!(matches!(taken.verdicts[0], Verdict::Taken(_)));
    assert_eq!(worker.strays(&batch).await.unwrap(), []);
    let acks = [ack_from(
        &worker,
        Some(origin_at(ACKS, 0, 0)),
        &json!({ "no": "ack" }),
    )];
    worker.settle(&acks).await.unwrap();
    assert_eq!(worker.strays(&acks).await.unwrap(), []);
    world.check().await;
}

async fn a_replay_that_nothing_knows_is_found(fixture: Fixture) {
    let world = World::new(fixture).await;
    let worker = world.worker().await;
    let sent = Sent::of(
        &worker
            .take_in(&[read(&worker, 1, 0, None)])
            .await
            .unwrap()
            .emission,
    );
    let replays = [
        read(&worker, 1, 0, None),
        read(&worker, 2, 0, None),
        read_text(&worker, "{ not json", origin_at(COMMANDS, 0, 0), None),
        read_text(&worker, &cancel(1).to_string(), origin_at(COMMANDS, 0, 0), None),
    ];
    let strays = worker.strays(&replays).await.unwrap();
    let told: Vec<bool> = strays.iter().map(|stray| stray.is_valid).collect();
    assert_eq!(
        told,
        [true, false, true],
        "another command, another refusal, another decision"
    );
    // An ack leaves no key: it settles a task, or changes nothing.
    let acks = [ack_from(
        &worker,
        Some(origin_at(ACKS, 0, 0)),
        &answer(sent.task("crm"), "erased"),
    )];
    assert_eq!(worker.strays(&acks).await.unwrap(), []);
    let event = json!({
        "event_id": uuid::Uuid::from_u128(5), "type": "backup.taken", "processor": "crm", "set": "nightly",
        "taken_at": "2026-11-20T00:00:00Z",
    });
    let told = [Arrival {
        origin: Some(origin_at("backups", 0, 0)),
        ..backup_from(&worker, &event)
    }];
    assert_eq!(worker.strays(&told).await.unwrap().len(), 1);
    world.check().await;
}

fn accepting<'a>(incarnation: u32, from: i64) -> Accepting<'a> {
    Accepting {
        acceptance: Acceptance {
            cluster: Arc::from("test"),
            topic: Arc::from(COMMANDS),
            partition: 0,
            incarnation: Some(incarnation),
            next_offset: 0,
        },
        from: Some(from),
        actor: "j.doe",
        reason: "made anew, canary-reason",
    }
}

async fn an_accepted_log_is_taken_in_and_changes_nothing_twice(fixture: Fixture) {
    let world = World::new(fixture).await;
    let worker = world.worker().await;
    let batch = [
        read(&worker, 1, 0, None),
        read_text(&worker, "{ not json", origin_at(COMMANDS, 0, 1), Some(1)),
    ];
    worker.take_in(&batch).await.unwrap();
    let before = world.request(1).await;
    let store = world.fixture.store.as_ref();
    accept(store, &world.vault, &accepting(0, 2), world.clock.now())
        .await
        .unwrap();
    world.accepted.fetch_add(1, Ordering::Relaxed);
    // Whoever still has messages of the old log is fenced.
    let late = [read(&worker, 9, 2, Some(2))];
    assert!(worker.take_in(&late).await.unwrap_err().is_fenced());

    let of_the_new = |offset| Origin {
        incarnation: 1,
        ..origin_at(COMMANDS, 0, offset)
    };
    let batch = [
        read_text(&worker, &erase(1).to_string(), of_the_new(0), Some(0)),
        read_text(&worker, "other { garbage", of_the_new(1), Some(1)),
        read_text(&worker, &erase(2).to_string(), of_the_new(2), Some(2)),
    ];
    let taken = worker.take_in(&batch).await.unwrap();
    assert!(matches!(taken.verdicts[0], Verdict::Duplicate(_)));
    assert!(matches!(taken.verdicts[2], Verdict::Taken(_)));
    assert_eq!(world.request(1).await, before);
    let all = DeadLetterFilter {
        limit: 10,
        ..DeadLetterFilter::default()
    };
    let letters = store.dead_letters(all).await.unwrap();
    let mut logs: Vec<u32> = letters.iter().map(|letter| letter.origin.incarnation).collect();
    // They came at the same time, and their ids say no more.
    logs.sort_unstable();
    assert_eq!(logs, [0, 1], "the refusal at the same offset is another one");
    // Said again, each is said for its own log.
    let again = Sent::of(&republish(&worker, &[], &[of_the_new(1)]).await.unwrap());
    let opened = world.vault.open_dead_letter(&again.letters[0].1).unwrap();
    assert_eq!(
        (again.letters.len(), opened.as_slice()),
        (1, &b"other { garbage"[..])
    );
    world.check().await;
}

async fn a_log_is_accepted_once_and_the_ledger_has_who(fixture: Fixture) {
    let world = World::new(fixture).await;
    let worker = world.worker().await;
    worker.take_in(&[read(&worker, 1, 0, None)]).await.unwrap();
    let store = world.fixture.store.as_ref();
    let size = store.ledger_size().await.unwrap();
    let now = world.clock.now();
    accept(store, &world.vault, &accepting(0, 1), now).await.unwrap();
    let twice = accept(store, &world.vault, &accepting(0, 1), now).await;
    assert!(
        matches!(
            twice,
            Err(lacuna::engine::EngineError::Store(StoreError::Conflict))
        ),
        "{twice:?}"
    );
    assert_eq!(store.ledger_size().await.unwrap(), size + 1);
    let leaves = leaves_of_no_request(&world).await;
    let is_it = |leaf: &&Leaf| matches!(leaf.entries.as_slice(), [Entry::PositionAccepted { .. }]);
    let found: Vec<&Leaf> = leaves.iter().filter(is_it).collect();
    let [leaf] = found.as_slice() else {
        panic!("{leaves:?}")
    };
    assert_eq!(
        leaf.entries,
        [Entry::PositionAccepted {
            cluster: "test".to_owned(),
            topic: COMMANDS.to_owned(),
            partition: 0,
            from: Some(1),
            to: 0,
            incarnation: 1,
            actor: "j.doe".to_owned(),
        }]
    );
    let sealed = store
        .leaves(leaf.request)
        .await
        .unwrap()
        .remove(0)
        .sealed
        .unwrap();
    let notes = world.vault.open_record(leaf.request, 0, &sealed).unwrap();
    assert!(notes.windows(13).any(|window| window == b"canary-reason"));
    assert_eq!(world.request(1).await.id, id(1));
}

/// What the ledger has that is about no request.
async fn leaves_of_no_request(world: &World) -> Vec<Leaf> {
    use sqlx::Connection as _;
    let sql = "select leaf from ledger where request_id not in (select id from request)";
    let leaves: Vec<Vec<u8>> = match &world.fixture.place {
        crate::store::fixture::Place::Postgres(url) => {
            let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
            sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap()
        }
        crate::store::fixture::Place::Sqlite(path) => {
            let url = format!("sqlite:{}", path.display());
            let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
            sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap()
        }
    };
    leaves
        .iter()
        .map(|leaf| Leaf::from_bytes(leaf).unwrap())
        .collect()
}
