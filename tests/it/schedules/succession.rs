//! Processors that leave and are replaced, and processors that come later, while requests are under way.

use std::time::Duration;

use lacuna::{
    domain::ids::ProcessorId,
    engine::{
        Engine, OperateError,
        operations::backfill::{Backfill, BackfillStep, Backfilled},
        settlement::AckVerdict,
    },
};
use serde_json::json;

use super::world::{REGISTRY, Sent, World, answer, erase, settings};
use crate::store::fixture::Fixture;

on_both_stores!(
    a_successor_takes_over_what_is_open,
    a_successor_that_comes_later_takes_over_as_well,
    a_processor_that_comes_later_is_offered_open_requests,
    closed_requests_are_offered_as_far_as_they_can_be_read,
    a_dry_run_changes_nothing,
    an_unknown_processor_is_offered_nothing,
);

const NEW: &str = r#"
[[processor]]
id = "desk"
kind = "support"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
ack_timeout = "1h"
retry = { initial = "10s", jitter = 0.0, attempts = 2 }
"#;

/// The registry without `stats`.
fn without_stats() -> String {
    REGISTRY
        .split("[[processor]]")
        .skip(1)
        .filter(|part| !part.contains("id = \"stats\""))
        .map(|part| format!("[[processor]]{part}"))
        .collect()
}

fn heir() -> String {
    format!("{}{NEW}replaces = \"stats\"\n", without_stats())
}

async fn activate(world: &World, engine: &Engine, registry: &str) -> Vec<Sent> {
    world.apply(registry).await;
    engine.load_registry().await.unwrap();
    let mut sent = Vec::new();
    loop {
        let swept = engine.fact_sweeps().sweep().await.unwrap();
        if !swept.busy {
            return sent;
        }
        sent.push(Sent::of(&swept.emission));
    }
}

fn task_of(sent: &[Sent], processor: &str) -> serde_json::Value {
    let tasks = sent.iter().flat_map(|sent| &sent.tasks);
    let mut found = tasks.filter(|task| task["processor"] == processor);
    found
        .next()
        .unwrap_or_else(|| panic!("no task for {processor}: {sent:?}"))
        .clone()
}

async fn backfill(engine: &Engine, since: Option<&str>, dry_run: bool) -> (Backfilled, Vec<Sent>) {
    let asked = Backfill {
        processor: ProcessorId::new("desk").unwrap(),
        since: since.map(|text| lacuna::domain::time::At::parse(text).unwrap()),
        dry_run,
    };
    let (mut step, mut sent) = (BackfillStep::default(), Vec::new());
    while !step.is_over {
        let emission = engine
            .operations()
            .backfill(&asked, "ann", &mut step)
            .await
            .unwrap();
        sent.push(Sent::of(&emission));
    }
    (step.done, sent)
}

async fn a_successor_takes_over_what_is_open(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    let sent = activate(&world, &engine, &heir()).await;
    let task = task_of(&sent, "desk");
    assert_eq!(
        (&task["task_id"], &task["generation"], &task["attempt"]),
        (&opened.task("stats")["task_id"], &json!(2), &json!(1))
    );
    let kinds: Vec<&str> = task["identities"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["type"].as_str())
        .collect();
    assert_eq!(kinds, ["email"], "what the successor declares");
    world.check().await;
    // Whoever has left is not heard, and changes nothing.
    let (verdict, _) = world
        .settle(&engine, &answer(opened.task("stats"), "erased"))
        .await;
    assert!(matches!(verdict, AckVerdict::Rejected(_)), "{verdict:?}");
    world.settle(&engine, &answer(&task, "erased")).await;
    let (_, next) = world.settle(&engine, &answer(opened.task("crm"), "erased")).await;
    let (_, last) = world.settle(&engine, &answer(next.task("mail"), "erased")).await;
    assert_eq!(last.status()["status"], "completed");
    world.check().await;
}

async fn a_successor_that_comes_later_takes_over_as_well(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    activate(&world, &engine, &without_stats()).await;
    assert!(world.request(1).await.life.needs_attention);
    let sent = activate(&world, &engine, &heir()).await;
    task_of(&sent, "desk");
    assert!(!world.request(1).await.life.needs_attention);
    assert_eq!(engine.left_over_tasks().await.unwrap(), Vec::new());
    world.check().await;
}

async fn a_processor_that_comes_later_is_offered_open_requests(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    activate(&world, &engine, &format!("{REGISTRY}{NEW}")).await;
    world.take_in(&engine, &erase(2)).await;
    let (done, sent) = backfill(&engine, None, false).await;
    assert_eq!((done.looked_at, done.offered, done.already), (2, 1, 1));
    let task = task_of(&sent, "desk");
    assert_eq!(
        (&task["action"], &task["generation"]),
        (&json!("erase"), &json!(1))
    );
    assert_eq!(world.request(1).await.tasks.len(), 4);
    world.check().await;
    let (again, sent) = backfill(&engine, None, false).await;
    assert_eq!((again.offered, again.already), (0, 2));
    assert!(sent.iter().all(|sent| sent.tasks.is_empty()), "asked twice");
    world.settle(&engine, &answer(&task, "erased")).await;
    assert_eq!(world.request(1).await.counts().done, 1);
    world.check().await;
}

async fn closed_requests_are_offered_as_far_as_they_can_be_read(fixture: Fixture) {
    let kept = lacuna::engine::Settings {
        keep_after_completion: Duration::from_secs(3 * 24 * 3600),
        ..settings()
    };
    let world = World::with_settings(fixture, REGISTRY, kept).await;
    let engine = world.worker().await;
    let close = async |n: u128| {
        let (_, opened) = world.take_in(&engine, &erase(n)).await;
        world
            .settle(&engine, &answer(opened.task("stats"), "erased"))
            .await;
        let (_, next) = world.settle(&engine, &answer(opened.task("crm"), "erased")).await;
        world.settle(&engine, &answer(next.task("mail"), "erased")).await;
    };
    close(1).await;
    world.pass(&engine, Duration::from_secs(2 * 24 * 3600)).await;
    close(2).await;
    // The first one is forgotten by now, the second one is not.
    world.pass(&engine, Duration::from_secs(2 * 24 * 3600)).await;
    activate(&world, &engine, &format!("{REGISTRY}{NEW}")).await;
    let (open, _) = backfill(&engine, None, false).await;
    assert_eq!((open.looked_at, open.offered), (0, 0));
    let (done, sent) = backfill(&engine, Some("2026-11-01T00:00:00Z"), false).await;
    assert_eq!((done.offered, done.reopened, done.unreadable_count), (1, 1, 1));
    assert_eq!(done.unreadable, [super::world::id(1)]);
    let task = task_of(&sent, "desk");
    assert_eq!(world.request(2).await.life.status.as_str(), "in_progress");
    world.check().await;
    let (late, _) = backfill(&engine, Some("2027-01-01T00:00:00Z"), false).await;
    assert_eq!(late.unreadable_count, 0, "received before");
    let (_, closed) = world.settle(&engine, &answer(&task, "not_found")).await;
    assert_eq!(closed.status()["status"], "completed");
    world.check().await;
}

async fn a_dry_run_changes_nothing(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    activate(&world, &engine, &format!("{REGISTRY}{NEW}")).await;
    let before = world.request(1).await;
    let (done, sent) = backfill(&engine, None, true).await;
    assert_eq!((done.looked_at, done.offered), (1, 1));
    assert_eq!(world.request(1).await, before);
    assert!(sent.iter().all(|sent| *sent == Sent::default()));
    world.check().await;
}

async fn an_unknown_processor_is_offered_nothing(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let asked = Backfill {
        processor: ProcessorId::new("nobody").unwrap(),
        since: None,
        dry_run: false,
    };
    let refused = engine
        .operations()
        .backfill(&asked, "ann", &mut BackfillStep::default())
        .await;
    assert!(
        matches!(refused, Err(OperateError::Unknown("processor"))),
        "{refused:?}"
    );
}
