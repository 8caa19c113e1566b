//! Kafka at the edge: consumer stages, the producer, topics, and the embedded broker.
//!
//! One way data flows: a polling thread reads and prepares a batch, a stage has it decided in one transaction, the relay
//! has the producer write what follows, and only when the broker has confirmed that is the offset stored. *Outputs before
//! offset.*

pub mod ack_partitions;
pub mod admin;
pub mod assignment;
pub mod batch_processor;
pub mod batch_window;
pub mod client;
pub mod cluster_query;
pub mod embedded;
mod failures;
pub mod group_consumer;
mod json_buffer;
pub mod log_monitor;
pub mod log_reader;
pub mod membership;
mod message;
pub mod observer;
pub mod offset_tracker;
pub mod partition_states;
pub mod poller;
mod position_notes;
pub mod positions;
pub mod producer;
mod producers;
pub mod publish;
pub mod routing;
mod send_batches;
mod sizes;
pub mod stage;
mod stopped_partitions;
pub mod types;
pub mod watermarks;

use crate::delivery::DeliveryError;

/// The largest message that is produced: 4 MiB of a message that was refused, and what its seal and its headers add.
const LARGEST_MESSAGE: &str = "4259840";

/// What can go wrong at this edge.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// The client refuses or fails.
    #[error("Kafka: {doing}")]
    Client {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// No broker answers.
    #[error("no Kafka broker answers at {servers}{why}")]
    Unreachable {
        /// The addresses that were tried.
        servers: String,
        /// What the client library heard, after a colon; empty where it heard nothing.
        why: String,
    },
    /// Topics are missing.
    #[error("these topics do not exist: {0} (run `lacuna topics create`)")]
    MissingTopics(String),
    /// The group's coordinator does not take a worker's session.
    #[error(
        "dispatch.lease is {}, so a worker's session.timeout.ms is {session} (0.7 of it), and these brokers take {min} to {max} \
         (their group.min.session.timeout.ms and group.max.session.timeout.ms): no worker would ever be given a partition; \
         change dispatch.lease, or the brokers",
        crate::kafka::seconds(*.lease)
    )]
    SessionRefused {
        /// What is configured.
        lease: std::time::Duration,
        /// What follows from it, in milliseconds.
        session: u128,
        /// The least that is taken.
        min: u128,
        /// The most.
        max: u128,
    },
    /// A partition has no leader, or it does not answer.
    #[error("{topic}/{partition}: its leader does not answer")]
    NoLeader {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// A use case failed in a way that waiting does not mend.
    #[error(transparent)]
    Engine(#[from] crate::engine::EngineError),
    /// What was decided does not leave.
    #[error(transparent)]
    Delivery(crate::transport::TransportError),
    /// The client library has given up for good: only a new client goes on.
    #[error("Kafka: the consumer cannot go on: {0}")]
    Fatal(String),
    /// A thread or task of this edge ended unexpectedly.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
}

impl KafkaError {
    /// Whether the brokers could not be reached, rather than a mistake having been made: then waiting may help.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NoLeader { .. } => true,
            Self::Client { source, .. } => !is_refusal(source),
            Self::Fatal(_) => true,
            Self::Engine(error) => error.is_unreachable(),
            Self::MissingTopics(_) | Self::SessionRefused { .. } | Self::Delivery(_) | Self::Ended(_) => {
                false
            }
        }
    }
}

impl From<DeliveryError> for KafkaError {
    fn from(error: DeliveryError) -> Self {
        match error {
            DeliveryError::Engine(error) => Self::Engine(error),
            DeliveryError::Transport(error) => Self::Delivery(error),
        }
    }
}

fn seconds(duration: std::time::Duration) -> String {
    format!("{} s", duration.as_secs())
}

/// Whether the client's settings are wrong, or the broker has answered and will answer the same again.
fn is_refusal(error: &rdkafka::error::KafkaError) -> bool {
    use rdkafka::error::{KafkaError as Client, RDKafkaErrorCode as Code};
    let code = match error {
        Client::AdminOp(code) => Some(*code),
        _ => error.rdkafka_error_code(),
    };
    matches!(
        error,
        Client::ClientConfig(..) | Client::ClientCreation(_) | Client::Nul(_)
    ) || matches!(
        code,
        Some(
            Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::SaslAuthenticationFailed
                | Code::UnsupportedSASLMechanism
                | Code::PolicyViolation
                | Code::InvalidTopic
                | Code::InvalidPartitions
                | Code::InvalidReplicationFactor
                | Code::InvalidConfig
                | Code::MessageSizeTooLarge
                | Code::UnknownTopic
                | Code::UnknownTopicOrPartition
        )
    )
}

/// Names what was being done.
pub(crate) fn while_doing(doing: &'static str) -> impl FnOnce(rdkafka::error::KafkaError) -> KafkaError {
    move |source| KafkaError::Client { doing, source }
}
