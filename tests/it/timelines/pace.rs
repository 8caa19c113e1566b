//! A replay goes no faster than it is answered, and stops nothing but itself.

use std::{sync::Arc, time::Duration};

use lacuna::{
    domain::task::TaskState,
    engine::{Engine, pace::WaitsFor},
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
    engine.settle(&acks).await.unwrap();
}

/// Batches until nothing is left that need not wait.
async fn sweep(engine: &Engine) -> Vec<Value> {
    let mut tasks = Vec::new();
    loop {
        let swept = engine.sweep().await.unwrap();
        if !swept.busy {
            return tasks;
        }
        tasks.extend(Sent::of(&swept.emission).tasks);
    }
}

async fn waits_for(engine: &Engine) -> Option<WaitsFor> {
    let open = engine.store.sweeps(true, 10).await.unwrap();
    let waiting = engine.waiting_sweeps(&open).await.unwrap();
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
    assert!(engine.store.sweeps(true, 1).await.unwrap().is_empty());
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
    assert_eq!(engine.store.sweeps(true, 10).await.unwrap().len(), 1);
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
    assert!(engine.store.sweeps(true, 1).await.unwrap().is_empty());
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
