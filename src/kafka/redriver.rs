//! Publishes messages that could not be taken in to their topics again, and events of sources as the commands that they become.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::Deserialize;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{
    KafkaError,
    client::Cluster,
    publish::{Outgoing, Publisher},
};
use crate::{
    engine::dead_letters::redriving::{NotPublished, Original, Republish},
    transport::event_reader::EventReader,
    wire::source::{Carrier, Event},
};

/// What is read, and by whom.
#[derive(Debug)]
pub struct Inputs {
    /// Lacuna's own topics, whose messages are published as they were.
    pub own: BTreeSet<String>,
    /// The topics of upstreams, each with its sources.
    pub upstream: Vec<(String, EventReader)>,
    /// Where commands go that events have become.
    pub commands: String,
}

/// Connects when somebody redrives something, and stays connected for the next one.
#[derive(Debug)]
pub struct Redriver {
    cluster: Cluster,
    inputs: Inputs,
    connected: Mutex<Option<Connected>>,
}

#[derive(Debug)]
struct Connected {
    publisher: Publisher,
    /// The topics that were there.
    topics: BTreeSet<String>,
}

/// What a command is kept in order by.
#[derive(Debug, Deserialize)]
struct Ids {
    command_id: Uuid,
    request_id: Option<Uuid>,
}

impl Redriver {
    /// For this cluster.
    pub const fn new(cluster: Cluster, inputs: Inputs) -> Self {
        Self {
            cluster,
            inputs,
            connected: Mutex::const_new(None),
        }
    }

    async fn publish(&self, outgoing: &Outgoing<'_>) -> Result<String, KafkaError> {
        let topic = outgoing.topic;
        // One at a time: what failed has nobody else's message with it.
        let mut held = self.connected.lock().await;
        let known = match held.take() {
            Some(known) if known.topics.contains(topic) => known,
            other => self.connect(other, topic).await?,
        };
        // A producer that has failed is not used again.
        let place = known.publisher.send(outgoing).await?.confirmed().await?;
        *held = Some(known);
        Ok(format!("{topic}/{}/{}", place.partition, place.offset))
    }

    /// Makes sure that this topic is there; whether others still are is asked when something goes to them.
    async fn connect(&self, known: Option<Connected>, topic: &str) -> Result<Connected, KafkaError> {
        let publisher = Publisher::connect(&self.cluster, BTreeSet::from([topic.to_owned()])).await?;
        let mut topics = known.map(|known| known.topics).unwrap_or_default();
        topics.insert(topic.to_owned());
        Ok(Connected { publisher, topics })
    }

    /// The same message once more.
    async fn publish_as_it_was(&self, message: &Original) -> Result<String, NotPublished> {
        let key = message.key.clone().map(String::from_utf8);
        let outgoing = Outgoing {
            topic: &message.origin.topic,
            // Keys of ours are text.
            key: key.and_then(Result::ok),
            headers: pairs(&message.headers).collect(),
            payload: message.payload.as_deref().map_or(&[], Vec::as_slice),
        };
        self.publish(&outgoing).await.map_err(not_published)
    }

    async fn publish_command(
        &self,
        reader: &EventReader,
        message: &Original,
    ) -> Result<String, NotPublished> {
        let mapped = mapped(reader, message).await?;
        let outgoing = Outgoing {
            topic: &self.inputs.commands,
            key: Some(mapped.key.to_string()),
            headers: mapped
                .traceparent
                .iter()
                .map(|parent| ("traceparent", parent.as_str()))
                .collect(),
            payload: &mapped.command,
        };
        self.publish(&outgoing).await.map_err(not_published)
    }
}

/// The command that an event has become.
#[derive(Debug)]
pub struct Mapped {
    /// As JSON.
    pub command: Vec<u8>,
    /// What it is kept in order by.
    pub key: Uuid,
    /// The trace that its event belongs to.
    pub traceparent: Option<String>,
}

/// The command that the event of a source becomes, as it is mapped now. Its id is that of the event at its own place, so that it
/// is the same one whoever asks, and however often.
pub async fn mapped(reader: &EventReader, message: &Original) -> Result<Mapped, NotPublished> {
    let event = event_of(message);
    let heard = reader.read(&event).await;
    let heard = heard.map_err(|away| NotPublished::NotNow(away.to_string()))?;
    let Some((source, command)) = heard.taken else {
        let whys = heard.skipped.iter();
        let whys: Vec<String> = whys
            .map(|(source, skip)| format!("{}: {skip}", source.name))
            .collect();
        return Err(NotPublished::Skipped(whys.join("; ")));
    };
    let unmapped = |why: String| NotPublished::Unmapped {
        source_name: source.name.to_string(),
        why,
    };
    let command = command.map_err(|rejection| unmapped(rejection.detail))?;
    let ids: Ids = serde_json::from_slice(&command).map_err(|error| unmapped(error.to_string()))?;
    Ok(Mapped {
        command,
        key: ids.request_id.unwrap_or(ids.command_id),
        traceparent: event.header("traceparent").map(str::to_owned),
    })
}

/// The event at the place that it had: that names its command, where the event itself does not.
fn event_of(message: &Original) -> Event<'_> {
    let carrier = Carrier::Record {
        topic: &message.origin.topic,
        partition: message.origin.partition,
        offset: message.origin.offset,
        incarnation: message.origin.incarnation,
    };
    let headers = pairs(&message.headers).map(|(name, value)| (name, Some(value.as_bytes())));
    let payload = message.payload.as_deref().map(Vec::as_slice);
    Event::new(headers, payload, carrier).with_key(message.key.as_deref())
}

fn pairs(headers: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

fn not_published(error: KafkaError) -> NotPublished {
    match error {
        KafkaError::MissingTopics(_) => NotPublished::MissingTopic(Box::new(error)),
        error => NotPublished::Unconfirmed(Box::new(error)),
    }
}

#[async_trait]
impl Republish for Redriver {
    async fn publish_again(&self, message: &Original) -> Result<String, NotPublished> {
        let topic = &*message.origin.topic;
        if self.inputs.own.contains(topic) {
            return self.publish_as_it_was(message).await;
        }
        let upstream = self.inputs.upstream.iter().find(|(known, _)| known == topic);
        match upstream {
            Some((_, reader)) => self.publish_command(reader, message).await,
            None => Err(NotPublished::NotRead(topic.to_owned())),
        }
    }
}
