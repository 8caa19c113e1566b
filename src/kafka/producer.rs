//! The producer: Kafka as a transport. It writes effects to their topics, and says which of them the brokers have not
//! confirmed.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use rdkafka::{
    error::{KafkaError as ClientError, RDKafkaErrorCode},
    producer::BaseRecord,
};
use tokio::sync::Semaphore;

use super::{
    KafkaError,
    admin::Admin,
    client::Cluster,
    failures::{CodeFault, fault_of, words_of},
    json_buffer::JsonBuffer,
    message::{KEY_BYTES, headers, key_of, key_text, value},
    producers::{Client, Maker, Producers},
    routing::{Routes, Routing},
    send_batches::{Report, SendBatch, opaque},
    sizes::Sizes,
};
use crate::{
    domain::ids::ProcessorId,
    engine::effects::Effect,
    transport::{Confirmations, Failure, Fault, Manner, Transport, TransportError},
};

/// How long the cluster may take to say which topics there are.
const PATIENCE: Duration = Duration::from_secs(5);

/// Produces messages and follows them until the broker has confirmed them.
pub struct Producer {
    maker: Arc<Maker>,
    routing: Routing,
    sizes: Arc<Sizes>,
    in_flight: Arc<Semaphore>,
    max_in_flight: u32,
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer")
            .field("max_in_flight", &self.max_in_flight)
            .finish_non_exhaustive()
    }
}

/// A message that was handed to the client.
struct Written {
    topic: Arc<str>,
    bytes: usize,
}

/// A send_batch with what its messages are.
struct Queued {
    send_batch: Arc<SendBatch>,
    sent: Vec<Written>,
    sizes: Arc<Sizes>,
    alone: bool,
}

#[async_trait]
impl Transport for Producer {
    async fn send(&self, effects: &[Effect], manner: Manner) -> Result<Confirmations, TransportError> {
        let permit = match manner {
            Manner::WithinLimit => {
                // What is larger than the whole allowance goes alone.
                let share = u32::try_from(effects.len()).unwrap_or(u32::MAX);
                let share = share.min(self.max_in_flight);
                let permit = Arc::clone(&self.in_flight).acquire_many_owned(share).await;
                Some(permit.map_err(|_| TransportError::new(KafkaError::Ended("the producer's allowance")))?)
            }
            Manner::AtOnce | Manner::EachAlone => None,
        };
        let queued = self.hand_over(effects, manner == Manner::EachAlone).await;
        Ok(Confirmations::new(async move {
            let failures = queued.failures().await;
            drop(permit);
            failures
        }))
    }

    fn is_throttled(&self) -> bool {
        self.maker.is_throttled()
    }

    async fn limit_of(&self, processor: &ProcessorId) -> Option<u32> {
        self.sizes.limit_of(&self.destination_of(processor)).await
    }

    fn destination_of(&self, processor: &ProcessorId) -> Arc<str> {
        self.routing.routes().task_topic(processor)
    }

    async fn obstacles(
        &self,
        processors: &[ProcessorId],
    ) -> Result<BTreeMap<ProcessorId, &'static str>, TransportError> {
        let cluster = self.maker.cluster().clone();
        let asking = tokio::task::spawn_blocking(move || Admin::new(&cluster)?.serving_within(PATIENCE));
        let there = asking
            .await
            .map_err(|_| TransportError::new(KafkaError::Ended("listing topics")))?
            .map_err(TransportError::new)?;
        let routes = self.routing.routes();
        let obstacle = |processor: &ProcessorId| match there.get(routes.task_topic(processor).as_ref()) {
            Some(true) => None,
            Some(false) => Some("a partition of its topic has no leader"),
            None => Some("its topic does not exist"),
        };
        let obstacles = processors
            .iter()
            .filter_map(|processor| Some((processor.clone(), obstacle(processor)?)));
        Ok(obstacles.collect())
    }
}

impl Producer {
    /// Sets the producer up. `max_in_flight`: how many messages may be unconfirmed at a time.
    pub fn new(cluster: &Cluster, routing: Routing, max_in_flight: u32) -> Result<Self, KafkaError> {
        Ok(Self {
            maker: Maker::start(cluster)?,
            routing,
            sizes: Arc::new(Sizes::new(cluster.clone())),
            in_flight: Arc::new(Semaphore::new(max_in_flight as usize)),
            max_in_flight,
        })
    }

    /// Waits for what is in flight, at shutdown.
    pub fn flush(&self, timeout: Duration) {
        if let Err(error) = self.maker.producers().flush(timeout) {
            // Whatever is still out is produced again after the next start: its offset is not stored.
            tracing::warn!(%error, "not everything was confirmed before the end");
        }
    }

    async fn hand_over(&self, effects: &[Effect], alone: bool) -> Queued {
        let (producers, routes) = (self.maker.producers(), self.routing.routes());
        let (slot, send_batch) = producers.send_batches().begin(effects.len());
        let mut sent = Vec::with_capacity(effects.len());
        let mut writer = Writer {
            producers: &producers,
            routes: &routes,
            buffer: JsonBuffer::default(),
            text: String::with_capacity(64),
        };
        for (place, effect) in effects.iter().enumerate() {
            let number = opaque(slot, place);
            let Some(topic) = routes.topic_of(effect) else {
                // Nobody is to be told, so there is nothing to wait for.
                producers.send_batches().report(number, None);
                sent.push(Written {
                    topic: Arc::from(""),
                    bytes: 0,
                });
                continue;
            };
            let goes_alone = alone || self.sizes.is_small(&topic);
            let (bytes, done) = writer.write(effect, &topic, number, goes_alone).await;
            sent.push(Written { topic, bytes });
            // What was not handed over will never be reported by the client. Whatever comes after it goes all the same.
            if let Err(code) = done {
                producers.refused(code);
                producers.send_batches().report(number, Some((code, true)));
            }
        }
        Queued {
            send_batch,
            sent,
            sizes: Arc::clone(&self.sizes),
            alone,
        }
    }
}

/// Hands messages to the client, one after the other.
struct Writer<'a> {
    producers: &'a Producers,
    routes: &'a Routes,
    buffer: JsonBuffer,
    text: String,
}

impl Writer<'_> {
    /// Gives how many bytes the message has, and whether the client has taken it.
    async fn write(
        &mut self,
        effect: &Effect,
        topic: &str,
        number: usize,
        alone: bool,
    ) -> (usize, Result<(), RDKafkaErrorCode>) {
        let value = match value(effect, &self.routes.topics, &mut self.buffer) {
            Ok(value) => value,
            Err(error) => {
                tracing::error!(topic, %error, "a message cannot be written");
                return (0, Err(RDKafkaErrorCode::InvalidRecord));
            }
        };
        let bytes = value.map_or(0, <[u8]>::len);
        let mut room = [0; KEY_BYTES];
        let key = key_of(effect).map(|key| key_text(key, &mut room));
        let mut message: BaseRecord<'_, str, [u8], usize> =
            BaseRecord::with_opaque_to(topic, number).headers(headers(effect, &mut self.text));
        if let Some(value) = value {
            message = message.payload(value);
        }
        if let Some(key) = key {
            message = message.key(key);
        }
        let taken = if alone {
            match self.producers.alone() {
                Ok(client) => enqueue(&client, message).await,
                Err(error) => Err(error),
            }
        } else {
            enqueue(self.producers.together(), message).await
        };
        (bytes, taken)
    }
}

async fn enqueue(
    client: &Client,
    mut message: BaseRecord<'_, str, [u8], usize>,
) -> Result<(), RDKafkaErrorCode> {
    loop {
        match client.send(message) {
            Ok(()) => return Ok(()),
            Err((ClientError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                message = back;
                // The queue is emptied by the client's own thread; the allowance makes this rare.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Err((error, _)) => {
                return Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail));
            }
        }
    }
}

impl Queued {
    /// Waits until every message is confirmed or given up.
    async fn failures(self) -> Vec<Failure> {
        let reports = self.send_batch.unconfirmed().await;
        if self.alone {
            self.learn_small_batches(&reports);
        }
        let mut limits: BTreeMap<Arc<str>, Option<u32>> = BTreeMap::new();
        let mut failures = Vec::with_capacity(reports.len());
        for report in reports {
            let Some(sent) = self.sent.get(report.place) else {
                continue;
            };
            let fault = match fault_of(report.code) {
                CodeFault::Known(fault) => fault,
                // The client knows a message's own size.
                CodeFault::Size if self.alone || report.certain => {
                    let limit = match limits.get(&sent.topic) {
                        Some(limit) => *limit,
                        None => {
                            let limit = self.sizes.limit_of(&sent.topic).await;
                            limits.insert(Arc::clone(&sent.topic), limit);
                            limit
                        }
                    };
                    let bytes = u32::try_from(sent.bytes).unwrap_or(u32::MAX);
                    Fault::TooLarge { bytes, limit }
                }
                CodeFault::Size => Fault::TooLargeTogether,
            };
            failures.push(Failure {
                place: report.place,
                fault,
                certain: report.certain,
                destination: Arc::clone(&sent.topic),
                why: words_of(report.code),
            });
        }
        failures
    }

    /// A topic that has taken one by one what it did not take together takes small batches only.
    fn learn_small_batches(&self, reports: &[Report]) {
        let mut failed = reports.iter().map(|report| report.place).peekable();
        for (place, sent) in self.sent.iter().enumerate() {
            if failed.next_if_eq(&place).is_none() {
                self.sizes.takes_small_batches(&sent.topic);
            }
        }
    }
}
