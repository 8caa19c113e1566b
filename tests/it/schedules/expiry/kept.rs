//! What stays although it is old enough: a hold is on it, or a restore may need it.

use lacuna::{
    domain::words::Status,
    engine::{Engine, intake::Verdict},
    store::Line,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{DAY, finish, found, until};
use crate::{
    schedules::world::{CANARY, REGISTRY, Sent, World, answer, backup_from, control_from, erase, id},
    store::fixture::Fixture,
};

on_both_stores!(
    what_is_held_stays_until_it_is_released,
    what_is_held_is_looked_at_once_a_day_whatever_its_months,
    what_a_restore_could_need_stays,
    a_restore_that_no_sweep_has_brought_yet_counts,
    one_that_was_opened_again_waits_for_its_next_end,
);

fn hold(n: u128) -> Value {
    json!({ "command_id": Uuid::from_u128(0xbad0 + n), "type": "hold", "tenant": "acme", "hold_id": Uuid::from_u128(0xf00d + n),
            "basis": "legal_claims", "actor": "dpo",
            "subject": { "identities": [{ "type": "email", "value": format!("{CANARY}-{n}@example.org") }] } })
}

/// Takes a command in from the control topic.
async fn control(world: &World, engine: &Engine, command: &Value) {
    let arrival = control_from(engine, world.origin("control"), command);
    let taken = engine.intake().take_in(&[arrival]).await.unwrap();
    assert!(
        matches!(taken.verdicts[..], [Verdict::Taken(_)]),
        "{:?}",
        taken.verdicts
    );
}

async fn what_is_held_stays_until_it_is_released(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    finish(&world, &engine, 1).await;
    control(&world, &engine, &hold(1)).await;
    world.clock.advance(3 * 366 * DAY);
    for _ in 0..3 {
        assert!(world.expire(&engine).await.is_empty());
        assert_eq!(
            found(&world, 1).await,
            [id(1)],
            "what comes next of the same person is held too"
        );
        world.clock.advance(2 * DAY);
    }
    let release = json!({ "command_id": Uuid::from_u128(0xbeef), "type": "release", "tenant": "acme",
                          "hold_id": Uuid::from_u128(0xf00d + 1), "actor": "dpo" });
    control(&world, &engine, &release).await;
    world.clock.advance(2 * DAY);
    let gone = Sent::of(&world.expire(&engine).await);
    assert_eq!(gone.tombstones, [id(1).to_string()]);
    world.check().await;
}

/// A month after the end of January is the end of February, and three days less than one after that.
async fn what_is_held_is_looked_at_once_a_day_whatever_its_months(fixture: Fixture) {
    let mut world = World::new(fixture).await;
    world.settings.keeps.records = lacuna::domain::calendar::Period::parse("1mo").unwrap();
    let engine = world.worker().await;
    finish(&world, &engine, 1).await;
    control(&world, &engine, &hold(1)).await;
    world.clock.advance(until(&world, "2027-02-25T00:00:00Z"));
    for _ in 0..10 {
        // It ends, or the line would hold it up.
        assert!(world.expire(&engine).await.is_empty());
        world.clock.advance(DAY);
    }
    assert_eq!(world.line(Line::Lookups).await, [id(1)]);
    world.check().await;
}

/// With a backup set that `crm` is a source of.
fn with_backups() -> String {
    format!(
        "{REGISTRY}\n[[processor]]\nid = \"nightly\"\nkind = \"backup\"\ntransport = {{ type = \"kafka\" }}\n\
         actions = [\"erase\"]\nidentities = [\"customer_id\"]\n\
         backup = {{ sources = [\"crm\"], set = \"nightly\", keep = \"35d\", confirm_by = \"schedule\" }}\n"
    )
}

/// Everything of a request is done, and its copies are old enough.
async fn grow_old(world: &World, engine: &Engine, n: u128) {
    let (_, opened) = world.take_in(engine, &erase(n)).await;
    world
        .settle(engine, &answer(opened.task("stats"), "erased"))
        .await;
    let (_, sent) = world.settle(engine, &answer(opened.task("crm"), "erased")).await;
    world.settle(engine, &answer(sent.task("mail"), "erased")).await;
    let sent = world.pass(engine, 36 * DAY).await;
    assert_eq!(sent.status()["status"], "completed");
    assert!(world.request(n).await.bookkeeping.capsule.is_some());
}

async fn what_a_restore_could_need_stays(fixture: Fixture) {
    let mut world = World::with_registry(fixture, &with_backups()).await;
    // Shorter than the week of the capsule is kept.
    world.settings.keeps.records = lacuna::domain::calendar::Period::days(1);
    let engine = world.worker().await;
    grow_old(&world, &engine, 1).await;
    world.clock.advance(DAY);
    assert!(world.expire(&engine).await.is_empty());
    assert!(world.stored(1).await.is_some());
    world.check().await;
    world.clock.advance(45 * DAY);
    engine
        .retention()
        .forget_old_capsules(world.clock.now())
        .await
        .unwrap();
    let gone = Sent::of(&world.expire(&engine).await);
    assert_eq!(gone.tombstones, [id(1).to_string()]);
    world.check().await;
}

async fn a_restore_that_no_sweep_has_brought_yet_counts(fixture: Fixture) {
    let world = World::with_registry(fixture, &with_backups()).await;
    let engine = world.worker().await;
    grow_old(&world, &engine, 1).await;
    let done_at = world.request(1).await.head.received_at;
    // Its capsule is forgotten, so nothing but the restore speaks for it.
    world.clock.advance(3 * 366 * DAY);
    engine
        .retention()
        .forget_old_capsules(world.clock.now())
        .await
        .unwrap();
    let event = json!({ "event_id": Uuid::from_u128(0xcafe), "type": "backup.restored", "processor": "nightly",
                        "set": "nightly", "taken_at": done_at, "restored_into": ["crm"], "at": world.clock.now() });
    let arrival = backup_from(&engine, &event);
    engine.backup_events().record_backups(&[arrival]).await.unwrap();
    let sent = world.expire(&engine).await;
    assert!(sent.tombstones.gone.is_empty());
    let request = world.request(1).await;
    assert_eq!(
        request.life.status,
        Status::InProgress,
        "it is open again, before any sweep"
    );
    assert!(request.life.needs_attention);
    assert_eq!(Sent::of(&sent).status()["status"], "in_progress");
}

async fn one_that_was_opened_again_waits_for_its_next_end(fixture: Fixture) {
    let mut world = World::with_registry(fixture, &with_backups()).await;
    world.settings.keeps.records = lacuna::domain::calendar::Period::days(60);
    let engine = world.worker().await;
    grow_old(&world, &engine, 1).await;
    world.clock.advance(DAY);
    let event = json!({ "event_id": Uuid::from_u128(0xcafe), "type": "backup.restored", "processor": "nightly",
                        "set": "nightly", "taken_at": world.request(1).await.head.received_at,
                        "restored_into": ["crm"], "at": world.clock.now() });
    engine
        .backup_events()
        .record_backups(&[backup_from(&engine, &event)])
        .await
        .unwrap();
    let swept = engine.fact_sweeps().sweep().await.unwrap();
    let sent = Sent::of(&swept.emission);
    world.clock.advance(50 * DAY);
    let (_, _) = world.settle(&engine, &answer(sent.task("crm"), "erased")).await;
    world.pass(&engine, 36 * DAY).await;
    let request = world.request(1).await;
    assert_eq!(request.life.status, Status::Completed);
    world.check().await;
    // The end before is long ago, and does not count.
    assert!(world.expire(&engine).await.is_empty());
    assert!(world.stored(1).await.is_some());
    world.clock.advance(120 * DAY);
    engine
        .retention()
        .forget_old_capsules(world.clock.now())
        .await
        .unwrap();
    let gone = Sent::of(&world.expire(&engine).await);
    assert_eq!(gone.tombstones, [id(1).to_string()]);
    world.check().await;
}
