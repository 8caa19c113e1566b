//! The gauges' turn: what `/metrics` shows of the store is read here, so that nobody who asks for it makes the store work.
//!
//! Each group is read by itself. One whose query is slow or fails grows old, says so, and holds up no other.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Stopwatch,
    engine::Engine,
    telemetry::{freshness::GaugeGroup, logs::chain},
};

/// How often a gauge is read. Prometheus asks every 15 s or more seldom, and somebody who watches should see what happens.
const TURN: Duration = Duration::from_secs(1);

/// How many times longer than its query took a gauge rests: what is read slowly must not be read all the time.
const REST: u32 = 10;

/// But no longer than this: what failed because the store was away is read soon after it has come back.
const LONGEST_REST: Duration = Duration::from_secs(15);

/// How long one reading may take. A database ends what takes longer by itself, where it can; this is for one that does not
/// answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs until the shutdown.
pub(super) async fn run(engine: Arc<Engine>, shutdown: CancellationToken) -> Result<(), Infallible> {
    let mut reading = JoinSet::new();
    for group in GaugeGroup::ALL {
        reading.spawn(keep_reading(Arc::clone(&engine), group, shutdown.clone()));
    }
    // A panic of one is one of the worker's.
    reading.join_all().await;
    Ok(())
}

async fn keep_reading(engine: Arc<Engine>, group: GaugeGroup, shutdown: CancellationToken) {
    let mut failing = false;
    while !shutdown.is_cancelled() {
        let watch = Stopwatch::start();
        let read = match tokio::time::timeout(PATIENCE, engine.gauges().read_gauges(group)).await {
            Ok(read) => read.map_err(|error| chain(&error)),
            Err(_) => Err("the store does not answer in time".to_owned()),
        };
        match &read {
            Err(why) if !failing => tracing::warn!(
                gauge = group.as_str(),
                why,
                "gauges keep what they said before: lacuna_gauges_age_seconds tells how old that is"
            ),
            Ok(()) if failing => tracing::info!(gauge = group.as_str(), "gauges are read again"),
            Ok(()) | Err(_) => {}
        }
        failing = read.is_err();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep((watch.elapsed() * REST).clamp(TURN, LONGEST_REST)) => {}
        }
    }
}
