//! A look at a log, over a connection of its own: where it begins and ends, and which records lie at given offsets.
//!
//! It never commits anything and never joins a group.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rdkafka::{
    ClientContext, Message, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError as ClientError, RDKafkaErrorCode},
    message::BorrowedMessage,
};

use super::{
    KafkaError,
    client::{Cluster, log_line},
    types::Partition,
    while_doing,
};
use crate::{clock::Stopwatch, domain::time::At, store::Mark, vault::Vault, wire::kept};

/// How long a broker may take to say where a partition begins and ends: a partition without a leader must not keep the others
/// waiting for long.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long reading some records may take.
const READING: Duration = Duration::from_secs(10);

/// What is asked about a partition: the offsets of the records that are wanted.
#[derive(Debug, Clone)]
pub struct Question {
    /// The partition.
    pub partition: Partition,
    /// The offsets.
    pub offsets: Vec<i64>,
}

/// What a log holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    /// The first offset.
    pub low: i64,
    /// The offset after the last record.
    pub high: i64,
    /// Those of the wanted records that are there.
    pub records: Vec<Mark>,
    /// A wanted offset that could not be read, which says nothing about what lies there.
    pub unread: Option<i64>,
}

/// Logs what the client says, but for the end of a partition: that is an answer.
#[derive(Debug, Clone, Copy)]
struct Looking;

impl ClientContext for Looking {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: ClientError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            tracing::warn!(%error, reason, "Kafka client");
        }
    }
}

impl ConsumerContext for Looking {}

/// Looks at logs.
pub struct LogReader {
    consumer: BaseConsumer<Looking>,
    vault: Vault,
}

impl std::fmt::Debug for LogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogReader").finish_non_exhaustive()
    }
}

impl LogReader {
    /// Connects. `group_id`: one that the principal may name; it is not joined.
    pub fn new(cluster: &Cluster, group_id: &str, vault: Vault) -> Result<Self, KafkaError> {
        let mut config = cluster.config();
        config
            .set("group.id", group_id)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            // One record of each partition is wanted, so little is fetched.
            .set("fetch.message.max.bytes", "4096")
            .set("fetch.wait.max.ms", "10");
        let consumer = config
            .create_with_context(Looking)
            .map_err(while_doing("creating a client"))?;
        Ok(Self { consumer, vault })
    }

    /// The cluster's id, as the brokers say it.
    pub fn cluster_id(&self) -> Option<String> {
        self.consumer.client().fetch_cluster_id(PATIENCE)
    }

    /// Looks at partitions; one that does not answer is not in the answer. Blocks.
    pub fn look(&self, questions: &[Question]) -> Result<HashMap<Partition, Held>, KafkaError> {
        let mut held = HashMap::with_capacity(questions.len());
        for Question { partition, .. } in questions {
            match self
                .consumer
                .fetch_watermarks(&partition.0, partition.1, PATIENCE)
            {
                Ok((low, high)) => {
                    let held_there = Held {
                        low,
                        high,
                        ..Held::default()
                    };
                    held.insert(partition.clone(), held_there);
                }
                Err(error) => {
                    tracing::warn!(topic = %partition.0, partition = partition.1, %error, "a log cannot be looked at")
                }
            }
        }
        // A topic at a time: the end of a partition is told without the name of its topic.
        let mut topics: Vec<&Arc<str>> = questions.iter().map(|question| &question.partition.0).collect();
        topics.sort_unstable();
        topics.dedup();
        for topic in topics {
            let of_topic = questions.iter().filter(|question| question.partition.0 == *topic);
            let mut wanted: Vec<(Partition, i64)> = of_topic
                .flat_map(|question| {
                    let offsets = question.offsets.iter();
                    offsets.map(|offset| (question.partition.clone(), *offset))
                })
                .filter(|(partition, offset)| {
                    held.get(partition)
                        .is_some_and(|held| (held.low..held.high).contains(offset))
                })
                .collect();
            // One of each partition at a time.
            while !wanted.is_empty() {
                let mut round: Vec<(Partition, i64)> = Vec::new();
                wanted.retain(|(partition, offset)| {
                    let is_later = round.iter().any(|(other, _)| other == partition);
                    if !is_later {
                        round.push((partition.clone(), *offset));
                    }
                    is_later
                });
                for (partition, offset) in self.read(round, &mut held)? {
                    if let Some(held) = held.get_mut(&partition) {
                        held.unread = Some(offset);
                    }
                }
            }
        }
        Ok(held)
    }

    /// Reads a record of each of these partitions of one topic, where there is one at that offset. Gives those that did not
    /// answer.
    fn read(
        &self,
        mut wanted: Vec<(Partition, i64)>,
        held: &mut HashMap<Partition, Held>,
    ) -> Result<Vec<(Partition, i64)>, KafkaError> {
        let mut places = TopicPartitionList::new();
        for ((topic, partition), offset) in &wanted {
            places
                .add_partition_offset(topic, *partition, Offset::Offset(*offset))
                .map_err(while_doing("looking at a log"))?;
        }
        self.consumer
            .assign(&places)
            .map_err(while_doing("looking at a log"))?;
        let watch = Stopwatch::start();
        while !wanted.is_empty() && watch.elapsed() < READING {
            match self.consumer.poll(Duration::from_millis(100)) {
                None => {}
                Some(Ok(message)) => {
                    let is_its = |(key, _): &(Partition, i64)| {
                        *key.0 == *message.topic() && key.1 == message.partition()
                    };
                    if let Some(place) = wanted.iter().position(is_its) {
                        let (key, offset) = wanted.swap_remove(place);
                        let mark = self.mark(&message);
                        if let Some(held) = held.get_mut(&key).filter(|_| mark.offset == offset) {
                            held.records.push(mark);
                        }
                    }
                }
                // Nothing is there at or after the offset.
                Some(Err(ClientError::PartitionEOF(partition))) => {
                    wanted.retain(|((_, wanted), _)| *wanted != partition);
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "looking at a log");
                    break;
                }
            }
        }
        self.consumer
            .unassign()
            .map_err(while_doing("looking at a log"))?;
        Ok(wanted)
    }

    fn mark(&self, message: &BorrowedMessage<'_>) -> Mark {
        Mark {
            offset: message.offset(),
            at: written_at(message),
            digest: self.vault.log_digest(kept(message.payload().unwrap_or_default())),
        }
    }
}

/// The time that the log gives a message.
pub fn written_at<M: Message>(message: &M) -> Option<At> {
    message.timestamp().to_millis().map(At::from_millis)
}
