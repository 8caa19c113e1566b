//! Who must not be brought back: what the list says, and what the topic says.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use lacuna::{
    delivery::republish::republish,
    domain::{
        identity::{Identity, SubjectData},
        ids::{IdentityType, Tenant},
        request::gates::Approval,
        time::At,
    },
    engine::{Engine, intake::Verdict},
    store::Line,
};
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use super::world::{CANARY, Sent, World, answer, cancel, command_from, control_from, erase, id, start};
use crate::store::fixture::Fixture;

on_both_stores!(
    a_request_for_everything_suppresses_its_subject,
    a_limited_request_suppresses_nobody,
    a_request_that_waits_or_is_withdrawn_suppresses_nobody,
    who_is_back_is_suppressed_no_more,
    values_are_normalised_and_tenants_apart,
    without_a_topic_nothing_is_stored_or_said,
    the_topic_says_what_the_list_says,
    the_topic_follows_gates_returns_and_supplies,
    an_identity_of_two_requests_has_one_truth,
    what_was_not_produced_is_said_again,
    a_return_over_kafka_survives_a_crash,
    an_ended_topic_is_not_written,
);

const DAY: Duration = Duration::from_secs(24 * 3600);

fn acme() -> Tenant {
    Tenant::new("acme").unwrap()
}

fn identity(kind: &str, value: &str) -> Identity {
    Identity {
        kind: IdentityType::new(kind).unwrap(),
        value: SubjectData::new(value),
    }
}

fn email(n: u128) -> Identity {
    identity("email", &format!("{CANARY}-{n}@example.org"))
}

async fn check(engine: &Engine, identities: &[Identity]) -> Vec<Option<At>> {
    engine.suppressed_since(&acme(), identities).await.unwrap()
}

/// The same command with more in it.
fn with(mut command: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        command[name] = value.clone();
    }
    command
}

fn reactivated(n: u128, at: At) -> Value {
    json!({ "command_id": Uuid::from_u128(0xbac0 + n), "type": "reactivated", "tenant": "acme", "at": at,
            "subject": { "identities": [{ "type": "email", "value": format!("{CANARY}-{n}@example.org") }] } })
}

async fn with_topic(fixture: Fixture) -> World {
    let mut world = World::new(fixture).await;
    world.settings.has_suppression_topic = true;
    world
}

/// The key of a record, as a reader computes it with what `lacuna keys suppression` prints.
fn key_of(world: &World, kind: &str, normalised: &str) -> String {
    let key = world.vault.suppression_key(&acme());
    let mut mac = Hmac::<Sha256>::new_from_slice(&*key).unwrap();
    mac.update(kind.as_bytes());
    mac.update(&[0]);
    mac.update(normalised.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// The keys of what [`erase`] names.
fn keys_of(world: &World, n: u128) -> [String; 2] {
    [
        key_of(world, "customer_id", &format!("{CANARY}-{n}")),
        key_of(world, "email", &format!("{CANARY}-{n}@example.org")),
    ]
}

fn said(sent: &Sent) -> Vec<String> {
    let mut keys: Vec<String> = sent.suppressed.iter().map(|(key, _)| key.clone()).collect();
    keys.sort();
    keys
}

fn sorted(mut keys: [String; 2]) -> Vec<String> {
    keys.sort();
    keys.to_vec()
}

async fn a_request_for_everything_suppresses_its_subject(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let asked = At::parse("2026-11-20T09:00:00Z").unwrap();
    let command = with(
        erase(1),
        json!({ "requested_at": asked, "exclude": [{ "processor": "mail", "basis": "independent_authorization" }] }),
    );
    let (_, opened) = world.take_in(&engine, &command).await;
    let everybody = [
        email(2),
        email(1),
        identity("customer_id", &format!("{CANARY}-1")),
        email(1),
    ];
    let expected = [None, Some(asked), Some(asked), Some(asked)];
    assert_eq!(check(&engine, &everybody).await, expected);
    for processor in ["crm", "stats"] {
        world
            .settle(&engine, &answer(opened.task(processor), "erased"))
            .await;
    }
    assert_eq!(
        world.request(1).await.life.status.as_str(),
        "closed_with_exceptions"
    );
    assert_eq!(check(&engine, &everybody).await, expected);
    // Another one, later: they asked first then.
    let again = with(
        erase(2),
        json!({ "subject": erase(1)["subject"], "type": "anonymize" }),
    );
    world.take_in(&engine, &again).await;
    assert_eq!(check(&engine, &everybody).await, expected);
    assert!(check(&engine, &[]).await.is_empty());
    world.check().await;
}

/// A processor that every scope here concerns.
const NARROW: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
purposes = ["marketing"]
categories = ["messages"]
"#;

async fn a_limited_request_suppresses_nobody(fixture: Fixture) {
    let mut world = World::with_registry(fixture, NARROW).await;
    world.settings.has_suppression_topic = true;
    let engine = world.worker().await;
    let scopes = [
        json!({ "purposes": ["marketing"] }),
        json!({ "categories": ["messages"] }),
        json!({ "processors": ["crm"] }),
    ];
    for (n, scope) in (1..).zip(scopes) {
        let (verdict, sent) = world
            .take_in(&engine, &with(erase(n), json!({ "scope": scope })))
            .await;
        assert_eq!(verdict, Verdict::Taken(id(n)));
        assert_eq!(check(&engine, &[email(n)]).await, [None], "{scope}");
        assert!(sent.suppressed.is_empty());
    }
    assert!(
        world
            .fixture
            .store
            .suppression_of(&[1, 2, 3].map(id))
            .await
            .unwrap()
            .is_empty()
    );
}

async fn a_request_that_waits_or_is_withdrawn_suppresses_nobody(fixture: Fixture) {
    let mut world = World::new(fixture).await;
    let later = start().plus(2 * DAY);
    let engine = world.worker().await;
    world
        .take_in(&engine, &with(erase(1), json!({ "not_before": later })))
        .await;
    assert_eq!(check(&engine, &[email(1)]).await, [None], "scheduled");
    world.settings.approval = Approval::Always;
    world.settings.rules.require_verification = true;
    let strict = world.worker().await;
    world.take_in(&strict, &erase(2)).await;
    assert_eq!(check(&strict, &[email(2)]).await, [None], "awaiting_verification");
    world
        .take_in(&strict, &with(erase(3), json!({ "identity_verified": true })))
        .await;
    assert_eq!(check(&strict, &[email(3)]).await, [None], "awaiting_approval");
    world.take_in(&strict, &cancel(3)).await;
    assert_eq!(check(&strict, &[email(3)]).await, [None], "cancelled");
    world.pass(&engine, 2 * DAY).await;
    assert_eq!(
        check(&engine, &[email(1)]).await,
        [Some(start())],
        "its gates are open"
    );
    world.pass(&engine, 60 * DAY).await;
    assert_eq!(world.request(2).await.life.status.as_str(), "refused");
    assert_eq!(check(&engine, &[email(2)]).await, [None], "refused");
}

async fn who_is_back_is_suppressed_no_more(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    // Somebody says late that they had been there before they asked: that is no return.
    let before = At::from_millis(start().millis() - 1);
    world.take_in(&engine, &reactivated(1, before)).await;
    assert_eq!(check(&engine, &[email(1)]).await, [Some(start())]);
    world.clock.advance(DAY);
    let back = with(
        reactivated(1, world.clock.now()),
        json!({ "command_id": Uuid::from_u128(0xbacc) }),
    );
    world.take_in(&engine, &back).await;
    assert_eq!(check(&engine, &[email(1)]).await, [None]);
    world.clock.advance(DAY);
    let again = with(erase(2), json!({ "subject": erase(1)["subject"] }));
    world.take_in(&engine, &again).await;
    assert_eq!(
        check(&engine, &[email(1)]).await,
        [Some(world.clock.now())],
        "they asked anew"
    );
}

async fn values_are_normalised_and_tenants_apart(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let identities = json!({ "identities": [{ "type": "email", "value": "Ann@Example.org" },
                                            { "type": "phone", "value": "+49 30 901820" },
                                            { "type": "customer_id", "value": "A" }] });
    world
        .take_in(&engine, &with(erase(1), json!({ "subject": identities })))
        .await;
    let asked = [
        identity("email", " ann@EXAMPLE.org "),
        identity("phone", "0049 (30) 901-820"),
        identity("customer_id", "A"),
        identity("customer_id", "a"),
        identity("user_id", "A"),
    ];
    let since = Some(start());
    assert_eq!(check(&engine, &asked).await, [since, since, since, None, None]);
    let other = Tenant::new("globex").unwrap();
    assert_eq!(engine.suppressed_since(&other, &asked).await.unwrap(), [None; 5]);
    let metrics = engine.metrics.text().unwrap();
    assert!(metrics.contains("lacuna_suppression_checks_total{result=\"suppressed\"} 3"));
    assert!(metrics.contains("lacuna_suppression_checks_total{result=\"clear\"} 7"));
}

async fn without_a_topic_nothing_is_stored_or_said(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, sent) = world.take_in(&engine, &erase(1)).await;
    assert!(sent.suppressed.is_empty());
    assert!(
        world
            .fixture
            .store
            .suppression_of(&[id(1)])
            .await
            .unwrap()
            .is_empty()
    );
    let (_, sent) = world.take_in(&engine, &reactivated(1, start())).await;
    assert!(sent.tombstones.is_empty());
}

async fn the_topic_says_what_the_list_says(fixture: Fixture) {
    let world = with_topic(fixture).await;
    let engine = world.worker().await;
    let (_, sent) = world.take_in(&engine, &erase(1)).await;
    assert_eq!(said(&sent), sorted(keys_of(&world, 1)));
    let [_, of_email] = keys_of(&world, 1);
    let (_, message) = sent.suppressed.iter().find(|(key, _)| *key == of_email).unwrap();
    assert_eq!(
        *message,
        json!({ "tenant": "acme", "identity_type": "email", "recipe": "v2", "since": start() })
    );
    for (_, message) in &sent.suppressed {
        assert!(!message.to_string().contains(CANARY));
    }
    // Nothing more is said while it is worked off: nothing changes.
    let (_, done) = world.settle(&engine, &answer(sent.task("stats"), "erased")).await;
    assert!(done.suppressed.is_empty() && done.tombstones.is_empty());
    let (_, after) = world.settle(&engine, &answer(sent.task("crm"), "erased")).await;
    let (_, done) = world.settle(&engine, &answer(after.task("mail"), "erased")).await;
    assert_eq!(done.status()["status"], "completed");
    assert!(done.suppressed.is_empty() && done.tombstones.is_empty());
    // It ends with the digests, whose keys nobody could compute any more.
    world.clock.advance(365 * DAY);
    let ended = Sent::of(&world.expire(&engine).await);
    let mut tombstones = ended.tombstones;
    tombstones.sort();
    assert_eq!(tombstones, sorted(keys_of(&world, 1)));
    assert!(
        world
            .fixture
            .store
            .suppression_of(&[id(1)])
            .await
            .unwrap()
            .is_empty()
    );
    world.check().await;
}

async fn the_topic_follows_gates_returns_and_supplies(fixture: Fixture) {
    let mut world = with_topic(fixture).await;
    world.settings.approval = Approval::Always;
    let engine = world.worker().await;
    let [of_id, of_email] = keys_of(&world, 1);
    let by_mail = json!({ "identities": [{ "type": "email", "value": format!("{CANARY}-1@example.org") }] });
    let (_, waiting) = world
        .take_in(&engine, &with(erase(1), json!({ "subject": by_mail })))
        .await;
    assert!(waiting.suppressed.is_empty());
    let decide = async |command: Value| {
        let arrival = control_from(&engine, world.origin("control"), &command);
        let taken = engine.take_in(&[arrival]).await.unwrap();
        assert_eq!(taken.verdicts, [Verdict::Taken(id(1))]);
        said(&Sent::of(&taken.emission))
    };
    let approve = json!({ "command_id": Uuid::from_u128(0xa1), "type": "approve", "tenant": "acme",
                          "request_id": id(1), "actor": "dpo" });
    assert_eq!(decide(approve).await, std::slice::from_ref(&of_email));
    let supply = json!({ "command_id": Uuid::from_u128(0xa2), "type": "supply_identities", "tenant": "acme",
                         "request_id": id(1), "actor": "dpo",
                         "identities": [{ "type": "customer_id", "value": format!("{CANARY}-1") }] });
    assert!(decide(supply).await.contains(&of_id));
    world.clock.advance(DAY);
    let (_, back) = world.take_in(&engine, &reactivated(1, world.clock.now())).await;
    assert!(back.suppressed.is_empty());
    for key in keys_of(&world, 1) {
        assert!(back.tombstones.contains(&key));
    }
}

async fn an_identity_of_two_requests_has_one_truth(fixture: Fixture) {
    let world = with_topic(fixture).await;
    let engine = world.worker().await;
    let (_, first) = world.take_in(&engine, &erase(1)).await;
    world.clock.advance(100 * DAY);
    let again = with(erase(2), json!({ "subject": erase(1)["subject"] }));
    let (_, second) = world.take_in(&engine, &again).await;
    assert_eq!(second.suppressed, first.suppressed, "they asked first then");
    for sent in [&first, &second] {
        world.settle(&engine, &answer(sent.task("stats"), "erased")).await;
        let (_, after) = world.settle(&engine, &answer(sent.task("crm"), "erased")).await;
        world.settle(&engine, &answer(after.task("mail"), "erased")).await;
    }
    let ended_at = world.clock.now();
    // The first one's digests go; the second one still speaks for the person.
    let store = &world.fixture.store;
    let mut tx = store.begin("test").await.unwrap();
    tx.write(&lacuna::store::Changes {
        expired: vec![id(1)],
        at: ended_at,
        ..Default::default()
    })
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let words = lacuna::engine::effects::Tombstones {
        suppressed: first
            .suppressed
            .iter()
            .map(|(key, _)| (hex::decode(key).unwrap().try_into().unwrap(), Some(start())))
            .collect(),
        ..Default::default()
    };
    let corrected = engine.corrections(&words).await.unwrap();
    let sent = Sent::of(&corrected);
    assert_eq!(said(&sent), said(&first));
    assert!(sent.tombstones.is_empty());
    assert!(
        sent.suppressed
            .iter()
            .all(|(_, message)| message["since"] == json!(ended_at))
    );
    assert!(
        engine
            .corrections(&corrected.tombstones)
            .await
            .unwrap()
            .is_empty(),
        "it is true now"
    );
}

async fn what_was_not_produced_is_said_again(fixture: Fixture) {
    let world = with_topic(fixture).await;
    let first = world.worker().await;
    let (_, lost) = world.take_in(&first, &erase(1)).await;
    let http = [command_from(&first, None, &erase(2).to_string())];
    let lost_too = Sent::of(&first.take_in(&http).await.unwrap().emission);
    drop(first);
    let second = world.worker().await;
    let replayed = Sent::of(&republish(&second, &[id(1)], &[]).await.unwrap());
    assert_eq!(replayed.suppressed, lost.suppressed);
    let later = world.clock.now().plus(Duration::from_secs(60));
    let remembered = second.unproduced(later).await.unwrap();
    assert_eq!(remembered, [id(2)]);
    let replayed = Sent::of(&republish(&second, &remembered, &[]).await.unwrap());
    assert_eq!(replayed.suppressed, lost_too.suppressed);
    // An expiry whose words were lost.
    world.clock.advance(DAY);
    world.take_in(&second, &reactivated(1, world.clock.now())).await;
    let again = republish(&second, &[id(1)], &[]).await.unwrap();
    assert_eq!(Sent::of(&again).tombstones.len(), 2);
    let said_again = second.tombstones_again(&again.tombstones).await.unwrap();
    assert_eq!(Sent::of(&said_again).tombstones.len(), 2);
}

async fn a_return_over_kafka_survives_a_crash(fixture: Fixture) {
    let world = with_topic(fixture).await;
    let first = world.worker().await;
    world.take_in(&first, &erase(1)).await;
    world.clock.advance(DAY);
    let (_, lost) = world.take_in(&first, &reactivated(1, world.clock.now())).await;
    assert_eq!(lost.tombstones.len(), 2);
    drop(first);
    // Its message names no request, so a replay of it says nothing.
    let second = world.worker().await;
    let later = world.clock.now().plus(Duration::from_secs(60));
    let remembered = second.unproduced(later).await.unwrap();
    assert_eq!(remembered, [id(1)]);
    let again = Sent::of(&republish(&second, &remembered, &[]).await.unwrap());
    assert_eq!((again.tombstones.len(), again.status()), (2, lost.status()));
}

async fn an_ended_topic_is_not_written(fixture: Fixture) {
    let mut world = with_topic(fixture).await;
    let engine = world.worker().await;
    let (_, sent) = world.take_in(&engine, &erase(1)).await;
    world.settle(&engine, &answer(sent.task("stats"), "erased")).await;
    let (_, after) = world.settle(&engine, &answer(sent.task("crm"), "erased")).await;
    world.settle(&engine, &answer(after.task("mail"), "erased")).await;
    world.clock.advance(365 * DAY);
    // Its words were not confirmed, and then the topic was taken out of the configuration.
    engine.expire(Line::Lookups, world.clock.now()).await.unwrap();
    world.settings.has_suppression_topic = false;
    let without = world.worker().await;
    let later = world.clock.now().plus(Duration::from_secs(60));
    let left = without.unconfirmed_tombstones(later).await.unwrap();
    assert!(left.effects.is_empty() && !left.is_empty());
    without.tombstones_confirmed(&left.tombstones).await.unwrap();
    assert!(without.unconfirmed_tombstones(later).await.unwrap().is_empty());
}
