//! Connecting: Kafka, the store, the vault, the registry. Whatever is missing is named.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use crate::{
    app::{AppError, keyring::open_vault, topics},
    clock::{Clock, Stopwatch},
    config::{Brokers, Config, Policy, StoreUrl, TenantPolicy, registry_file},
    domain::{
        ids::Tenant,
        registry::Registry,
        request::{expiry::Keeps, open::Rules},
        time::At,
    },
    engine::{Engine, Settings, dead_letters::DeadLetterLimits, tenant_rules::TenantRules},
    kafka::{KafkaError, admin::Admin, client::Cluster, embedded::EmbeddedBroker, positions::EMBEDDED},
    store::{Exclusive, Store, StoreOptions, open::open},
    telemetry::metrics::Metrics,
};

/// Everything that a worker is connected to.
#[derive(Debug)]
pub struct Connected {
    /// The use cases.
    pub engine: Arc<Engine>,
    /// Where Kafka is.
    pub cluster: Cluster,
    /// The broker in this process, if it is the embedded one.
    pub embedded: Option<EmbeddedBroker>,
}

/// How long whoever starts for once waits for what may be away. Each dependency has a shorter limit of its own.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Opens the store that the configuration names; `serving`: as the one worker that may serve a SQLite file.
pub async fn open_store(config: &Config, clock: &Clock, serving: bool) -> Result<Arc<dyn Store>, AppError> {
    open_store_within(config, clock, serving, PATIENCE).await
}

/// The same, and no longer than this for a store that may be away.
pub async fn open_store_within(
    config: &Config,
    clock: &Clock,
    serving: bool,
    patience: Duration,
) -> Result<Arc<dyn Store>, AppError> {
    let url = match &config.store.url {
        StoreUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
        StoreUrl::Postgres(url) => url.expose().to_owned(),
    };
    let exclusive = if serving { Exclusive::Yes } else { Exclusive::No };
    let mut options = StoreOptions::new(clock.clone(), exclusive);
    options.connect_timeout = options.connect_timeout.min(patience);
    Ok(open(&url, &options).await?)
}

/// Puts an engine over a store: what a command line tool needs, without Kafka.
pub async fn open_engine(
    config: &Config,
    clock: Clock,
    metrics: Arc<Metrics>,
    store: Arc<dyn Store>,
    cluster: Arc<str>,
) -> Result<Engine, AppError> {
    let vault = open_vault(config, &clock, store.as_ref()).await?;
    let settings = settings_of(config, clock.now(), cluster);
    // Few enough to sum quickly, enough that two workers seldom share one.
    const SLOTS: u16 = 64;
    let slot = rand::random::<u16>() % SLOTS;
    let engine = Engine::new(store, vault, clock, metrics, settings, slot);
    engine.learn_census().await?;
    Ok(engine)
}

/// What a configuration says about the use cases.
pub fn settings_of(config: &Config, now: At, cluster: Arc<str>) -> Settings {
    let topics = &config.kafka.topics;
    Settings {
        ack_topic: Arc::from(topics.acks.as_str()),
        has_suppression_topic: topics.suppression.is_some(),
        region: config.region.clone(),
        tenant_default: config.tenant_default.clone(),
        tenants: config.tenants.clone(),
        placeholders: config.policy.placeholders.clone(),
        rules: Rules {
            regime: config.policy.regime.clone(),
            regimes: config.policy.regimes.clone(),
            calendar: config.policy.calendar.clone(),
            at_risk: config.policy.at_risk,
            require_verification: config.policy.require_identity_verification,
            grace: config.policy.grace,
            inactivity_notice: config.policy.inactivity_notice,
            duplicates: config.policy.duplicates,
        },
        approval: config.policy.approval,
        tenant_rules: tenant_rules(&config.policy),
        early: config.policy.early_commands,
        complaint_bodies: config.policy.complaint_bodies.clone(),
        keep_after_completion: config
            .vault
            .keep_after_completion
            .add_to(now, &config.policy.calendar.zone)
            .since(now),
        keeps: Keeps {
            lookups: config.vault.lookups_keep,
            records: config.vault.records_keep,
        },
        dead_letters: DeadLetterLimits {
            keep: config.vault.dead_letters_keep,
            count: u64::from(config.vault.dead_letters_count),
            bytes: u64::from(config.vault.dead_letters_mib) * 1024 * 1024,
        },
        clock_skew: config.dispatch.clock_skew,
        max_in_flight: config.dispatch.max_in_flight,
        // Where everybody has every role, nobody has anything to show.
        backup_tokens: config.auth.is_some(),
        lease: config.dispatch.lease,
        cluster,
    }
}

/// What is another rule for one tenant.
fn tenant_rules(policy: &Policy) -> BTreeMap<Tenant, TenantRules> {
    let rules = |(tenant, own): (&Tenant, &TenantPolicy)| {
        let rules = Rules {
            regime: own.regime.clone(),
            regimes: policy.regimes.clone(),
            calendar: own.calendar.clone(),
            at_risk: own.at_risk,
            require_verification: own.require_identity_verification,
            grace: own.grace,
            inactivity_notice: own.inactivity_notice,
            duplicates: own.duplicates,
        };
        let approval = own.approval;
        (tenant.clone(), TenantRules { rules, approval })
    };
    policy.tenants.iter().map(rules).collect()
}

/// Connects everything that a worker needs. What is away is waited for no longer than `patience`.
pub async fn connect(
    config: &Config,
    clock: Clock,
    metrics: Arc<Metrics>,
    patience: Duration,
) -> Result<Connected, AppError> {
    let watch = Stopwatch::start();
    let left = || patience.saturating_sub(watch.elapsed());
    let store = open_store_within(config, &clock, true, left()).await?;
    match config.store.url {
        // A file of one's own has no administrator who would migrate it.
        StoreUrl::Sqlite(_) => store.migrate().await?,
        StoreUrl::Postgres(_) => store.check_schema().await?,
    }
    for warning in store.warnings().await? {
        tracing::warn!(warning, "the store may lose what it has confirmed");
    }
    let (stored, registry) = active_registry(store.as_ref(), &config.registry.path).await?;
    let (cluster, embedded) = connect_kafka(config, &registry)?;
    let id = match &embedded {
        // Its offsets start anew each time, so each start is another cluster.
        Some(_) => format!("{EMBEDDED}{}", hex::encode(rand::random::<[u8; 8]>())),
        None => cluster_id(&cluster, left()).await?,
    };
    let engine = Arc::new(open_engine(config, clock, metrics, store, Arc::from(id)).await?);
    config.check_registry(&registry).map_err(AppError::Config)?;
    if stored {
        engine.load_registry().await?;
    } else {
        topics::check_tasks(&config.kafka.topics, &registry, &cluster, left()).await?;
        engine.apply_registry(&registry).await?;
    }
    for (_, token, processor) in config.auth.iter().flat_map(|auth| auth.unregistered(&registry)) {
        tracing::warn!(bearer = token.name, %processor, "a bearer token is for a processor that is not registered");
    }
    check_topics(config, &cluster, &registry, &engine, left()).await?;
    if embedded.is_none() {
        Admin::new(&cluster)?.check_session(config.dispatch.lease).await?;
    }
    Ok(Connected {
        engine,
        cluster,
        embedded,
    })
}

async fn cluster_id(cluster: &Cluster, patience: Duration) -> Result<String, KafkaError> {
    let asked = cluster.clone();
    tokio::task::spawn_blocking(move || asked.id(patience))
        .await
        .map_err(|_| KafkaError::Ended("connecting"))?
}

/// The registry that the store holds, and where it holds none, the file's.
async fn active_registry(store: &dyn Store, path: &Path) -> Result<(bool, Registry), AppError> {
    match store.registry().await? {
        Some(stored) => Ok((true, crate::engine::registry::read(&stored.text)?)),
        None => Ok((false, registry_file::read(path).map_err(AppError::Config)?)),
    }
}

fn kafka_properties(config: &Config) -> BTreeMap<String, String> {
    config
        .kafka
        .properties
        .iter()
        .map(|(name, value)| (name.clone(), value.expose().to_owned()))
        .collect()
}

/// Where Kafka is; `None`: only in the process of `lacuna serve`.
pub fn remote_cluster(config: &Config) -> Option<Cluster> {
    match &config.kafka.bootstrap_servers {
        Brokers::Servers(servers) => Some(Cluster {
            servers: servers.clone(),
            properties: kafka_properties(config),
            embedded: false,
        }),
        Brokers::Embedded => None,
    }
}

/// How clients are set up, wherever Kafka is: also the embedded broker's take the configured properties.
pub fn client_settings(config: &Config) -> Cluster {
    remote_cluster(config).unwrap_or_else(|| Cluster {
        properties: kafka_properties(config),
        ..Cluster::embedded("")
    })
}

fn connect_kafka(
    config: &Config,
    registry: &Registry,
) -> Result<(Cluster, Option<EmbeddedBroker>), AppError> {
    if let Some(cluster) = remote_cluster(config) {
        return Ok((cluster, None));
    }
    let topics = topics::needed(&config.kafka.topics, registry);
    let broker = EmbeddedBroker::start(
        topics
            .into_iter()
            .map(|topic| (topic.name, topic.partitions))
            .collect(),
    )?;
    tracing::warn!(
        servers = broker.servers(),
        "the embedded broker holds everything in memory: commands and acks are lost with this process"
    );
    let cluster = Cluster {
        properties: kafka_properties(config),
        ..Cluster::embedded(broker.servers())
    };
    Ok((cluster, Some(broker)))
}

/// Refuses to start without the topics that everything needs. Where the topic of a processor is missing, its tasks wait,
/// and nothing else does.
async fn check_topics(
    config: &Config,
    cluster: &Cluster,
    registry: &Registry,
    engine: &Engine,
    patience: Duration,
) -> Result<(), AppError> {
    let admin = Admin::new(cluster)?;
    let asked_at = engine.clock.now();
    let there = tokio::task::spawn_blocking(move || admin.list_within(patience))
        .await
        .map_err(|_| KafkaError::Ended("listing topics"))??;
    let missing: BTreeSet<String> = topics::own(&config.kafka.topics)
        .into_iter()
        .map(|topic| topic.name)
        .filter(|name| !there.contains_key(name))
        .collect();
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(String::as_str).collect();
        return Err(KafkaError::MissingTopics(names.join(", ")).into());
    }
    for processor in &registry.processors {
        let Some(topic) = config.kafka.topics.tasks_of(processor) else {
            continue;
        };
        if !there.contains_key(&topic) {
            engine.shut_lane(&processor.id, &topic, "its topic does not exist");
        }
    }
    if let Some(count) = there.get(&config.kafka.topics.acks) {
        engine.know_ack_partitions(*count, asked_at);
    }
    Ok(())
}
