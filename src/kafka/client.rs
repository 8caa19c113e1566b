//! How clients are set up: what Lacuna's guarantees rest on is set here and cannot be configured away.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, ConsumerContext},
    producer::{BaseProducer, DefaultProducerContext},
};

use super::{KafkaError, while_doing};

/// Where the cluster is and what the configuration adds.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// `host:port,…`.
    pub servers: String,
    /// Passed to librdkafka.
    pub properties: BTreeMap<String, String>,
    /// Whether it is the embedded broker.
    pub embedded: bool,
}

/// What the brokers know us by, unless the configuration gives another name.
const CLIENT_ID: &str = "lacuna";

/// How long a broker may take to answer a question of ours.
pub const PATIENCE: Duration = Duration::from_secs(10);

impl Cluster {
    /// The embedded broker, which listens here.
    pub fn embedded(servers: &str) -> Self {
        Self {
            servers: servers.to_owned(),
            properties: BTreeMap::new(),
            embedded: true,
        }
    }

    /// What its clients call themselves.
    pub fn client_id(&self) -> &str {
        self.properties.get("client.id").map_or(CLIENT_ID, String::as_str)
    }

    /// What all clients share. Whatever is set after the configured properties, here and below, is refused in the configuration
    /// (`config::kafka::properties`): nothing that a user sets is overridden in silence.
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.servers)
            .set("client.id", CLIENT_ID)
            .set_log_level(RDKafkaLogLevel::Warning);
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }

    /// A consumer of the group: it starts at the committed offset, and at the log's start where there is none.
    ///
    /// `lease`: the partitions of a worker that died are given to others within it.
    pub fn consumer_config(&self, group_id: &str, lease: Duration) -> ClientConfig {
        let session = session_of(lease);
        let heartbeat = (session / 5).min(Duration::from_secs(3));
        let mut config = self.config();
        config
            .set("group.id", group_id)
            .set("group.protocol", "classic")
            .set("auto.offset.reset", "earliest")
            .set("session.timeout.ms", session.as_millis().to_string())
            .set("heartbeat.interval.ms", heartbeat.as_millis().to_string())
            .set(
                "max.poll.interval.ms",
                longest_rest(lease).as_millis().to_string(),
            )
            .set("enable.auto.commit", "true")
            // Offsets are stored by hand, once the outputs are confirmed; what is stored is committed every second.
            .set("auto.commit.interval.ms", "1000")
            .set("enable.auto.offset.store", "false")
            .set("partition.assignment.strategy", "cooperative-sticky")
            // An answer in a transaction that was aborted, or is still open, is none.
            .set("isolation.level", "read_committed")
            // Partitions that are added are read within a minute.
            .set("topic.metadata.refresh.interval.ms", "10000")
            // What is read ahead bounds the memory of a worker that falls behind. The client looks again soon whether there is
            // room: after its second of rest, a worker that is faster than that has long been idle.
            .set("queued.max.messages.kbytes", "4096")
            .set("fetch.queue.backoff.ms", "20")
            // An answer is unpacked whole, whatever the line above says. A larger message still comes, alone.
            .set("fetch.message.max.bytes", "262144");
        if self.embedded && !self.properties.contains_key("fetch.wait.max.ms") {
            // A real broker answers as soon as there is something. This one answers when the wait is over.
            config.set("fetch.wait.max.ms", "10");
        }
        config
    }

    /// A client that asks where logs end, and reads nothing. `isolation`: whether open transactions count as well.
    pub fn asking_config(&self, isolation: &str) -> ClientConfig {
        let mut config = self.config();
        config.set("isolation.level", isolation);
        config
    }

    /// A producer that is idempotent and gives up soon: what timed out is decided again.
    pub fn producer_config(&self) -> ClientConfig {
        let mut config = self.config();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            .set("linger.ms", "10")
            .set("message.timeout.ms", "15000")
            // The sealed bytes of a message that was itself too large have to fit.
            .set("message.max.bytes", super::LARGEST_MESSAGE)
            .set("queue.buffering.max.messages", "200000");
        config
    }

    /// Has the client library look at all that is configured together, without a connection: certificates that are not there,
    /// a mechanism without its password.
    pub fn check(&self, group_id: &str, lease: Duration) -> Result<(), KafkaError> {
        let mut consumer = self.consumer_config(group_id, lease);
        consumer.remove("bootstrap.servers");
        let consumer: BaseConsumer<Quiet> = consumer
            .create_with_context(Quiet)
            .map_err(while_doing("kafka.properties are not taken for a consumer"))?;
        drop(consumer);
        let mut producer = self.producer_config();
        producer.remove("bootstrap.servers");
        let producer: BaseProducer<DefaultProducerContext> = producer
            .create()
            .map_err(while_doing("kafka.properties are not taken for a producer"))?;
        drop(producer);
        Ok(())
    }

    /// The cluster's id, which positions are kept under. Blocks, for no longer than `patience`.
    pub fn id(&self, patience: Duration) -> Result<String, KafkaError> {
        self.ask(|client| client.fetch_cluster_id(patience.min(PATIENCE)))
    }
}

/// The session of a worker in its group: the coordinator notices after it that a worker has died, and the others take over at
/// their next heartbeat, within the lease.
pub fn session_of(lease: Duration) -> Duration {
    lease.mul_f64(0.7)
}

/// How long a worker may take no messages before the group gives its partitions to others: while the store is away, for one.
/// The client does not take less than the session.
pub fn longest_rest(lease: Duration) -> Duration {
    session_of(lease).max(Duration::from_secs(5 * 60))
}

/// Sends the client's own log lines to ours, where redaction and format apply.
#[derive(Debug, Clone, Copy)]
pub struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka client");
    }
}

impl ConsumerContext for Quiet {}

/// One log line of librdkafka.
pub(crate) fn log_line(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => {
            tracing::error!(facility, "{message}");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(facility, "{message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(facility, "{message}"),
        RDKafkaLogLevel::Debug => tracing::debug!(facility, "{message}"),
    }
}
