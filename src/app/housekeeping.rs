//! What has to be looked at now and then: the active registry, SIGHUP, and the emissions of HTTP calls.

use std::{sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::{AppError, topics};
use crate::{
    config::{Config, registry_file},
    delivery::{DeliveryError, outbox, relay::Relay},
    domain::registry::Registry,
    engine::{Engine, EngineError, effects::Emission, registry::Applied},
    kafka::client::{Cluster, PATIENCE},
    telemetry::{logs::chain, readiness::Readiness},
};

/// How often the store is asked for a newer registry.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How soon it is asked again where it did not answer: it is not ready for as long as that, and no longer.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Runs until the shutdown.
pub(super) async fn run(
    engine: Arc<Engine>,
    config: Config,
    cluster: Cluster,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> Result<(), std::io::Error> {
    let mut hangup = signal(SignalKind::hangup())?;
    compare_file(&engine, &config);
    let mut pause = LOOK_EVERY;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = hangup.recv() => reload(&engine, &config, &cluster).await,
            () = tokio::time::sleep(pause) => {
                let answers = look(&engine, &config, &readiness).await;
                pause = if answers { LOOK_EVERY } else { LOOK_AGAIN_AFTER };
            }
        }
    }
}

/// Whether the store answers.
async fn look(engine: &Engine, config: &Config, readiness: &Readiness) -> bool {
    let before = engine.active().map(|active| active.revision).ok();
    match engine.load_registry().await {
        Ok(revision) => {
            readiness.ready("store");
            if revision != before {
                tracing::info!(?revision, "another registry is active");
                compare_file(engine, config);
            }
            measure_letters(engine).await;
            true
        }
        Err(error) => {
            readiness.not_ready("store", chain(&error));
            false
        }
    }
}

async fn measure_letters(engine: &Engine) {
    if let Err(error) = engine.measure_letters().await {
        // What was known before goes on counting.
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "how much is kept of dead letters could not be read"
        );
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
    let before = engine.metrics.registry_mismatch.get() != 0;
    engine.metrics.registry_mismatch.set(i64::from(differs));
    if differs && !before {
        tracing::warn!(
            file = %config.registry.path.display(),
            revision = ?engine.active().map(|active| active.revision).ok(),
            "the registry file differs from the active revision, which goes on being used: `lacuna registry diff` shows how, \
             `lacuna registry apply` or SIGHUP activates the file"
        );
    }
}

/// SIGHUP: the file becomes the active registry of all workers. One that is not valid, or that this deployment cannot carry
/// out, changes nothing, loudly: it is checked for all that `lacuna check --connect` checks of it.
async fn reload(engine: &Engine, config: &Config, cluster: &Cluster) {
    // A file that is not valid is spoken of below.
    if let Ok(registry) = registry_file::read(&config.registry.path) {
        match activate(engine, config, cluster, &registry).await {
            Ok(Applied::Activated(revision)) => tracing::info!(revision, "the registry file is active now"),
            Ok(Applied::Unchanged(revision)) => {
                tracing::info!(revision, "the registry file was active already")
            }
            Err(error) => tracing::error!(
                %error,
                "the registry file could not be activated: the active revision stays"
            ),
        }
    }
    compare_file(engine, config);
}

async fn activate(
    engine: &Engine,
    config: &Config,
    cluster: &Cluster,
    registry: &Registry,
) -> Result<Applied, AppError> {
    config.check_registry(registry).map_err(AppError::Config)?;
    topics::check_tasks(&config.kafka.topics, registry, cluster, PATIENCE).await?;
    for warning in registry_file::warnings(registry) {
        tracing::warn!(%warning, "the registry file");
    }
    for (_, token, processor) in config.auth.iter().flat_map(|auth| auth.unregistered(registry)) {
        tracing::warn!(bearer = token.name, %processor, "a bearer token is for a processor that is not registered");
    }
    Ok(engine.apply_registry(registry).await?)
}

/// Produces what HTTP calls have decided. An outbox row remembers whatever does not get through.
pub(super) async fn deliver_emissions(
    relay: Relay,
    mut emissions: mpsc::Receiver<Emission>,
) -> Result<(), DeliveryError> {
    loop {
        let emission = tokio::select! {
            emission = emissions.recv() => emission,
            () = relay.shutdown.cancelled() => emissions.try_recv().ok(),
        };
        let Some(emission) = emission else {
            // Nobody serves HTTP here, or everybody who did has ended: that is no reason for the worker to end.
            relay.shutdown.cancelled().await;
            return Ok(());
        };
        // Whatever else has been decided meanwhile goes with it: one delivery for many calls. What has waited for so long
        // that somebody else may have taken it from the outbox is left to that, so that it is not produced twice.
        let mut all = Emission::default();
        for one in std::iter::once(emission).chain(std::iter::from_fn(|| emissions.try_recv().ok())) {
            if outbox::is_fresh(&one, relay.engine.clock.now()) {
                all.append(one);
            }
        }
        if all.is_empty() {
            continue;
        }
        match relay.deliver(all).await {
            Ok(_) => {}
            Err(error @ (DeliveryError::Engine(EngineError::Store(_)) | DeliveryError::Transport(_))) => {
                tracing::warn!(%error, "outputs stay in the outbox for now");
            }
            Err(other) => return Err(other),
        }
    }
}
