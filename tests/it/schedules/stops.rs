//! People stop lanes while requests are under way: from then on nothing new is sent, and nothing is lost (invariant 3).

use std::{sync::Arc, time::Duration};

use lacuna::{
    delivery::republish::republish,
    domain::{fact::Fact, ids::ProcessorId},
    engine::{
        Engine, OperateError,
        operations::Once,
        stop::{LaneAction, LaneChange},
    },
    store::StoredFact,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    control::{control, tell},
    world::{REGISTRY, Sent, World, answer, backup_from, erase, id},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    a_pause_keeps_back_what_was_not_sent_and_counts_what_was,
    what_was_decided_before_the_pause_is_sent_after_a_crash,
    another_worker_sends_nothing_after_a_pause,
    a_replay_sends_nothing_that_waits,
    a_worker_that_starts_knows_what_is_stopped,
    an_answer_to_a_paused_lane_counts,
    a_retry_that_falls_due_while_paused_goes_when_resumed,
    a_retry_that_is_due_after_the_resume_waits_for_its_time,
    a_resumed_lane_stays_held,
    a_brake_outlasts_the_resume_of_a_lane,
    a_brake_holds_back_a_replay_and_its_end_lets_it_go,
    a_paused_processor_that_is_removed_needs_attention,
    a_stop_that_is_told_twice_is_one,
    what_waits_can_be_withdrawn,
);

fn lane(processor: &str) -> ProcessorId {
    ProcessorId::new(processor).unwrap()
}

/// Moves a change; `""`: the brake.
async fn change_lane(engine: &Engine, processor: &str, action: LaneAction) -> StoredFact {
    let id = (!processor.is_empty()).then(|| lane(processor));
    let change = LaneChange {
        lane: id.as_ref(),
        action,
        actor: "ops",
        reason: Some("maintenance"),
        once: None,
    };
    engine.change_lane(&change).await.unwrap().unwrap()
}

async fn pause(engine: &Engine, processor: &str) -> u64 {
    match change_lane(engine, processor, LaneAction::Stop).await.fact {
        Fact::Paused { stop, .. } | Fact::Braked { stop } => stop.out,
        other => panic!("{other:?}"),
    }
}

async fn resume(engine: &Engine, processor: &str) {
    change_lane(engine, processor, LaneAction::Resume).await;
}

/// What all sweeps send.
async fn sweep(engine: &Engine) -> Sent {
    let mut swept = engine.fact_sweeps().sweep().await.unwrap();
    while swept.busy {
        let next = engine.fact_sweeps().sweep().await.unwrap();
        swept.busy = next.busy;
        swept.emission.append(next.emission);
    }
    Sent::of(&swept.emission)
}

fn why_of<'a>(sent: &'a Sent, processor: &str) -> &'a Value {
    let waiting = sent.status()["waiting_for"].as_array().unwrap();
    let of_it = waiting.iter().find(|waiting| waiting["processor"] == processor);
    &of_it.unwrap_or_else(|| panic!("{processor} is not waited for: {waiting:?}"))["why"]
}

async fn a_pause_keeps_back_what_was_not_sent_and_counts_what_was(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, first) = world.take_in(&engine, &erase(1)).await;
    assert_eq!(first.asked(), ["crm", "stats"]);
    assert_eq!(pause(&engine, "crm").await, 1, "one was out");
    let (out, truncated) = engine.out_now(Some(&lane("crm"))).await.unwrap();
    assert_eq!((out.len(), truncated), (1, false));
    assert_eq!(json!(out[0].task_id), first.task("crm")["task_id"]);

    let (_, second) = world.take_in(&engine, &erase(2)).await;
    assert_eq!(second.asked(), ["stats"], "other lanes go on");
    assert_eq!(
        (why_of(&second, "crm"), &second.status()["needs_attention"]),
        (&json!("paused"), &json!(false))
    );
    assert_eq!(
        world.pass(&engine, Duration::from_secs(600)).await.asked(),
        [""; 0]
    );
    world.check().await;

    resume(&engine, "crm").await;
    let sent = sweep(&engine).await;
    assert_eq!(
        (sent.asked(), &sent.task("crm")["request_id"]),
        (vec!["crm"], &json!(id(2)))
    );
    assert_eq!(why_of(&sent, "crm"), "ack");
    assert_eq!(sweep(&engine).await, Sent::default(), "once");
    let (_, third) = world.take_in(&engine, &erase(3)).await;
    assert_eq!(third.asked(), ["crm", "stats"]);
    world.check().await;
}

async fn what_was_decided_before_the_pause_is_sent_after_a_crash(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    // Committed, and the worker dies before anything of it is produced.
    world.take_in(&engine, &erase(1)).await;
    assert_eq!(pause(&engine, "crm").await, 1, "the answer names it as sent");
    let next = world.worker().await;
    let again = Sent::of(&republish(&next, &[id(1)], &[]).await.unwrap());
    assert_eq!(again.asked(), ["crm", "stats"]);
    world.check().await;
}

async fn another_worker_sends_nothing_after_a_pause(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (one, other) = (world.worker().await, world.worker().await);
    let (_, first) = world.take_in(&other, &erase(1)).await;
    world.settle(&other, &answer(first.task("stats"), "erased")).await;
    pause(&one, "crm").await;
    pause(&one, "mail").await;
    let (_, second) = world.take_in(&other, &erase(2)).await;
    assert_eq!(second.asked(), ["stats"]);
    let (_, settled) = world.settle(&other, &answer(first.task("crm"), "erased")).await;
    assert_eq!(why_of(&settled, "mail"), "paused");
    assert!(settled.tasks.is_empty());
    // Whoever sweeps sends it: once, however many try.
    resume(&other, "crm").await;
    resume(&one, "mail").await;
    let (a, b) = tokio::join!(sweep(&one), sweep(&other));
    let mut asked = [a.asked(), b.asked()].concat();
    asked.sort_unstable();
    assert_eq!(asked, ["crm", "mail"]);
    world.check().await;
}

async fn a_replay_sends_nothing_that_waits(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    pause(&engine, "crm").await;
    let command = world.command(&engine, &erase(1));
    let taken = engine
        .intake()
        .take_in(std::slice::from_ref(&command))
        .await
        .unwrap();
    assert_eq!(Sent::of(&taken.emission).asked(), ["stats"]);
    let again = Sent::of(&republish(&engine, &[id(1)], &[]).await.unwrap());
    assert_eq!(again.asked(), ["stats"], "only what is out is said again");
    let (_, sent) = world.take_in(&engine, &erase(1)).await;
    assert_eq!(sent, Sent::default(), "a duplicate");
    world.check().await;
}

async fn a_worker_that_starts_knows_what_is_stopped(fixture: Fixture) {
    let world = World::new(fixture).await;
    let first = world.worker().await;
    pause(&first, "").await;
    world.take_in(&first, &erase(1)).await;
    drop(first);
    let next = world.worker().await;
    let (_, sent) = world.take_in(&next, &erase(2)).await;
    assert_eq!(sent.asked(), [""; 0]);
    assert_eq!(why_of(&sent, "stats"), "brake");
    resume(&next, "").await;
    assert_eq!(sweep(&next).await.asked(), ["crm", "stats", "crm", "stats"]);
    world.check().await;
}

async fn an_answer_to_a_paused_lane_counts(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, first) = world.take_in(&engine, &erase(1)).await;
    pause(&engine, "").await;
    for processor in ["crm", "stats"] {
        world
            .settle(&engine, &answer(first.task(processor), "erased"))
            .await;
    }
    assert_eq!(world.request(1).await.counts().done, 2);
    resume(&engine, "").await;
    let sent = sweep(&engine).await;
    assert_eq!(sent.asked(), ["mail"]);
    let (_, sent) = world.settle(&engine, &answer(sent.task("mail"), "erased")).await;
    assert_eq!(sent.status()["status"], "completed");
    world.check().await;
}

async fn a_retry_that_falls_due_while_paused_goes_when_resumed(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, first) = world.take_in(&engine, &erase(1)).await;
    pause(&engine, "crm").await;
    world.settle(&engine, &answer(first.task("crm"), "failed")).await;
    let sent = world.pass(&engine, Duration::from_secs(3000)).await;
    assert!(sent.tasks.is_empty());
    assert_eq!(
        world.request(1).await.tasks[0].attempt,
        1,
        "no attempt is used up"
    );
    resume(&engine, "crm").await;
    let sent = sweep(&engine).await;
    assert_eq!(sent.task("crm")["attempt"], 2);
    world.check().await;
}

async fn a_retry_that_is_due_after_the_resume_waits_for_its_time(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, first) = world.take_in(&engine, &erase(1)).await;
    pause(&engine, "crm").await;
    world.settle(&engine, &answer(first.task("crm"), "failed")).await;
    resume(&engine, "crm").await;
    assert!(sweep(&engine).await.tasks.is_empty());
    let sent = world.pass(&engine, Duration::from_secs(10)).await;
    assert_eq!(sent.task("crm")["attempt"], 2);
    world.check().await;
}

async fn a_resumed_lane_stays_held(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    pause(&engine, "crm").await;
    world.take_in(&engine, &erase(1)).await;
    let hold = |n, kind: &str| {
        control(
            n,
            json!({ "type": kind, "hold_id": Uuid::from_u128(7), "basis": "dispute", "processor": "crm" }),
        )
    };
    tell(&world, &engine, &hold(1, "hold")).await;
    assert!(sweep(&engine).await.tasks.is_empty());
    resume(&engine, "crm").await;
    assert!(sweep(&engine).await.tasks.is_empty(), "it is held");
    assert_eq!(world.request(1).await.tasks[0].state.name().as_str(), "held");
    // And the other way round: what is released is paused.
    pause(&engine, "crm").await;
    tell(&world, &engine, &hold(2, "release")).await;
    assert!(sweep(&engine).await.tasks.is_empty(), "it is paused");
    resume(&engine, "crm").await;
    assert_eq!(sweep(&engine).await.asked(), ["crm"]);
    world.check().await;
}

async fn a_brake_outlasts_the_resume_of_a_lane(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    pause(&engine, "crm").await;
    pause(&engine, "").await;
    let (_, sent) = world.take_in(&engine, &erase(1)).await;
    assert_eq!((sent.asked(), why_of(&sent, "crm")), (vec![], &json!("brake")));
    resume(&engine, "crm").await;
    assert!(sweep(&engine).await.tasks.is_empty(), "the brake is on");
    pause(&engine, "crm").await;
    resume(&engine, "").await;
    let sent = sweep(&engine).await;
    assert_eq!(
        (sent.asked(), why_of(&sent, "crm")),
        (vec!["stats"], &json!("paused"))
    );
    resume(&engine, "crm").await;
    assert_eq!(sweep(&engine).await.asked(), ["crm"]);
    world.check().await;
}

fn with_backups() -> String {
    format!(
        "{REGISTRY}\n[[processor]]\nid = \"nightly\"\nkind = \"backup\"\ntransport = {{ type = \"kafka\" }}\n\
         actions = [\"erase\"]\nidentities = [\"customer_id\"]\n\
         backup = {{ sources = [\"crm\"], set = \"nightly\", keep = \"35d\", confirm_by = \"event\" }}\n"
    )
}

async fn a_brake_holds_back_a_replay_and_its_end_lets_it_go(fixture: Fixture) {
    let world = World::with_registry(fixture, &with_backups()).await;
    let engine: Arc<Engine> = world.worker().await;
    for n in 1..=3 {
        let (_, sent) = world.take_in(&engine, &erase(n)).await;
        world.settle(&engine, &answer(sent.task("crm"), "erased")).await;
    }
    pause(&engine, "").await;
    let event = json!({ "event_id": Uuid::from_u128(1), "type": "backup.restored", "processor": "nightly",
        "set": "nightly", "taken_at": world.clock.now(), "restored_into": ["crm"] });
    engine
        .backup_events()
        .record_backups(&[backup_from(&engine, &event)])
        .await
        .unwrap();
    assert!(sweep(&engine).await.tasks.is_empty());
    // However long it lasts, each of them is open again, and none is sent.
    for _ in 0..4 {
        let sent = world.pass(&engine, Duration::from_secs(30)).await;
        assert!(sent.tasks.is_empty());
        assert!(sweep(&engine).await.tasks.is_empty());
    }
    for n in 1..=3 {
        let request = world.request(n).await;
        assert_eq!(
            (
                request.tasks[0].state.name().as_str(),
                request.tasks[0].generation
            ),
            ("ready", 2)
        );
        let status = serde_json::to_value(engine.status_of(&request)).unwrap();
        assert_eq!(status["waiting_for"][0]["why"], "brake", "{status}");
    }
    world.check().await;
    resume(&engine, "").await;
    let sent = sweep(&engine).await;
    let again = sent.tasks.iter().filter(|task| task["processor"] == "crm");
    assert_eq!(again.filter(|task| task["generation"] == 2).count(), 3);
    world.check().await;
}

async fn a_paused_processor_that_is_removed_needs_attention(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    pause(&engine, "stats").await;
    world.take_in(&engine, &erase(1)).await;
    let parts: Vec<&str> = REGISTRY.split("[[processor]]").collect();
    let without = format!("[[processor]]{}[[processor]]{}", parts[1], parts[3]);
    world.apply(&without).await;
    engine.load_registry().await.unwrap();
    let sent = sweep(&engine).await;
    assert_eq!(
        (&sent.status()["needs_attention"], why_of(&sent, "stats")),
        (&json!(true), &json!("needs_attention"))
    );
    // It can be resumed all the same, and goes out once it is registered again.
    resume(&engine, "stats").await;
    assert!(sweep(&engine).await.tasks.is_empty());
    world.apply(REGISTRY).await;
    engine.load_registry().await.unwrap();
    let mut sent = sweep(&engine).await;
    if sent.tasks.is_empty() {
        sent = world.pass(&engine, Duration::from_secs(3600)).await;
    }
    assert!(sent.asked().contains(&"stats"), "{sent:?}");
    world.check().await;
}

async fn a_stop_that_is_told_twice_is_one(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (engine, other) = (world.worker().await, world.worker().await);
    let first = change_lane(&engine, "crm", LaneAction::Stop).await;
    world.take_in(&engine, &erase(1)).await;
    let again = change_lane(&other, "crm", LaneAction::Stop).await;
    assert_eq!((first.version, first.at), (again.version, again.at));
    resume(&engine, "crm").await;
    let ended = change_lane(&engine, "crm", LaneAction::Resume).await;
    assert!(matches!(ended.fact, Fact::Resumed { .. }));
    assert_eq!(sweep(&engine).await.asked(), ["crm"]);

    // A call that is sent again after the lane goes on does not stop it again.
    let once = |digest| Once {
        tenant: engine.tenant_default.clone(),
        command_id: lacuna::domain::ids::CommandId(Uuid::from_u128(0x57)),
        digest,
    };
    let crm = lane("crm");
    let call = async |action, once: &Once| {
        let change = LaneChange {
            lane: Some(&crm),
            action,
            actor: "ops",
            reason: None,
            once: Some(once),
        };
        engine.change_lane(&change).await
    };
    let stopped = call(LaneAction::Stop, &once([1; 16])).await.unwrap().unwrap();
    resume(&engine, "crm").await;
    let repeated = call(LaneAction::Stop, &once([1; 16])).await.unwrap().unwrap();
    assert_eq!(stopped.version, repeated.version);
    assert!(engine.facts().stops().pause(&crm).is_none());
    assert!(matches!(
        call(LaneAction::Resume, &once([2; 16])).await,
        Err(OperateError::Conflicting)
    ));
    // Nobody ever stopped this one, and nobody knows that one.
    let go_on = async |name: &str| {
        let lane = lane(name);
        let change = LaneChange {
            lane: Some(&lane),
            action: LaneAction::Resume,
            actor: "ops",
            reason: None,
            once: None,
        };
        engine.change_lane(&change).await
    };
    assert!(go_on("mail").await.unwrap().is_none());
    assert!(matches!(
        go_on("nobody").await,
        Err(OperateError::Unknown("processor"))
    ));
    world.check().await;
}

async fn what_waits_can_be_withdrawn(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    pause(&engine, "").await;
    world.take_in(&engine, &erase(1)).await;
    let (_, sent) = world.take_in(&engine, &super::world::cancel(1)).await;
    assert_eq!(sent.status()["status"], "cancelled", "nothing was sent");
    resume(&engine, "").await;
    assert!(sweep(&engine).await.tasks.is_empty());
    world.check().await;
}
