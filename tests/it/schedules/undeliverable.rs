//! A topic of a processor takes nothing, or less than a task is: invariants 3, 11 and 12.

use std::time::Duration;

use lacuna::{
    delivery::republish::republish,
    domain::{
        ids::{ProcessorId, RequestId, TaskId},
        task::{TaskState, Undelivered},
        words::Status,
    },
    engine::{
        Engine,
        effects::SentTask,
        operations::TaskDecision,
        settlement::AckVerdict,
        undeliverable::{Bounced, Release},
    },
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    control::{control, tell},
    world::{COMMANDS, Sent, World, answer, cancel, command_from, erase, id, origin_at},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    undeliverable_task_is_ready_again_and_goes_out_when_due,
    ack_proves_arrival_of_unconfirmed_attempt,
    a_hold_before_the_write_back_keeps_it_back,
    a_hold_between_the_write_back_and_the_release_keeps_it_back,
    what_was_never_sent_can_be_cancelled_and_is_not_released,
    a_topic_that_is_known_to_take_nothing_delays_no_other_lane,
    a_probe_sends_the_task_of_one_request,
    two_workers_put_back_and_release_once,
    a_crash_before_the_write_back_says_the_task_again,
    too_large_task_needs_attention_then_goes_out,
    several_workers_share_what_nobody_has_produced,
);

const REFUSED: Undelivered = Undelivered::Refused;

fn crm() -> ProcessorId {
    ProcessorId::new("crm").unwrap()
}

/// The task of a message that its topic did not take.
fn bounced(task: &Value, why: Undelivered) -> Bounced {
    let number = |name: &str| u32::try_from(task[name].as_u64().unwrap()).unwrap();
    let uuid = |name: &str| -> Uuid { task[name].as_str().unwrap().parse().unwrap() };
    Bounced {
        sent: SentTask {
            request: RequestId(uuid("request_id")),
            task: TaskId(uuid("task_id")),
            generation: number("generation"),
            attempt: number("attempt"),
        },
        why,
        certain: false,
    }
}

async fn put_back(engine: &Engine, task: &Value, why: Undelivered) -> Sent {
    Sent::of(&engine.put_back(&[bounced(task, why)]).await.unwrap())
}

async fn release(engine: &Engine, what: Release, limit: u32) -> Sent {
    Sent::of(&engine.release(&crm(), what, None, limit).await.unwrap().emission)
}

fn why_of<'a>(sent: &'a Sent, processor: &str) -> &'a Value {
    let waiting = sent.status()["waiting_for"].as_array().unwrap();
    let of_it = waiting.iter().find(|waiting| waiting["processor"] == processor);
    &of_it.unwrap_or_else(|| panic!("{processor} is not waited for: {waiting:?}"))["why"]
}

async fn undeliverable_task_is_ready_again_and_goes_out_when_due(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    let back = put_back(&engine, opened.task("crm"), REFUSED).await;
    assert!(back.tasks.is_empty());
    assert_eq!(
        (why_of(&back, "crm"), why_of(&back, "stats")),
        (&json!("undeliverable"), &json!("ack"))
    );
    assert_eq!(back.status()["needs_attention"], false);
    let request = world.request(1).await;
    let due = world.clock.now().plus(Duration::from_secs(10));
    assert_eq!(
        request.tasks[0].state,
        TaskState::Undeliverable { due, why: REFUSED }
    );
    assert_eq!((request.tasks[0].attempt, request.tasks[0].counted), (1, 0));
    world.check().await;
    // Said twice, it changes nothing.
    assert_eq!(
        put_back(&engine, opened.task("crm"), REFUSED).await,
        Sent::default()
    );
    assert_eq!(world.request(1).await, request);

    assert!(world.pass(&engine, Duration::from_secs(9)).await.tasks.is_empty());
    let again = world.pass(&engine, Duration::from_secs(1)).await;
    assert_eq!(
        (again.asked(), &again.task("crm")["attempt"]),
        (vec!["crm"], &json!(2))
    );
    // However often that happens: no attempt of the processor is used up.
    for attempt in 3..8 {
        let out = world.request(1).await.tasks[0].attempt;
        let mut task = again.task("crm").clone();
        task["attempt"] = json!(out);
        put_back(&engine, &task, REFUSED).await;
        let sent = world.pass(&engine, Duration::from_secs(30)).await;
        assert_eq!(sent.task("crm")["attempt"], attempt);
    }
    let request = world.request(1).await;
    assert_eq!(
        (request.tasks[0].counted, request.life.status),
        (0, Status::InProgress)
    );
    world.check().await;
}

async fn ack_proves_arrival_of_unconfirmed_attempt(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    for (n, outcome, state) in [
        (1, "erased", "done"),
        (2, "accepted", "accepted"),
        (3, "failed", "ready"),
    ] {
        let (_, opened) = world.take_in(&engine, &erase(n)).await;
        put_back(&engine, opened.task("crm"), REFUSED).await;
        let (verdict, _) = world.settle(&engine, &answer(opened.task("crm"), outcome)).await;
        assert!(matches!(verdict, AckVerdict::Counted { .. }), "{outcome}");
        assert_eq!(world.request(n).await.tasks[0].state.name().as_str(), state);
    }
    assert_eq!(
        world.request(3).await.tasks[0].counted,
        1,
        "its processor has failed"
    );
    world.check().await;
}

fn hold(n: u128) -> Value {
    json!({ "type": "hold", "hold_id": Uuid::from_u128(n), "basis": "legal_claims", "processor": "crm" })
}

async fn a_hold_before_the_write_back_keeps_it_back(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    tell(&world, &engine, &control(1, hold(9))).await;
    let back = put_back(&engine, opened.task("crm"), REFUSED).await;
    assert_eq!(why_of(&back, "crm"), "hold");
    assert!(
        !world
            .pass(&engine, Duration::from_secs(60))
            .await
            .asked()
            .contains(&"crm")
    );
    assert!(release(&engine, Release::Open, 10).await.tasks.is_empty());
    world.check().await;
}

async fn a_hold_between_the_write_back_and_the_release_keeps_it_back(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    put_back(&engine, opened.task("crm"), REFUSED).await;
    tell(&world, &engine, &control(1, hold(9))).await;
    world.clock.advance(Duration::from_secs(30));
    // The sweep of the hold has not come to it yet.
    let released = release(&engine, Release::Open, 10).await;
    assert!(released.tasks.is_empty(), "{released:?}");
    assert_eq!(why_of(&released, "crm"), "hold");
    world.check().await;
    let release_hold = json!({ "type": "release", "hold_id": Uuid::from_u128(9) });
    tell(&world, &engine, &control(2, release_hold)).await;
    let swept = Sent::of(&engine.fact_sweeps().sweep().await.unwrap().emission);
    assert_eq!(swept.asked(), ["crm"]);
    world.check().await;
}

async fn what_was_never_sent_can_be_cancelled_and_is_not_released(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    engine.shut_lane(&crm(), "tasks.crm", "its topic does not exist");
    let mut command = erase(1);
    command["scope"] = json!({ "processors": ["crm"] });
    let (_, opened) = world.take_in(&engine, &command).await;
    assert!(opened.tasks.is_empty());
    assert_eq!(why_of(&opened, "crm"), "undeliverable");
    world.check().await;
    let (_, cancelled) = world.take_in(&engine, &cancel(1)).await;
    assert_eq!(cancelled.status()["status"], "cancelled");
    engine.open_lane(&crm());
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(release(&engine, Release::Open, 10).await, Sent::default());
    world.check().await;
}

async fn a_topic_that_is_known_to_take_nothing_delays_no_other_lane(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    engine.shut_lane(&crm(), "tasks.crm", "its topic does not exist");
    for n in 1..=3 {
        let (_, opened) = world.take_in(&engine, &erase(n)).await;
        assert_eq!(opened.asked(), ["stats"]);
        assert_eq!(why_of(&opened, "crm"), "undeliverable");
        assert_eq!(world.request(n).await.tasks[0].attempt, 0, "nothing was sent");
    }
    assert!(
        world
            .pass(&engine, Duration::from_secs(60))
            .await
            .tasks
            .is_empty(),
        "it is still shut"
    );
    engine
        .gauges()
        .read_gauges(lacuna::telemetry::freshness::GaugeGroup::Counters)
        .await
        .unwrap();
    let text = engine.metrics.text().unwrap();
    for line in [
        "lacuna_undeliverable_tasks{processor=\"crm\"} 3",
        "lacuna_undeliverable_tasks{processor=\"stats\"} 0",
        "lacuna_dispatches_total{outcome=\"undeliverable\",processor=\"crm\"} 3",
        "lacuna_dispatches_total{outcome=\"sent\",processor=\"stats\"} 3",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    engine.open_lane(&crm());
    let released = release(&engine, Release::Open, 500).await;
    assert_eq!(released.asked(), ["crm", "crm", "crm"]);
    assert_eq!(released.task("crm")["attempt"], 1);
    world.check().await;
}

async fn a_probe_sends_the_task_of_one_request(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    engine.shut_lane(&crm(), "tasks.crm", "its topic does not exist");
    for n in 1..=3 {
        world.take_in(&engine, &erase(n)).await;
    }
    assert!(engine.lanes_to_try().is_empty());
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(engine.lanes_to_try(), [crm()]);
    assert!(release(&engine, Release::Open, 500).await.tasks.is_empty());
    let probe = release(&engine, Release::Probe, 1).await;
    assert_eq!(probe.asked(), ["crm"]);
    // It comes back, and the lane is tried again later.
    engine.shut_lane(&crm(), "tasks.crm", "its topic does not exist");
    put_back(&engine, probe.task("crm"), REFUSED).await;
    assert!(engine.lanes_to_try().is_empty());
    world.clock.advance(Duration::from_secs(1));
    assert!(engine.lanes_to_try().is_empty(), "the pauses grow");
    world.check().await;
}

async fn two_workers_put_back_and_release_once(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (first, second) = (world.worker().await, world.worker().await);
    let (_, opened) = world.take_in(&first, &erase(1)).await;
    let task = opened.task("crm");
    let (a, b) = tokio::join!(put_back(&first, task, REFUSED), put_back(&second, task, REFUSED));
    assert_eq!(a.statuses.len() + b.statuses.len(), 1);
    world.clock.advance(Duration::from_secs(30));
    let (a, b) = tokio::join!(
        release(&first, Release::Open, 9),
        release(&second, Release::Open, 9)
    );
    assert_eq!(a.tasks.len() + b.tasks.len(), 1);
    // The one that was sent since is not put back by who heard of the one before.
    assert_eq!(put_back(&second, task, REFUSED).await, Sent::default());
    assert_eq!(world.request(1).await.tasks[0].attempt, 2);
    let tasks = [
        bounced(task, REFUSED).sent,
        bounced(
            &[a, b].iter().find_map(|sent| sent.tasks.first()).unwrap().clone(),
            REFUSED,
        )
        .sent,
    ];
    let out = first.still_dispatched(&tasks).await.unwrap();
    assert!(!out.contains(&tasks[0]) && out.contains(&tasks[1]));
    world.check().await;
}

async fn a_crash_before_the_write_back_says_the_task_again(fixture: Fixture) {
    let world = World::new(fixture).await;
    let first = world.worker().await;
    let origin = origin_at(COMMANDS, 0, 0);
    let batch = [command_from(&first, Some(origin.clone()), &erase(1).to_string())];
    let lost = Sent::of(&first.intake().take_in(&batch).await.unwrap().emission);
    drop(first);
    // The next worker finds the task out, says it again, and hears that its topic does not take it.
    let second = world.worker().await;
    let again = Sent::of(&republish(&second, &[id(1)], &[origin]).await.unwrap());
    assert_eq!(again.task("crm"), lost.task("crm"));
    put_back(&second, again.task("crm"), REFUSED).await;
    drop(second);
    // A crash after the write-back: nothing is out, and what waits is found by its row.
    let third = world.worker().await;
    let again = Sent::of(&republish(&third, &[id(1)], &[]).await.unwrap());
    assert_eq!(again.asked(), ["stats"]);
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(third.waiting_lanes(false).await.unwrap(), [crm()]);
    assert_eq!(release(&third, Release::Open, 10).await.asked(), ["crm"]);
    assert!(third.waiting_lanes(false).await.unwrap().is_empty());
    world.check().await;
}

async fn too_large_task_needs_attention_then_goes_out(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let too_large = Undelivered::TooLarge {
        bytes: 9_000,
        limit: Some(3_000),
    };
    for n in [1, 2] {
        let (_, opened) = world.take_in(&engine, &erase(n)).await;
        let back = put_back(&engine, opened.task("crm"), too_large).await;
        assert_eq!(back.status()["needs_attention"], true);
        assert_eq!(why_of(&back, "crm"), "undeliverable");
    }
    engine.learn_limit(&crm(), 3_000);
    let later = world.pass(&engine, Duration::from_secs(3600)).await;
    assert!(
        !later.asked().contains(&"crm"),
        "its topic takes no more than it did"
    );
    assert!(release(&engine, Release::TooLarge, 10).await.tasks.is_empty());
    assert_eq!(engine.waiting_lanes(true).await.unwrap(), [crm()]);
    assert!(
        engine.waiting_lanes(false).await.unwrap().is_empty(),
        "it shuts no lane"
    );
    world.check().await;
    // An operator may know better.
    let task = world.request(1).await.task_id(0);
    let retried = engine
        .operations()
        .decide_task(task, TaskDecision::Retry, "ops", None)
        .await
        .unwrap();
    let sent = Sent::of(&retried.1);
    assert_eq!(
        (sent.asked(), &sent.task("crm")["generation"]),
        (vec!["crm"], &json!(2))
    );
    engine.learn_limit(&crm(), 10_000);
    let sent = release(&engine, Release::TooLarge, 10).await;
    assert_eq!(sent.asked(), ["crm"]);
    assert_eq!(sent.status()["needs_attention"], false);
    world.check().await;
}

async fn several_workers_share_what_nobody_has_produced(fixture: Fixture) {
    const AGE: Duration = Duration::from_secs(30);
    let world = World::new(fixture).await;
    let (first, second) = (world.worker().await, world.worker().await);
    for n in 1..=700 {
        let over_http = [command_from(&first, None, &erase(n).to_string())];
        first.intake().take_in(&over_http).await.unwrap();
    }
    world.clock.advance(AGE + Duration::from_secs(1));
    let before = || lacuna::domain::backup::earlier(world.clock.now(), AGE);
    let (a, b) = tokio::join!(
        first.agenda().unproduced(before()),
        second.agenda().unproduced(before())
    );
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!(a.iter().all(|id| !b.contains(id)), "each has its own slice");
    assert_eq!(a.len() + b.len(), 700);
    assert!(first.agenda().unproduced(before()).await.unwrap().is_empty());
    // The first one is still at it after a while; the second one has died.
    world.clock.advance(Duration::from_secs(20));
    world
        .fixture
        .store
        .keep_outbox(&a, world.clock.now())
        .await
        .unwrap();
    world.clock.advance(Duration::from_secs(15));
    let mut taken = first.agenda().unproduced(before()).await.unwrap();
    taken.sort_unstable();
    assert_eq!(taken, b);
    world.check().await;
}
