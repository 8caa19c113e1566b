//! The composition root: the only place that names every concrete type, and the only one that spawns long-lived tasks.
//! All of them are joined at shutdown.

mod clockwork;
mod connect;
mod expiring;
mod gauging;
mod housekeeping;
mod keyring;
mod lanes;
pub mod startup;
mod sweeping;
mod tasks;
pub mod topics;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use connect::{
    Connected, PATIENCE, client_settings, connect, open_engine, open_store, open_store_within,
    remote_cluster, settings_of,
};
pub use keyring::{check_keyring, is_in_use, open_vault};

use self::tasks::kafka_health::KafkaHealth;
use crate::{
    clock::Clock,
    config::{Config, Problems},
    delivery::relay::Relay,
    engine::{Engine, EngineError, effects::Emission},
    http::{self, tls::TlsError},
    kafka::{
        KafkaError, ack_partitions,
        batch_processor::{Backups, Intake, Settle, Work},
        client::Cluster,
        producer::Producer,
        routing::{Routing, Topics},
        stage::Stage,
    },
    store::StoreError,
    telemetry::{metrics::Metrics, readiness::Readiness},
    vault::KeyringError,
};

/// Why the application does not run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration or the registry.
    #[error("{0}")]
    Config(Problems),
    /// Kafka.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keyring.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The keyring is not the store's.
    #[error(
        "keyring {0}: not the one that this store is sealed under: with it no identifier could be opened, nobody found, and \
         every valid ack would be taken for a forged one; put the store's own keyring there, from your backup or from another \
         worker"
    )]
    OtherKeyring(std::path::PathBuf),
    /// The keyring is gone, and something needs it.
    #[error(
        "there is no keyring at {0}, and this store is in use: restore it from its backup, or copy it from another worker; \
         with a new one no identifier could be opened and nobody found"
    )]
    LostKeyring(std::path::PathBuf),
    /// A use case.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The listener's certificate or its key.
    #[error("http.tls: {0}")]
    Tls(#[from] TlsError),
    /// The listener.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The metrics.
    #[error("metrics")]
    Metrics(#[from] prometheus::Error),
    /// A long-lived task ended although nobody asked it to.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
}

impl AppError {
    /// Whether a dependency could not be reached, rather than a mistake having been made.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Kafka(error) => error.is_unreachable(),
            Self::Store(error) => error.is_unreachable(),
            Self::Engine(error) => error.is_unreachable(),
            _ => false,
        }
    }
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Takes commands in.
    pub intake: bool,
    /// Takes acks in.
    pub settle: bool,
    /// Sends what is due: every stage sends what it decides, so this is the agenda's and the outbox's share.
    pub dispatch: bool,
    /// Wakes what is due.
    pub agenda: bool,
    /// Serves HTTP.
    pub api: bool,
}

impl Roles {
    /// Everything.
    pub const ALL: Self = Self {
        intake: true,
        settle: true,
        dispatch: true,
        agenda: true,
        api: true,
    };
}

/// A running worker.
#[derive(Debug)]
pub struct Running {
    /// The use cases.
    pub engine: Arc<Engine>,
    /// Where it serves HTTP, if it does.
    pub http: Option<SocketAddr>,
    /// Where Kafka is.
    pub servers: String,
    /// Ends it.
    pub shutdown: CancellationToken,
    tracker: TaskTracker,
    failure: Arc<Mutex<Option<&'static str>>>,
    producer: Arc<Producer>,
    shutdown_timeout: Duration,
    /// Kept for as long as the worker runs.
    _connected: Connected,
}

/// Starts a worker: everything is connected and checked when this returns.
pub async fn start(config: Config, roles: Roles, clock: Clock) -> Result<Running, AppError> {
    let connected = connect(&config, clock, Arc::new(Metrics::new()?), connect::PATIENCE).await?;
    start_connected(config, roles, connected).await
}

/// Starts a worker on what is connected.
pub async fn start_connected(
    config: Config,
    roles: Roles,
    connected: Connected,
) -> Result<Running, AppError> {
    let readiness = Readiness::default();
    let (engine, cluster) = (Arc::clone(&connected.engine), connected.cluster.clone());
    let shutdown = CancellationToken::new();
    let producer = Producer::new(&cluster, routing(&config, &engine), config.dispatch.max_in_flight)?;
    let producer = Arc::new(producer);
    // The relay outlives intake at a shutdown: it has to confirm what was decided.
    let relay = Relay::new(
        Arc::clone(&engine),
        Arc::clone(&producer) as _,
        readiness.clone(),
        shutdown.clone(),
    );
    let spawner = Spawner {
        tracker: TaskTracker::new(),
        shutdown: shutdown.clone(),
        failure: Arc::new(Mutex::new(None)),
    };
    let topics = &config.kafka.topics;
    if roles.intake {
        let work = Intake {
            engine: Arc::clone(&engine),
            control_topic: topics.control.clone(),
        };
        let reads = vec![topics.commands.clone(), topics.control.clone()];
        let group = config.kafka.group_id.clone();
        spawner.spawn(
            "intake",
            stage(work, group, &config, &cluster, &relay, reads, &readiness).run(),
        );
    }
    if roles.settle {
        let work = Settle {
            engine: Arc::clone(&engine),
        };
        let reads = vec![topics.acks.clone()];
        let group = config.kafka.ack_group();
        spawner.spawn(
            "settle",
            stage(work, group, &config, &cluster, &relay, reads, &readiness).run(),
        );
    }
    if roles.settle {
        let work = Backups {
            engine: Arc::clone(&engine),
        };
        let reads = vec![topics.backups.clone()];
        let group = config.kafka.backup_group();
        spawner.spawn(
            "backups",
            stage(work, group, &config, &cluster, &relay, reads, &readiness).run(),
        );
    }
    if roles.settle || roles.agenda || roles.dispatch {
        let (cluster, engine) = (cluster.clone(), Arc::clone(&engine));
        spawner.spawn(
            "ack partitions",
            ack_partitions::watch_acks(cluster, engine, shutdown.clone()),
        );
    }
    if roles.agenda || roles.dispatch {
        spawner.spawn("agenda", clockwork::run(relay.clone(), readiness.clone()));
        spawner.spawn("expiry", expiring::run(relay.clone(), readiness.clone()));
        spawner.spawn("sweeps", sweeping::run(relay.clone(), readiness.clone()));
    }
    spawner.spawn("lanes", lanes::run(relay.clone()));
    // The embedded broker has no other visitors, and nobody deletes its topics.
    if !cluster.embedded {
        let health = kafka_health(&config, roles, &relay, &producer, &cluster, &readiness);
        spawner.spawn("kafka health", health.run());
    }
    spawner.spawn(
        "housekeeping",
        housekeeping::run(
            Arc::clone(&engine),
            config.clone(),
            cluster.clone(),
            readiness.clone(),
            shutdown.clone(),
        ),
    );
    let http = if roles.api {
        spawner.spawn("gauges", gauging::run(Arc::clone(&engine), shutdown.clone()));
        // Emissions of HTTP calls: bounded, so that callers feel a broker that is slow.
        let (emissions, emitted) = mpsc::channel::<Emission>(64);
        spawner.spawn(
            "producing",
            housekeeping::deliver_emissions(relay.clone(), emitted),
        );
        let state = http::State::new(
            Arc::clone(&engine),
            emissions,
            readiness,
            config.auth.clone(),
            &config.kafka.topics.tasks_prefix,
        );
        let serving = http::serve(&config.http, state, shutdown.clone())
            .await
            .map_err(|source| AppError::Listen {
                address: config.http.listen,
                source,
            })?;
        let address = serving.address;
        spawner.spawn("http", serving.finished);
        Some(address)
    } else {
        None
    };
    Ok(Running {
        engine,
        http,
        servers: cluster.servers,
        shutdown,
        tracker: spawner.tracker,
        failure: spawner.failure,
        producer,
        shutdown_timeout: config.shutdown_timeout,
        _connected: connected,
    })
}

fn kafka_health(
    config: &Config,
    roles: Roles,
    relay: &Relay,
    producer: &Arc<Producer>,
    cluster: &Cluster,
    readiness: &Readiness,
) -> KafkaHealth {
    let kafka = &config.kafka;
    let mut groups = Vec::new();
    if roles.intake {
        groups.push(kafka.group_id.clone());
    }
    if roles.settle {
        groups.extend([kafka.ack_group(), kafka.backup_group()]);
    }
    let topics = topics::own(&kafka.topics).into_iter();
    KafkaHealth {
        cluster: cluster.clone(),
        engine: Arc::clone(&relay.engine),
        producer: Arc::clone(producer),
        topics: topics.map(|topic| topic.name).collect(),
        groups,
        readiness: readiness.clone(),
        shutdown: relay.shutdown.clone(),
    }
}

/// The topics that are written, under the registry that is active at the time.
fn routing(config: &Config, engine: &Arc<Engine>) -> Routing {
    let topics = &config.kafka.topics;
    let topics = Topics {
        acks: Arc::from(topics.acks.as_str()),
        ack_url: Some(config.http.url("/v1/acks")),
        status: Arc::from(topics.status.as_str()),
        dead_letters: Arc::from(topics.dead_letters.as_str()),
        suppression: topics.suppression.as_deref().map(Arc::from),
        tasks_prefix: topics.tasks_prefix.clone(),
    };
    let engine = Arc::clone(engine);
    Routing::new(topics, move || engine.active().ok())
}

fn stage<W: Work>(
    work: W,
    group_id: String,
    config: &Config,
    cluster: &Cluster,
    relay: &Relay,
    topics: Vec<String>,
    readiness: &Readiness,
) -> Stage<W> {
    let stage = Stage {
        readiness: readiness.clone(),
        work: Arc::new(work),
        relay: relay.clone(),
        cluster: cluster.clone(),
        group_id,
        lease: config.dispatch.lease,
        topics,
        shutdown: relay.shutdown.clone(),
    };
    // Said before anybody can ask.
    drop(stage.membership());
    stage
}

impl Running {
    /// Waits until somebody asks it to end, then ends it: everything that was begun is finished or given back.
    pub async fn until_shutdown(self) -> Result<(), AppError> {
        self.shutdown.cancelled().await;
        self.end().await
    }

    /// Ends it.
    pub async fn end(self) -> Result<(), AppError> {
        self.shutdown.cancel();
        self.tracker.close();
        // Flushing has its share of the time, so that the process ends within it.
        let flushing = Duration::from_secs(2).min(self.shutdown_timeout / 4);
        if tokio::time::timeout(self.shutdown_timeout - flushing, self.tracker.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                "the shutdown takes longer than shutdown_timeout: what is left is given back as it is"
            );
        }
        self.producer.flush(flushing);
        match *self.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(task) => Err(AppError::Ended(task)),
            None => Ok(()),
        }
    }
}

/// Spawns long-lived tasks. One that ends although nobody asked it to takes the worker down with it: half a worker
/// that looks alive is worse than none.
struct Spawner {
    tracker: TaskTracker,
    shutdown: CancellationToken,
    failure: Arc<Mutex<Option<&'static str>>>,
}

impl Spawner {
    fn spawn<E: std::fmt::Display + Send + 'static>(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let (shutdown, failure) = (self.shutdown.clone(), Arc::clone(&self.failure));
        let inner = tokio::spawn(task);
        self.tracker.spawn(async move {
            let ended = inner.await;
            if matches!(ended, Ok(Ok(()))) && shutdown.is_cancelled() {
                return;
            }
            match ended {
                Ok(Ok(())) => tracing::error!(task = name, "ended unexpectedly"),
                Ok(Err(error)) => tracing::error!(task = name, %error, "failed"),
                Err(error) => tracing::error!(task = name, %error, "panicked"),
            }
            failure
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(name);
            shutdown.cancel();
        });
    }
}
