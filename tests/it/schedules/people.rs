//! People decide in between.

use std::time::Duration;

use lacuna::{
    domain::{ids::TaskId, words::DeadLetterReason},
    engine::{OperateError, operations::TaskDecision, settlement::AckVerdict},
};
use serde_json::{Value, json};

use super::world::{Sent, World, answer, erase, start};
use crate::store::fixture::Fixture;

on_both_stores!(
    an_abandoned_task_is_sent_again_and_done,
    a_waived_task_closes_with_an_exception,
    a_decision_and_an_ack_at_once,
    a_decision_over_http_is_remembered_until_it_is_produced,
    an_unknown_task_has_no_decision,
);

fn task_id(task: &Value) -> TaskId {
    TaskId(task["task_id"].as_str().unwrap().parse().unwrap())
}

async fn an_abandoned_task_is_sent_again_and_done(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    let first = opened.task("crm").clone();
    world.settle(&engine, &answer(&first, "rejected")).await;
    let (request, emission) = engine
        .operations()
        .decide_task(
            task_id(&first),
            TaskDecision::Retry,
            "ops",
            Some("the vendor was asked"),
        )
        .await
        .unwrap();
    assert!(emission.outboxed);
    let sent = Sent::of(&emission);
    let second = sent.task("crm");
    assert_eq!(
        (&second["task_id"], &second["generation"], &second["attempt"]),
        (&first["task_id"], &json!(2), &json!(1))
    );
    assert!(!request.life.needs_attention);

    let (verdict, sent) = world.settle(&engine, &answer(&first, "erased")).await;
    assert!(matches!(verdict, AckVerdict::Rejected(refusal) if refusal.reason == DeadLetterReason::StaleAck));
    assert_eq!(sent.reasons(), ["stale_ack"], "generation 1 is over");
    let (_, sent) = world.settle(&engine, &answer(second, "erased")).await;
    let (_, _) = world
        .settle(&engine, &answer(opened.task("stats"), "erased"))
        .await;
    let (_, sent) = world
        .settle(&engine, &answer(sent.task("mail"), "not_found"))
        .await;
    assert_eq!(sent.status()["status"], "completed");
    let again = engine
        .operations()
        .decide_task(task_id(&first), TaskDecision::Retry, "ops", None)
        .await;
    assert!(matches!(again, Err(OperateError::Decision(_))), "{again:?}");
    world.check().await;
}

async fn a_waived_task_closes_with_an_exception(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    world
        .settle(&engine, &answer(opened.task("stats"), "erased"))
        .await;
    world
        .settle(&engine, &answer(opened.task("crm"), "unsupported"))
        .await;
    let waived = engine.operations().decide_task(
        task_id(opened.task("crm")),
        TaskDecision::Waive,
        "ops",
        Some("contract ended"),
    );
    let (_, emission) = waived.await.unwrap();
    let sent = Sent::of(&emission);
    assert_eq!(sent.asked(), ["mail"]);
    let (_, sent) = world.settle(&engine, &answer(sent.task("mail"), "erased")).await;
    assert_eq!(sent.status()["status"], "closed_with_exceptions");
    let after = world.request(1).await;
    let (verdict, _) = world.settle(&engine, &answer(opened.task("crm"), "erased")).await;
    assert!(matches!(verdict, AckVerdict::Rejected(refusal) if refusal.reason == DeadLetterReason::StaleAck));
    assert_eq!(world.request(1).await, after);
    world.check().await;
}

async fn a_decision_and_an_ack_at_once(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (one, two) = (world.worker().await, world.worker().await);
    for n in 1..=20 {
        let (_, opened) = world.take_in(&one, &erase(n)).await;
        let crm = opened.task("crm");
        let ack = [world.ack(&two, &answer(crm, "erased"))];
        let (decided, settled) = tokio::join!(
            one.operations()
                .decide_task(task_id(crm), TaskDecision::Waive, "ops", None),
            two.settlement().settle(&ack)
        );
        let settled = settled.unwrap();
        let counted = matches!(settled.verdicts[..], [AckVerdict::Counted { .. }]);
        assert!(
            counted != decided.is_ok(),
            "one of the two comes first, and the other one knows"
        );
        let state = world.request(n).await.tasks[0].state.name();
        assert_eq!(state.as_str(), if counted { "done" } else { "waived" });
        let decided = decided
            .map(|(_, emission)| Sent::of(&emission).tasks.len())
            .unwrap_or_default();
        assert_eq!(
            decided + Sent::of(&settled.emission).tasks.len(),
            1,
            "mail is asked once"
        );
    }
    world.check().await;
}

async fn a_decision_over_http_is_remembered_until_it_is_produced(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let mut command = erase(1);
    command["not_before"] = json!(start().plus(Duration::from_secs(3600)));
    world.take_in(&engine, &command).await;
    world.clock.advance(Duration::from_secs(1));
    assert!(
        engine
            .agenda()
            .unproduced(world.clock.now())
            .await
            .unwrap()
            .is_empty(),
        "Kafka's input is its own memory"
    );
    let id = super::world::id(1);
    let (_, emission) = engine
        .operations()
        .cancel_request(id, "dpo", Some("withdrawn"))
        .await
        .unwrap();
    assert_eq!(Sent::of(&emission).status()["status"], "cancelled");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(engine.agenda().unproduced(world.clock.now()).await.unwrap(), [id]);
    // A report about an earlier revision takes nothing away.
    world
        .fixture
        .store
        .outbox_done(&[(id, emission.revisions[0].1 - 1)])
        .await
        .unwrap();
    // Whoever was given it had it for a while.
    assert!(
        engine
            .agenda()
            .unproduced(world.clock.now())
            .await
            .unwrap()
            .is_empty()
    );
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(engine.agenda().unproduced(world.clock.now()).await.unwrap(), [id]);
    world
        .fixture
        .store
        .outbox_done(&emission.revisions)
        .await
        .unwrap();
    world.clock.advance(Duration::from_secs(1));
    assert!(
        engine
            .agenda()
            .unproduced(world.clock.now())
            .await
            .unwrap()
            .is_empty()
    );
    world.check().await;
}

async fn an_unknown_task_has_no_decision(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    let unknown = [
        TaskId(uuid::Uuid::from_u128(99)),
        world.request(1).await.task_id(3),
    ];
    for id in unknown {
        let decided = engine
            .operations()
            .decide_task(id, TaskDecision::Retry, "ops", None)
            .await;
        assert!(
            matches!(decided, Err(OperateError::Unknown("task"))),
            "{decided:?}"
        );
    }
    world.check().await;
}
