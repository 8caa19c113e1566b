//! The composition root: the only place that names every concrete type, and the only one that spawns long-lived tasks.
//! All of them are joined at shutdown.

mod connect;
mod error;
mod keyring;
pub mod opendsr;
mod running;
pub mod senders;
pub mod sources;
pub mod startup;
mod tasks;
pub mod topics;

use std::{net::SocketAddr, sync::Arc};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use connect::{
    Connected, PATIENCE, client_settings, connect, open_engine, open_store, open_store_within,
    remote_cluster, settings_of,
};
pub use error::AppError;
pub use keyring::{check_keyring, is_in_use, open_vault};
pub use running::Running;

use self::{
    running::Spawner,
    senders::senders,
    tasks::{
        agenda::Agenda,
        bulk::Bulk,
        config_reload::tell_ends,
        fitness::Fitness,
        gauges::Gauges,
        http_outputs,
        kafka_health::{Asked, KafkaHealth},
        lanes::Lanes,
        opendsr_polls::OpenDsrPolls,
        outcomes::Outcomes,
        periodic::{Periodic, Reports, periodic},
        queues::Queues,
        registry_reload::RegistryReload,
        retention::Retention,
        status_callbacks::StatusCallbacks,
        sweeps::Sweeps,
        vendor_polls::VendorPolls,
    },
};
use crate::{
    clock::Clock,
    config::Config,
    delivery::{queues::LaneRunner, relay::Relay},
    engine::{Engine, effects::Effects},
    http,
    kafka::{
        ack_partitions,
        batch_processor::{Backups, Intake, Settle, Work},
        client::Cluster,
        producer::Producer,
        routing::{Routing, Topics},
        sources::Sources,
        stage::Stage,
    },
    telemetry::{metrics::Metrics, readiness::Readiness, traces::Traces},
    transport::{
        http_client::Guard,
        opendsr::{Signer, controller::Controller},
        otlp,
    },
};

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
    let engine = Arc::clone(&connected.engine);
    let signer = opendsr::signer(&config, &engine.clock)?;
    if signer.is_some() {
        engine.tell_controllers();
    }
    engine.metrics.begins();
    if let Some(otlp) = &config.telemetry.otlp {
        // Its address is the operator's own word, so it may lie inside.
        let client = opendsr::client_within(&config, Guard { allow_private: true })?;
        engine.set_traces(Traces::new(otlp::exporter(otlp, client)?, otlp.sample));
    }
    show_certificates(&config, &engine.metrics);
    let shutdown = CancellationToken::new();
    let producer = Producer::new(
        &connected.cluster,
        routing(&config, &engine),
        config.dispatch.max_in_flight,
    )?;
    let producer = Arc::new(producer);
    let readiness = Readiness::default();
    let starting = Starting {
        config: &config,
        roles,
        cluster: &connected.cluster,
        // The relay outlives intake at a shutdown: it has to confirm what was decided.
        relay: Relay::new(
            Arc::clone(&engine),
            Arc::clone(&producer) as _,
            readiness.clone(),
            shutdown.clone(),
        ),
        readiness,
        signer,
        controller: senders::controller(&config, &engine.clock),
        admission: http::Admission::new(config.auth.clone(), engine.clock.clone())?,
        tasks: Spawner::new(shutdown.clone()),
    };
    starting.stages()?;
    starting.periodic_tasks()?;
    let http = if roles.api {
        Some(starting.http().await?)
    } else {
        None
    };
    Ok(Running {
        engine,
        http,
        servers: connected.cluster.servers.clone(),
        shutdown,
        tasks: starting.tasks,
        producer,
        shutdown_timeout: config.shutdown_timeout,
        _connected: connected,
    })
}

/// Says until when the certificates are valid that this worker has just loaded.
fn show_certificates(config: &Config, metrics: &Metrics) {
    let listener = config.http.tls.as_ref().map(|tls| ("http", &tls.cert));
    let opendsr = config.opendsr.as_ref().map(|own| ("opendsr", &own.certificate));
    for (of, path) in listener.into_iter().chain(opendsr) {
        if let Some(until) = http::tls::expires(path) {
            metrics.certificate(of, until);
        }
    }
}

/// A worker whose tasks are being spawned.
struct Starting<'a> {
    config: &'a Config,
    roles: Roles,
    cluster: &'a Cluster,
    relay: Relay,
    readiness: Readiness,
    /// What signs for us as a processor of OpenDSR.
    signer: Option<Arc<Signer>>,
    /// What speaks to processors of OpenDSR.
    controller: Arc<Controller>,
    /// Who may call over HTTP.
    admission: http::Admission,
    tasks: Spawner,
}

impl Starting<'_> {
    /// The stages that read Kafka.
    fn stages(&self) -> Result<(), AppError> {
        let (kafka, engine) = (&self.config.kafka, &self.relay.engine);
        let topics = &kafka.topics;
        if self.roles.intake {
            let work = Intake {
                engine: Arc::clone(engine),
                control_topic: topics.control.clone(),
            };
            self.stage(work, kafka.group_id.clone(), &[&topics.commands, &topics.control]);
            for (topic, read) in sources::by_topic(self.config).map_err(AppError::Config)? {
                let work = Sources::new(Arc::clone(engine), &topic, read);
                self.stage(work, kafka.source_group(&topic), &[&topic]);
            }
        }
        if self.roles.settle {
            let work = Settle {
                engine: Arc::clone(engine),
            };
            self.stage(work, kafka.ack_group(), &[&topics.acks]);
            let work = Backups {
                engine: Arc::clone(engine),
            };
            self.stage(work, kafka.backup_group(), &[&topics.backups]);
        }
        Ok(())
    }

    fn stage<W: Work>(&self, work: W, group_id: String, topics: &[&String]) {
        let name = work.name();
        let stage = Stage {
            readiness: self.readiness.clone(),
            work: Arc::new(work),
            relay: self.relay.clone(),
            cluster: self.cluster.clone(),
            group_id,
            lease: self.config.dispatch.lease,
            topics: topics.iter().map(|topic| (*topic).clone()).collect(),
            shutdown: self.relay.shutdown.clone(),
        };
        // Said before anybody can ask.
        drop(stage.membership());
        self.tasks.spawn(name, stage.run());
    }

    /// What is done again and again.
    fn periodic_tasks(&self) -> Result<(), AppError> {
        let (relay, roles, engine) = (&self.relay, self.roles, &self.relay.engine);
        if roles.settle || roles.agenda || roles.dispatch {
            let (cluster, engine) = (self.cluster.clone(), Arc::clone(engine));
            let watching = ack_partitions::watch_acks(cluster, engine, relay.shutdown.clone());
            self.tasks.spawn("ack_partitions", watching);
        }
        let vendors = senders::vendors(self.config, &engine.clock, Arc::clone(engine) as _);
        if roles.dispatch {
            self.periodic(Queues(LaneRunner::new(
                relay.clone(),
                senders::senders(self.config, &engine.clock, &self.controller, &vendors),
            )));
        }
        if roles.agenda || roles.dispatch {
            self.periodic(Agenda(relay.clone()));
            self.periodic(Retention(relay.clone()));
            self.periodic(Sweeps::new(relay.clone()));
            self.periodic(Bulk::new(relay.clone()));
        }
        self.periodic(Lanes::new(relay.clone()));
        self.periodic(Fitness::new(Arc::clone(engine), self.readiness.clone()));
        self.periodic(Outcomes::new(Arc::clone(engine)));
        if roles.dispatch {
            self.periodic(OpenDsrPolls::new(relay.clone(), Arc::clone(&self.controller)));
            self.periodic(VendorPolls::new(relay.clone(), vendors));
            if let Some(signer) = &self.signer {
                let client = opendsr::client(self.config)?;
                self.periodic(StatusCallbacks::new(
                    Arc::clone(engine),
                    Arc::clone(signer),
                    client,
                ));
            }
        }
        let (config, cluster) = (self.config.clone(), self.cluster.clone());
        if let Some(auth) = &config.auth {
            tell_ends(&engine.metrics, auth);
        }
        engine.metrics.config_reload_successful.set(1);
        let admission = self.admission.clone();
        let reload = RegistryReload::new(Arc::clone(engine), config, admission, cluster.clone());
        self.periodic(reload.map_err(AppError::Signal)?);
        // The embedded broker has no other visitors, and nobody deletes its topics.
        if !cluster.embedded {
            let asked = self.asked_of_kafka();
            self.periodic(KafkaHealth::new(
                asked,
                cluster,
                relay.clone(),
                self.readiness.clone(),
            ));
        }
        if roles.api {
            for gauges in Gauges::all(engine) {
                self.periodic(gauges);
            }
        }
        Ok(())
    }

    fn periodic(&self, task: impl Periodic) {
        let engine = &self.relay.engine;
        let reports = Reports {
            clock: engine.clock.clone(),
            metrics: Arc::clone(&engine.metrics),
            readiness: self.readiness.clone(),
        };
        let (name, shutdown) = (task.name(), self.relay.shutdown.clone());
        self.tasks.spawn(name, periodic(task, reports, shutdown));
    }

    fn asked_of_kafka(&self) -> Asked {
        let kafka = &self.config.kafka;
        let mut groups = Vec::new();
        if self.roles.intake {
            groups.push(kafka.group_id.clone());
            let topics = self.config.sources.iter().filter_map(|source| source.topic());
            groups.extend(topics.map(|topic| kafka.source_group(topic)));
        }
        if self.roles.settle {
            groups.extend([kafka.ack_group(), kafka.backup_group()]);
        }
        let topics = topics::own(&kafka.topics).into_iter();
        Asked {
            topics: topics.map(|topic| topic.name).collect(),
            groups,
        }
    }

    /// The listener, and what brings out the outputs of its calls. Gives the address.
    async fn http(&self) -> Result<SocketAddr, AppError> {
        // Bounded, so that callers feel a broker that is slow.
        let (emissions, emitted) = mpsc::channel::<Effects>(64);
        self.tasks
            .spawn("http_outputs", http_outputs::run(self.relay.clone(), emitted));
        let config = &self.config;
        let state = http::State::new(
            Arc::clone(&self.relay.engine),
            emissions,
            self.readiness.clone(),
            config.auth.clone(),
            &config.kafka.topics.tasks_prefix,
        )
        .admitting(self.admission.clone())
        .signing(self.signer.clone())
        .hearing(Arc::clone(&self.controller))
        .republishing(Arc::new(
            sources::redriver(config, self.cluster.clone()).map_err(AppError::Config)?,
        ))
        .comparing(config.registry.clone())
        .called_by(sources::over_http(config).map_err(AppError::Config)?);
        let serving = http::serve(&config.http, state, self.relay.shutdown.clone())
            .await
            .map_err(|source| AppError::Listen {
                address: config.http.listen,
                source,
            })?;
        self.tasks.spawn("http", serving.finished);
        Ok(serving.address)
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
