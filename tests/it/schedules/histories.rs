//! A failover that lost commits, or a backup of the store that was put back: facts and revisions that a worker has learned are
//! gone, and their numbers are given away again.

use std::sync::Arc;

use lacuna::{engine::Engine, store::Head};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    control::{control, tell},
    world::{REGISTRY, World, erase},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    replaced_hold_under_a_lost_number_is_seen,
    replaced_hold_is_seen_behind_later_facts,
    a_hold_that_the_store_has_lost_holds_nothing,
    what_only_shows_facts_does_not_show_lost_ones,
    replaced_registry_revision_is_planned_by,
    a_worker_that_learns_fact_after_fact_raises_no_alarm,
    what_a_version_before_left_unchained_raises_no_alarm,
);

/// Nothing of this processor goes out.
fn hold_on(n: u128, processor: &str) -> Value {
    control(
        n,
        json!({"type": "hold", "hold_id": Uuid::from_u128(n), "basis": "legal_claims", "processor": processor}),
    )
}

/// The failover: what was committed last is gone.
async fn lose_facts_after(world: &World, version: u32) {
    for table in ["sweep", "fact"] {
        world
            .fixture
            .execute(&format!("delete from {table} where version > {version}"))
            .await;
    }
    world.fixture.execute("delete from inbox").await;
}

async fn alarms(engine: &Engine, of: &str) -> u64 {
    engine.metrics.lost_history.with_label_values(&[of]).get()
}

/// Two workers: one that has learned the first hold, and one that comes after the failover.
async fn after_a_failover(world: &World) -> (Arc<Engine>, Arc<Engine>) {
    let knows = world.worker().await;
    tell(world, &knows, &hold_on(1, "crm")).await;
    let (_, sent) = world.take_in(&knows, &erase(1)).await;
    assert_eq!(sent.asked(), ["stats"]);
    lose_facts_after(world, 1).await;
    (knows, world.worker().await)
}

async fn replaced_hold_under_a_lost_number_is_seen(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (knows, other) = after_a_failover(&world).await;
    tell(&world, &other, &hold_on(2, "stats")).await;
    other.refresh_facts().await.unwrap();
    assert_eq!(
        knows.facts().version(),
        other.facts().version(),
        "the numbers are the same"
    );
    let (_, sent) = world.take_in(&knows, &erase(2)).await;
    assert_eq!(
        sent.asked(),
        ["crm"],
        "the hold that there is, and not the one that was lost"
    );
    assert_eq!(alarms(&knows, "facts").await, 1);
    assert_eq!(
        alarms(&other, "facts").await,
        0,
        "it has learned nothing that is not so"
    );
}

async fn replaced_hold_is_seen_behind_later_facts(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (knows, other) = after_a_failover(&world).await;
    tell(&world, &other, &hold_on(2, "stats")).await;
    tell(&world, &other, &hold_on(3, "mail")).await;
    let (_, sent) = world.take_in(&knows, &erase(2)).await;
    assert_eq!(sent.asked(), ["crm"]);
    assert_eq!(alarms(&knows, "facts").await, 1);
    let (_, sent) = world.take_in(&knows, &erase(3)).await;
    assert_eq!(sent.asked(), ["crm"]);
    assert_eq!(alarms(&knows, "facts").await, 1, "said once");
}

async fn a_hold_that_the_store_has_lost_holds_nothing(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (knows, _) = after_a_failover(&world).await;
    let (_, sent) = world.take_in(&knows, &erase(2)).await;
    assert_eq!(sent.asked(), ["crm", "stats"]);
    assert_eq!(alarms(&knows, "facts").await, 1);
    // Whoever placed it places it again.
    tell(&world, &knows, &hold_on(1, "crm")).await;
    let (_, sent) = world.take_in(&knows, &erase(3)).await;
    assert_eq!(sent.asked(), ["stats"]);
}

async fn what_only_shows_facts_does_not_show_lost_ones(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (knows, other) = after_a_failover(&world).await;
    let held = |engine: &Engine, processor: &str| {
        let facts = engine.facts();
        facts
            .holds()
            .iter()
            .any(|hold| hold.processor.as_ref().is_some_and(|id| id.as_str() == processor))
    };
    assert!(held(&knows, "crm"));
    knows.refresh_facts().await.unwrap();
    assert!(!held(&knows, "crm"));
    assert_eq!(alarms(&knows, "facts").await, 1, "whoever notices first says so");
    tell(&world, &other, &hold_on(2, "stats")).await;
    knows.refresh_facts().await.unwrap();
    assert!(held(&knows, "stats"));
}

async fn replaced_registry_revision_is_planned_by(fixture: Fixture) {
    let world = World::new(fixture).await;
    let without = |processor: &str| {
        let parts = REGISTRY.split("[[processor]]").skip(1);
        parts
            .filter(|part| !part.contains(&format!("id = \"{processor}\"")))
            .map(|part| format!("[[processor]]{part}"))
            .collect::<String>()
    };
    let knows = world.worker().await;
    world.apply(&without("mail")).await;
    let (_, sent) = world.take_in(&knows, &erase(1)).await;
    assert_eq!(sent.asked(), ["crm", "stats"]);
    lose_facts_after(&world, 1).await;
    world
        .fixture
        .execute("delete from registry where revision > 1")
        .await;
    world.apply(&without("stats")).await;
    assert_eq!(knows.active().unwrap().revision, 2);
    let (_, sent) = world.take_in(&knows, &erase(2)).await;
    assert_eq!(sent.asked(), ["crm"]);
    assert_eq!(
        world.request(2).await.tasks.len(),
        2,
        "by the revision that there is"
    );
    assert_eq!(alarms(&knows, "registry").await, 1);
    // Lost altogether: nothing is planned by what nobody can look up.
    lose_facts_after(&world, 0).await;
    world.fixture.execute("delete from registry").await;
    let none = knows
        .intake()
        .take_in(&[world.command(&knows, &erase(3))])
        .await
        .unwrap_err();
    assert!(none.is_outage(), "{none}");
    world.apply(REGISTRY).await;
    world.take_in(&knows, &erase(3)).await;
}

async fn a_worker_that_learns_fact_after_fact_raises_no_alarm(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (one, other) = (world.worker().await, world.worker().await);
    for n in 1..=6 {
        let (tells, hears) = if n % 2 == 0 {
            (&one, &other)
        } else {
            (&other, &one)
        };
        tell(&world, tells, &hold_on(n, "mail")).await;
        hears.refresh_facts().await.unwrap();
        world.take_in(hears, &erase(n)).await;
        assert_eq!(hears.facts().version() - 1, u32::try_from(n).unwrap());
    }
    world.apply(&REGISTRY.replace("\"1h\"", "\"2h\"")).await;
    for engine in [&one, &other] {
        engine.load_registry().await.unwrap();
        engine.fact_sweeps().sweep().await.unwrap();
        for of in ["facts", "registry"] {
            assert_eq!(alarms(engine, of).await, 0, "{of}");
        }
    }
    let mut tx = world.fixture.store.begin("test").await.unwrap();
    let passed = tx.gate(lacuna::store::Gate::Shared).await.unwrap();
    assert_ne!(passed.registry, Head::default());
}

/// After an upgrade, and while workers of the version before go on beside new ones.
async fn what_a_version_before_left_unchained_raises_no_alarm(fixture: Fixture) {
    let world = World::new(fixture).await;
    let writes = world.worker().await;
    for n in 1..=3 {
        tell(&world, &writes, &hold_on(n, "mail")).await;
        for table in ["fact", "registry"] {
            world
                .fixture
                .execute(&format!("update {table} set chain = null"))
                .await;
        }
        let comes = world.worker().await;
        comes.refresh_facts().await.unwrap();
        world.take_in(&comes, &erase(n)).await;
        world.take_in(&writes, &erase(n + 10)).await;
        for (engine, of) in [
            (&comes, "facts"),
            (&comes, "registry"),
            (&writes, "facts"),
            (&writes, "registry"),
        ] {
            assert_eq!(alarms(engine, of).await, 0, "{of}");
        }
    }
}
