//! Tasks in the queues of lanes, from the engine's side: claimed once, given back, kept back. Invariants 3, 6 and 12.

use std::time::Duration;

use lacuna::{
    config::registry_file,
    delivery::republish::republish,
    domain::{
        ids::{ProcessorId, Tenant},
        registry::{Rate, Registry, Transport, Webhook},
        task::{Queued, TaskState},
        words::Status,
    },
    engine::{Engine, effects::TaskDispatch, settlement::AckVerdict},
    store::Wanted,
};
use serde_json::{Value, json};

use super::{
    control::{control, tell},
    world::{ACKS, REGISTRY, Sent, World, ack_from, answer, cancel, erase, id},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    task_of_a_queued_lane_is_ready_until_claimed,
    two_workers_claim_a_task_once,
    claim_of_a_dead_worker_goes_back_and_its_late_success_counts,
    hold_before_the_claim_keeps_it_back,
    cancelled_before_the_claim_is_never_claimed,
    task_given_back_uses_up_no_attempt,
    failed_task_is_queued_for_later,
    every_tenant_is_found_in_a_queue,
    lane_that_becomes_a_topic_lets_its_queue_go,
    task_of_a_topic_with_a_rate_survives_a_crash_before_its_produce,
);

pub fn crm() -> ProcessorId {
    ProcessorId::new("crm").unwrap()
}

/// The usual three processors, `crm` with a webhook.
pub fn with_webhook() -> Registry {
    let mut registry = registry_file::read_text("processors.toml", REGISTRY).unwrap();
    registry.processors[0].transport = Transport::Webhook(Webhook {
        url: "http://127.0.0.1:9/erase".to_owned(),
        secrets: Vec::new(),
        timeout: Duration::from_secs(10),
        http: Default::default(),
    });
    registry
}

pub async fn world(fixture: Fixture) -> World {
    let world = World::new(fixture).await;
    world.harness.apply(&with_webhook()).await.unwrap();
    world
}

fn wanted(tenant: &str, most: u32) -> Wanted {
    Wanted {
        processor: crm(),
        tenant: Tenant::new(tenant).unwrap(),
        most,
    }
}

async fn claim(engine: &Engine, most: u32) -> Vec<TaskDispatch> {
    let claimed = engine.queues().claim(&[wanted("acme", most)]).await.unwrap();
    claimed.tasks
}

/// A task as its message names it.
fn message(task: &TaskDispatch) -> Value {
    serde_json::to_value(task.message(ACKS, None)).unwrap()
}

async fn settle(world: &World, engine: &Engine, ack: &Value) -> (AckVerdict, Sent) {
    let arrivals = [ack_from(engine, None, ack)];
    let mut settled = engine.settlement().settle(&arrivals).await.unwrap();
    world.check().await;
    (settled.verdicts.pop().unwrap(), Sent::of(&settled.emission))
}

async fn task_of_a_queued_lane_is_ready_until_claimed(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    assert_eq!(opened.asked(), ["stats"]);
    let waiting = &opened.status()["waiting_for"];
    assert_eq!(
        (&waiting[0]["state"], &waiting[0]["why"]),
        (&json!("ready"), &json!("rate"))
    );
    assert!(!world.request(1).await.tasks[0].was_sent());
    world.check().await;

    let claimed = claim(&engine, 10).await;
    let task = message(&claimed[0]);
    assert_eq!((claimed.len(), &task["attempt"]), (1, &json!(1)));
    assert_eq!(task["identities"][0]["type"], "email");
    let due = world.clock.now().plus(Duration::from_secs(3600));
    assert_eq!(
        task["respond_by"],
        json!(due),
        "the term of its answer is the processor's own"
    );
    world.check().await;
    assert!(claim(&engine, 10).await.is_empty(), "it is claimed once");

    let (verdict, sent) = settle(&world, &engine, &answer(&task, "erased")).await;
    assert!(matches!(verdict, AckVerdict::Counted { .. }));
    assert_eq!(sent.asked(), ["mail"], "what comes after it goes on");
}

async fn two_workers_claim_a_task_once(fixture: Fixture) {
    let world = world(fixture).await;
    let (one, other) = (world.worker().await, world.worker().await);
    for n in 1..=20 {
        world.take_in(&one, &erase(n)).await;
    }
    let (mine, theirs) = tokio::join!(claim(&one, 20), claim(&other, 20));
    assert_eq!(mine.len() + theirs.len(), 20);
    world.check().await;
}

async fn claim_of_a_dead_worker_goes_back_and_its_late_success_counts(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    let first = message(&claim(&engine, 1).await[0]);
    world.pass(&engine, Duration::from_secs(29)).await;
    assert!(claim(&engine, 1).await.is_empty());
    // The lease is over: it failed, as far as anybody knows, and is asked again by its schedule.
    world.pass(&engine, Duration::from_secs(2)).await;
    world.pass(&engine, Duration::from_secs(10)).await;
    world.check().await;
    let second = claim(&engine, 1).await;
    assert_eq!(message(&second[0])["attempt"], 2);
    let (verdict, _) = settle(&world, &engine, &answer(&first, "erased")).await;
    assert!(matches!(verdict, AckVerdict::Counted { .. }));
    assert_eq!(world.request(1).await.tasks[0].state.name().as_str(), "done");
}

async fn hold_before_the_claim_keeps_it_back(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    let hold = json!({ "type": "hold", "request_id": id(1), "hold_id": id(70), "basis": "dispute" });
    tell(&world, &engine, &control(71, hold)).await;
    assert!(claim(&engine, 10).await.is_empty());
    world.check().await;
    assert!(matches!(
        world.request(1).await.tasks[0].state,
        TaskState::Held { .. }
    ));
    let release = json!({ "type": "release", "hold_id": id(70) });
    tell(&world, &engine, &control(72, release)).await;
    while engine.fact_sweeps().sweep().await.unwrap().busy {}
    assert_eq!(claim(&engine, 10).await.len(), 1);
    world.check().await;
}

async fn cancelled_before_the_claim_is_never_claimed(fixture: Fixture) {
    let world = world(fixture).await;
    let mut only_crm = with_webhook();
    only_crm.processors.truncate(1);
    world.harness.apply(&only_crm).await.unwrap();
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    world.take_in(&engine, &cancel(1)).await;
    assert!(claim(&engine, 10).await.is_empty());
    assert_eq!(world.request(1).await.life.status, Status::Cancelled);
    world.check().await;
}

async fn task_given_back_uses_up_no_attempt(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    for attempt in 1..=5 {
        let claimed = claim(&engine, 1).await;
        assert_eq!(message(&claimed[0])["attempt"], attempt);
        engine.queues().give_back(&[claimed[0].sent()]).await.unwrap();
        world.check().await;
    }
    let task = world.request(1).await.tasks[0].clone();
    assert_eq!((task.attempt, task.counted), (5, 0));
    assert!(matches!(
        task.state,
        TaskState::Queued {
            why: Queued::Turn,
            ..
        }
    ));
}

async fn failed_task_is_queued_for_later(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    let task = message(&claim(&engine, 1).await[0]);
    let (_, sent) = settle(&world, &engine, &answer(&task, "failed")).await;
    let waiting = &sent.status()["waiting_for"];
    assert_eq!(
        (&waiting[0]["state"], &waiting[0]["why"]),
        (&json!("ready"), &json!("retry"))
    );
    assert!(claim(&engine, 1).await.is_empty());
    // Nobody has to wake it: the lane finds it when it is due.
    world.clock.advance(Duration::from_secs(10));
    let again = claim(&engine, 1).await;
    assert_eq!(message(&again[0])["attempt"], 2);
    world.check().await;
}

async fn every_tenant_is_found_in_a_queue(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    for n in 1..=70_u128 {
        let mut command = erase(n);
        command["tenant"] = json!(format!("tenant{n:03}"));
        world.take_in(&engine, &command).await;
    }
    let heads = engine.queues().heads(&[(crm(), None)]).await.unwrap();
    assert_eq!(heads.len(), 64, "so many are looked at together");
    let last = heads.iter().map(|head| head.tenant.clone()).max();
    let rest = engine.queues().heads(&[(crm(), last)]).await.unwrap();
    assert_eq!(rest.len(), 6);
    let claimed = engine
        .queues()
        .claim(&[wanted("tenant070", 5), wanted("tenant001", 5)])
        .await;
    assert_eq!(claimed.unwrap().tasks.len(), 2);
}

/// The usual three processors, `crm` with a rate.
fn with_rate() -> Registry {
    let mut registry = registry_file::read_text("processors.toml", REGISTRY).unwrap();
    registry.processors[0].rate = Some(Rate {
        tasks: 10,
        per: Duration::from_secs(1),
    });
    registry
}

async fn task_of_a_topic_with_a_rate_survives_a_crash_before_its_produce(fixture: Fixture) {
    let world = World::new(fixture).await;
    world.harness.apply(&with_rate()).await.unwrap();
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    assert_eq!(opened.asked(), ["stats"]);
    // Claimed, and the worker dies before it has produced anything.
    let claimed = claim(&engine, 1).await;
    assert_eq!(claimed.len(), 1);
    drop(engine);
    world.clock.advance(Duration::from_secs(60));
    let next = world.worker().await;
    let left = next.agenda().unproduced(world.clock.now()).await.unwrap();
    assert_eq!(left, [id(1)]);
    let again = Sent::of(&republish(&next, &left, &[]).await.unwrap());
    assert_eq!(again.task("crm")["attempt"], 1, "the same attempt");
    world.check().await;
}

async fn lane_that_becomes_a_topic_lets_its_queue_go(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    world.apply(REGISTRY).await;
    // Whatever looks at the request finds that its lane takes it at once.
    let claimed = engine.queues().claim(&[wanted("acme", 1)]).await.unwrap();
    assert_eq!(claimed.tasks.len(), 1);
    assert!(matches!(
        world.request(1).await.tasks[0].state,
        TaskState::Dispatched { .. }
    ));
    world.check().await;
}
