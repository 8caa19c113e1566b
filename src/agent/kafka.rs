//! Tasks of a topic. Offsets are committed once the answers are confirmed: after a crash they come again.

use std::{collections::VecDeque, time::Duration};

use async_trait::async_trait;
use rdkafka::{
    Message as _,
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    message::OwnedMessage,
    producer::{FutureProducer, FutureRecord, Producer as _},
};
use tokio_util::sync::CancellationToken;

use super::{
    answer::Answer,
    source::{Source, SourceError},
    task::Task,
};
use crate::{config::KafkaSource, kafka::client::Cluster};

/// The partitions of an agent that died are given to others within this.
const LEASE: Duration = Duration::from_secs(30);
/// For how long tasks are waited for.
const WAIT: Duration = Duration::from_secs(5);
/// What comes so soon after the first one is taken with it.
const TOGETHER: Duration = Duration::from_millis(20);
/// For how long an answer may take to be confirmed.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(20);

/// Tasks of a topic.
pub struct KafkaTasks {
    consumer: StreamConsumer,
    producer: FutureProducer,
    /// What came while others were carried out.
    waiting: VecDeque<OwnedMessage>,
    /// Up to where each partition has been taken.
    taken: rdkafka::TopicPartitionList,
}

impl std::fmt::Debug for KafkaTasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaTasks")
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

impl KafkaTasks {
    /// The topic of a configuration.
    pub fn open(source: &KafkaSource) -> Result<Self, SourceError> {
        let refused =
            |error: rdkafka::error::KafkaError| SourceError::Refused(format!("source.kafka: {error}"));
        let properties = source.properties.iter();
        let cluster = Cluster {
            servers: source.bootstrap_servers.clone(),
            properties: properties
                .map(|(name, value)| (name.clone(), value.expose().to_owned()))
                .collect(),
            embedded: false,
        };
        let mut config = cluster.consumer_config(&source.group_id, LEASE);
        config.set("enable.auto.commit", "false");
        let consumer: StreamConsumer = config.create().map_err(refused)?;
        consumer.subscribe(&[&source.topic]).map_err(refused)?;
        let producer = cluster.producer_config().create().map_err(refused)?;
        Ok(Self {
            consumer,
            producer,
            waiting: VecDeque::new(),
            taken: rdkafka::TopicPartitionList::new(),
        })
    }

    async fn next(&mut self, within: Duration) -> Result<Option<OwnedMessage>, SourceError> {
        if let Some(message) = self.waiting.pop_front() {
            return Ok(Some(message));
        }
        match tokio::time::timeout(within, self.consumer.recv()).await {
            Err(_) => Ok(None),
            Ok(Ok(message)) => Ok(Some(message.detach())),
            Ok(Err(error)) => Err(SourceError::Away(format!("the topic of tasks: {error}"))),
        }
    }

    /// Notes a message as taken, and reads it. What is no task is passed over, loudly: nobody can answer it.
    fn read(&mut self, message: &OwnedMessage) -> Result<Option<Task>, SourceError> {
        let next = rdkafka::Offset::Offset(message.offset() + 1);
        let (topic, partition) = (message.topic(), message.partition());
        if self.taken.find_partition(topic, partition).is_none() {
            self.taken.add_partition(topic, partition);
        }
        self.taken
            .set_partition_offset(topic, partition, next)
            .map_err(|error| SourceError::Refused(error.to_string()))?;
        match message.payload().map(Task::parse) {
            Some(Ok(task)) => Ok(Some(task)),
            Some(Err(error)) => {
                tracing::error!(topic, partition, offset = message.offset(), %error, "a message is passed over");
                Ok(None)
            }
            None => Ok(None),
        }
    }
}

#[async_trait]
impl Source for KafkaTasks {
    async fn take(&mut self, most: u32, stop: &CancellationToken) -> Result<Vec<Task>, SourceError> {
        let resumed = self
            .consumer
            .assignment()
            .and_then(|now| self.consumer.resume(&now));
        if let Err(error) = resumed {
            tracing::debug!(%error, "nothing is assigned");
        }
        let mut tasks = Vec::new();
        let mut within = WAIT;
        while tasks.len() < most as usize {
            let stop = stop.clone();
            let next = tokio::select! {
                next = self.next(within) => match next {
                    // What was read already is carried out: its offset would be passed over.
                    Err(error) if !tasks.is_empty() => {
                        tracing::warn!(%error, "fewer tasks are taken together");
                        None
                    }
                    next => next?,
                },
                () = stop.cancelled() => None,
            };
            let Some(message) = next else { break };
            tasks.extend(self.read(&message)?);
            within = TOGETHER;
        }
        Ok(tasks)
    }

    async fn answer(
        &mut self,
        answers: &[(&Task, Answer)],
        stop: &CancellationToken,
    ) -> Result<(), SourceError> {
        let mut sent = Vec::with_capacity(answers.len());
        for (task, answer) in answers {
            let ack = answer
                .ack(task)
                .map_err(|error| SourceError::Refused(error.to_string()))?;
            sent.push((task.ack_topic.clone(), task.request.0.to_string(), ack));
        }
        let mut confirmations = Vec::with_capacity(sent.len());
        for (topic, key, ack) in &sent {
            let record = FutureRecord::to(topic).key(key).payload(ack);
            let confirmation = loop {
                match self.producer.send_result(record_of(&record)) {
                    Ok(confirmation) => break confirmation,
                    // What was answered so far is confirmed; of the rest the tasks come again.
                    Err((error, _)) if is_full(&error) && stop.is_cancelled() => {
                        return Err(unconfirmed(&error));
                    }
                    Err((error, _)) if is_full(&error) => {
                        tokio::select! {
                            () = tokio::time::sleep(Duration::from_millis(20)) => {}
                            () = stop.cancelled() => {}
                        }
                    }
                    Err((error, _)) => return Err(unconfirmed(&error)),
                }
            };
            confirmations.push(confirmation);
        }
        for confirmation in confirmations {
            match tokio::time::timeout(CONFIRMED_WITHIN, confirmation).await {
                Ok(Ok(Ok(_))) => {}
                Ok(Ok(Err((error, _)))) => return Err(unconfirmed(&error)),
                Ok(Err(_)) | Err(_) => {
                    return Err(SourceError::Away(
                        "an answer was not confirmed in time".to_owned(),
                    ));
                }
            }
        }
        Ok(())
    }

    async fn settled(&mut self) -> Result<(), SourceError> {
        if self.taken.count() == 0 {
            return Ok(());
        }
        let commit = tokio::task::block_in_place(|| self.consumer.commit(&self.taken, CommitMode::Sync));
        self.taken = rdkafka::TopicPartitionList::new();
        // Partitions that were given to another agent meanwhile are its own: it does their tasks again.
        commit.map_err(|error| SourceError::Away(format!("the offsets cannot be committed: {error}")))
    }

    async fn keep(&mut self) {
        let paused = self
            .consumer
            .assignment()
            .and_then(|now| self.consumer.pause(&now));
        if let Err(error) = paused {
            tracing::debug!(%error, "nothing is assigned");
        }
        loop {
            // Whoever does not ask for messages is taken for dead.
            match self.consumer.recv().await {
                Ok(message) => self.waiting.push_back(message.detach()),
                Err(error) => {
                    tracing::warn!(%error, "the topic of tasks");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

fn record_of<'a>(record: &FutureRecord<'a, String, Vec<u8>>) -> FutureRecord<'a, String, Vec<u8>> {
    FutureRecord {
        topic: record.topic,
        partition: None,
        payload: record.payload,
        key: record.key,
        timestamp: None,
        headers: None,
    }
}

fn is_full(error: &rdkafka::error::KafkaError) -> bool {
    error.rdkafka_error_code() == Some(rdkafka::error::RDKafkaErrorCode::QueueFull)
}

fn unconfirmed(error: &rdkafka::error::KafkaError) -> SourceError {
    SourceError::Away(format!("an answer was not confirmed: {error}"))
}

impl Drop for KafkaTasks {
    fn drop(&mut self) {
        if let Err(error) = self.producer.flush(Duration::from_secs(2)) {
            tracing::debug!(%error, "what was not confirmed is answered again");
        }
    }
}
