//! Reading topics: to their end, and at their beginning. A broker that says nothing has not said that there is nothing.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
};

use crate::{
    agent::turn::{Ended, Turn},
    clock::Stopwatch,
    domain::time::At,
};

/// How long an answer may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing may come while a topic is read.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a look at the next records takes.
const LOOK: Duration = Duration::from_millis(200);

/// Where each key has a record that is no tombstone, by its partition.
pub(super) type Found = HashMap<Vec<u8>, Vec<i32>>;
/// Up to where partitions were read.
pub(super) type Ends = BTreeMap<i32, i64>;

/// Why a topic was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum TopicError {
    /// The client's own words name brokers and topics, never a key.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    #[error("Kafka: the topic {0} is not there, or not shown to this user")]
    Unseen(String),
    #[error("Kafka: the topic {0} could not be read to its end: nothing came for {seconds} s; is a transaction open?", seconds = SILENCE.as_secs())]
    Silent(String),
    #[error("{}", .0.says())]
    Ended(Ended),
}

fn partitions_of(consumer: &BaseConsumer, topic: &str) -> Result<Vec<i32>, TopicError> {
    let unseen = || TopicError::Unseen(topic.to_owned());
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let found = metadata.topics().iter().find(|one| one.name() == topic);
    let found = found.filter(|one| one.error().is_none()).ok_or_else(unseen)?;
    let partitions: Vec<i32> = found.partitions().iter().map(|one| one.id()).collect();
    if partitions.is_empty() {
        return Err(unseen());
    }
    Ok(partitions)
}

/// Reads a topic to its end from where `from` says, or from its beginning, and notes which keys have a last record that is no
/// tombstone. Gives the ends.
pub(super) fn read_to_end(
    consumer: &BaseConsumer,
    topic: &str,
    from: &Ends,
    found: &mut Found,
    turn: &Turn,
) -> Result<Ends, TopicError> {
    let mut ends = Ends::new();
    let mut list = TopicPartitionList::new();
    for partition in partitions_of(consumer, topic)? {
        let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE)?;
        ends.insert(partition, high);
        let start = from.get(&partition).copied().unwrap_or(low).max(low);
        if start < high {
            list.add_partition_offset(topic, partition, Offset::Offset(start))?;
        }
    }
    let mut left: BTreeMap<i32, i64> = list
        .elements()
        .iter()
        .filter_map(|one| Some((one.partition(), *ends.get(&one.partition())?)))
        .collect();
    consumer.assign(&list)?;
    let mut quiet = Stopwatch::start();
    let mut before = TopicPartitionList::new();
    while !left.is_empty() {
        if let Some(ended) = turn.ended() {
            return Err(TopicError::Ended(ended));
        }
        if let Some(message) = consumer.poll(LOOK) {
            let message = message?;
            let (partition, key) = (message.partition(), message.key().unwrap_or_default());
            if let Some(places) = found.get_mut(key) {
                places.retain(|place| *place != partition);
                if message.payload().is_some() {
                    places.push(partition);
                }
            }
        }
        // Compacted offsets and the marks of transactions are no messages: only the position tells.
        let now = consumer.position()?;
        for one in now.elements() {
            let is_at_end = match (one.offset(), left.get(&one.partition())) {
                (Offset::Offset(at), Some(end)) => at >= *end,
                _ => false,
            };
            if is_at_end {
                left.remove(&one.partition());
            }
        }
        if now != before {
            quiet = Stopwatch::start();
            before = now;
        } else if quiet.elapsed() >= SILENCE {
            return Err(TopicError::Silent(topic.to_owned()));
        }
    }
    consumer.unassign()?;
    Ok(ends)
}

/// When the oldest record of a topic was written; `None`: there is none.
pub(super) fn oldest(consumer: &BaseConsumer, topic: &str, turn: &Turn) -> Result<Option<At>, TopicError> {
    let mut oldest: Option<At> = None;
    for partition in partitions_of(consumer, topic)? {
        if let Some(at) = oldest_of(consumer, topic, partition, turn)? {
            oldest = Some(oldest.map_or(at, |known| known.min(at)));
        }
    }
    consumer.unassign()?;
    Ok(oldest)
}

fn oldest_of(
    consumer: &BaseConsumer,
    topic: &str,
    partition: i32,
    turn: &Turn,
) -> Result<Option<At>, TopicError> {
    let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE)?;
    if low >= high {
        return Ok(None);
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(low))?;
    consumer.assign(&list)?;
    let quiet = Stopwatch::start();
    loop {
        if let Some(ended) = turn.ended() {
            return Err(TopicError::Ended(ended));
        }
        if let Some(message) = consumer.poll(LOOK) {
            // One without a time may be of any.
            let at = message?.timestamp().to_millis();
            return Ok(Some(at.map_or(At::default(), At::from_millis)));
        }
        // Where there are only marks of transactions left there is no record, and the position passes them.
        let is_at_end = consumer
            .position()?
            .elements()
            .iter()
            .any(|one| matches!(one.offset(), Offset::Offset(at) if at >= high));
        if is_at_end {
            return Ok(None);
        }
        if quiet.elapsed() >= SILENCE {
            return Err(TopicError::Silent(topic.to_owned()));
        }
    }
}
