//! Publishing single messages for commands of an operator: each is followed to the place where the broker has put it.
//!
//! Workers publish through [`super::producer`], which counts deliveries instead of looking at each.

use std::{collections::BTreeSet, time::Duration};

use rdkafka::{
    error::{KafkaError as ClientError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer},
};

use super::{
    KafkaError,
    admin::Admin,
    client::{Cluster, Quiet},
    while_doing,
};

/// A message to be published.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The key, where it has one.
    pub key: Option<String>,
    /// The headers.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The value.
    pub payload: &'a [u8],
}

/// Where the broker has put a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPosition {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// Publishes messages.
pub struct Publisher {
    producer: FutureProducer<Quiet>,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive()
    }
}

/// A message on its way.
pub struct Pending(DeliveryFuture);

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

impl Publisher {
    /// Connects, and makes sure that these topics exist: a message to one that does not would only time out.
    pub async fn connect(cluster: &Cluster, topics: BTreeSet<String>) -> Result<Self, KafkaError> {
        let admin = Admin::new(cluster)?;
        let there = tokio::task::spawn_blocking(move || admin.list())
            .await
            .map_err(|_| KafkaError::Ended("listing topics"))??;
        let missing: Vec<String> = topics
            .into_iter()
            .filter(|topic| !there.contains_key(topic))
            .collect();
        if !missing.is_empty() {
            return Err(KafkaError::MissingTopics(missing.join(", ")));
        }
        let producer = cluster
            .producer_config()
            .create_with_context(Quiet)
            .map_err(while_doing("creating the producer"))?;
        Ok(Self { producer })
    }

    /// Hands a message to the producer.
    pub async fn send(&self, message: &Outgoing<'_>) -> Result<Pending, KafkaError> {
        let headers = message
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(*value),
                })
            });
        let mut record = FutureRecord::to(message.topic)
            .payload(message.payload)
            .headers(headers);
        if let Some(key) = &message.key {
            record = record.key(key);
        }
        loop {
            match self.producer.send_result(record) {
                Ok(delivery) => return Ok(Pending(delivery)),
                Err((ClientError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    // The producer's own thread empties the queue.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Err((source, _)) => {
                    return Err(KafkaError::Client {
                        doing: "publishing",
                        source,
                    });
                }
            }
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // Every message was waited for, or given up: nothing that is still queued may arrive after that was said.
        self.producer
            .purge(rdkafka::producer::PurgeConfig::default().queue());
    }
}

impl Pending {
    /// Waits until the broker has confirmed it, or the producer has given it up.
    pub async fn confirmed(self) -> Result<RecordPosition, KafkaError> {
        match self.0.await {
            Ok(Ok(delivery)) => Ok(RecordPosition {
                partition: delivery.partition,
                offset: delivery.offset,
            }),
            Ok(Err((source, _))) => Err(KafkaError::Client {
                doing: "publishing",
                source,
            }),
            Err(_) => Err(KafkaError::Ended("publishing")),
        }
    }
}
