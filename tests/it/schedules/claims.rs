//! Tasks that agents ask for: claimed once, under the lane's limits, whichever worker is asked. Invariants 3, 6 and 12.

use std::{collections::BTreeSet, num::NonZeroU32, time::Duration};

use lacuna::{
    domain::{
        ids::Tenant,
        registry::{Breaker, Rate, Registry, Transport},
        task::TaskState,
    },
    engine::{
        Engine,
        effects::TaskDispatch,
        settlement::AckVerdict,
        stop::{LaneAction, LaneChange},
    },
};
use serde_json::{Value, json};

use super::{
    control::{control, tell},
    queues::{crm, with_webhook},
    world::{ACKS, World, answer, cancel, erase, id},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    two_agents_claim_each_task_once,
    agent_that_died_has_its_task_claimed_again,
    late_failure_of_an_old_attempt_is_stale,
    late_success_of_an_old_attempt_counts,
    accepted_keeps_the_lease,
    partial_is_handed_out_again_and_uses_up_no_attempt,
    pause_between_two_claims_keeps_back_the_rest,
    brake_hands_out_nothing,
    hold_before_the_claim_keeps_it_back_from_agents,
    withdrawn_before_the_claim_is_not_handed_out,
    worker_that_dies_after_the_claim_loses_nothing,
    failing_agent_opens_its_circuit_for_all_workers,
    rate_holds_for_all_workers_together,
    look_that_finds_nothing_takes_nothing_of_the_rate,
    tenant_with_many_tasks_delays_no_other,
);

const LEASE: Duration = Duration::from_secs(30);

fn with_agent() -> Registry {
    let mut registry = with_webhook();
    registry.processors[0].transport = Transport::Agent;
    registry
}

async fn world(fixture: Fixture) -> World {
    world_with(fixture, with_agent()).await
}

async fn world_with(fixture: Fixture, registry: Registry) -> World {
    let world = World::new(fixture).await;
    world.harness.apply(&registry).await.unwrap();
    world
}

async fn claim(engine: &Engine, most: usize) -> Vec<TaskDispatch> {
    let active = engine.active().unwrap();
    let processor = active.registry.get(&crm()).unwrap();
    let claimed = engine.queues().claim_for_agent(processor, None, most).await;
    claimed.unwrap().tasks
}

async fn one(engine: &Engine) -> Value {
    let claimed = claim(engine, 1).await;
    assert_eq!(claimed.len(), 1);
    message(&claimed[0])
}

fn message(task: &TaskDispatch) -> Value {
    serde_json::to_value(task.message(ACKS, None)).unwrap()
}

async fn two_agents_claim_each_task_once(fixture: Fixture) {
    let world = world(fixture).await;
    let (here, there) = (world.worker().await, world.worker().await);
    for n in 1..=20 {
        let (_, opened) = world.take_in(&here, &erase(n)).await;
        assert_eq!(opened.asked(), ["stats"], "nobody sends it");
    }
    let (mine, theirs) = tokio::join!(claim(&here, 15), claim(&there, 15));
    let mut claimed: Vec<_> = mine.iter().chain(&theirs).map(TaskDispatch::sent).collect();
    // What two want at once, one gets; the other asks again.
    claimed.extend(claim(&here, 20).await.iter().map(TaskDispatch::sent));
    assert_eq!(claimed.len(), 20);
    let tasks: BTreeSet<_> = claimed.iter().map(|sent| sent.task.0).collect();
    assert_eq!(tasks.len(), 20, "each of them once");
    assert!(claim(&there, 20).await.is_empty());
    world.check().await;
}

async fn agent_that_died_has_its_task_claimed_again(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    let first = one(&engine).await;
    assert_eq!(first["attempt"], 1);
    assert_eq!(
        first["respond_by"],
        json!(world.clock.now().plus(LEASE)),
        "it is told when its lease ends"
    );
    world.pass(&engine, Duration::from_secs(29)).await;
    assert!(claim(&engine, 1).await.is_empty(), "its lease is not over");
    world.pass(&engine, Duration::from_secs(2)).await;
    world.pass(&engine, Duration::from_secs(10)).await;
    let second = one(&engine).await;
    assert_eq!(
        (&second["attempt"], &second["task_id"]),
        (&json!(2), &first["task_id"])
    );
    assert_ne!(second["ack"]["token"], first["ack"]["token"]);
    world.check().await;
}

async fn claimed_twice(world: &World, engine: &Engine) -> (Value, Value) {
    world.take_in(engine, &erase(1)).await;
    let first = one(engine).await;
    world.pass(engine, LEASE + Duration::from_secs(1)).await;
    world.pass(engine, Duration::from_secs(10)).await;
    (first, one(engine).await)
}

async fn late_failure_of_an_old_attempt_is_stale(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    let (first, second) = claimed_twice(&world, &engine).await;
    let (verdict, _) = world.settle(&engine, &answer(&first, "failed")).await;
    assert!(matches!(verdict, AckVerdict::Rejected(_)), "{verdict:?}");
    assert!(matches!(
        world.request(1).await.tasks[0].state,
        TaskState::Dispatched { .. }
    ));
    let (verdict, _) = world.settle(&engine, &answer(&second, "erased")).await;
    assert!(matches!(verdict, AckVerdict::Counted { .. }));
    world.check().await;
}

async fn late_success_of_an_old_attempt_counts(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    let (first, _) = claimed_twice(&world, &engine).await;
    let (verdict, sent) = world.settle(&engine, &answer(&first, "erased")).await;
    assert!(matches!(verdict, AckVerdict::Counted { .. }));
    assert_eq!(sent.asked(), ["mail"], "what comes after it goes on");
    world.check().await;
}

async fn accepted_keeps_the_lease(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    let task = one(&engine).await;
    let mut accepted = answer(&task, "accepted");
    accepted["expected_by"] = json!(world.clock.now().plus(Duration::from_secs(3600)));
    world.settle(&engine, &accepted).await;
    world.pass(&engine, Duration::from_secs(1800)).await;
    assert!(claim(&engine, 1).await.is_empty(), "it is at work still");
    let (verdict, _) = world.settle(&engine, &answer(&task, "erased")).await;
    assert!(matches!(verdict, AckVerdict::Counted { .. }));
    world.check().await;
}

async fn partial_is_handed_out_again_and_uses_up_no_attempt(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    for attempt in 1..=15 {
        let task = one(&engine).await;
        assert_eq!(task["attempt"], attempt);
        let mut partial = answer(&task, "partial");
        partial["retry_after_seconds"] = json!(0);
        world.settle(&engine, &partial).await;
        world.pass(&engine, Duration::from_secs(5)).await;
    }
    let task = one(&engine).await;
    world.settle(&engine, &answer(&task, "erased")).await;
    assert_eq!(world.request(1).await.tasks[0].state.name().as_str(), "done");
    world.check().await;
}

async fn change_lane(engine: &Engine, lane: Option<&str>, action: LaneAction) {
    let crm = crm();
    let change = LaneChange {
        lane: lane.map(|_| &crm),
        action,
        actor: "ops",
        reason: Some("maintenance"),
        once: None,
    };
    engine.change_lane(&change).await.unwrap().unwrap();
}

async fn pause_between_two_claims_keeps_back_the_rest(fixture: Fixture) {
    let world = world(fixture).await;
    let (here, there) = (world.worker().await, world.worker().await);
    for n in 1..=3 {
        world.take_in(&here, &erase(n)).await;
    }
    let first = one(&here).await;
    change_lane(&here, Some("crm"), LaneAction::Stop).await;
    assert!(claim(&here, 5).await.is_empty());
    assert!(claim(&there, 5).await.is_empty(), "another worker knows it, too");
    let (verdict, _) = world.settle(&here, &answer(&first, "erased")).await;
    assert!(
        matches!(verdict, AckVerdict::Counted { .. }),
        "what is out counts"
    );
    change_lane(&here, Some("crm"), LaneAction::Resume).await;
    while here.fact_sweeps().sweep().await.unwrap().busy {}
    assert_eq!(claim(&here, 5).await.len(), 2);
    world.check().await;
}

async fn brake_hands_out_nothing(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    change_lane(&engine, None, LaneAction::Stop).await;
    assert!(claim(&engine, 5).await.is_empty());
    change_lane(&engine, None, LaneAction::Resume).await;
    while engine.fact_sweeps().sweep().await.unwrap().busy {}
    assert_eq!(claim(&engine, 5).await.len(), 1);
    world.check().await;
}

async fn hold_before_the_claim_keeps_it_back_from_agents(fixture: Fixture) {
    let world = world(fixture).await;
    let (here, there) = (world.worker().await, world.worker().await);
    world.take_in(&here, &erase(1)).await;
    let hold = json!({ "type": "hold", "request_id": id(1), "hold_id": id(70), "basis": "dispute" });
    tell(&world, &there, &control(71, hold)).await;
    // The worker that is asked has not heard of it; the gate decides.
    assert!(claim(&here, 10).await.is_empty());
    assert!(matches!(
        world.request(1).await.tasks[0].state,
        TaskState::Held { .. }
    ));
    tell(
        &world,
        &there,
        &control(72, json!({ "type": "release", "hold_id": id(70) })),
    )
    .await;
    while here.fact_sweeps().sweep().await.unwrap().busy {}
    assert_eq!(claim(&here, 10).await.len(), 1);
    world.check().await;
}

async fn withdrawn_before_the_claim_is_not_handed_out(fixture: Fixture) {
    let mut only_crm = with_agent();
    only_crm.processors.truncate(1);
    let world = world_with(fixture, only_crm).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    world.take_in(&engine, &cancel(1)).await;
    assert!(claim(&engine, 10).await.is_empty());
    world.check().await;
}

async fn worker_that_dies_after_the_claim_loses_nothing(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    // Committed, and the worker dies before the answer has left it.
    drop(claim(&engine, 1).await);
    drop(engine);
    let next = world.worker().await;
    assert!(claim(&next, 1).await.is_empty());
    world.pass(&next, LEASE + Duration::from_secs(1)).await;
    world.pass(&next, Duration::from_secs(10)).await;
    assert_eq!(one(&next).await["attempt"], 2);
    world.check().await;
}

async fn failing_agent_opens_its_circuit_for_all_workers(fixture: Fixture) {
    let mut registry = with_agent();
    registry.processors[0].breaker = Breaker {
        failure_ratio: 0.5,
        window: Duration::from_secs(300),
        min_requests: 4,
        probe_after: Duration::from_secs(60),
    };
    let world = world_with(fixture, registry).await;
    let (here, there) = (world.worker().await, world.worker().await);
    for n in 1..=8 {
        world.take_in(&here, &erase(n)).await;
    }
    for task in claim(&here, 4).await {
        world.settle(&here, &answer(&message(&task), "failed")).await;
    }
    assert!(claim(&here, 8).await.is_empty());
    assert!(claim(&there, 8).await.is_empty(), "it stands with the lane");
    world.clock.advance(Duration::from_secs(61));
    let probe = claim(&there, 8).await;
    assert_eq!(probe.len(), 1, "one tries");
    assert!(claim(&here, 8).await.is_empty(), "and no other one");
    world.settle(&there, &answer(&message(&probe[0]), "erased")).await;
    assert!(claim(&here, 8).await.len() > 2, "it answers again");
    world.check().await;
}

async fn rate_holds_for_all_workers_together(fixture: Fixture) {
    let mut registry = with_agent();
    registry.processors[0].rate = Some(Rate {
        tasks: NonZeroU32::new(5).unwrap().get(),
        per: Duration::from_secs(1),
    });
    let world = world_with(fixture, registry).await;
    let (here, there) = (world.worker().await, world.worker().await);
    for n in 1..=20 {
        world.take_in(&here, &erase(n)).await;
    }
    assert_eq!(claim(&here, 3).await.len(), 3);
    assert_eq!(claim(&there, 10).await.len(), 2, "what a second allows");
    assert!(claim(&here, 10).await.is_empty());
    world.clock.advance(Duration::from_millis(400));
    assert_eq!(claim(&there, 10).await.len(), 2);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(claim(&here, 10).await.len(), 5, "a pause is no credit");
    world.check().await;
}

async fn look_that_finds_nothing_takes_nothing_of_the_rate(fixture: Fixture) {
    let mut registry = with_agent();
    registry.processors[0].rate = Some(Rate {
        tasks: NonZeroU32::new(5).unwrap().get(),
        per: Duration::from_secs(1),
    });
    let world = world_with(fixture, registry).await;
    let engine = world.worker().await;
    let pace = async || {
        let lanes = engine.queues().lanes().await.unwrap();
        let lane = lanes.iter().find(|lane| lane.processor == crm());
        lane.map_or(0, |lane| lane.pace)
    };
    for _ in 0..3 {
        assert!(claim(&engine, 10).await.is_empty());
    }
    assert_eq!(pace().await, 0, "nothing was written down");
    world.take_in(&engine, &erase(1)).await;
    assert_eq!(claim(&engine, 10).await.len(), 1);
    let after_one = pace().await;
    assert!(after_one > 0);
    assert!(claim(&engine, 10).await.is_empty());
    assert_eq!(pace().await, after_one);
    world.check().await;
}

async fn tenant_with_many_tasks_delays_no_other(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    for n in 1..=30 {
        world.take_in(&engine, &erase(n)).await;
    }
    let mut small = erase(40);
    small["tenant"] = json!("beta");
    world.take_in(&engine, &small).await;
    let claimed = claim(&engine, 10).await;
    assert_eq!(claimed.len(), 10, "what one has too little of, another one gets");
    let beta = Tenant::new("beta").unwrap();
    assert_eq!(claimed.iter().filter(|task| *task.tenant() == beta).count(), 1);
    world.check().await;
}
