//! What was told of copies is compacted once they are proved gone: workers that have learned it and workers that never heard of
//! it agree, another history is still noticed, and a restore is never missed.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use lacuna::{
    domain::{
        ids::{Label, ProcessorId},
        time::At,
    },
    engine::{Engine, facts::FactOutcome},
    store::Head,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    control::{control, tell},
    faulty::Faulty,
    world::{Sent, World, answer, backup_from, erase},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    what_was_told_of_copies_that_are_gone_is_compacted,
    what_may_still_count_stays,
    workers_from_before_and_after_a_compaction_agree,
    a_worker_that_stood_still_meanwhile_learns_what_is_left,
    a_crash_between_two_batches_loses_no_count,
    two_workers_that_compact_at_once_count_each_copy_once,
    decisions_and_new_facts_go_on_during_a_compaction,
    a_lost_history_is_noticed_after_a_compaction,
    a_restore_of_a_copy_that_was_compacted_is_replayed,
    a_flood_of_copies_is_gone_after_its_rotation,
    a_replay_of_what_was_compacted_is_no_stray,
);

const DAY: Duration = Duration::from_secs(24 * 3600);

const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
[[processor]]
id = "nightly"
kind = "backup"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]
backup = { sources = ["crm"], set = "nightly", keep = "35d", confirm_by = "event" }
[[processor]]
id = "weekly"
kind = "backup"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]
backup = { sources = ["crm"], set = "weekly", keep = "90d", confirm_by = "event" }
"#;

async fn world(fixture: Fixture) -> World {
    World::with_registry(fixture, REGISTRY).await
}

fn event(kind: &str, with: Value) -> Value {
    let mut event = json!({ "event_id": Uuid::now_v7(), "type": format!("backup.{kind}"), "processor": "nightly",
        "set": "nightly" });
    for (name, value) in with.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

async fn say(engine: &Engine, events: &[Value]) {
    let arrivals: Vec<_> = events.iter().map(|event| backup_from(engine, event)).collect();
    let (told, _) = engine.backup_events().record_backups(&arrivals).await.unwrap();
    assert!(
        told.iter().all(|told| matches!(told, FactOutcome::Taken { .. })),
        "{told:?}"
    );
}

/// So many copies, one a second, up to now.
fn taken(world: &World, n: i64) -> Vec<Value> {
    let now = world.clock.now().millis();
    (1..=n)
        .rev()
        .map(|n| {
            event(
                "taken",
                json!({ "taken_at": At::from_millis(now - n * 1000).to_string() }),
            )
        })
        .collect()
}

/// Everything that was taken before now is gone.
fn rotated(world: &World) -> Value {
    event(
        "rotated",
        json!({ "oldest_retained_at": world.clock.now().to_string() }),
    )
}

/// Copies that were told and are gone, long enough ago. The last fact is of today.
async fn with_copies_gone(world: &World, engine: &Engine, n: i64) {
    say(engine, &taken(world, n)).await;
    say(engine, &[rotated(world)]).await;
    world.clock.advance(DAY * 31);
    say(engine, &taken(world, 1)).await;
}

async fn rows(world: &World) -> usize {
    world.fixture.store.facts_since(0).await.unwrap().len()
}

async fn counted(engine: &Engine) -> i64 {
    let (processor, set) = (
        ProcessorId::new("nightly").unwrap(),
        Label::new("nightly").unwrap(),
    );
    engine.compacted_copies(&processor, &set).await.unwrap()
}

fn alarms(engine: &Engine) -> u64 {
    engine.metrics.lost_history.with_label_values(&["facts"]).get()
}

/// Each fact that follows one which is gone knows that one's chain.
async fn check_chain(world: &World) {
    let facts = world.fixture.store.facts_since(0).await.unwrap();
    for pair in facts.windows(2) {
        let is_gap = pair[0].version + 1 < pair[1].version;
        assert!(
            !is_gap || pair[1].chain_before.is_some(),
            "nobody can follow the chain to {}",
            pair[1].version
        );
        assert!(pair[1].chain.is_some());
    }
}

async fn what_was_told_of_copies_that_are_gone_is_compacted(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    say(&engine, &taken(&world, 40)).await;
    let first = world.fixture.store.facts_since(1).await.unwrap();
    say(&engine, &[rotated(&world)]).await;
    assert_eq!(engine.retention().compact_copies().await.unwrap(), 0, "too young");
    world.clock.advance(DAY * 31);
    say(&engine, &taken(&world, 3)).await;
    assert_eq!(engine.retention().compact_copies().await.unwrap(), 40);
    // The registry, the rotation, and what was taken since.
    assert_eq!((rows(&world).await, counted(&engine).await), (5, 40));
    let left = world.fixture.store.facts_since(1).await.unwrap();
    assert_eq!(left[0].chain_before, first.last().unwrap().chain);
    check_chain(&world).await;
    assert_eq!(engine.retention().compact_copies().await.unwrap(), 0);
    assert_eq!((rows(&world).await, counted(&engine).await), (5, 40));
}

async fn what_may_still_count_stays(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    let now = world.clock.now();
    let earlier = |seconds: i64| At::from_millis(now.millis() - seconds * 1000).to_string();
    let other = json!({ "processor": "weekly", "set": "weekly", "taken_at": earlier(50) });
    let events = [
        event(
            "taken",
            json!({ "taken_at": earlier(40), "lock_until": now.plus(DAY * 60).to_string() }),
        ),
        event(
            "taken",
            json!({ "taken_at": earlier(39), "lock_until": now.plus(DAY).to_string() }),
        ),
        event("taken", json!({ "taken_at": earlier(41) })),
        event("taken", other),
    ];
    say(&engine, &events).await;
    say(&engine, &[rotated(&world)]).await;
    // A sweep that has not ended reads its fact.
    world.clock.advance(DAY * 31);
    say(&engine, &[rotated(&world)]).await;
    world.clock.advance(DAY * 31);
    say(&engine, &[rotated(&world)]).await;
    assert_eq!(
        engine.retention().compact_copies().await.unwrap(),
        1,
        "the one that was never locked"
    );
    while engine.fact_sweeps().sweep().await.unwrap().busy {}
    assert_eq!(
        engine.retention().compact_copies().await.unwrap(),
        2,
        "both locks had ended when the last rotation was told"
    );
    let left: Vec<_> = world
        .fixture
        .store
        .backup_facts(&ProcessorId::new("weekly").unwrap())
        .await
        .unwrap();
    assert_eq!(left.len(), 1, "its set has proved nothing");
    assert_eq!(counted(&engine).await, 3);
    check_chain(&world).await;
}

async fn workers_from_before_and_after_a_compaction_agree(fixture: Fixture) {
    let world = world(fixture).await;
    let knows = world.worker().await;
    let now = world.clock.now();
    let mut copies = taken(&world, 20);
    for copy in &mut copies[..10] {
        copy["lock_until"] = json!(now.plus(DAY * 10).to_string());
    }
    say(&knows, &copies).await;
    while knows.fact_sweeps().sweep().await.unwrap().busy {}
    world.clock.advance(DAY * 20);
    say(&knows, &[rotated(&world)]).await;
    while knows.fact_sweeps().sweep().await.unwrap().busy {}
    world.clock.advance(DAY * 31);
    say(&knows, &taken(&world, 1)).await;
    assert_eq!(knows.retention().compact_copies().await.unwrap(), 20);
    let fresh = world.worker().await;
    let set = ProcessorId::new("nightly").unwrap();
    for next in [rotated(&world), taken(&world, 1).remove(0)] {
        say(&fresh, &[next]).await;
        for engine in [&knows, &fresh] {
            engine.refresh_facts().await.unwrap();
        }
        let (a, b) = (knows.facts(), fresh.facts());
        assert_eq!(a.version(), b.version());
        assert_eq!(a.copies(&set), b.copies(&set));
    }
    assert_eq!((alarms(&knows), alarms(&fresh)), (0, 0));
}

async fn a_worker_that_stood_still_meanwhile_learns_what_is_left(fixture: Fixture) {
    let world = world(fixture).await;
    let (still, other) = (world.worker().await, world.worker().await);
    say(&other, &taken(&world, 5)).await;
    still.refresh_facts().await.unwrap();
    say(&other, &taken(&world, 5)).await;
    let hold =
        json!({"type": "hold", "hold_id": Uuid::from_u128(7), "basis": "legal_claims", "processor": "crm"});
    tell(&world, &other, &control(1, hold)).await;
    with_copies_gone(&world, &other, 5).await;
    assert_eq!(other.retention().compact_copies().await.unwrap(), 15);
    let (_, sent) = world.take_in(&still, &erase(1)).await;
    assert!(sent.tasks.is_empty(), "the hold is not overlooked");
    assert_eq!(still.facts().version(), other.facts().version());
    assert_eq!(alarms(&still), 0, "nothing was lost");
    // One that has learned the very fact before the first that is left is shown that it is of this history.
    let exact = world.worker().await;
    say(&other, &taken(&world, 5)).await;
    exact.refresh_facts().await.unwrap();
    with_copies_gone(&world, &other, 0).await;
    assert_eq!(other.retention().compact_copies().await.unwrap(), 6);
    exact.refresh_facts().await.unwrap();
    assert_eq!(
        (exact.facts().version(), alarms(&exact)),
        (other.facts().version(), 0)
    );
}

async fn a_crash_between_two_batches_loses_no_count(fixture: Fixture) {
    let world = world(fixture).await;
    with_copies_gone(&world, &*world.worker().await, 1_200).await;
    for (broken, lost_answers, left) in [(1, 0, 1_203), (0, 1, 703)] {
        let store = Faulty::over(&world.fixture.store);
        let dying = world.worker_over(Arc::clone(&store) as _).await;
        store.faults.commits.store(broken, Ordering::SeqCst);
        store.faults.answers.store(lost_answers, Ordering::SeqCst);
        assert!(dying.retention().compact_copies().await.is_err(), "it dies");
        assert_eq!(rows(&world).await, left);
        assert_eq!(counted(&dying).await, i64::try_from(1_203 - left).unwrap());
        check_chain(&world).await;
    }
    let next = world.worker().await;
    next.retention().compact_copies().await.unwrap();
    assert_eq!((counted(&next).await, rows(&world).await), (1_200, 3));
    check_chain(&world).await;
}

async fn two_workers_that_compact_at_once_count_each_copy_once(fixture: Fixture) {
    let world = world(fixture).await;
    with_copies_gone(&world, &*world.worker().await, 1_300).await;
    let (one, two) = (world.worker().await, world.worker().await);
    let (a, b) = tokio::join!(
        tokio::spawn({
            let one = Arc::clone(&one);
            async move { one.retention().compact_copies().await.unwrap() }
        }),
        tokio::spawn(async move { two.retention().compact_copies().await.unwrap() }),
    );
    assert_eq!(a.unwrap() + b.unwrap(), 1_300);
    assert_eq!((counted(&one).await, rows(&world).await), (1_300, 3));
    check_chain(&world).await;
}

async fn decisions_and_new_facts_go_on_during_a_compaction(fixture: Fixture) {
    let world = Arc::new(world(fixture).await);
    with_copies_gone(&world, &*world.worker().await, 1_500).await;
    let (compacting, learning) = (world.worker().await, world.worker().await);
    let compaction = tokio::spawn(async move { compacting.retention().compact_copies().await.unwrap() });
    for n in 1..=20_u32 {
        let hold = json!({"type": "hold", "hold_id": Uuid::from_u128(n.into()), "basis": "legal_claims", "processor": "crm"});
        tell(&world, &learning, &control((2 * n).into(), hold)).await;
        let (_, sent) = world.take_in(&learning, &erase(n.into())).await;
        assert!(sent.tasks.is_empty(), "{n}");
        let release = json!({"type": "release", "hold_id": Uuid::from_u128(n.into())});
        tell(&world, &learning, &control((2 * n + 1).into(), release)).await;
        let fresh = world.worker().await;
        assert_eq!(
            fresh.refresh_facts().await.unwrap().version(),
            learning.refresh_facts().await.unwrap().version()
        );
        assert_eq!((alarms(&learning), alarms(&fresh)), (0, 0));
    }
    compaction.await.unwrap();
    learning.retention().compact_copies().await.unwrap();
    assert_eq!(counted(&learning).await, 1_500);
    check_chain(&world).await;
}

async fn a_lost_history_is_noticed_after_a_compaction(fixture: Fixture) {
    let world = world(fixture).await;
    let knows = world.worker().await;
    with_copies_gone(&world, &knows, 10).await;
    knows.retention().compact_copies().await.unwrap();
    let hold = |n: u128, processor: &str| {
        control(
            n,
            json!({"type": "hold", "hold_id": Uuid::from_u128(n), "basis": "legal_claims", "processor": processor}),
        )
    };
    tell(&world, &knows, &hold(1, "crm")).await;
    let number = knows.refresh_facts().await.unwrap().version();
    // The failover: the hold is lost, and its number is given away again.
    for table in ["sweep", "fact"] {
        world
            .fixture
            .execute(&format!("delete from {table} where version >= {number}"))
            .await;
    }
    let other = world.worker().await;
    tell(&world, &other, &hold(2, "nightly")).await;
    assert_eq!(other.refresh_facts().await.unwrap().version(), number);
    let (_, sent) = world.take_in(&knows, &erase(1)).await;
    assert_eq!(sent.asked(), ["crm"]);
    assert_eq!((alarms(&knows), alarms(&other)), (1, 0));
    let head: Head = {
        let mut tx = world.fixture.store.begin("test").await.unwrap();
        tx.gate(lacuna::store::Gate::Shared).await.unwrap().facts
    };
    assert_eq!(head.number, number);
}

async fn a_restore_of_a_copy_that_was_compacted_is_replayed(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    let copy = taken(&world, 1).remove(0);
    say(&engine, std::slice::from_ref(&copy)).await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    world.settle(&engine, &answer(opened.task("crm"), "erased")).await;
    world.clock.advance(Duration::from_secs(1));
    say(&engine, &[rotated(&world)]).await;
    world.clock.advance(DAY * 31);
    say(&engine, &taken(&world, 1)).await;
    while engine.fact_sweeps().sweep().await.unwrap().busy {}
    assert_eq!(engine.retention().compact_copies().await.unwrap(), 1);
    // It was not gone after all: somebody puts it back.
    let restored = event(
        "restored",
        json!({ "taken_at": copy["taken_at"], "restored_into": ["crm"] }),
    );
    let fresh = world.worker().await;
    let (told, _) = fresh
        .backup_events()
        .record_backups(&[backup_from(&fresh, &restored)])
        .await
        .unwrap();
    assert!(
        matches!(
            told[0],
            FactOutcome::Taken {
                contradiction: Some(_)
            }
        ),
        "{told:?}"
    );
    let mut sent = Vec::new();
    loop {
        let swept = fresh.fact_sweeps().sweep().await.unwrap();
        sent.extend(Sent::of(&swept.emission).tasks);
        if !swept.busy {
            break;
        }
    }
    let again: Vec<_> = sent
        .iter()
        .map(|task| (&task["processor"], &task["generation"]))
        .collect();
    assert_eq!(
        again,
        [(&json!("crm"), &json!(2))],
        "everything is replayed rather than nothing"
    );
    // The copy's own event is told once more: it is taken, and changes nothing.
    let (told, _) = fresh
        .backup_events()
        .record_backups(&[backup_from(&fresh, &copy)])
        .await
        .unwrap();
    assert!(
        matches!(
            told[0],
            FactOutcome::Taken {
                contradiction: Some(_)
            }
        ),
        "{told:?}"
    );
}

async fn a_flood_of_copies_is_gone_after_its_rotation(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    let mut flood = taken(&world, 10_000);
    let until = world.clock.now().plus(DAY * 5).to_string();
    for copy in &mut flood {
        copy["lock_until"] = json!(until);
    }
    say(&engine, &flood[..50]).await;
    for copy in &mut flood[50..] {
        copy.as_object_mut().unwrap().remove("lock_until");
    }
    say(&engine, &flood[50..]).await;
    world.clock.advance(DAY * 6);
    say(&engine, &[rotated(&world)]).await;
    world.clock.advance(DAY * 31);
    say(&engine, &taken(&world, 1)).await;
    while engine.fact_sweeps().sweep().await.unwrap().busy {}
    assert_eq!(engine.retention().compact_copies().await.unwrap(), 10_000);
    assert_eq!((rows(&world).await, counted(&engine).await), (3, 10_000));
    assert!(
        world.fixture.store.sweeps(false, 100).await.unwrap().len() <= 1,
        "the sweeps go with them"
    );
}

async fn strays(world: &World, engine: &Engine, event: &Value) -> usize {
    let mut replay = backup_from(engine, event);
    replay.origin = Some(world.origin("backups"));
    engine.strays(&[replay]).await.unwrap().len()
}

async fn a_replay_of_what_was_compacted_is_no_stray(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    let copies = taken(&world, 3);
    say(&engine, &copies).await;
    say(&engine, &[rotated(&world)]).await;
    world.clock.advance(DAY * 31);
    say(&engine, &taken(&world, 1)).await;
    assert_eq!(engine.retention().compact_copies().await.unwrap(), 3);
    // One that has just started has learned nothing yet.
    let started = world.worker().await;
    assert_eq!(strays(&world, &started, &copies[0]).await, 0);
    for copy in &copies {
        assert_eq!(strays(&world, &engine, copy).await, 0);
    }
    assert_eq!(
        strays(&world, &engine, &taken(&world, 1)[0]).await,
        1,
        "nobody has ever told of it"
    );
}
