//! Identifiers that acks bring: who is sent them, who is not, and what a repeat, a forgery and a crash change.

use lacuna::{delivery::republish::republish, engine::settle::AckVerdict};
use serde_json::{Value, json};

use super::{
    control::{control, tell},
    world::{Sent, World, answer, erase, id},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    an_ack_brings_what_the_next_one_needs,
    what_is_not_provided_is_left_alone,
    a_repeat_and_a_forgery_bring_nothing,
    a_hold_on_what_was_brought_holds,
    two_acks_of_one_batch,
);

const REGISTRY: &str = r#"
[[processor]]
id = "billing"
kind = "payments"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]
provides = ["phone"]
[[processor]]
id = "shop"
kind = "other"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]
provides = ["device_id"]
[[processor]]
id = "calls"
kind = "telecom"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["phone", "device_id"]
after = ["billing", "shop"]
[[processor]]
id = "apart"
kind = "other"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email", "phone"]
"#;

const PHONE: &str = "+49 30 901820";

fn bringing(task: &Value, identities: &Value) -> Value {
    let mut ack = answer(task, "erased");
    ack["identities"] = identities.clone();
    ack
}

fn phone() -> Value {
    json!([{ "type": "phone", "value": PHONE }])
}

async fn an_ack_brings_what_the_next_one_needs(fixture: Fixture) {
    let world = World::with_registry(fixture, REGISTRY).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    assert_eq!(opened.asked(), ["apart", "billing", "shop"]);
    assert_eq!(
        opened.status()["needs_attention"],
        false,
        "an answer may still bring it"
    );
    world
        .settle(&engine, &bringing(opened.task("billing"), &phone()))
        .await;
    let (_, sent) = world
        .settle(&engine, &answer(opened.task("shop"), "erased"))
        .await;
    assert_eq!(sent.asked(), ["calls"]);
    assert_eq!(sent.task("calls")["identities"], phone());
    // From the store, also by another worker: what was sent, and nothing to those that do not come after it.
    let second = world.worker().await;
    let again = Sent::of(&republish(&second, &[id(1)], &[]).await.unwrap());
    assert_eq!(again.task("calls"), sent.task("calls"));
    assert_eq!(again.task("apart")["identities"].as_array().unwrap().len(), 1);
    // The subject is found by it from now on.
    let tenant = world.request(1).await.head.tenant;
    let identity = serde_json::from_value(json!({ "type": "phone", "value": "+4930901820" })).unwrap();
    let digest = world.vault.lookup_digest(&tenant, &identity);
    assert_eq!(
        world.fixture.store.of_subject(&[digest], 10).await.unwrap(),
        [id(1)]
    );
    for task in [sent.task("calls"), opened.task("apart")] {
        world.settle(&engine, &answer(task, "erased")).await;
    }
    assert_eq!(world.request(1).await.life.status.as_str(), "completed");
    world.check().await;
}

async fn what_is_not_provided_is_left_alone(fixture: Fixture) {
    let world = World::with_registry(fixture, REGISTRY).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    // `billing` may not bring a device id, and nobody after `apart` could use anything.
    let device =
        json!([{ "type": "device_id", "value": "d" }, { "type": "email", "value": "x@example.org" }]);
    for processor in ["billing", "apart"] {
        let (verdict, _) = world
            .settle(&engine, &bringing(opened.task(processor), &device))
            .await;
        assert!(
            matches!(verdict, AckVerdict::Counted { .. }),
            "the ack counts all the same"
        );
    }
    let (_, sent) = world
        .settle(&engine, &answer(opened.task("shop"), "erased"))
        .await;
    let status = sent.status();
    assert!(sent.asked().is_empty());
    assert_eq!(
        (&status["needs_attention"], &status["waiting_for"][0]["why"]),
        (&json!(true), &json!("identity"))
    );
    // A person can still supply it.
    let supply = json!({ "type": "supply_identities", "request_id": id(1), "identities": phone() });
    let (_, sent) = tell(&world, &engine, &control(1, supply)).await;
    assert_eq!(sent.asked(), ["calls"]);
    world.check().await;
}

async fn a_repeat_and_a_forgery_bring_nothing(fixture: Fixture) {
    let world = World::with_registry(fixture, REGISTRY).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    let mut forged = bringing(opened.task("billing"), &phone());
    forged["token"] = json!("x".repeat(43));
    world.settle(&engine, &forged).await;
    world
        .settle(&engine, &answer(opened.task("billing"), "erased"))
        .await;
    let before = world.request(1).await;
    let (verdict, _) = world
        .settle(&engine, &bringing(opened.task("billing"), &phone()))
        .await;
    assert_eq!(verdict, AckVerdict::Repeated);
    assert_eq!(world.request(1).await, before, "a repeat changes nothing");
    world.check().await;
}

async fn a_hold_on_what_was_brought_holds(fixture: Fixture) {
    let world = World::with_registry(fixture, REGISTRY).await;
    let engine = world.worker().await;
    let hold = json!({ "type": "hold", "hold_id": uuid::Uuid::from_u128(7), "basis": "dispute",
                       "subject": { "identities": phone() } });
    tell(&world, &engine, &control(1, hold)).await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    assert_eq!(
        opened.asked(),
        ["apart", "billing", "shop"],
        "nobody knows the number yet"
    );
    world
        .settle(&engine, &answer(opened.task("shop"), "erased"))
        .await;
    let (_, sent) = world
        .settle(&engine, &bringing(opened.task("billing"), &phone()))
        .await;
    assert!(sent.asked().is_empty());
    let held = |waiting: &Value| waiting["processor"] == "calls" && waiting["why"] == "hold";
    assert!(sent.status()["waiting_for"].as_array().unwrap().iter().any(held));
    world.check().await;
}

async fn two_acks_of_one_batch(fixture: Fixture) {
    let world = World::with_registry(fixture, REGISTRY).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    let device = json!([{ "type": "device_id", "value": "d-1" }]);
    let batch = [
        world.ack(&engine, &bringing(opened.task("billing"), &phone())),
        world.ack(&engine, &bringing(opened.task("shop"), &device)),
    ];
    let sent = Sent::of(&engine.settle(&batch).await.unwrap().emission);
    assert_eq!(sent.asked(), ["calls"]);
    assert_eq!(sent.task("calls")["identities"].as_array().unwrap().len(), 2);
    let tenant = world.request(1).await.head.tenant;
    for identity in [&phone()[0], &device[0]] {
        let digest = world
            .vault
            .lookup_digest(&tenant, &serde_json::from_value(identity.clone()).unwrap());
        assert_eq!(
            world.fixture.store.of_subject(&[digest], 10).await.unwrap(),
            [id(1)]
        );
    }
    world.check().await;
}
