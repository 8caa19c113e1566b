//! The database's clock and this machine's disagree: nothing is decided by either, on any stage, and all goes on by itself
//! once they agree.

use std::sync::{Arc, atomic::Ordering};

use lacuna::{
    clock::{Clock, ManualClock},
    delivery::republish::republish,
    domain::time::At,
    engine::{Engine, EngineError, clock_guard::Mistrust},
    store::{Gate, Line, Seen, Store},
    telemetry::metrics::Metrics,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    control::control,
    faulty::Faulty,
    world::{
        ACKS, COMMANDS, REGISTRY, Sent, World, ack_from, answer, backup_from, command_from, control_from,
        erase, id,
    },
};
use crate::store::fixture::Fixture;

on_both_stores!(
    a_worker_whose_clock_is_off_has_no_time_to_decide_by,
    clock_off_decides_nothing_until_clocks_agree,
    clock_forty_days_behind_completes_nothing,
    clock_forty_days_ahead_sends_and_destroys_nothing,
);

const DAY: i64 = 24 * 3_600_000;

const BACKED_UP: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
[[processor]]
id = "nightly"
kind = "backup"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]
backup = { sources = ["crm"], set = "nightly", keep = "35d", confirm_by = "event" }
"#;

/// The same, and its schedule is the proof.
fn by_schedule() -> String {
    BACKED_UP.replace("\"event\"", "\"schedule\"")
}

/// A worker with the machine's clock, over a database whose clock can be put wrong.
async fn machine(world: &World) -> (Arc<Engine>, Arc<Faulty>) {
    let store = Faulty::over(&world.fixture.store);
    let engine = worker(world, Arc::clone(&store) as _, Clock::System).await;
    (engine, store)
}

async fn worker(world: &World, store: Arc<dyn Store>, clock: Clock) -> Arc<Engine> {
    let metrics = Arc::new(Metrics::new().unwrap());
    let engine = Engine::new(
        store,
        world.vault.clone(),
        clock,
        metrics,
        world.settings.clone(),
        7,
    );
    engine.load_registry().await.unwrap();
    engine.set_ack_partitions(1);
    Arc::new(engine)
}

/// A worker whose clock is right, so much later than the machine's.
async fn healthy(world: &World, later: i64) -> Arc<Engine> {
    let now = At::from_millis(Clock::System.now().millis() + later);
    let clock = Clock::Manual(ManualClock::starting_at(now));
    worker(world, Arc::clone(&world.fixture.store), clock).await
}

fn is_mistrusted<T: std::fmt::Debug>(what: &str, done: Result<T, EngineError>) {
    match done {
        Err(error @ EngineError::Clock(_)) => assert!(error.is_outage(), "{what}: it is waited for"),
        other => panic!("{what} was decided: {other:?}"),
    }
}

/// Everything that the store can show of decisions.
async fn decided(world: &World) -> String {
    let store = &world.fixture.store;
    let mut tx = store.begin("test").await.unwrap();
    let facts = tx.gate(Gate::Shared).await.unwrap().facts.number;
    tx.commit().await.unwrap();
    let mut states = Vec::new();
    for stored in store.page(None, 100).await.unwrap() {
        states.push((
            stored.request.id,
            stored.request.revision,
            stored.wrapped_key.is_some(),
        ));
    }
    let letters = store.open_dead_letters().await.unwrap();
    let positions = store.positions("test").await.unwrap();
    let sweeps = store.sweeps(true, 10).await.unwrap();
    let epochs = store.capsule_epochs().await.unwrap();
    format!("{facts} {states:?} {letters:?} {positions:?} {sweeps:?} {epochs:?}")
}

async fn a_worker_whose_clock_is_off_has_no_time_to_decide_by(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (engine, store) = machine(&world).await;
    for (ahead, is_believed) in [
        (0, true),
        (50_000, true),
        (70_000, false),
        (-70_000, false),
        (0, true),
    ] {
        store.faults.ahead.store(ahead, Ordering::SeqCst);
        match engine.trusted_now().await {
            Ok(now) => {
                assert!(is_believed, "{ahead}");
                let off = now.millis() - engine.clock.now().millis() - ahead;
                assert!(off.abs() < 10_000, "the database's time counts: {off}");
            }
            Err(EngineError::Clock(Mistrust::Drift { .. })) => assert!(!is_believed, "{ahead}"),
            Err(other) => panic!("{ahead}: {other}"),
        }
    }
}

async fn clock_off_decides_nothing_until_clocks_agree(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (engine, store) = machine(&world).await;
    let first = [
        world.command(&engine, &erase(1)),
        world.command(&engine, &erase(2)),
    ];
    let opened = Sent::of(&engine.intake().take_in(&first).await.unwrap().emission);
    let hold = json!({"type": "hold", "hold_id": Uuid::from_u128(7), "basis": "legal_claims",
        "request_id": Uuid::from_u128(2)});
    let held = control_from(&engine, world.origin("control"), &control(1, hold));
    engine.intake().take_in(&[held]).await.unwrap();
    let before = decided(&world).await;

    let command = [world.command(&engine, &erase(3))];
    let over_http = [command_from(&engine, None, &erase(4).to_string())];
    let release = json!({"type": "release", "hold_id": Uuid::from_u128(7)});
    let fact = [control_from(
        &engine,
        world.origin("control"),
        &control(2, release),
    )];
    let acks: Vec<_> = opened
        .tasks
        .iter()
        .filter(|task| task["request_id"] == id(1).to_string())
        .map(|task| world.ack(&engine, &answer(task, "erased")))
        .collect();
    let event = [backup_from(
        &engine,
        &json!({"event_id": Uuid::from_u128(9), "type": "backup.taken",
        "processor": "nightly", "set": "nightly", "taken_at": "2026-11-21T00:00:00Z"}),
    )];
    let later = At::from_millis(Clock::System.now().millis() + 4_000 * DAY);
    for ahead in [40 * DAY, -40 * DAY, 61_500] {
        store.faults.ahead.store(ahead, Ordering::SeqCst);
        is_mistrusted("a command", engine.intake().take_in(&command).await.map(drop));
        is_mistrusted("a call", engine.intake().take_in(&over_http).await.map(drop));
        is_mistrusted("a release", engine.intake().take_in(&fact).await.map(drop));
        is_mistrusted("acks", engine.settlement().settle(&acks).await.map(drop));
        is_mistrusted(
            "a backup event",
            engine.backup_events().record_backups(&event).await.map(drop),
        );
        is_mistrusted("a sweep", engine.fact_sweeps().sweep().await.map(drop));
        is_mistrusted("a wake-up", engine.agenda().wake_due(later).await.map(drop));
        is_mistrusted(
            "the early",
            engine.retention().expire_early(later).await.map(drop),
        );
        for line in [Line::Lookups, Line::Records] {
            is_mistrusted(
                "a deletion",
                engine.retention().expire(line, later).await.map(drop),
            );
        }
        is_mistrusted("a replay", republish(&engine, &[id(1)], &[]).await.map(drop));
        is_mistrusted(
            "a registry",
            engine.apply_registry(&other_registry()).await.map(drop),
        );
        for decided in [
            engine
                .operations()
                .cancel_request(id(1), "dpo", None)
                .await
                .map(drop),
            engine
                .operations()
                .approve_all(&[id(1)], "dpo", None)
                .await
                .map(drop),
        ] {
            match decided {
                Err(lacuna::engine::OperateError::Engine(error)) => {
                    is_mistrusted::<()>("a decision", Err(error))
                }
                other => panic!("{other:?}"),
            }
        }
        // How far acks have been read by a clock that only imagines it would find answers missing.
        engine.seen(&[seen(later)]).await.unwrap();
        assert_eq!(decided(&world).await, before, "{ahead}");
    }

    store.faults.ahead.store(0, Ordering::SeqCst);
    engine.seen(&[seen(later)]).await.unwrap();
    assert_eq!(
        decided(&world).await,
        before,
        "measured while the clock was wrong"
    );
    engine.intake().take_in(&command).await.unwrap();
    engine.intake().take_in(&over_http).await.unwrap();
    engine.intake().take_in(&fact).await.unwrap();
    engine.settlement().settle(&acks).await.unwrap();
    while engine.fact_sweeps().sweep().await.unwrap().busy {}
    assert!(world.fixture.store.sweeps(true, 10).await.unwrap().is_empty());
    assert!(world.stored(3).await.is_some() && world.stored(4).await.is_some());
    assert_eq!(world.request(1).await.counts().done, 2);
    assert!(world.fixture.store.open_dead_letters().await.unwrap().is_empty());
    assert!(
        world
            .fixture
            .store
            .positions("test")
            .await
            .unwrap()
            .iter()
            .any(|p| p.topic == COMMANDS)
    );
}

fn other_registry() -> lacuna::domain::registry::Registry {
    let text = REGISTRY.replace("\"1h\"", "\"2h\"");
    lacuna::config::registry_file::read_text("processors.toml", &text).unwrap()
}

fn seen(at: At) -> Seen {
    Seen {
        cluster: Arc::from("test"),
        topic: Arc::from(ACKS),
        partition: 0,
        next: 0,
        at,
    }
}

async fn take(engine: &Engine, world: &World, command: &Value) -> Sent {
    Sent::of(
        &engine
            .intake()
            .take_in(&[world.command(engine, command)])
            .await
            .unwrap()
            .emission,
    )
}

async fn clock_forty_days_behind_completes_nothing(fixture: Fixture) {
    let world = World::with_registry(fixture, BACKED_UP).await;
    // What time it really is, the database knows; the machine believes that it is forty days earlier.
    let right = healthy(&world, 40 * DAY).await;
    let (behind, store) = machine(&world).await;
    store.faults.ahead.store(40 * DAY, Ordering::SeqCst);
    let opened = take(&right, &world, &erase(1)).await;
    let confirmed = answer(opened.task("crm"), "erased");
    let ack = [ack_from(&behind, Some(world.origin(ACKS)), &confirmed)];
    is_mistrusted("a confirmation", behind.settlement().settle(&ack).await.map(drop));

    // Last night's copy has the person; the oldest one is five weeks old.
    let rotated = |n: u128, days: i64| {
        let oldest = At::from_millis(right.clock.now().millis() + days * DAY);
        backup_from(
            &right,
            &json!({"event_id": Uuid::from_u128(n), "type": "backup.rotated", "processor": "nightly",
            "set": "nightly", "oldest_retained_at": oldest.to_string()}),
        )
    };
    right
        .backup_events()
        .record_backups(&[rotated(1, -35)])
        .await
        .unwrap();
    while right.fact_sweeps().sweep().await.unwrap().busy {}
    let request = world.request(1).await;
    assert_eq!((request.counts().done, request.life.completed_at), (0, None));

    // The clocks agree again: the machine's is set right.
    let settled = right
        .settlement()
        .settle(&[ack_from(&right, Some(world.origin(ACKS)), &confirmed)])
        .await
        .unwrap();
    assert_eq!(Sent::of(&settled.emission).status()["status"], "deferred");
    right
        .backup_events()
        .record_backups(&[rotated(2, -34)])
        .await
        .unwrap();
    while right.fact_sweeps().sweep().await.unwrap().busy {}
    assert_eq!(world.request(1).await.life.completed_at, None);
}

async fn clock_forty_days_ahead_sends_and_destroys_nothing(fixture: Fixture) {
    let world = World::with_registry(fixture, &by_schedule()).await;
    let right = healthy(&world, -60 * DAY).await;
    let opened = take(&right, &world, &erase(1)).await;
    let confirmed = answer(opened.task("crm"), "erased");
    right
        .settlement()
        .settle(&[ack_from(&right, Some(world.origin(ACKS)), &confirmed)])
        .await
        .unwrap();
    let not_before = At::from_millis(right.clock.now().millis() + 10 * DAY);
    let mut later = erase(2);
    later["not_before"] = json!(not_before.to_string());
    assert!(take(&right, &world, &later).await.tasks.is_empty());
    let epochs = world.fixture.store.capsule_epochs().await.unwrap();
    assert_eq!(epochs.len(), 1, "what a restore would need is kept");
    let before = decided(&world).await;

    // Sixty days ahead of the database: by its own clock all of it is due.
    let (ahead, store) = machine(&world).await;
    store.faults.ahead.store(-60 * DAY, Ordering::SeqCst);
    let raw = ahead.clock.now();
    is_mistrusted("a wake-up", ahead.agenda().wake_due(raw).await.map(drop));
    is_mistrusted("the forgetting", ahead.retention().forget_old_capsules(raw).await);
    assert_eq!(decided(&world).await, before);
    // Where the clocks agree that so much time has passed, it is due.
    store.faults.ahead.store(0, Ordering::SeqCst);
    let sent = Sent::of(
        &ahead
            .agenda()
            .wake_due(ahead.trusted_now().await.unwrap())
            .await
            .unwrap()
            .emission,
    );
    assert_eq!(sent.task("crm")["request_id"], id(2).to_string());
    ahead
        .retention()
        .forget_old_capsules(ahead.trusted_now().await.unwrap())
        .await
        .unwrap();
    assert!(world.fixture.store.capsule_epochs().await.unwrap().is_empty());
}
