//! Ids that two tenants, or two sources of events, share.

use lacuna::{
    domain::{time::At, words::DeadLetterReason},
    engine::{Engine, intake::Verdict, prepare::Arrival},
    wire::{KeptHeaders, command::Channel, envelope::Envelope},
};
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    control::tell,
    identifying::{REGISTRY, erase_of, later, world_of},
    world::{COMMANDS, World, backup_from, cancel, id, start},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    request_id_of_another_tenant_tells_nothing,
    two_sources_with_one_event_id_are_two_events,
    an_event_that_was_taken_under_its_id_alone_is_a_duplicate,
    backup_event_known_by_id_alone_is_a_duplicate,
);

async fn request_id_of_another_tenant_tells_nothing(fixture: Fixture) {
    let world = world_of(fixture).await;
    let engine = world.worker().await;
    world
        .take_in(&engine, &later(erase_of(1, "email", "ann@example.org")))
        .await;
    let before = world.request(1).await;
    let mut other = erase_of(2, "email", "bob@example.org");
    other["tenant"] = json!("globex");
    other["request_id"] = json!(id(1));
    // The same command id as well: a key of another tenant's is another key.
    let mut same_id = other.clone();
    same_id["command_id"] = json!(id(1));
    for command in [other, same_id] {
        let (verdict, sent) = world.take_in(&engine, &command).await;
        let Verdict::Rejected(refusal) = verdict else {
            panic!("taken")
        };
        assert_eq!(refusal.reason, DeadLetterReason::ConflictingDuplicate);
        assert!(
            refusal.detail.starts_with("request_id: this id is taken"),
            "{refusal}"
        );
        for told in ["tenant", "acme", "another command", "erase"] {
            assert!(!refusal.detail.contains(told), "{refusal}");
        }
        assert_eq!(sent.reasons(), ["conflicting_duplicate"]);
    }
    // Nothing else of another tenant's touches it either.
    let foreign = |mut command: Value| {
        command["tenant"] = json!("globex");
        command["request_id"] = json!(id(1));
        command
    };
    let (verdict, _) = world.take_in(&engine, &foreign(cancel(1))).await;
    assert!(matches!(verdict, Verdict::Rejected(_)));
    for (n, command) in (1..).zip([
        json!({ "type": "verify_identity", "method": "passport", "result": "passed" }),
        json!({ "type": "approve" }),
        json!({ "type": "refuse", "basis": "legal_claims" }),
        json!({ "type": "extend", "reason": "complexity" }),
        json!({ "type": "supply_identities", "identities": [{ "type": "device_id", "value": "d-1" }] }),
    ]) {
        let mut command = foreign(command);
        command["command_id"] = json!(Uuid::from_u128(100 + n));
        command["actor"] = json!("mallory");
        let (verdict, sent) = tell(&world, &engine, &command).await;
        assert!(matches!(verdict, Verdict::Rejected(_)), "{command}: {verdict:?}");
        assert_eq!(sent.reasons(), ["unknown_request"], "{command}");
    }
    assert_eq!(world.request(1).await, before);
}

fn event_from(
    world: &World,
    engine: &Engine,
    ce: (&str, Option<&str>),
    command: &Value,
) -> Arrival<lacuna::engine::prepare::PreparedCommand> {
    let text = command.to_string();
    let mut envelope = Envelope::bare(&engine.tenant_default);
    envelope.ce_id = Some(ce.0.into());
    envelope.ce_source = ce.1.map(Into::into);
    Arrival {
        origin: Some(world.origin(COMMANDS)),
        reading: None,
        content: engine
            .intake()
            .prepare_command(text.as_bytes(), &envelope, Channel::Commands),
        raw: Zeroizing::new(text.into_bytes()),
        headers: KeptHeaders::default(),
    }
}

async fn verdict_of(world: &World, engine: &Engine, ce: (&str, Option<&str>), command: &Value) -> Verdict {
    let arrival = event_from(world, engine, ce, command);
    let taken = engine.intake().take_in(&[arrival]).await.unwrap();
    taken.verdicts.into_iter().next().unwrap()
}

/// A command that is named by its event alone.
fn unnamed(value: &str) -> Value {
    let mut command = later(erase_of(1, "email", value));
    command.as_object_mut().unwrap().remove("command_id");
    command
}

async fn two_sources_with_one_event_id_are_two_events(fixture: Fixture) {
    let world = world_of(fixture).await;
    let engine = world.worker().await;
    for event in ["7", "018f6f2e-7c1a-7b3e-9a44-000000000007"] {
        let (ann, bob) = (
            unnamed(&format!("ann-{event}@example.org")),
            unnamed(&format!("bob-{event}@example.org")),
        );
        let Verdict::Taken(first) = verdict_of(&world, &engine, (event, Some("/crm")), &ann).await else {
            panic!("{event}")
        };
        let Verdict::Taken(second) = verdict_of(&world, &engine, (event, Some("/shop")), &bob).await else {
            panic!("{event}")
        };
        assert_ne!(first, second);
        let again = verdict_of(&world, &engine, (event, Some("/crm")), &ann).await;
        assert_eq!(again, Verdict::Duplicate(first));
        // In the other case a UUID is the same one.
        let again = verdict_of(&world, &engine, (&event.to_uppercase(), Some("/shop")), &bob).await;
        assert_eq!(again, Verdict::Duplicate(second));
        let conflict = verdict_of(&world, &engine, (event, Some("/crm")), &bob).await;
        assert!(
            matches!(&conflict, Verdict::Rejected(refusal) if refusal.reason == DeadLetterReason::ConflictingDuplicate),
            "{conflict:?}"
        );
    }
}

async fn an_event_that_was_taken_under_its_id_alone_is_a_duplicate(fixture: Fixture) {
    let world = world_of(fixture).await;
    let engine = world.worker().await;
    let event = "018f6f2e-7c1a-7b3e-9a44-000000000007";
    let old = unnamed("ann@example.org");
    // As an earlier version has taken it: its id was the event's alone.
    let Verdict::Taken(before) = verdict_of(&world, &engine, (event, None), &old).await else {
        panic!("refused")
    };
    assert_eq!(before.to_string(), event);
    let again = verdict_of(&world, &engine, (event, Some("/crm")), &old).await;
    assert_eq!(
        again,
        Verdict::Duplicate(before),
        "it comes again after the change"
    );
    let other = verdict_of(
        &world,
        &engine,
        (event, Some("/shop")),
        &unnamed("bob@example.org"),
    )
    .await;
    assert!(matches!(other, Verdict::Taken(id) if id != before), "{other:?}");
}

async fn backup_event_known_by_id_alone_is_a_duplicate(fixture: Fixture) {
    let registry = format!(
        "{REGISTRY}\n[[processor]]\nid = \"nightly-backup\"\nkind = \"backup\"\ntransport = {{ type = \"kafka\" }}\n\
         actions = [\"erase\"]\nidentities = [\"email\"]\n\
         backup = {{ sources = [\"telecom\"], set = \"nightly\", keep = \"35d\", confirm_by = \"event\" }}\n"
    );
    let world = World::with_registry(fixture, &registry).await;
    let engine = world.worker().await;
    let event = |more: Value| {
        let mut event = json!({ "type": "backup.taken", "processor": "nightly-backup", "set": "nightly", "taken_at": start() });
        for (name, value) in more.as_object().unwrap() {
            event[name] = value.clone();
        }
        event
    };
    let old = "018f6f2e-7c1a-7b3e-9a44-000000000007";
    let arrival = backup_from(&engine, &event(json!({ "event_id": old })));
    engine.backup_events().record_backups(&[arrival]).await.unwrap();
    let with_source = |source: &'static str, text: &Value| {
        let text = text.to_string();
        let mut envelope = Envelope::bare(&engine.tenant_default);
        envelope.ce_id = Some(old.into());
        envelope.ce_source = Some(source.into());
        Arrival {
            origin: None,
            reading: None,
            content: engine.backup_events().prepare_backup(text.as_bytes(), &envelope),
            raw: Zeroizing::new(text.into_bytes()),
            headers: KeptHeaders::default(),
        }
    };
    let told = async |arrival| {
        engine
            .backup_events()
            .record_backups(&[arrival])
            .await
            .unwrap()
            .0
            .remove(0)
    };
    use lacuna::engine::facts::FactOutcome;
    assert_eq!(
        told(with_source("/vault", &event(json!({})))).await,
        FactOutcome::Duplicate
    );
    let other = event(json!({ "taken_at": At::parse("2026-11-20T00:00:00Z").unwrap() }));
    assert!(matches!(
        told(with_source("/tapes", &other)).await,
        FactOutcome::Taken { .. }
    ));
    assert!(matches!(
        told(with_source("/disks", &other)).await,
        FactOutcome::Taken { .. }
    ));
    assert_eq!(told(with_source("/disks", &other)).await, FactOutcome::Duplicate);
}
