//! The registry changes while requests are under way.

use std::{sync::Arc, time::Duration};

use lacuna::{
    delivery::republish::republish,
    domain::ids::ProcessorId,
    engine::{Engine, operate::TaskDecision, registry::Applied, settle::AckVerdict},
    kafka::routing::{Routing, Topics},
};
use serde_json::json;

use super::world::{ACKS, REGISTRY, Sent, World, answer, erase};
use crate::store::fixture::Fixture;

on_both_stores!(
    a_processor_is_removed_and_comes_back,
    a_processor_is_removed_before_its_turn,
    a_removed_processor_can_be_waived,
    a_changed_rule_holds_for_what_is_under_way,
    workers_agree_on_one_registry,
    what_is_out_at_a_processor_that_has_left_is_shown_at_once,
);

/// The registry without one of its processors.
fn without(processor: &str) -> String {
    let parts = REGISTRY
        .split("[[processor]]")
        .skip(1)
        .filter(|part| !part.contains(&format!("id = \"{processor}\"")));
    parts
        .map(|part| format!("[[processor]]{}", part.replace("after = [\"crm\"]\n", "")))
        .collect()
}

async fn a_processor_is_removed_and_comes_back(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    world.apply(&without("crm")).await;
    engine.load_registry().await.unwrap();
    // What it answers still counts, but nobody can ask it again.
    let (verdict, sent) = world.settle(&engine, &answer(opened.task("crm"), "failed")).await;
    assert!(matches!(verdict, AckVerdict::Counted { .. }));
    assert_eq!(
        world.pass(&engine, Duration::from_secs(60)).await,
        Sent::default()
    );
    assert_eq!(sent.status()["needs_attention"], json!(true));
    assert_eq!(sent.status()["status"], "in_progress");
    world.check().await;

    world.apply(REGISTRY).await;
    engine.load_registry().await.unwrap();
    let sent = world.pass(&engine, Duration::from_secs(3600)).await;
    assert_eq!(sent.task("crm")["attempt"], 2, "it goes on by itself");
    assert_eq!(sent.status()["needs_attention"], json!(false));
    world.settle(&engine, &answer(sent.task("crm"), "erased")).await;
    assert_eq!(world.request(1).await.counts().done, 1);
    world.check().await;
}

async fn a_processor_is_removed_before_its_turn(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    world
        .settle(&engine, &answer(opened.task("stats"), "erased"))
        .await;
    world.apply(&without("mail")).await;
    engine.load_registry().await.unwrap();
    let (_, sent) = world.settle(&engine, &answer(opened.task("crm"), "erased")).await;
    assert!(sent.tasks.is_empty());
    let status = sent.status();
    assert_eq!(
        (&status["status"], &status["needs_attention"]),
        (&json!("in_progress"), &json!(true)),
        "invariant 2"
    );
    assert_eq!(status["waiting_for"][0]["processor"], "mail");
    assert_eq!(status["waiting_for"][0]["why"], "needs_attention");
    world.apply(REGISTRY).await;
    engine.load_registry().await.unwrap();
    assert_eq!(
        world.pass(&engine, Duration::from_secs(3600)).await.asked(),
        ["mail"]
    );
    world.check().await;
}

async fn a_removed_processor_can_be_waived(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    for processor in ["stats", "crm"] {
        world
            .settle(&engine, &answer(opened.task(processor), "erased"))
            .await;
    }
    world.apply(&without("mail")).await;
    engine.load_registry().await.unwrap();
    world.pass(&engine, Duration::from_secs(7200)).await;
    let mail = world.request(1).await.task_id(2);
    let (request, _) = engine
        .decide_task(mail, TaskDecision::Waive, "ops", Some("contract ended"))
        .await
        .unwrap();
    assert_eq!(request.life.status.as_str(), "closed_with_exceptions");
    world.check().await;
}

fn routing(engine: &Arc<Engine>) -> Routing {
    let topics = Topics {
        acks: Arc::from(ACKS),
        ack_url: None,
        status: Arc::from("status"),
        dead_letters: Arc::from("dead-letters"),
        suppression: None,
        tasks_prefix: "tasks.".to_owned(),
    };
    let engine = Arc::clone(engine);
    Routing::new(topics, move || engine.active().ok())
}

async fn a_changed_rule_holds_for_what_is_under_way(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let routing = routing(&engine);
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    let stats = ProcessorId::new("stats").unwrap();
    assert_eq!(*routing.routes().task_topic(&stats), *"stats-tasks");
    world
        .apply(
            &REGISTRY
                .replace("attempts = 2", "attempts = 1")
                .replace("stats-tasks", "elsewhere"),
        )
        .await;
    engine.load_registry().await.unwrap();
    world.settle(&engine, &answer(opened.task("crm"), "failed")).await;
    let request = world.request(1).await;
    assert_eq!(request.tasks[0].state.name().as_str(), "abandoned");
    assert_eq!(request.head.registry, 1, "the plan is pinned");
    // Transport is live.
    let again = republish(&engine, &[request.id], &[]).await.unwrap();
    let routes = routing.routes();
    assert!(
        again
            .tasks()
            .any(|task| *routes.task_topic(&task.processor) == *"elsewhere")
    );
    world.check().await;
}

async fn workers_agree_on_one_registry(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (one, two) = (world.worker().await, world.worker().await);
    let registry = |text: &str| lacuna::config::registry_file::read_text("processors.toml", text).unwrap();
    assert_eq!(
        one.apply_registry(&registry(REGISTRY)).await.unwrap(),
        Applied::Unchanged(1)
    );
    let (without_mail, without_crm) = (registry(&without("mail")), registry(&without("crm")));
    let (first, second) = tokio::join!(
        one.apply_registry(&without_mail),
        two.apply_registry(&without_crm)
    );
    let mut applied = [first.unwrap(), second.unwrap()].map(|applied| match applied {
        Applied::Activated(revision) => revision,
        Applied::Unchanged(revision) => panic!("{revision} is another one"),
    });
    applied.sort_unstable();
    assert_eq!(applied, [2, 3]);
    for engine in [&one, &two] {
        engine.load_registry().await.unwrap();
        assert_eq!(engine.active().unwrap().revision, 3);
    }
    assert_eq!(one.active().unwrap().registry, two.active().unwrap().registry);
}

async fn what_is_out_at_a_processor_that_has_left_is_shown_at_once(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    assert!(!world.request(1).await.life.needs_attention);
    world.apply(&without("stats")).await;
    engine.load_registry().await.unwrap();
    assert_eq!(engine.left_over_tasks().await.unwrap(), [("stats".to_owned(), 1)]);
    while engine.sweep().await.unwrap().busy {}
    let request = world.request(1).await;
    assert!(request.life.needs_attention, "nobody asks it again");
    world.apply(REGISTRY).await;
    engine.load_registry().await.unwrap();
    assert!(engine.left_over_tasks().await.unwrap().is_empty());
    world.check().await;
}
