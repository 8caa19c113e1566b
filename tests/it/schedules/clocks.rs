//! The database's clock and this machine's disagree: nothing is woken by either.

use std::sync::{Arc, atomic::Ordering};

use lacuna::{
    clock::Clock,
    engine::{
        Engine,
        watch::{Mistrust, Watch},
    },
    telemetry::metrics::Metrics,
};

use super::{faulty::Faulty, world::World};
use crate::store::fixture::Fixture;

on_both_stores!(a_worker_whose_clock_is_off_wakes_nothing);

async fn a_worker_whose_clock_is_off_wakes_nothing(fixture: Fixture) {
    let world = World::new(fixture).await;
    let store = Faulty::over(&world.fixture.store);
    let metrics = Arc::new(Metrics::new().unwrap());
    let engine = Engine::new(
        Arc::clone(&store) as _,
        world.vault.clone(),
        Clock::System,
        metrics,
        world.settings.clone(),
        0,
    );
    let mut watch = Watch::new(engine.clock.now());
    for (ahead, is_believed) in [
        (0, true),
        (50_000, true),
        (70_000, false),
        (-70_000, false),
        (0, true),
    ] {
        store.faults.ahead.store(ahead, Ordering::SeqCst);
        let now = engine.trusted_now(&mut watch).await;
        match now {
            Ok(now) => {
                assert!(is_believed, "{ahead}");
                let off = now.millis() - engine.clock.now().millis() - ahead;
                assert!(off.abs() < 10_000, "the database's time counts: {off}");
            }
            Err(why) => assert!(!is_believed && matches!(why, Mistrust::Drift), "{ahead}: {why}"),
        }
    }
}
