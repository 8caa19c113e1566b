//! Commands of the control topic: people's decisions, in whatever order and however often they come.

use std::time::Duration;

use lacuna::{
    delivery::republish::republish,
    domain::{fact::Fact, ids::Tenant, request::gates::Approval, words::Status},
    engine::{Engine, intake::Verdict, operations::TaskDecision, prepare::Arrival},
    wire::{command::Channel, envelope::Envelope},
};
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::world::{Sent, World, answer, erase, id, start};
use crate::store::fixture::Fixture;

on_both_stores!(
    gates_open_by_commands,
    a_submitter_does_not_approve_and_states_are_checked,
    identifiers_are_supplied_and_the_task_goes,
    what_nobody_waits_for_is_not_taken,
    a_decision_and_its_replay,
    whoever_comes_back_loses_nothing_that_they_gave_since,
    a_hold_that_is_released_forgets_whom_it_was_on,
);

const DAY: Duration = Duration::from_secs(24 * 3600);

pub const BLOCKS: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
[[processor]]
id = "calls"
kind = "telecom"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["phone"]
"#;

pub fn control(n: u128, with: Value) -> Value {
    let mut command =
        json!({ "command_id": Uuid::from_u128(0xc0_0000 + n), "tenant": "acme", "actor": "dpo" });
    let members = command.as_object_mut().unwrap();
    for (name, value) in with.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    command
}

pub async fn tell(world: &World, engine: &Engine, command: &Value) -> (Verdict, Sent) {
    let text = command.to_string();
    let arrival = Arrival {
        origin: Some(world.origin("control")),
        content: engine.intake().prepare_command(
            text.as_bytes(),
            &Envelope::bare(&engine.tenant_default),
            Channel::Control,
        ),
        raw: Zeroizing::new(text.into_bytes()),
        headers: lacuna::wire::KeptHeaders::of([("ce_id", Some(&b"7"[..]))]),
        reading: None,
    };
    let mut taken = engine.intake().take_in(&[arrival]).await.unwrap();
    (taken.verdicts.pop().unwrap(), Sent::of(&taken.emission))
}

async fn gated(fixture: Fixture) -> World {
    let mut world = World::new(fixture).await;
    world.settings.rules.require_verification = true;
    world.settings.approval = Approval::Always;
    world
}

fn verify(n: u128) -> Value {
    json!({ "type": "verify_identity", "request_id": id(n), "method": "passport", "result": "passed" })
}

async fn gates_open_by_commands(fixture: Fixture) {
    let world = gated(fixture).await;
    let engine = world.worker().await;
    let (_, sent) = world.take_in(&engine, &erase(1)).await;
    assert_eq!(sent.status()["status"], "awaiting_verification");
    assert!(sent.tasks.is_empty());
    let (_, sent) = tell(&world, &engine, &control(1, verify(1))).await;
    assert_eq!(sent.status()["status"], "awaiting_approval");
    // A command that names no tenant means the request's own; another's is another request.
    let mut approve = control(
        2,
        json!({ "type": "approve", "request_id": id(1), "tenant": "other" }),
    );
    let (_, sent) = tell(&world, &engine, &approve).await;
    assert_eq!(sent.reasons(), ["unknown_request"]);
    approve.as_object_mut().unwrap().remove("tenant");
    let (_, sent) = tell(&world, &engine, &approve).await;
    assert_eq!(sent.asked(), ["crm", "stats"]);
    assert_eq!(sent.status()["status"], "in_progress");
    world.check().await;
}

async fn a_submitter_does_not_approve_and_states_are_checked(fixture: Fixture) {
    let world = gated(fixture).await;
    let engine = world.worker().await;
    let mut command = erase(1);
    command["actor"] = json!("dpo");
    world.take_in(&engine, &command).await;
    for (n, what, reason) in [
        (
            1,
            json!({ "type": "approve", "request_id": id(1) }),
            "not_allowed",
        ),
        (
            2,
            json!({ "type": "refuse", "request_id": id(1), "basis": "excessive" }),
            "not_allowed",
        ),
        (
            3,
            json!({ "type": "approve", "request_id": id(9) }),
            "unknown_request",
        ),
        (
            4,
            json!({ "type": "extend", "request_id": id(9), "reason": "complexity" }),
            "unknown_request",
        ),
    ] {
        let (_, sent) = tell(&world, &engine, &control(n, what)).await;
        assert_eq!(sent.reasons(), [reason]);
    }
    let other = json!({ "type": "approve", "request_id": id(1), "actor": "boss" });
    let (verdict, _) = tell(&world, &engine, &control(5, other.clone())).await;
    assert_eq!(verdict, Verdict::Taken(id(1)));
    let (_, sent) = tell(&world, &engine, &control(6, other)).await;
    assert_eq!(sent.reasons(), ["wrong_state"]);
    let refuse = json!({ "type": "refuse", "request_id": id(1), "basis": "excessive", "actor": "boss" });
    let (_, sent) = tell(&world, &engine, &control(7, refuse)).await;
    assert_eq!(
        (&sent.status()["status"], &sent.status()["refused_on"]),
        (&json!("refused"), &json!("excessive"))
    );
    world.check().await;
}

async fn identifiers_are_supplied_and_the_task_goes(fixture: Fixture) {
    let world = World::with_registry(fixture, BLOCKS).await;
    let engine = world.worker().await;
    let (_, sent) = world.take_in(&engine, &erase(1)).await;
    assert_eq!(
        (sent.asked(), &sent.status()["needs_attention"]),
        (vec!["crm"], &json!(true))
    );
    world.settle(&engine, &answer(sent.task("crm"), "erased")).await;
    let supply = json!({ "type": "supply_identities", "request_id": id(1),
        "identities": [{ "type": "phone", "value": "+4930901820" }] });
    let (_, sent) = tell(&world, &engine, &control(1, supply)).await;
    let task = sent.task("calls");
    assert_eq!(
        task["identities"],
        json!([{ "type": "phone", "value": "+4930901820" }])
    );
    // It is found by what was supplied.
    let digest = world.vault.lookup_digest(
        &Tenant::new("acme").unwrap(),
        &serde_json::from_value(json!({ "type": "phone", "value": "0049 30 901820" })).unwrap(),
    );
    assert_eq!(
        world.fixture.store.of_subject(&[digest], 10).await.unwrap(),
        [id(1)]
    );
    // A message that is republished names the same identifiers, also by another worker.
    let other = world.worker().await;
    let again = republish(&other, &[id(1)], &[]).await.unwrap();
    let again = Sent::of(&again);
    assert_eq!(again.task("calls"), task);
    let (_, sent) = world.settle(&engine, &answer(task, "erased")).await;
    assert_eq!(sent.status()["status"], "completed");
    world.check().await;
}

async fn what_nobody_waits_for_is_not_taken(fixture: Fixture) {
    let world = World::with_registry(fixture, BLOCKS).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    let supply = json!({ "type": "supply_identities", "request_id": id(1),
        "identities": [{ "type": "device_id", "value": "d-1" }] });
    let (_, sent) = tell(&world, &engine, &control(1, supply)).await;
    assert_eq!(sent.reasons(), ["wrong_state"]);
    assert_eq!(world.request(1).await.life.status, Status::InProgress);
    world.check().await;
}

/// `keeps` erases only what was collected before the request, `wipes` everything.
const CUTOFFS: &str = r#"
[[processor]]
id = "keeps"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
honours_cutoff = true
[[processor]]
id = "wipes"
kind = "hosting"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
"#;

async fn whoever_comes_back_loses_nothing_that_they_gave_since(fixture: Fixture) {
    let world = World::with_registry(fixture, CUTOFFS).await;
    let engine = world.worker().await;
    let mut command = erase(1);
    command["not_before"] = json!(start().plus(DAY));
    let back = json!({
        "command_id": Uuid::from_u128(0xba_c0), "type": "reactivated", "tenant": "acme", "at": start(),
        "subject": { "identities": [command["subject"]["identities"][0]] },
    });
    // Both in one batch: the second finds what the first has opened.
    let arrivals = [world.command(&engine, &command), world.command(&engine, &back)];
    let taken = engine.intake().take_in(&arrivals).await.unwrap();
    assert!(
        taken
            .verdicts
            .iter()
            .all(|verdict| matches!(verdict, Verdict::Taken(_)))
    );
    let sent = world.pass(&engine, DAY).await;
    assert_eq!(sent.asked(), ["keeps"]);
    let waiting = &sent.status()["waiting_for"];
    assert_eq!(
        (
            &sent.status()["needs_attention"],
            &waiting[1]["processor"],
            &waiting[1]["why"]
        ),
        (&json!(true), &json!("wipes"), &json!("needs_attention"))
    );
    // Somebody has looked at it, and wants it.
    let request = world.request(1).await;
    let (_, emission) = engine
        .operations()
        .decide_task(
            request.task_id(1),
            TaskDecision::Retry,
            "ops",
            Some("asked again by phone"),
        )
        .await
        .unwrap();
    assert_eq!(Sent::of(&emission).asked(), ["wipes"]);
    world.check().await;
}

async fn a_decision_and_its_replay(fixture: Fixture) {
    let world = gated(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    let command = control(1, verify(1));
    let (first, _) = tell(&world, &engine, &command).await;
    let (second, sent) = tell(&world, &engine, &command).await;
    assert_eq!(
        (first, second),
        (Verdict::Taken(id(1)), Verdict::Duplicate(id(1)))
    );
    assert_eq!(sent, Sent::default());
    let mut other = command;
    other["method"] = json!("id_card");
    let (_, sent) = tell(&world, &engine, &other).await;
    assert_eq!(sent.reasons(), ["conflicting_duplicate"]);
    world.check().await;
}

async fn a_hold_that_is_released_forgets_whom_it_was_on(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let subject = erase(1)["subject"].clone();
    let hold_id = Uuid::from_u128(7);
    let hold = json!({ "type": "hold", "hold_id": hold_id, "basis": "dispute", "subject": subject });
    tell(&world, &engine, &control(1, hold)).await;
    let (_, sent) = world.take_in(&engine, &erase(1)).await;
    assert!(sent.asked().is_empty(), "it is held");
    let digests = async || {
        let facts = world.fixture.store.facts_since(0).await.unwrap();
        facts.into_iter().find_map(|stored| match stored.fact {
            Fact::Hold(hold) => Some(hold.subject),
            _ => None,
        })
    };
    let known = digests().await.unwrap();
    assert!(known.len() == 2 && known.iter().all(|digest| *digest != [0; 16]));

    let release = json!({ "type": "release", "hold_id": hold_id });
    tell(&world, &engine, &control(2, release.clone())).await;
    assert_eq!(
        digests().await.unwrap(),
        [[0; 16]; 2],
        "how many there were stays"
    );
    // The sweep does not need them, and neither does a worker that hears of both only now.
    let late = world.worker().await;
    let mut swept = late.fact_sweeps().sweep().await.unwrap();
    while swept.busy {
        let next = late.fact_sweeps().sweep().await.unwrap();
        swept.busy = next.busy;
        swept.emission.append(next.emission);
    }
    assert_eq!(Sent::of(&swept.emission).asked(), ["crm", "stats"]);
    let (_, sent) = world.take_in(&late, &erase(2)).await;
    assert_eq!(sent.asked(), ["crm", "stats"]);
    let (verdict, _) = tell(&world, &late, &control(2, release)).await;
    assert!(matches!(verdict, Verdict::Duplicate(_)), "{verdict:?}");
    world.check().await;
}
