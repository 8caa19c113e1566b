//! Commands that come before the request that they name: invariants 1, 3, 6 and 12.

mod crashes;

use std::time::Duration;

use lacuna::{
    delivery::republish::republish,
    domain::{early::EarlyCommands, request::gates::Approval, words::Status},
    engine::{
        Engine,
        intake::Verdict,
        prepare::{Arrival, PreparedCommand},
    },
    store::DeadLetterFilter,
    wire::{KeptHeaders, command::Channel, envelope::Envelope},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    control::control,
    world::{COMMANDS, Sent, World, cancel, command_from, erase, id, origin_at},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    a_cancel_before_its_request,
    a_cancel_before_its_request_in_one_batch,
    gates_that_are_opened_before_their_request,
    a_cancel_wins_whatever_else_came_first,
    what_the_request_refuses_is_dead_lettered_then,
    identifiers_before_their_request,
    a_request_that_cannot_be_opened_leaves_what_waits,
    what_nothing_comes_for_is_dead_lettered,
    only_so_many_wait,
    over_http_nothing_waits,
);

const WAIT: Duration = Duration::from_secs(15);

async fn patient(fixture: Fixture) -> World {
    let mut world = World::new(fixture).await;
    world.settings.early = EarlyCommands { wait: WAIT, most: 3 };
    world
}

fn controlled(world: &World, engine: &Engine, command: &Value) -> Arrival<PreparedCommand> {
    let text = command.to_string();
    Arrival {
        origin: Some(world.origin("control")),
        content: engine.intake().prepare_command(
            text.as_bytes(),
            &Envelope::bare(&engine.tenant_default),
            Channel::Control,
        ),
        raw: Zeroizing::new(text.into_bytes()),
        headers: KeptHeaders::default(),
        reading: None,
    }
}

async fn tell(world: &World, engine: &Engine, command: &Value) -> (Verdict, Sent) {
    super::control::tell(world, engine, command).await
}

fn verify(n: u128) -> Value {
    control(
        10 * n,
        json!({ "type": "verify_identity", "request_id": id(n), "method": "passport", "result": "passed" }),
    )
}

fn approve(n: u128) -> Value {
    control(10 * n + 1, json!({ "type": "approve", "request_id": id(n) }))
}

async fn expire(world: &World, engine: &Engine) -> Sent {
    let expired = engine.retention().expire_early(world.clock.now()).await.unwrap();
    engine
        .retention()
        .expiry_produced(&expired.origins)
        .await
        .unwrap();
    Sent::of(&expired.emission)
}

/// What the agenda says of what a request has refused.
async fn left_to_say(world: &World, engine: &Engine) -> Sent {
    let left = engine
        .retention()
        .expired_unproduced(world.clock.now())
        .await
        .unwrap();
    engine.retention().expiry_produced(&left.origins).await.unwrap();
    Sent::of(&left.emission)
}

async fn waiting(world: &World) -> u64 {
    let mut tx = world.fixture.store.begin("test").await.unwrap();
    tx.early_count().await.unwrap()
}

/// Nothing waits any more, and the open dead letters are these.
async fn settled(world: &World, reasons: &[&str]) {
    assert_eq!(waiting(world).await, 0);
    let filter = DeadLetterFilter {
        with_payload: false,
        open_only: true,
        after: None,
        limit: 100,
    };
    let letters = world.fixture.store.dead_letters(filter).await.unwrap();
    let found: Vec<&str> = letters.iter().map(|letter| letter.reason.as_str()).collect();
    assert_eq!(found, reasons);
    world.check().await;
}

async fn a_cancel_before_its_request(fixture: Fixture) {
    let world = patient(fixture).await;
    let engine = world.worker().await;
    let (verdict, sent) = world.take_in(&engine, &cancel(1)).await;
    assert_eq!((verdict, sent), (Verdict::Waiting(id(1)), Sent::default()));
    // A repeat, and another spelling of it, wait no second time.
    let (verdict, sent) = world.take_in(&engine, &cancel(1)).await;
    assert_eq!((verdict, sent), (Verdict::Duplicate(id(1)), Sent::default()));
    let mut other = cancel(1);
    other["request_id"] = json!(id(2));
    let (_, sent) = world.take_in(&engine, &other).await;
    assert_eq!(sent.reasons(), ["conflicting_duplicate"]);

    world.clock.advance(WAIT - Duration::from_secs(1));
    assert_eq!(expire(&world, &engine).await, Sent::default(), "not yet");
    let (verdict, sent) = world.take_in(&engine, &erase(1)).await;
    assert_eq!(verdict, Verdict::Taken(id(1)));
    assert_eq!(
        (sent.asked(), sent.status()["status"].as_str()),
        (vec![], Some("cancelled"))
    );
    let request = world.request(1).await;
    assert!(!request.bookkeeping.readable && request.tasks.iter().all(|task| task.attempt == 0));
    world.clock.advance(WAIT);
    assert_eq!(expire(&world, &engine).await, Sent::default());
    assert_eq!(
        world.take_in(&engine, &cancel(1)).await.0,
        Verdict::Duplicate(id(1))
    );
    settled(&world, &["conflicting_duplicate"]).await;
}

async fn a_cancel_before_its_request_in_one_batch(fixture: Fixture) {
    let world = patient(fixture).await;
    let engine = world.worker().await;
    let batch = [
        world.command(&engine, &erase(2)),
        world.command(&engine, &cancel(1)),
        world.command(&engine, &cancel(1)),
        world.command(&engine, &erase(1)),
        world.command(&engine, &cancel(1)),
    ];
    let taken = engine.intake().take_in(&batch).await.unwrap();
    assert_eq!(
        taken.verdicts,
        [
            Verdict::Taken(id(2)),
            Verdict::Waiting(id(1)),
            Verdict::Duplicate(id(1)),
            Verdict::Taken(id(1)),
            Verdict::Duplicate(id(1))
        ]
    );
    let sent = Sent::of(&taken.emission);
    assert!(sent.tasks.iter().all(|task| task["request_id"] == json!(id(2))));
    assert_eq!(world.request(1).await.life.status, Status::Cancelled);
    settled(&world, &[]).await;
}

async fn gates_that_are_opened_before_their_request(fixture: Fixture) {
    let mut world = patient(fixture).await;
    world.settings.rules.require_verification = true;
    world.settings.approval = Approval::Always;
    let engine = world.worker().await;
    for command in [approve(1), verify(1)] {
        let (verdict, _) = tell(&world, &engine, &command).await;
        assert_eq!(verdict, Verdict::Waiting(id(1)));
    }
    let (_, sent) = world.take_in(&engine, &erase(1)).await;
    assert_eq!(sent.asked(), ["crm", "stats"]);
    assert_eq!(sent.status()["status"], "in_progress");
    assert_eq!(sent.statuses.len(), 1, "one status a request and transaction");
    for command in [approve(1), verify(1)] {
        let (verdict, _) = tell(&world, &engine, &command).await;
        assert_eq!(verdict, Verdict::Duplicate(id(1)));
    }
    settled(&world, &[]).await;
}

async fn a_cancel_wins_whatever_else_came_first(fixture: Fixture) {
    let mut world = patient(fixture).await;
    world.settings.rules.require_verification = true;
    let engine = world.worker().await;
    tell(&world, &engine, &verify(1)).await;
    world.clock.advance(Duration::from_secs(1));
    world.take_in(&engine, &cancel(1)).await;
    let (_, sent) = world.take_in(&engine, &erase(1)).await;
    assert_eq!(
        (sent.asked(), sent.status()["status"].as_str()),
        (vec![], Some("cancelled"))
    );
    settled(&world, &[]).await;
}

async fn what_the_request_refuses_is_dead_lettered_then(fixture: Fixture) {
    let world = patient(fixture).await;
    let engine = world.worker().await;
    tell(&world, &engine, &approve(1)).await;
    let (_, sent) = world.take_in(&engine, &erase(1)).await;
    assert_eq!(sent.asked(), ["crm", "stats"], "it needs no approval");
    assert!(
        sent.letters.is_empty(),
        "a replay of the opening would not say it again"
    );
    let left = left_to_say(&world, &engine).await;
    assert_eq!(left.reasons(), ["wrong_state"]);
    let opened = world.vault.open_dead_letter(&left.letters[0].1).unwrap();
    assert_eq!(opened.as_slice(), approve(1).to_string().as_bytes());
    assert_eq!(left_to_say(&world, &engine).await, Sent::default(), "once");
    // A redrive needs the headers that say what it is.
    let filter = DeadLetterFilter {
        with_payload: true,
        open_only: true,
        after: None,
        limit: 1,
    };
    let letter = world.fixture.store.dead_letters(filter).await.unwrap().remove(0);
    let headers = world.vault.open_dead_letter(&letter.headers.unwrap()).unwrap();
    assert_eq!(
        KeptHeaders::read(&headers).unwrap().headers,
        [("ce_id".to_owned(), "7".to_owned())]
    );
    // It was never taken, so a redrive is no duplicate.
    let (_, sent) = tell(&world, &engine, &approve(1)).await;
    assert_eq!(sent.reasons(), ["wrong_state"]);
    // In one batch, a replay says it again.
    let batch = [
        controlled(&world, &engine, &approve(2)),
        world.command(&engine, &erase(2)),
    ];
    let sent = Sent::of(&engine.intake().take_in(&batch).await.unwrap().emission);
    assert_eq!(sent.reasons(), ["wrong_state"]);
    settled(&world, &["wrong_state", "wrong_state", "wrong_state"]).await;
}

async fn identifiers_before_their_request(fixture: Fixture) {
    let mut world = World::with_registry(fixture, super::control::BLOCKS).await;
    world.settings.early = EarlyCommands { wait: WAIT, most: 3 };
    let engine = world.worker().await;
    let phone = |n: u128, number: &str| {
        control(
            n,
            json!({ "type": "supply_identities", "request_id": id(1),
                    "identities": [{ "type": "phone", "value": number }] }),
        )
    };
    tell(&world, &engine, &phone(1, "+49 30 901820")).await;
    let (_, sent) = world.take_in(&engine, &erase(1)).await;
    assert_eq!(sent.asked(), ["calls", "crm"]);
    assert_eq!(
        sent.task("calls")["identities"],
        json!([{ "type": "phone", "value": "+49 30 901820" }])
    );
    // What was sent can be sent again from the store, and the subject is found by what came first.
    let again = Sent::of(&republish(&engine, &[id(1)], &[]).await.unwrap());
    assert_eq!(again.tasks, sent.tasks);
    let digest = world.vault.lookup_digest(
        &engine.request(id(1)).await.unwrap().unwrap().head.tenant,
        &serde_json::from_value(json!({ "type": "phone", "value": "+4930901820" })).unwrap(),
    );
    assert_eq!(
        world.fixture.store.of_subject(&[digest], 10).await.unwrap(),
        [id(1)]
    );
    settled(&world, &[]).await;
}

async fn a_request_that_cannot_be_opened_leaves_what_waits(fixture: Fixture) {
    let world = patient(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &cancel(1)).await;
    let mut nobody = erase(1);
    nobody["scope"] = json!({ "processors": ["unknown"] });
    let (_, sent) = world.take_in(&engine, &nobody).await;
    assert_eq!(sent.reasons(), ["no_processor"]);
    assert_eq!(waiting(&world).await, 1);
    world.take_in(&engine, &erase(1)).await;
    assert_eq!(world.request(1).await.life.status, Status::Cancelled);
    settled(&world, &["no_processor"]).await;
}

async fn what_nothing_comes_for_is_dead_lettered(fixture: Fixture) {
    let world = patient(fixture).await;
    let engine = world.worker().await;
    let origins = [origin_at(COMMANDS, 0, 0)];
    let arrival = command_from(&engine, Some(origins[0].clone()), &cancel(1).to_string());
    engine.intake().take_in(&[arrival]).await.unwrap();
    // A crash before its offset was committed: its replay has nothing to say, and it still waits.
    assert!(republish(&engine, &[id(1)], &origins).await.unwrap().is_empty());
    world.clock.advance(WAIT);
    let sent = expire(&world, &engine).await;
    assert_eq!(sent.reasons(), ["unknown_request"]);
    let opened = world.vault.open_dead_letter(&sent.letters[0].1).unwrap();
    assert_eq!(opened.as_slice(), cancel(1).to_string().as_bytes());
    let letter = world.fixture.store.dead_letters(DeadLetterFilter {
        with_payload: false,
        open_only: true,
        after: None,
        limit: 9,
    });
    let letter = letter.await.unwrap().pop().unwrap();
    assert_eq!(
        letter.detail,
        "there is no such request, and none has come within 15 s"
    );
    assert_eq!(letter.origin, origins[0]);
    let again = Sent::of(&republish(&engine, &[id(1)], &origins).await.unwrap());
    assert_eq!(
        again.reasons(),
        ["unknown_request"],
        "a replay says it from now on"
    );
    assert_eq!(expire(&world, &engine).await, Sent::default(), "once");
    // Redriven, once there is such a request, it counts.
    let mut command = erase(1);
    command["not_before"] = json!(world.clock.now().plus(WAIT));
    let batch = [command_from(
        &engine,
        Some(origin_at(COMMANDS, 0, 1)),
        &command.to_string(),
    )];
    engine.intake().take_in(&batch).await.unwrap();
    let redriven = [command_from(
        &engine,
        Some(origin_at(COMMANDS, 0, 2)),
        &cancel(1).to_string(),
    )];
    assert_eq!(
        engine.intake().take_in(&redriven).await.unwrap().verdicts,
        [Verdict::Taken(id(1))]
    );
    settled(&world, &["unknown_request"]).await;
}

async fn only_so_many_wait(fixture: Fixture) {
    let world = patient(fixture).await;
    let engine = world.worker().await;
    let batch = [1, 2, 3, 4].map(|n| world.command(&engine, &cancel(n)));
    let sent = Sent::of(&engine.intake().take_in(&batch).await.unwrap().emission);
    assert_eq!(
        (sent.reasons(), waiting(&world).await),
        (vec!["unknown_request"], 3)
    );
    let (_, sent) = world.take_in(&engine, &cancel(5)).await;
    assert_eq!(sent.reasons(), ["unknown_request"]);
    world.take_in(&engine, &erase(1)).await;
    let mut large = cancel(6);
    large["metadata"] = json!("x".repeat(20_000));
    let (_, sent) = world.take_in(&engine, &large).await;
    assert_eq!(sent.reasons(), ["unknown_request"], "too large to wait");
    assert_eq!(
        world.take_in(&engine, &cancel(7)).await.0,
        Verdict::Waiting(id(7))
    );
    world.clock.advance(WAIT);
    assert_eq!(expire(&world, &engine).await.letters.len(), 3);
    settled(&world, &["unknown_request"; 6]).await;
}

async fn over_http_nothing_waits(fixture: Fixture) {
    let world = patient(fixture).await;
    let engine = world.worker().await;
    let arrival = command_from(&engine, None, &cancel(1).to_string());
    let taken = engine.intake().take_in(&[arrival]).await.unwrap();
    assert!(
        matches!(&taken.verdicts[..], [Verdict::Rejected(refusal)] if refusal.reason.as_str() == "unknown_request")
    );
    // An opening over HTTP finds what waits from a topic.
    world.take_in(&engine, &cancel(2)).await;
    let arrival = command_from(&engine, None, &erase(2).to_string());
    engine.intake().take_in(&[arrival]).await.unwrap();
    assert_eq!(world.request(2).await.life.status, Status::Cancelled);
    settled(&world, &[]).await;
}
