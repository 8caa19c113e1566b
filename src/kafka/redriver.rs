//! Publishes messages that could not be taken in to their topics again.

use std::collections::BTreeSet;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{
    KafkaError,
    client::Cluster,
    publish::{Outgoing, Publisher},
};
use crate::engine::dead_letters::redriving::{NotPublished, Original, Republish};

/// Connects when somebody redrives something, and stays connected for the next one.
#[derive(Debug)]
pub struct Redriver {
    cluster: Cluster,
    connected: Mutex<Option<Connected>>,
}

#[derive(Debug)]
struct Connected {
    publisher: Publisher,
    /// The topics that were there.
    topics: BTreeSet<String>,
}

impl Redriver {
    /// For this cluster.
    pub const fn new(cluster: Cluster) -> Self {
        Self {
            cluster,
            connected: Mutex::const_new(None),
        }
    }

    async fn publish(&self, message: &Original) -> Result<String, KafkaError> {
        // One at a time: what failed has nobody else's message with it.
        let mut held = self.connected.lock().await;
        let known = match held.take() {
            Some(known) if known.topics.contains(&message.topic) => known,
            other => self.connect(other, &message.topic).await?,
        };
        let pairs = message.headers.iter();
        let outgoing = Outgoing {
            topic: &message.topic,
            key: None,
            headers: pairs
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
            payload: &message.payload,
        };
        // A producer that has failed is not used again.
        let place = known.publisher.send(&outgoing).await?.confirmed().await?;
        *held = Some(known);
        Ok(format!("{}/{}/{}", message.topic, place.partition, place.offset))
    }

    async fn connect(&self, known: Option<Connected>, topic: &str) -> Result<Connected, KafkaError> {
        let mut topics = known.map(|known| known.topics).unwrap_or_default();
        topics.insert(topic.to_owned());
        Ok(Connected {
            publisher: Publisher::connect(&self.cluster, topics.clone()).await?,
            topics,
        })
    }
}

#[async_trait]
impl Republish for Redriver {
    async fn publish_again(&self, message: &Original) -> Result<String, NotPublished> {
        self.publish(message).await.map_err(|error| {
            let missing_topic = matches!(error, KafkaError::MissingTopics(_));
            NotPublished::new(error, missing_topic)
        })
    }
}
