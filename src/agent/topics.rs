//! Topics of Kafka that hold personal data: tombstones where each key keeps its last record only, patience where records go by age.
//!
//! Nothing is taken for gone that was not read: a compacted topic is read to its end before and after the tombstones, and a topic that
//! only expires is looked at where it begins.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use async_trait::async_trait;
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, ResourceSpecifier},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use super::{
    answer::{Answer, Evidence},
    place::{Place, PlaceError},
    task::Task,
    turn::Turn,
};
use crate::{
    clock::Clock,
    config::KafkaTopics,
    domain::{
        time::At,
        words::{Action, Outcome},
    },
    kafka::client::Cluster,
};

const PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing may come while a topic is read to its end.
const SILENCE: Duration = Duration::from_secs(30);

/// Topics that hold personal data.
#[derive(Debug)]
pub struct Topics {
    config: KafkaTopics,
    cluster: Cluster,
    /// How long the records of topics that expire stay at the most.
    keeps: BTreeMap<String, Duration>,
    clock: Clock,
}

/// Where each key has a record that is no tombstone, by its partition.
type Found = HashMap<Vec<u8>, Vec<i32>>;
/// Up to where partitions were read.
type Ends = BTreeMap<i32, i64>;

impl Topics {
    /// Looks at the topics of a configuration.
    pub async fn open(config: &KafkaTopics, clock: &Clock) -> Result<Self, PlaceError> {
        let properties = config.properties.iter();
        let cluster = Cluster {
            servers: config.bootstrap_servers.clone(),
            properties: properties
                .map(|(name, value)| (name.clone(), value.expose().to_owned()))
                .collect(),
            embedded: false,
        };
        let away = |error: KafkaError| PlaceError::Unreachable {
            what: "Kafka",
            why: error.to_string(),
        };
        let admin: AdminClient<DefaultClientContext> = cluster.config().create().map_err(away)?;
        let mut keeps = BTreeMap::new();
        for topic in &config.expiring {
            let settings = settings_of(&admin, topic).await?;
            let number = |name: &str| settings.get(name).and_then(|value| value.parse::<u64>().ok());
            let is_deleted = settings
                .get("cleanup.policy")
                .is_some_and(|policy| policy.contains("delete"));
            match number("retention.ms") {
                Some(retention) if is_deleted => {
                    // What is in the segment that is written to goes once that is closed.
                    let segment = number("segment.ms").unwrap_or(0);
                    keeps.insert(
                        topic.clone(),
                        Duration::from_millis(retention.saturating_add(segment)),
                    );
                }
                _ => {
                    return Err(PlaceError::Mistaken(format!(
                        "kafka_topics.expiring: the topic {topic} keeps its records for ever: its cleanup.policy has to be delete, \
                         with a retention.ms"
                    )));
                }
            }
        }
        for compacted in &config.compacted {
            let settings = settings_of(&admin, &compacted.topic).await?;
            if !settings
                .get("cleanup.policy")
                .is_some_and(|policy| policy.contains("compact"))
            {
                return Err(PlaceError::Mistaken(format!(
                    "kafka_topics.compacted: the topic {} is not compacted: a tombstone would delete nothing",
                    compacted.topic
                )));
            }
        }
        Ok(Self {
            config: config.clone(),
            cluster,
            keeps,
            clock: clock.clone(),
        })
    }

    fn consumer(&self) -> Result<BaseConsumer, KafkaError> {
        let mut config = self.cluster.config();
        config
            .set("group.id", "lacuna-agent-reads-topics")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "false")
            .set("isolation.level", "read_committed");
        config.create()
    }

    fn work(&self, tasks: &[Task]) -> Result<Vec<Answer>, KafkaError> {
        let consumer = self.consumer()?;
        let mut rows: Vec<BTreeMap<String, u64>> = vec![BTreeMap::new(); tasks.len()];
        let mut still: Vec<Option<String>> = vec![None; tasks.len()];
        for compacted in &self.config.compacted {
            let topic = &compacted.topic;
            let keys: Vec<Vec<Vec<u8>>> = tasks
                .iter()
                .map(|task| {
                    let keys = compacted
                        .key
                        .fill(&task.identities, |value| Some(value.to_owned()));
                    keys.into_iter().map(String::into_bytes).collect()
                })
                .collect();
            let mut found: Found = keys
                .iter()
                .flatten()
                .map(|key| (key.clone(), Vec::new()))
                .collect();
            if found.is_empty() {
                continue;
            }
            let ends = read_to_end(&consumer, topic, &Ends::new(), &mut found)?;
            let before = found.clone();
            self.entomb(topic, tasks, &keys, &found)?;
            let mut after = found.clone();
            read_to_end(&consumer, topic, &ends, &mut after)?;
            for (n, (task, keys)) in tasks.iter().zip(&keys).enumerate() {
                let had = keys.iter().map(|key| before[key].len() as u64).sum::<u64>();
                if had > 0 {
                    rows[n].insert(topic.clone(), had);
                }
                if task.action != Action::Verify && keys.iter().any(|key| !after[key].is_empty()) {
                    still[n] = Some(format!("a record of the topic {topic} came anew"));
                }
            }
        }
        let kept = self.kept(&consumer, tasks)?;
        let answers = tasks.iter().zip(rows).zip(still).zip(kept);
        Ok(answers
            .map(|(((task, rows), still), kept)| self.answer(task, rows, still, kept))
            .collect())
    }

    fn answer(
        &self,
        task: &Task,
        rows: BTreeMap<String, u64>,
        still: Option<String>,
        kept: Option<At>,
    ) -> Answer {
        let evidence = Evidence {
            method: Some("tombstone".to_owned()),
            records: rows.values().sum(),
            by_table: rows,
            ..Evidence::default()
        };
        if task.action == Action::Verify {
            let is_there = evidence.records > 0 || kept.is_some();
            return Answer::new(if is_there {
                Outcome::Present
            } else {
                Outcome::Absent
            });
        }
        if let Some(why) = still {
            return Answer::failed(why).with(evidence);
        }
        match kept {
            Some(until) => {
                let mut answer = Answer::new(Outcome::Retained).with(evidence);
                answer.retained = Some((self.config.basis.clone(), Some(until), Vec::new()));
                answer
            }
            None if evidence.records > 0 => Answer::new(Outcome::Erased).with(evidence),
            // Records that went by age went, too.
            None if !self.keeps.is_empty() => Answer::new(Outcome::Erased).with(Evidence {
                method: Some("retention".to_owned()),
                ..evidence
            }),
            None => Answer::new(Outcome::NotFound).with(evidence),
        }
    }

    /// Writes a tombstone wherever a key has a record, and waits until each is confirmed.
    fn entomb(
        &self,
        topic: &str,
        tasks: &[Task],
        keys: &[Vec<Vec<u8>>],
        found: &Found,
    ) -> Result<(), KafkaError> {
        let producer: BaseProducer = self.cluster.producer_config().create()?;
        for key in tasks
            .iter()
            .zip(keys)
            .filter(|(task, _)| task.action != Action::Verify)
            .flat_map(|(_, keys)| keys)
        {
            for partition in &found[key] {
                let record: BaseRecord<'_, Vec<u8>, Vec<u8>> =
                    BaseRecord::to(topic).partition(*partition).key(key);
                producer.send(record).map_err(|(error, _)| error)?;
            }
        }
        producer.flush(PATIENCE)
    }

    /// Until when the topics that expire have what was collected before each task's time; `None`: it has gone.
    fn kept(&self, consumer: &BaseConsumer, tasks: &[Task]) -> Result<Vec<Option<At>>, KafkaError> {
        let mut kept = vec![None; tasks.len()];
        for (topic, keeps) in &self.keeps {
            let Some(oldest) = oldest(consumer, topic)? else {
                continue;
            };
            for (task, kept) in tasks.iter().zip(&mut kept) {
                if oldest < task.data_before {
                    let soon = self.clock.now().plus(Duration::from_secs(600));
                    let until = task.data_before.plus(*keeps).max(soon);
                    *kept = (*kept).max(Some(until));
                }
            }
        }
        Ok(kept)
    }
}

#[async_trait]
impl Place for Topics {
    async fn carry_out(&self, tasks: &[Task], turn: &Turn) -> Vec<Answer> {
        if let Some(ended) = turn.ended() {
            return tasks.iter().map(|_| Answer::partial(ended.says())).collect();
        }
        // The client's own words name brokers and topics, never a key.
        match tokio::task::block_in_place(|| self.work(tasks)) {
            Ok(answers) => answers,
            Err(error) => tasks
                .iter()
                .map(|_| Answer::failed(format!("Kafka: {error}")))
                .collect(),
        }
    }
}

async fn settings_of(
    admin: &AdminClient<DefaultClientContext>,
    topic: &str,
) -> Result<BTreeMap<String, String>, PlaceError> {
    let away = |why: String| PlaceError::Unreachable {
        what: "Kafka",
        why: format!("the topic {topic}: {why}"),
    };
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let described = admin
        .describe_configs([&ResourceSpecifier::Topic(topic)], &options)
        .await
        .map_err(|error| away(error.to_string()))?;
    let mut settings = BTreeMap::new();
    for resource in described {
        let resource = resource.map_err(|code| away(code.to_string()))?;
        for entry in resource.entries {
            settings.extend(entry.value.map(|value| (entry.name, value)));
        }
    }
    Ok(settings)
}

fn partitions_of(consumer: &BaseConsumer, topic: &str) -> Result<Vec<i32>, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let topic = metadata.topics().iter().find(|one| one.name() == topic);
    Ok(topic.map_or_else(Vec::new, |one| one.partitions().iter().map(|p| p.id()).collect()))
}

/// Reads a topic to its end from where `from` says, or from its beginning, and notes which keys have a last record that is no
/// tombstone. Gives the ends.
fn read_to_end(
    consumer: &BaseConsumer,
    topic: &str,
    from: &Ends,
    found: &mut Found,
) -> Result<Ends, KafkaError> {
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
    while !left.is_empty() {
        if let Some(message) = consumer.poll(Duration::from_millis(200)) {
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
        for one in consumer.position()?.elements() {
            let is_at_end = match (one.offset(), left.get(&one.partition())) {
                (Offset::Offset(at), Some(end)) => at >= *end,
                _ => false,
            };
            if is_at_end {
                left.remove(&one.partition());
            }
        }
    }
    consumer.unassign()?;
    Ok(ends)
}

/// When the oldest record of a topic was written; `None`: there is none.
fn oldest(consumer: &BaseConsumer, topic: &str) -> Result<Option<At>, KafkaError> {
    let mut oldest: Option<At> = None;
    for partition in partitions_of(consumer, topic)? {
        let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE)?;
        if low >= high {
            continue;
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(low))?;
        consumer.assign(&list)?;
        let Some(message) = consumer.poll(SILENCE) else {
            continue;
        };
        // One without a time may be of any.
        let at = message?
            .timestamp()
            .to_millis()
            .map_or(At::default(), At::from_millis);
        oldest = Some(oldest.map_or(at, |known| known.min(at)));
    }
    consumer.unassign()?;
    Ok(oldest)
}
