//! Who may tell what of backups, and that a flood of their events keeps nobody waiting.

use lacuna::{
    engine::{Engine, facts::FactOutcome, prepare::Arrival, prepare::PreparedBackup},
    wire::{KeptHeaders, envelope::Envelope},
};
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::world::{REGISTRY, Sent, World};
use crate::store::fixture::Fixture;

on_both_stores!(
    backup_event_without_its_token_is_forged,
    without_auth_an_event_needs_no_token_and_a_bad_one_is_forged,
    restore_into_foreign_system_is_refused_on_topic,
    a_flood_of_events_takes_few_transactions,
    an_event_of_a_batch_is_judged_by_those_before_it,
);

const BACKUPS: &str = "backups";

fn registry() -> String {
    let set = |id: &str, source: &str| {
        format!(
            "\n[[processor]]\nid = \"{id}\"\nkind = \"backup\"\ntransport = {{ type = \"kafka\" }}\nactions = [\"erase\"]\n\
             identities = [\"customer_id\"]\n\
             backup = {{ sources = [\"{source}\"], set = \"{id}\", keep = \"35d\", confirm_by = \"event\" }}\n"
        )
    };
    format!("{REGISTRY}{}{}", set("nightly", "crm"), set("weekly", "stats"))
}

async fn world(fixture: Fixture, tokens: bool) -> World {
    let mut world = World::with_registry(fixture, &registry()).await;
    world.settings.backup_tokens = tokens;
    world
}

fn event(n: u128, with: Value) -> Value {
    let mut event = json!({ "event_id": Uuid::from_u128(0xb000 + n), "type": "backup.taken", "processor": "nightly",
        "set": "nightly", "taken_at": "2026-11-20T02:00:00Z" });
    for (name, value) in with.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

fn from_topic(world: &World, engine: &Engine, event: &Value) -> Arrival<PreparedBackup> {
    let text = event.to_string();
    Arrival {
        origin: Some(world.origin(BACKUPS)),
        content: engine
            .backup_events()
            .prepare_backup(text.as_bytes(), &Envelope::bare(&engine.tenant_default)),
        raw: Zeroizing::new(text.into_bytes()),
        headers: KeptHeaders::default(),
        reading: None,
    }
}

/// Tells one, and gives what became of it, with the reason of its dead letter.
async fn tell(world: &World, engine: &Engine, event: &Value) -> String {
    let (told, emission) = engine
        .backup_events()
        .record_backups(&[from_topic(world, engine, event)])
        .await
        .unwrap();
    let sent = Sent::of(&emission);
    match &told[0] {
        FactOutcome::Taken { .. } => "taken".to_owned(),
        FactOutcome::Duplicate => "duplicate".to_owned(),
        FactOutcome::Rejected(refusal) => {
            assert_eq!(sent.reasons(), [refusal.reason.as_str()]);
            refusal.reason.to_string()
        }
    }
}

async fn backup_event_without_its_token_is_forged(fixture: Fixture) {
    let world = world(fixture, true).await;
    let engine = world.worker().await;
    let of = |id: &str| {
        let id = lacuna::domain::ids::ProcessorId::new(id).unwrap();
        world.vault.backup_token(&id).as_str().to_owned()
    };
    for (n, token) in [
        (1, None),
        (2, Some(String::new())),
        (3, Some(of("weekly"))),
        (4, Some("x".repeat(32))),
    ] {
        let mut forged = event(n, json!({}));
        if let Some(token) = token {
            forged["token"] = json!(token);
        }
        assert_eq!(tell(&world, &engine, &forged).await, "forged_ack", "{n}");
    }
    assert_eq!(
        engine.refresh_facts().await.unwrap().version(),
        1,
        "the registry alone"
    );
    let own = event(5, json!({ "token": of("nightly") }));
    assert_eq!(tell(&world, &engine, &own).await, "taken");
    assert_eq!(tell(&world, &engine, &own).await, "duplicate");
}

async fn without_auth_an_event_needs_no_token_and_a_bad_one_is_forged(fixture: Fixture) {
    let world = world(fixture, false).await;
    let engine = world.worker().await;
    assert_eq!(tell(&world, &engine, &event(1, json!({}))).await, "taken");
    let forged = event(2, json!({ "token": "guessed" }));
    assert_eq!(tell(&world, &engine, &forged).await, "forged_ack");
}

async fn restore_into_foreign_system_is_refused_on_topic(fixture: Fixture) {
    let world = world(fixture, false).await;
    let engine = world.worker().await;
    let into = |n, into: Value| event(n, json!({ "type": "backup.restored", "restored_into": into }));
    for (n, names) in [
        (1, json!(["stats"])),
        (2, json!(["crm", "mail"])),
        (3, json!(["nobody"])),
    ] {
        assert_eq!(tell(&world, &engine, &into(n, names)).await, "not_allowed");
    }
    assert_eq!(tell(&world, &engine, &into(4, json!(["crm"]))).await, "taken");
    // An operator may know more than the set does.
    let mut by_operator = from_topic(&world, &engine, &into(5, json!(["stats"])));
    by_operator.origin = None;
    by_operator.content.as_mut().unwrap().by_operator = true;
    let (told, _) = engine
        .backup_events()
        .record_backups(&[by_operator])
        .await
        .unwrap();
    assert_eq!(told, [FactOutcome::Taken { contradiction: None }]);
}

async fn a_flood_of_events_takes_few_transactions(fixture: Fixture) {
    let world = world(fixture, false).await;
    let engine = world.worker().await;
    let flood: Vec<_> = (0..400)
        .map(|n| from_topic(&world, &engine, &event(n % 300, json!({}))))
        .collect();
    let (told, _) = engine.backup_events().record_backups(&flood).await.unwrap();
    let taken = |told: &&FactOutcome| matches!(told, FactOutcome::Taken { .. });
    assert_eq!(told.iter().filter(taken).count(), 300);
    assert_eq!(
        told.iter()
            .filter(|told| **told == FactOutcome::Duplicate)
            .count(),
        100
    );
    let metrics = engine.metrics.text().unwrap();
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("lacuna_store_transaction_seconds_count{name=\"fact\"} "));
    let transactions: u32 = line.unwrap().parse().unwrap();
    assert!(transactions <= 10, "each stands at the gate once: {transactions}");
    let position = &world.fixture.store.positions("test").await.unwrap()[0];
    assert_eq!(position.next_offset, 400);
}

async fn an_event_of_a_batch_is_judged_by_those_before_it(fixture: Fixture) {
    let world = world(fixture, false).await;
    let engine = world.worker().await;
    let rotated = |n, oldest: &str| {
        event(
            n,
            json!({ "type": "backup.rotated", "oldest_retained_at": oldest }),
        )
    };
    let batch = [
        event(1, json!({ "lock_until": "2026-12-24T00:00:00Z" })),
        rotated(2, "2026-11-20T12:00:00Z"),
        rotated(3, "2026-11-18T12:00:00Z"),
    ]
    .map(|event| from_topic(&world, &engine, &event));
    let (told, _) = engine.backup_events().record_backups(&batch).await.unwrap();
    let contradictions: Vec<String> = told
        .iter()
        .map(|told| match told {
            FactOutcome::Taken { contradiction } => format!("{contradiction:?}"),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(contradictions, ["None", "Some(Locked)", "Some(Backwards)"]);
}
