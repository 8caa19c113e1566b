//! Refusals over the control topic, on every ground: in whole, of one processor's share, and as a command excludes one.

use std::collections::BTreeMap;

use lacuna::domain::{
    request::{gates::Approval, refusal::ComplaintBodies},
    words::{RefusalBasis, Status},
};
use serde_json::{Value, json};

use super::{
    control::{control, tell},
    world::{World, answer, erase, id},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    every_ground_in_whole,
    every_ground_of_one_share,
    what_is_refused_too_late,
    pseudonymisation_needs_somebody,
);

const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase", "anonymize"]
identities = ["email"]
[[processor]]
id = "stats"
kind = "analytics"
transport = { type = "kafka" }
actions = ["erase", "anonymize"]
identities = ["email"]
"#;

async fn gated(fixture: Fixture) -> World {
    let mut world = World::with_registry(fixture, REGISTRY).await;
    world.settings.approval = Approval::Always;
    world.settings.complaint_bodies = ComplaintBodies {
        otherwise: Some("Authority of the Land".to_owned()),
        by_regime: BTreeMap::new(),
    };
    world
}

fn refuse(n: u128, basis: RefusalBasis, processor: Value) -> Value {
    json!({ "type": "refuse", "request_id": id(n), "basis": basis, "processor": processor })
}

async fn every_ground_in_whole(fixture: Fixture) {
    let world = gated(fixture).await;
    let engine = world.worker().await;
    for (basis, n) in RefusalBasis::ALL.iter().zip(1..) {
        world.take_in(&engine, &erase(n)).await;
        let (_, sent) = tell(&world, &engine, &control(2 * n, refuse(n, *basis, Value::Null))).await;
        let status = sent.status();
        assert_eq!(status["status"], "refused");
        assert_eq!(status["refused_on"], json!(basis));
        let told = json!({
            "basis": basis, "at": status["completed_at"], "complaint_body": "Authority of the Land"
        });
        assert_eq!(status["refusal"], told);
        // Once more, by another command.
        let (_, sent) = tell(
            &world,
            &engine,
            &control(2 * n + 1, refuse(n, *basis, Value::Null)),
        )
        .await;
        assert_eq!(sent.reasons(), ["wrong_state"]);
    }
    world.check().await;
}

async fn every_ground_of_one_share(fixture: Fixture) {
    let world = gated(fixture).await;
    let engine = world.worker().await;
    for (basis, n) in RefusalBasis::ALL.iter().zip(1..) {
        let mut excluding = erase(100 + n);
        excluding["exclude"] = json!([{ "processor": "stats", "basis": basis }]);
        world.take_in(&engine, &excluding).await;
        world.take_in(&engine, &erase(n)).await;
        let (_, sent) = tell(
            &world,
            &engine,
            &control(10 * n, refuse(n, *basis, json!("stats"))),
        )
        .await;
        let told = json!({ "processors": [{ "processor": "stats", "basis": basis }] });
        assert_eq!(sent.status()["refusal"], told);
        let (_, sent) = tell(
            &world,
            &engine,
            &control(10 * n + 1, refuse(n, *basis, json!("stats"))),
        )
        .await;
        assert_eq!(sent.reasons(), ["wrong_state"], "twice");
        for (request, command) in [(n, 10 * n + 2), (100 + n, 10 * n + 3)] {
            let approve = json!({ "type": "approve", "request_id": id(request) });
            let (_, sent) = tell(&world, &engine, &control(command, approve)).await;
            assert_eq!(sent.asked(), ["crm"]);
            world.settle(&engine, &answer(sent.task("crm"), "erased")).await;
            let closed = world.request(request).await;
            assert_eq!(closed.life.status, Status::ClosedWithExceptions, "{basis}");
            assert!(closed.refusal().is_some_and(|refusal| refusal.whole.is_none()));
        }
    }
    world.check().await;
}

async fn what_is_refused_too_late(fixture: Fixture) {
    let world = World::with_registry(fixture, REGISTRY).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    let before = world.request(1).await;
    for (n, processor) in [(1, json!(null)), (2, json!("crm")), (3, json!("nobody"))] {
        let command = control(n, refuse(1, RefusalBasis::Excessive, processor));
        let (_, sent) = tell(&world, &engine, &command).await;
        assert_eq!(sent.reasons(), ["wrong_state"]);
        assert_eq!(world.request(1).await, before);
    }
    for processor in ["crm", "stats"] {
        world
            .settle(&engine, &answer(opened.task(processor), "erased"))
            .await;
    }
    assert_eq!(world.request(1).await.life.status, Status::Completed);
    let command = control(4, refuse(1, RefusalBasis::Excessive, Value::Null));
    let (_, sent) = tell(&world, &engine, &command).await;
    assert_eq!(sent.reasons(), ["wrong_state"], "after its completion");
    world.check().await;
}

async fn pseudonymisation_needs_somebody(fixture: Fixture) {
    let world = World::with_registry(fixture, REGISTRY).await;
    let engine = world.worker().await;
    let mut command = erase(1);
    command["type"] = json!("anonymize");
    let (_, opened) = world.take_in(&engine, &command).await;
    let mut claim = answer(opened.task("crm"), "anonymized");
    claim["evidence"] = json!({ "method": "SHA-256" });
    let (_, sent) = world.settle(&engine, &claim).await;
    let status = sent.status();
    assert_eq!(
        (
            &status["needs_attention"],
            &status["tasks"]["abandoned"],
            &status["outcomes"]["anonymized"]
        ),
        (&json!(true), &json!(1), &json!(0))
    );
    world.check().await;
}
