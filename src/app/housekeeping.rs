//! What has to be looked at now and then: the active registry, SIGHUP, and the emissions of HTTP calls.

use std::{sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, registry_file},
    engine::{Engine, EngineError, outputs::Emission, registry::Applied},
    kafka::{KafkaError, landing::Lander},
    telemetry::readiness::Readiness,
};

/// How often the store is asked for a newer registry.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Runs until the shutdown.
pub(super) async fn run(
    engine: Arc<Engine>,
    config: Config,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> Result<(), std::io::Error> {
    let mut hangup = signal(SignalKind::hangup())?;
    compare_file(&engine, &config);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = hangup.recv() => reload(&engine, &config).await,
            () = tokio::time::sleep(LOOK_EVERY) => look(&engine, &config, &readiness).await,
        }
    }
}

async fn look(engine: &Engine, config: &Config, readiness: &Readiness) {
    let before = engine.active().map(|active| active.revision).ok();
    match engine.load_registry().await {
        Ok(revision) => {
            readiness.ready("store");
            if revision != before {
                tracing::info!(?revision, "another registry is active");
                compare_file(engine, config);
            }
        }
        Err(error) => readiness.not_ready("store", error.to_string()),
    }
}

/// A local file that differs from the active revision is not taken over by itself: it only shows.
fn compare_file(engine: &Engine, config: &Config) {
    let differs = match (registry_file::read(&config.registry.path), engine.active()) {
        (Ok(file), Ok(active)) => file != active.registry,
        (Err(problems), _) => {
            tracing::error!(%problems, "the registry file is not valid: the active revision stays");
            true
        }
        (Ok(_), Err(_)) => true,
    };
    engine.metrics.registry_mismatch.set(i64::from(differs));
}

/// SIGHUP: the file becomes the active registry of all workers. An invalid one changes nothing, loudly.
async fn reload(engine: &Engine, config: &Config) {
    // A file that is not valid is spoken of below.
    if let Ok(registry) = registry_file::read(&config.registry.path) {
        match engine.apply_registry(&registry).await {
            Ok(Applied::Activated(revision)) => tracing::info!(revision, "the registry file is active now"),
            Ok(Applied::Unchanged(revision)) => {
                tracing::info!(revision, "the registry file was active already")
            }
            Err(error) => tracing::error!(%error, "the registry file could not be activated"),
        }
    }
    compare_file(engine, config);
}

/// Produces what HTTP calls have decided. An outbox row remembers whatever does not get through.
pub(super) async fn land_emissions(
    lander: Lander,
    mut emissions: mpsc::Receiver<Emission>,
) -> Result<(), KafkaError> {
    loop {
        let emission = tokio::select! {
            emission = emissions.recv() => emission,
            () = lander.shutdown.cancelled() => emissions.try_recv().ok(),
        };
        let Some(mut emission) = emission else {
            // Nobody serves HTTP here, or everybody who did has ended: that is no reason for the worker to end.
            lander.shutdown.cancelled().await;
            return Ok(());
        };
        // Whatever else has been decided meanwhile goes with it: one landing for many calls.
        while let Ok(more) = emissions.try_recv() {
            emission.append(more);
        }
        let landed = async { lander.land(lander.launch(emission).await?).await };
        if let Err(error) = landed.await {
            match error {
                KafkaError::Engine(EngineError::Store(_)) | KafkaError::Client { .. } => {
                    tracing::warn!(%error, "outputs stay in the outbox for now");
                }
                other => return Err(other),
            }
        }
    }
}
