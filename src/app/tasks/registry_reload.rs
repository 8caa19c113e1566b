//! The registry: a newer revision in the store becomes this worker's, and SIGHUP makes the file the active one of all workers. It
//! has the configuration read again too.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    config_reload,
    periodic::{Next, Periodic},
};
use crate::{
    app::{AppError, topics},
    config::{Config, registry_file},
    domain::registry::Registry,
    engine::{Engine, EngineError, registry::Applied},
    http::Admission,
    kafka::client::{Cluster, PATIENCE},
};

/// How often the store is asked for a newer registry.
const EVERY: Duration = Duration::from_secs(5);

/// How soon it is asked again where it did not answer: it is not ready for as long as that, and no longer.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Keeps the registry up to date.
pub(in crate::app) struct RegistryReload {
    engine: Arc<Engine>,
    config: Config,
    admission: Admission,
    cluster: Cluster,
    hangup: Signal,
    /// What the rest ended with.
    is_signalled: bool,
    answers: bool,
}

impl RegistryReload {
    /// Looks at the file once, and waits for SIGHUP from now on.
    pub(in crate::app) fn new(
        engine: Arc<Engine>,
        config: Config,
        admission: Admission,
        cluster: Cluster,
    ) -> std::io::Result<Self> {
        compare_file(&engine, &config);
        Ok(Self {
            engine,
            config,
            admission,
            cluster,
            hangup: signal(SignalKind::hangup())?,
            is_signalled: false,
            answers: true,
        })
    }
}

#[async_trait]
impl Periodic for RegistryReload {
    type Error = EngineError;

    fn name(&self) -> &'static str {
        "registry_reload"
    }

    /// A store that does not answer this does not answer anything.
    fn part(&self) -> Option<&'static str> {
        Some("store")
    }

    fn every(&self) -> Duration {
        if self.answers { EVERY } else { AGAIN_AFTER }
    }

    async fn rest(&mut self) {
        let every = self.every();
        self.is_signalled = tokio::select! {
            signal = self.hangup.recv() => signal.is_some(),
            // A look now and then: no due time of the domain.
            () = tokio::time::sleep(every) => false,
        };
    }

    async fn turn(&mut self) -> Result<Next, EngineError> {
        if self.is_signalled {
            config_reload::reload(&self.engine, &self.admission, &mut self.config);
            reload(&self.engine, &self.config, &self.cluster).await;
        }
        let looked = look(&self.engine, &self.config).await;
        self.answers = looked.is_ok();
        looked?;
        Ok(Next::Rest)
    }
}

async fn look(engine: &Engine, config: &Config) -> Result<(), EngineError> {
    let before = engine.active().map(|active| active.revision).ok();
    let revision = engine.load_registry().await?;
    if revision != before {
        tracing::info!(?revision, "another registry is active");
        compare_file(engine, config);
    }
    measure_dead_letters(engine).await;
    Ok(())
}

async fn measure_dead_letters(engine: &Engine) {
    if let Err(error) = engine.retention().measure_dead_letters().await {
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
