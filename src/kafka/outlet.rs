//! The producer: sends what a transaction left, and says when the broker has confirmed all of it.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientContext, Message,
    config::RDKafkaLogLevel,
    error::{KafkaError as ClientError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::{
    KafkaError,
    client::{Cluster, log_line},
    while_doing,
};
use crate::{
    engine::outputs::{Record, RecordKey, RecordKind},
    wire::{envelope::ce_headers, status, suppression, task},
};

/// Where CloudEvents of ours come from.
const SOURCE: &str = "/lacuna";

/// Produces messages and follows them until the broker has confirmed them.
pub struct Outlet {
    producer: ThreadedProducer<Deliveries>,
    in_flight: Arc<Semaphore>,
    max_in_flight: u32,
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlet")
            .field("max_in_flight", &self.max_in_flight)
            .finish_non_exhaustive()
    }
}

/// The messages of one emission on their way: counted, not kept.
#[derive(Debug)]
pub struct Flight {
    remaining: AtomicUsize,
    failed: AtomicBool,
    too_large: AtomicBool,
    landed: Notify,
}

/// Counts each delivery report into the flight that it belongs to.
#[derive(Debug)]
struct Deliveries;

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: ClientError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka producer");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Flight>;

    fn delivery(&self, result: &DeliveryResult<'_>, flight: Arc<Flight>) {
        match result {
            Ok(_) => flight.report(None, 1),
            Err((error, message)) => {
                tracing::warn!(%error, topic = message.topic(), "a message was not confirmed");
                flight.report(Some(error), 1);
            }
        }
    }
}

impl Flight {
    fn of(count: usize) -> Arc<Self> {
        Arc::new(Self {
            remaining: AtomicUsize::new(count),
            failed: AtomicBool::new(false),
            too_large: AtomicBool::new(false),
            landed: Notify::new(),
        })
    }

    fn report(&self, error: Option<&ClientError>, count: usize) {
        if let Some(error) = error {
            self.failed.store(true, Ordering::Release);
            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) {
                self.too_large.store(true, Ordering::Release);
            }
        }
        if count > 0 && self.remaining.fetch_sub(count, Ordering::AcqRel) == count {
            self.landed.notify_one();
        }
    }

    async fn landed(&self) -> Delivery {
        while self.remaining.load(Ordering::Acquire) > 0 {
            self.landed.notified().await;
        }
        if self.too_large.load(Ordering::Acquire) {
            Delivery::TooLarge
        } else if self.failed.load(Ordering::Acquire) {
            Delivery::Failed
        } else {
            Delivery::Confirmed
        }
    }
}

/// What became of the messages of a flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Every one is confirmed.
    Confirmed,
    /// At least one was given up.
    Failed,
    /// At least one is larger than its topic allows: it will never be confirmed as it is.
    TooLarge,
}

impl Delivery {
    /// Whether every message is confirmed.
    pub fn is_confirmed(self) -> bool {
        self == Self::Confirmed
    }
}

/// A flight that holds its share of what may be in flight.
#[derive(Debug)]
pub struct Sent {
    flight: Arc<Flight>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Sent {
    /// Waits until every message is confirmed or given up.
    pub async fn landed(self) -> Delivery {
        self.flight.landed().await
    }
}

impl Outlet {
    /// Sets the producer up. `max_in_flight`: how many messages may be unconfirmed at a time.
    pub fn new(cluster: &Cluster, max_in_flight: u32) -> Result<Self, KafkaError> {
        let producer = cluster
            .producer_config()
            .create_with_context(Deliveries)
            .map_err(while_doing("creating the producer"))?;
        Ok(Self {
            producer,
            in_flight: Arc::new(Semaphore::new(max_in_flight as usize)),
            max_in_flight,
        })
    }

    /// Hands the messages to the producer, in their order, once there is room for them.
    pub async fn send(&self, records: &[Record]) -> Result<Sent, KafkaError> {
        // An emission that is larger than the whole allowance goes alone.
        let share = u32::try_from(records.len())
            .unwrap_or(u32::MAX)
            .min(self.max_in_flight);
        let permit = Arc::clone(&self.in_flight)
            .acquire_many_owned(share)
            .await
            .map_err(|_| KafkaError::Ended("the producer's allowance"))?;
        let flight = self.hand_over(records).await;
        Ok(Sent {
            flight,
            _permit: Some(permit),
        })
    }

    /// The same for what has to be said again while a batch lands. It must not wait for room: what holds the room may be
    /// waiting behind it to land.
    pub async fn send_again(&self, records: &[Record]) -> Sent {
        Sent {
            flight: self.hand_over(records).await,
            _permit: None,
        }
    }

    async fn hand_over(&self, records: &[Record]) -> Arc<Flight> {
        let flight = Flight::of(records.len());
        let mut text = String::with_capacity(64);
        for (sent, record) in records.iter().enumerate() {
            if let Err(error) = self.send_one(record, &flight, &mut text).await {
                // What was not handed over will never be reported by the client.
                flight.report(Some(&error), records.len() - sent);
                break;
            }
        }
        flight
    }

    async fn send_one(
        &self,
        record: &Record,
        flight: &Arc<Flight>,
        text: &mut String,
    ) -> Result<(), ClientError> {
        let mut room = [0; KEY_BYTES];
        let key: Option<&str> = record.key.as_ref().map(|key| key_text(key, &mut room));
        let mut message = BaseRecord::with_opaque_to(&record.topic, Arc::clone(flight))
            .headers(headers(&record.kind, text));
        // A tombstone has no value at all, which is something else than an empty one.
        if !matches!(record.kind, RecordKind::Tombstone) {
            message = message.payload(record.payload.as_ref());
        }
        if let Some(key) = key {
            message = message.key(key);
        }
        loop {
            match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err((ClientError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    message = back;
                    // The queue is emptied by the producer's own thread; the allowance makes this rare.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Err((error, _)) => {
                    tracing::error!(%error, topic = %record.topic, "a message could not be produced");
                    return Err(error);
                }
            }
        }
    }

    /// Waits for what is in flight, at shutdown.
    pub fn flush(&self, timeout: Duration) {
        if let Err(error) = self.producer.flush(timeout) {
            // Whatever is still out is produced again after the next start: its offset is not stored.
            tracing::warn!(%error, "not everything was confirmed before the end");
        }
    }
}

/// The longest key as text: a digest in hexadecimal.
const KEY_BYTES: usize = 64;

/// A key as it is written: a UUID with hyphens, or a digest in hexadecimal.
fn key_text<'a>(key: &RecordKey, room: &'a mut [u8; KEY_BYTES]) -> &'a str {
    match key {
        RecordKey::Request(id) => id.0.hyphenated().encode_lower(room),
        RecordKey::Suppression(digest) => {
            // Half as many bytes as there is room, so that neither can fail.
            hex::encode_to_slice(digest, room).unwrap_or_default();
            std::str::from_utf8(room).unwrap_or_default()
        }
    }
}

/// `text` is room for an id.
fn headers(kind: &RecordKind, text: &mut String) -> OwnedHeaders {
    text.clear();
    let mut room = [0; KEY_BYTES];
    // Writing to a `String` cannot fail.
    match kind {
        RecordKind::Task {
            id,
            generation,
            attempt,
        } => {
            text.push_str(id.0.hyphenated().encode_lower(&mut room));
            write!(text, ":{generation}:{attempt}").unwrap_or_default();
            event_headers(text, task::EVENT_TYPE)
        }
        RecordKind::Status { id, revision } => {
            text.push_str(id.0.hyphenated().encode_lower(&mut room));
            write!(text, ":{revision}").unwrap_or_default();
            event_headers(text, status::EVENT_TYPE)
        }
        RecordKind::Suppression { key, since } => {
            let key = key_text(&RecordKey::Suppression(*key), &mut room);
            write!(text, "{key}:{since}").unwrap_or_default();
            event_headers(text, suppression::EVENT_TYPE)
        }
        RecordKind::Tombstone => OwnedHeaders::new_with_capacity(0),
        RecordKind::DeadLetter { headers: own } => {
            own.pairs()
                .into_iter()
                .fold(OwnedHeaders::new_with_capacity(5), |headers, (key, value)| {
                    headers.insert(Header {
                        key,
                        value: Some(value),
                    })
                })
        }
    }
}

fn event_headers(event_id: &str, kind: &'static str) -> OwnedHeaders {
    ce_headers(event_id, SOURCE, kind).into_iter().fold(
        OwnedHeaders::new_with_capacity(5),
        |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::ids::RequestId, kafka::embedded::EmbeddedBroker};

    fn records(count: usize) -> Vec<Record> {
        let record = Record {
            topic: Arc::from("statuses"),
            key: None,
            kind: RecordKind::Status {
                id: RequestId(uuid::Uuid::nil()),
                revision: 1,
            },
            payload: "{}".into(),
        };
        vec![record; count]
    }

    /// A landing that waited for room stood behind a launch, which waited for what stood behind the landing.
    #[tokio::test]
    async fn what_is_said_again_does_not_wait_for_room() {
        let broker = EmbeddedBroker::start(vec![("statuses".to_owned(), 1)]).unwrap();
        let cluster = Cluster::embedded(broker.servers());
        let outlet = Arc::new(Outlet::new(&cluster, 10).unwrap());
        let holds_the_room = outlet.send(&records(8)).await.unwrap();
        let waits_for_room = {
            let outlet = Arc::clone(&outlet);
            tokio::spawn(async move {
                outlet
                    .send(&records(8))
                    .await
                    .unwrap()
                    .landed()
                    .await
                    .is_confirmed()
            })
        };
        let again = async { outlet.send_again(&records(8)).await.landed().await.is_confirmed() };
        assert!(
            tokio::time::timeout(Duration::from_secs(20), again)
                .await
                .unwrap()
        );
        assert!(!waits_for_room.is_finished(), "there is no room yet");
        assert!(holds_the_room.landed().await.is_confirmed());
        assert!(waits_for_room.await.unwrap());
    }
}
