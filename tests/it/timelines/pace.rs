//! A replay goes no faster than it is answered, and stops nothing but itself.

use std::{sync::Arc, time::Duration};

use lacuna::{
    domain::{
        task::TaskState,
        time::At,
        words::{Status, Why},
    },
    engine::{Engine, replay_throttle::WaitsFor},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::crashes::{MANY, open_many, restored, tell, tell_backup, world};
use crate::{
    schedules::world::{Sent, World, answer, erase},
    store::fixture::Fixture,
};

on_both_stores!(
    a_replay_waits_for_answers,
    what_never_answers_stops_no_other_sweep,
    what_never_answers_only_slows_its_own_replay,
    a_hold_leaves_the_pace_to_the_replay,
    the_agenda_leaves_the_pace_to_the_replay,
    answers_leave_the_pace_to_the_replay,
    a_replay_leaves_the_pace_to_another_one,
    what_was_held_meanwhile_is_sent_by_the_replay_too,
);

/// So many may be out at a processor.
const LIMIT: u32 = 200;

/// A world in which so many requests are deferred that a restore needs two batches.
async fn replayable(fixture: Fixture) -> (World, Arc<Engine>) {
    let mut world = world(fixture, &["hosting", "crm", "nightly of=hosting keep=90d"]).await;
    world.settings.max_in_flight = LIMIT;
    let engine = world.worker().await;
    let sent = open_many(&world, &engine, 1..MANY).await;
    settle(&world, &engine, &sent.tasks).await;
    (world, engine)
}

async fn settle(world: &World, engine: &Engine, tasks: &[Value]) {
    let acks: Vec<_> = tasks
        .iter()
        .map(|task| world.ack(engine, &answer(task, "erased")))
        .collect();
    engine.settlement().settle(&acks).await.unwrap();
}

/// Batches until nothing is left that need not wait.
async fn sweep(engine: &Engine) -> Vec<Value> {
    let mut tasks = Vec::new();
    loop {
        let swept = engine.fact_sweeps().sweep().await.unwrap();
        if !swept.busy {
            return tasks;
        }
        tasks.extend(Sent::of(&swept.emission).tasks);
    }
}

async fn waits_for(engine: &Engine) -> Option<WaitsFor> {
    let open = engine.store().sweeps(true, 10).await.unwrap();
    let waiting = engine.fact_sweeps().waiting_sweeps(&open).await.unwrap();
    waiting.into_values().next()
}

fn in_flight(n: u64) -> Option<WaitsFor> {
    let processor = lacuna::domain::ids::ProcessorId::new("hosting").unwrap();
    Some(WaitsFor {
        processor,
        in_flight: n,
    })
}

async fn a_replay_waits_for_answers(fixture: Fixture) {
    let (world, engine) = replayable(fixture).await;
    tell_backup(&world, &engine, &restored(world.clock.now())).await;
    let first = sweep(&engine).await;
    assert_eq!(first.len(), 500, "one batch, and then it waits");
    assert_eq!(waits_for(&engine).await, in_flight(500));

    settle(&world, &engine, &first[..299]).await;
    assert!(sweep(&engine).await.is_empty(), "one more than the limit is out");
    assert_eq!(waits_for(&engine).await, in_flight(201));

    settle(&world, &engine, &first[299..]).await;
    let second = sweep(&engine).await;
    assert_eq!(first.len() + second.len(), MANY as usize - 1);
    assert_eq!(
        waits_for(&engine).await,
        None,
        "the rest is not more than the limit"
    );
    assert!(engine.store().sweeps(true, 1).await.unwrap().is_empty());
    world.check().await;
}

async fn what_never_answers_stops_no_other_sweep(fixture: Fixture) {
    let (world, engine) = replayable(fixture).await;
    let control = |n: u128, kind: &str| {
        json!({ "command_id": Uuid::from_u128(n), "type": kind, "tenant": "acme", "actor": "legal",
            "hold_id": Uuid::from_u128(0x401d), "basis": "legal_claims", "processor": "crm" })
    };
    tell(&world, &engine, &control(1_000_001, "hold")).await.unwrap();
    sweep(&engine).await;
    let mut command = erase(MANY);
    command["scope"] = json!({ "processors": ["crm"] });
    let (_, sent) = world.take_in(&engine, &command).await;
    assert!(sent.tasks.is_empty());

    tell_backup(&world, &engine, &restored(world.clock.now())).await;
    assert_eq!(sweep(&engine).await.len(), 500);
    tell(&world, &engine, &control(1_000_002, "release"))
        .await
        .unwrap();
    let released = sweep(&engine).await;
    assert_eq!(released.len(), 1, "the release goes before the older restore");
    assert_eq!(released[0]["processor"], "crm");
    assert_eq!(waits_for(&engine).await, in_flight(500));
    assert_eq!(engine.store().sweeps(true, 10).await.unwrap().len(), 1);
    world.check().await;
}

async fn what_never_answers_only_slows_its_own_replay(fixture: Fixture) {
    let (world, engine) = replayable(fixture).await;
    tell_backup(&world, &engine, &restored(world.clock.now())).await;
    let first = sweep(&engine).await.len();
    world.clock.advance(Duration::from_secs(9));
    assert!(sweep(&engine).await.is_empty());
    for _ in 0..3 {
        // Another batch each time: the last one only sees that nothing is left.
        world.clock.advance(Duration::from_secs(10));
        sweep(&engine).await;
    }
    assert!(engine.store().sweeps(true, 1).await.unwrap().is_empty());
    assert_eq!(first, 500);
    for n in [1, MANY / 2, MANY - 1] {
        let task = &world.request(n).await.tasks[0];
        assert!(
            matches!(task.state, TaskState::Dispatched { .. }) && task.generation == 2,
            "{n}"
        );
    }
    world.check().await;
}

/// Nobody has sent it yet, and yet whoever was told that live systems were clean is told that it was restored.
async fn assert_withheld(world: &World, n: u128, was_clean: bool) {
    let request = world.request(n).await;
    let hosting = &request.tasks[0];
    assert!(matches!(hosting.state, TaskState::Ready { .. }), "{hosting:?}");
    assert_eq!((hosting.generation, hosting.attempt), (2, 0));
    assert_eq!(request.life.status, Status::InProgress);
    assert_eq!(request.life.restored_at.is_some(), was_clean);
    assert_eq!(request.life.live_clean_at, None);
    assert!(!request.life.needs_attention);
    assert_eq!(request.why_not_done(hosting), Some((Why::Rate, None)));
}

/// A restore has been replayed as far as it may go: one batch is out, the last requests have not heard of it.
async fn half_replayed(world: &World, engine: &Engine, taken_at: At) -> Vec<Value> {
    tell_backup(world, engine, &restored(taken_at)).await;
    let first = sweep(engine).await;
    assert_eq!(first.len(), 500);
    assert_eq!(
        world.request(MANY - 1).await.tasks[0].generation,
        1,
        "nobody has touched it yet"
    );
    first
}

/// The rest is sent once the first batch is answered, and nobody is sent twice.
async fn assert_replayed(world: &World, engine: &Engine, first: &[Value]) {
    settle(world, engine, first).await;
    let rest = sweep(engine).await;
    assert_eq!(rest.len(), MANY as usize - 1 - first.len());
    settle(world, engine, &rest).await;
    for n in 1..MANY {
        let hosting = &world.request(n).await.tasks[0];
        assert!(
            matches!(hosting.state, TaskState::Done { .. }),
            "{n}: {hosting:?}"
        );
        assert_eq!((hosting.generation, hosting.attempt), (2, 1), "{n}");
    }
    world.check().await;
}

async fn a_hold_leaves_the_pace_to_the_replay(fixture: Fixture) {
    let (world, engine) = replayable(fixture).await;
    let first = half_replayed(&world, &engine, world.clock.now()).await;
    let hold = json!({ "command_id": Uuid::from_u128(1_000_001), "type": "hold", "tenant": "acme", "actor": "legal",
        "hold_id": Uuid::from_u128(0x401d), "basis": "legal_claims", "processor": "crm" });
    tell(&world, &engine, &hold).await.unwrap();
    assert!(sweep(&engine).await.is_empty(), "its sweep touches all of them");
    assert_withheld(&world, MANY - 1, true).await;
    assert_replayed(&world, &engine, &first).await;
}

async fn the_agenda_leaves_the_pace_to_the_replay(fixture: Fixture) {
    let (world, engine) = replayable(fixture).await;
    let taken_at = world.clock.now();
    world.clock.advance(Duration::from_secs(91 * 24 * 3600));
    let first = half_replayed(&world, &engine, taken_at).await;
    let mut count = 0;
    loop {
        let woken = engine.agenda().wake_due(world.clock.now()).await.unwrap();
        assert!(Sent::of(&woken.emission).tasks.is_empty());
        count += woken.count;
        if !woken.more {
            break;
        }
    }
    // Those of the first batch are not parked any more, so that their rows in the agenda were written anew.
    let left = MANY as usize - 1 - first.len();
    assert_eq!(count, left, "the copies have grown old meanwhile");
    assert_withheld(&world, MANY - 1, true).await;
    assert_replayed(&world, &engine, &first).await;
}

async fn answers_leave_the_pace_to_the_replay(fixture: Fixture) {
    let mut world = world(fixture, &["hosting", "crm", "nightly of=hosting keep=90d"]).await;
    world.settings.max_in_flight = LIMIT;
    let engine = world.worker().await;
    let sent = open_many(&world, &engine, 1..MANY).await;
    let of_hosting = |task: &&Value| task["processor"] == "hosting";
    let (hosting, crm): (Vec<Value>, Vec<Value>) = sent.tasks.into_iter().partition(|task| of_hosting(&task));
    settle(&world, &engine, &hosting).await;
    let first = half_replayed(&world, &engine, world.clock.now()).await;
    let acks: Vec<_> = crm
        .iter()
        .map(|task| world.ack(&engine, &answer(task, "erased")))
        .collect();
    let settled = engine.settlement().settle(&acks).await.unwrap();
    assert!(Sent::of(&settled.emission).tasks.is_empty());
    assert_withheld(&world, MANY - 1, false).await;
    assert_replayed(&world, &engine, &first).await;
}

async fn a_replay_leaves_the_pace_to_another_one(fixture: Fixture) {
    let mut world = world(
        fixture,
        &[
            "hosting",
            "crm",
            "nightly of=hosting keep=90d",
            "weekly of=crm keep=90d",
        ],
    )
    .await;
    world.settings.max_in_flight = LIMIT;
    let engine = world.worker().await;
    let sent = open_many(&world, &engine, 1..MANY).await;
    settle(&world, &engine, &sent.tasks).await;
    let first = half_replayed(&world, &engine, world.clock.now()).await;
    let into_crm = json!({ "event_id": Uuid::from_u128(0xb1), "type": "backup.restored", "processor": "weekly",
        "set": "weekly", "taken_at": world.clock.now(), "restored_into": ["crm"] });
    tell_backup(&world, &engine, &into_crm).await;
    let sent = sweep(&engine).await;
    assert!(sent.iter().all(|task| task["processor"] == "crm"));
    assert_eq!(sent.len(), 500);
    settle(&world, &engine, &sent).await;
    let sent = sweep(&engine).await;
    assert!(
        sent.iter().all(|task| task["processor"] == "crm"),
        "hosting has enough to do"
    );
    assert_eq!(sent.len(), MANY as usize - 1 - 500);
    assert_withheld(&world, MANY - 1, true).await;
    assert_replayed(&world, &engine, &first).await;
}

async fn what_was_held_meanwhile_is_sent_by_the_replay_too(fixture: Fixture) {
    let (world, engine) = replayable(fixture).await;
    let control = |n: u128, kind: &str| {
        json!({ "command_id": Uuid::from_u128(n), "type": kind, "tenant": "acme", "actor": "legal",
            "hold_id": Uuid::from_u128(0x401d), "basis": "legal_claims", "request_id": Uuid::from_u128(1) })
    };
    tell(&world, &engine, &control(1_000_001, "hold")).await.unwrap();
    sweep(&engine).await;
    tell_backup(&world, &engine, &restored(world.clock.now())).await;
    let first = sweep(&engine).await;
    assert_eq!(first.len(), 499, "one of the batch is held");
    tell(&world, &engine, &control(1_000_002, "release"))
        .await
        .unwrap();
    assert!(sweep(&engine).await.is_empty());
    assert_withheld(&world, 1, true).await;
    settle(&world, &engine, &first).await;
    let rest = sweep(&engine).await;
    assert_eq!(
        rest.len(),
        MANY as usize - 500,
        "it walks all of them again before its end"
    );
    assert_eq!(world.request(1).await.tasks[0].attempt, 1);
    world.check().await;
}
