//! Operators' decisions about what was never sent, while a second person's approval is awaited.

use std::time::Duration;

use lacuna::{
    domain::{ids::TaskId, request::gates::Approval, words::Status},
    engine::operations::TaskDecision,
};
use serde_json::json;

use super::{
    control::{control, tell},
    world::{Sent, World, cancel, erase, id},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    a_retry_of_what_was_never_sent_waits_behind_the_approval,
    retry_of_unsent_task_still_allows_cancel,
);

const KEEPS: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
[[processor.retention]]
categories = ["invoices"]
basis = "tax_law"
keep = "5y"
then = "erase"
[[processor]]
id = "stats"
kind = "analytics"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
"#;

async fn gated(fixture: Fixture) -> World {
    let mut world = World::with_registry(fixture, KEEPS).await;
    world.settings.approval = Approval::Always;
    world
}

/// The task of the share that a law keeps.
async fn kept(world: &World, n: u128) -> TaskId {
    let request = world.request(n).await;
    let place = request
        .ordinals()
        .find(|place| request.task(*place).state.is_deferred())
        .expect("a share is kept");
    request.task_id(place)
}

async fn a_retry_of_what_was_never_sent_waits_behind_the_approval(fixture: Fixture) {
    let world = gated(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    assert_eq!(opened.status()["status"], "awaiting_approval");
    let (request, emission) = engine
        .operations()
        .decide_task(
            kept(&world, 1).await,
            TaskDecision::Retry,
            "ops",
            Some("the books are closed"),
        )
        .await
        .unwrap();
    assert_eq!(request.life.status, Status::AwaitingApproval);
    assert!(Sent::of(&emission).tasks.is_empty(), "sent unapproved");
    let sent = world.pass(&engine, Duration::from_secs(2 * 3600)).await;
    assert!(sent.tasks.is_empty(), "sent unapproved by the agenda");
    world.check().await;

    let (_, sent) = tell(
        &world,
        &engine,
        &control(1, json!({ "type": "approve", "request_id": id(1) })),
    )
    .await;
    assert_eq!(
        sent.asked(),
        ["crm", "crm", "stats"],
        "the retried share goes with the rest"
    );
    world.check().await;
}

async fn retry_of_unsent_task_still_allows_cancel(fixture: Fixture) {
    let world = gated(fixture).await;
    let engine = world.worker().await;
    for n in [1, 2] {
        world.take_in(&engine, &erase(n)).await;
        let retried =
            engine
                .operations()
                .decide_task(kept(&world, n).await, TaskDecision::Retry, "ops", None);
        retried.await.unwrap();
    }
    world.take_in(&engine, &cancel(1)).await;
    assert_eq!(world.request(1).await.life.status, Status::Cancelled);
    let refusal = json!({ "type": "refuse", "request_id": id(2), "basis": "excessive" });
    let (_, sent) = tell(&world, &engine, &control(2, refusal)).await;
    assert!(sent.letters.is_empty(), "{sent:?}");
    assert_eq!(world.request(2).await.life.status, Status::Refused);
    world.check().await;
}
