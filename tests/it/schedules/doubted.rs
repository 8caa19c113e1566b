//! Processors for which the same task twice does harm: whatever is lost, they are asked before they are sent it again.

use std::time::Duration;

use lacuna::{
    delivery::republish::republish,
    domain::{
        ids::ProcessorId,
        task::{TaskState, Undelivered},
        words::Proof,
    },
    engine::{
        Engine,
        effects::{Effect, SentTask},
        settlement::AckVerdict,
        undeliverable::Bounced,
    },
    store::Wanted,
};
use serde_json::{Value, json};

use super::world::{Sent, World, answer, erase};
use crate::store::fixture::Fixture;

on_both_stores!(
    a_worker_that_dies_with_a_claim_has_it_asked_about,
    what_its_topic_does_not_confirm_is_asked_about,
    a_late_proof_settles_while_the_question_is_out,
    a_restarted_worker_sends_nothing_twice,
);

const CRM: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
idempotent = false
ack_timeout = "1h"
retry = { initial = "10s", jitter = 0.0, attempts = 2 }
"#;

const HOUR: Duration = Duration::from_secs(3600);
const PAUSE: Duration = Duration::from_secs(10);

/// Claims what is due in the queue, as whoever runs the lane does.
async fn claim(engine: &Engine) -> Sent {
    let wanted = Wanted {
        processor: ProcessorId::new("crm").unwrap(),
        tenant: lacuna::domain::ids::Tenant::new("acme").unwrap(),
        most: 10,
    };
    let mut claimed = engine.queues().claim(&[wanted]).await.unwrap();
    claimed
        .effects
        .effects
        .extend(claimed.tasks.into_iter().map(Effect::Task));
    Sent::of(&claimed.effects)
}

/// A request whose task was claimed, and perhaps sent.
async fn sent(world: &World, engine: &Engine) -> Value {
    let (_, opened) = world.take_in(engine, &erase(1)).await;
    assert!(opened.tasks.is_empty(), "it waits for its turn: {opened:?}");
    let sent = claim(engine).await;
    let task = sent.task("crm").clone();
    assert_eq!(
        (&task["action"], &task["generation"]),
        (&json!("erase"), &json!(1))
    );
    task
}

async fn proof(world: &World) -> Option<Proof> {
    match world.request(1).await.tasks[0].state {
        TaskState::Done { proof, .. } => Some(proof),
        _ => None,
    }
}

async fn a_worker_that_dies_with_a_claim_has_it_asked_about(fixture: Fixture) {
    let world = World::with_registry(fixture, CRM).await;
    let engine = world.worker().await;
    sent(&world, &engine).await;
    drop(engine);
    let engine = world.worker().await;
    world.pass(&engine, HOUR).await;
    world.check().await;
    world.pass(&engine, PAUSE).await;
    let asked = claim(&engine).await;
    assert_eq!(asked.task("crm")["action"], "verify");
    let (_, found) = world.settle(&engine, &answer(asked.task("crm"), "present")).await;
    assert!(found.tasks.is_empty(), "{found:?}");
    world.pass(&engine, PAUSE).await;
    let again = claim(&engine).await;
    assert_eq!(
        (&again.task("crm")["action"], &again.task("crm")["generation"]),
        (&json!("erase"), &json!(3))
    );
    world.settle(&engine, &answer(again.task("crm"), "erased")).await;
    assert_eq!(proof(&world).await, Some(Proof::Erased));
    world.check().await;
}

async fn what_its_topic_does_not_confirm_is_asked_about(fixture: Fixture) {
    let world = World::with_registry(fixture, CRM).await;
    let engine = world.worker().await;
    let task = sent(&world, &engine).await;
    let request = world.request(1).await;
    let bounced = Bounced {
        sent: SentTask {
            request: request.id,
            task: request.task_id(0),
            generation: 1,
            attempt: 1,
        },
        why: Undelivered::Refused,
        certain: false,
    };
    engine.put_back(&[bounced]).await.unwrap();
    world.check().await;
    world.pass(&engine, PAUSE).await;
    let asked = claim(&engine).await;
    assert_eq!(asked.task("crm")["action"], "verify");
    // It had arrived after all.
    let (verdict, _) = world.settle(&engine, &answer(asked.task("crm"), "absent")).await;
    assert!(matches!(verdict, AckVerdict::Counted { .. }));
    assert_eq!(proof(&world).await, Some(Proof::NotFound));
    let (verdict, _) = world.settle(&engine, &answer(&task, "erased")).await;
    assert_eq!(verdict, AckVerdict::Repeated);
    world.check().await;
}

async fn a_late_proof_settles_while_the_question_is_out(fixture: Fixture) {
    let world = World::with_registry(fixture, CRM).await;
    let engine = world.worker().await;
    let task = sent(&world, &engine).await;
    world.pass(&engine, HOUR).await;
    world.pass(&engine, PAUSE).await;
    let asked = claim(&engine).await;
    let (verdict, _) = world.settle(&engine, &answer(&task, "failed")).await;
    assert!(matches!(verdict, AckVerdict::Rejected(_)), "{verdict:?}");
    let (verdict, told) = world.settle(&engine, &answer(&task, "erased")).await;
    assert!(matches!(verdict, AckVerdict::Counted { .. }), "{verdict:?}");
    assert_eq!(told.status()["status"], "completed");
    let (verdict, _) = world.settle(&engine, &answer(asked.task("crm"), "absent")).await;
    assert_eq!(verdict, AckVerdict::Repeated);
    world.check().await;
}

async fn a_restarted_worker_sends_nothing_twice(fixture: Fixture) {
    let world = World::with_registry(fixture, CRM).await;
    let engine = world.worker().await;
    sent(&world, &engine).await;
    // What a batch has led to is produced again after a crash, but not this.
    let again = republish(&engine, &[world.request(1).await.id], &[])
        .await
        .unwrap();
    assert_eq!(again.tasks().count(), 0);
    assert!(claim(&engine).await.tasks.is_empty());
    world.pass(&engine, HOUR / 2).await;
    assert!(claim(&engine).await.tasks.is_empty());
}
