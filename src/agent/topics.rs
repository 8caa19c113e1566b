//! Topics of Kafka that hold personal data: tombstones where each key keeps its last record only, patience where records go by age.
//!
//! Nothing is taken for gone that was not read: a compacted topic is read to its end before and after the tombstones, and a topic that
//! only expires is looked at where it begins.

mod reading;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use rdkafka::{
    admin::{AdminClient, AdminOptions, ResourceSpecifier},
    client::DefaultClientContext,
    consumer::BaseConsumer,
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use self::reading::{Ends, Found, PATIENCE, TopicError, oldest, read_to_end};
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

/// Topics that hold personal data.
#[derive(Debug)]
pub struct Topics(Arc<Known>);

#[derive(Debug)]
struct Known {
    config: KafkaTopics,
    cluster: Cluster,
    /// How long the records of topics that expire stay at the most.
    keeps: BTreeMap<String, Duration>,
    clock: Clock,
}

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
        Ok(Self(Arc::new(Known {
            config: config.clone(),
            cluster,
            keeps,
            clock: clock.clone(),
        })))
    }
}

impl Known {
    fn consumer(&self) -> Result<BaseConsumer, KafkaError> {
        let mut config = self.cluster.config();
        config
            .set("group.id", "lacuna-agent-reads-topics")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "false")
            .set("isolation.level", "read_committed");
        config.create()
    }

    fn work(&self, tasks: &[Task], turn: &Turn) -> Result<Vec<Answer>, TopicError> {
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
            let ends = read_to_end(&consumer, topic, &Ends::new(), &mut found, turn)?;
            let before = found.clone();
            self.entomb(topic, tasks, &keys, &found)?;
            let mut after = found.clone();
            read_to_end(&consumer, topic, &ends, &mut after, turn)?;
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
        let kept = self.kept(&consumer, tasks, turn)?;
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
    fn kept(
        &self,
        consumer: &BaseConsumer,
        tasks: &[Task],
        turn: &Turn,
    ) -> Result<Vec<Option<At>>, TopicError> {
        let mut kept = vec![None; tasks.len()];
        for (topic, keeps) in &self.keeps {
            let Some(oldest) = oldest(consumer, topic, turn)? else {
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

impl Known {
    /// What is asked for in a way that topics do not have.
    fn refused(&self, task: &Task) -> Option<Answer> {
        match task.unknown_method() {
            Some(why) => Some(Answer::unsupported(why)),
            None => Answer::of_other_category(task, "kafka_topics", self.config.category.as_ref()),
        }
    }
}

#[async_trait]
impl Place for Topics {
    async fn carry_out(&self, tasks: &[Task], turn: &Turn) -> Vec<Answer> {
        if let Some(ended) = turn.ended() {
            return tasks.iter().map(|_| Answer::partial(ended.says())).collect();
        }
        let mut answers: Vec<Option<Answer>> = tasks.iter().map(|task| self.0.refused(task)).collect();
        let open = tasks.iter().zip(&answers).filter(|(_, answer)| answer.is_none());
        let open: Vec<Task> = open.map(|(task, _)| task.clone()).collect();
        let (count, known, of) = (open.len(), Arc::clone(&self.0), turn.clone());
        // Whoever waits for a broker must not keep the agent from announcing, keeping and ending its tasks.
        let working = tokio::task::spawn_blocking(move || {
            if open.is_empty() {
                return Ok(Vec::new());
            }
            known.work(&open, &of)
        });
        let mut done = match working.await {
            Ok(Ok(done)) => done,
            Ok(Err(TopicError::Ended(ended))) => vec![Answer::partial(ended.says()); count],
            Ok(Err(error)) => vec![Answer::failed(error.to_string()); count],
            Err(_) => vec![Answer::failed("the topics could not be worked on: the agent failed"); count],
        }
        .into_iter();
        for answer in &mut answers {
            if answer.is_none() {
                *answer = done.next();
            }
        }
        answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(|| Answer::failed("the task was not carried out")))
            .collect()
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
