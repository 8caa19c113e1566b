//! The producer: sends what a transaction left, and says which of it the broker has not confirmed.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    error::{KafkaError as ClientError, RDKafkaErrorCode},
    producer::BaseRecord,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use super::flight::Failure;
use super::{
    KafkaError,
    admin::Admin,
    client::Cluster,
    flight::{Flight, opaque},
    message::{KEY_BYTES, headers, key_text},
    producers::{Maker, Producer},
};
use crate::engine::outputs::{Record, RecordKind};

/// Produces messages and follows them until the broker has confirmed them.
pub struct Outlet {
    maker: Arc<Maker>,
    /// The topics that take small batches only, so that each message for them goes in a batch of its own.
    small: RwLock<HashSet<Arc<str>>>,
    /// Whether there is any: nobody asks for the list before.
    has_small: AtomicBool,
    in_flight: Arc<Semaphore>,
    max_in_flight: u32,
    admin: Mutex<Option<Arc<Admin>>>,
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlet")
            .field("max_in_flight", &self.max_in_flight)
            .finish_non_exhaustive()
    }
}

/// A flight that holds its share of what may be in flight.
#[derive(Debug)]
pub struct Sent {
    flight: Arc<Flight>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Sent {
    /// Waits until every message is confirmed or given up, and gives what was not confirmed, in the order of the records.
    pub async fn landed(self) -> Vec<Failure> {
        self.flight.landed().await
    }
}

impl Outlet {
    /// Sets the producer up. `max_in_flight`: how many messages may be unconfirmed at a time.
    pub fn new(cluster: &Cluster, max_in_flight: u32) -> Result<Self, KafkaError> {
        Ok(Self {
            maker: Maker::start(cluster)?,
            small: RwLock::default(),
            has_small: AtomicBool::new(false),
            in_flight: Arc::new(Semaphore::new(max_in_flight as usize)),
            max_in_flight,
            admin: Mutex::new(None),
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
        let flight = self.hand_over(records, false).await;
        Ok(Sent {
            flight,
            _permit: Some(permit),
        })
    }

    /// The same for what has to be said again while a batch lands. It must not wait for room: what holds the room may be
    /// waiting behind it to land.
    pub async fn send_again(&self, records: &[Record]) -> Sent {
        Sent {
            flight: self.hand_over(records, false).await,
            _permit: None,
        }
    }

    /// The same, each in a batch of its own. A broker refuses a batch that is too large as a whole, which says nothing
    /// about any message in it.
    pub async fn send_each_alone(&self, records: &[Record]) -> Sent {
        Sent {
            flight: self.hand_over(records, true).await,
            _permit: None,
        }
    }

    /// From now on each message for this topic goes in a batch of its own.
    pub fn takes_small_batches(&self, topic: &Arc<str>) {
        let mut small = self.small.write().unwrap_or_else(PoisonError::into_inner);
        if small.insert(Arc::clone(topic)) {
            tracing::warn!(
                %topic,
                "this topic does not take a batch of messages that it takes one by one (max.message.bytes): they go one by one"
            );
        }
        self.has_small.store(true, Ordering::Release);
    }

    fn goes_alone(&self, topic: &Arc<str>) -> bool {
        self.has_small.load(Ordering::Acquire)
            && self
                .small
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(topic)
    }

    /// Whether the broker has throttled this worker lately.
    pub fn is_throttled(&self) -> bool {
        self.maker.is_throttled()
    }

    /// How many bytes a message of this topic may have; `None`: the broker does not say.
    pub async fn limit_of(&self, topic: &str) -> Option<u32> {
        let admin = self.admin();
        let asked = match admin {
            Ok(admin) => admin.max_message_bytes(topic).await,
            Err(error) => Err(error),
        };
        asked
            .inspect_err(|error| tracing::debug!(%error, topic, "a topic's limit cannot be asked"))
            .ok()
            .flatten()
    }

    fn admin(&self) -> Result<Arc<Admin>, KafkaError> {
        let mut admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(admin) = &*admin {
            return Ok(Arc::clone(admin));
        }
        let made = Arc::new(Admin::new(self.maker.cluster())?);
        *admin = Some(Arc::clone(&made));
        Ok(made)
    }

    async fn hand_over(&self, records: &[Record], alone: bool) -> Arc<Flight> {
        let producers = self.maker.producers();
        let (slot, flight) = producers.flights().begin(records.len());
        let mut text = String::with_capacity(64);
        for (place, record) in records.iter().enumerate() {
            let number = opaque(slot, place);
            let sent = if alone || self.goes_alone(&record.topic) {
                match producers.alone() {
                    Ok(producer) => send_one(&producer, record, number, &mut text).await,
                    Err(error) => Err(error),
                }
            } else {
                send_one(producers.together(), record, number, &mut text).await
            };
            // What was not handed over will never be reported by the client. Whatever comes after it goes all the same.
            if let Err(code) = sent {
                producers.refused(code);
                producers.flights().report(number, Some((code, true)));
            }
        }
        flight
    }

    /// Waits for what is in flight, at shutdown.
    pub fn flush(&self, timeout: Duration) {
        if let Err(error) = self.maker.producers().flush(timeout) {
            // Whatever is still out is produced again after the next start: its offset is not stored.
            tracing::warn!(%error, "not everything was confirmed before the end");
        }
    }
}

async fn send_one(
    producer: &Producer,
    record: &Record,
    number: usize,
    text: &mut String,
) -> Result<(), RDKafkaErrorCode> {
    let mut room = [0; KEY_BYTES];
    let key: Option<&str> = record.key.as_ref().map(|key| key_text(key, &mut room));
    let mut message = BaseRecord::with_opaque_to(&record.topic, number).headers(headers(&record.kind, text));
    // A tombstone has no value at all, which is something else than an empty one.
    if !matches!(record.kind, RecordKind::Tombstone) {
        message = message.payload(record.payload.as_ref());
    }
    if let Some(key) = key {
        message = message.key(key);
    }
    loop {
        match producer.send(message) {
            Ok(()) => return Ok(()),
            Err((ClientError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                message = back;
                // The queue is emptied by the producer's own thread; the allowance makes this rare.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Err((error, _)) => {
                return Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::{
        mocking::MockCluster,
        types::{RDKafkaApiKey, RDKafkaRespErr},
    };

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
            tokio::spawn(async move { outlet.send(&records(8)).await.unwrap().landed().await.is_empty() })
        };
        let again = async { outlet.send_again(&records(8)).await.landed().await.is_empty() };
        assert!(
            tokio::time::timeout(Duration::from_secs(20), again)
                .await
                .unwrap()
        );
        assert!(!waits_for_room.is_finished(), "there is no room yet");
        assert!(holds_the_room.landed().await.is_empty());
        assert!(waits_for_room.await.unwrap());
    }

    /// A broker that answers the next request of a kind with an error that ends an idempotent producer.
    async fn goes_on_after(kind: RDKafkaApiKey, error: RDKafkaRespErr, before: usize) {
        let broker = MockCluster::new(1).unwrap();
        broker.create_topic("statuses", 1, 1).unwrap();
        let outlet = Outlet::new(&Cluster::embedded(&broker.bootstrap_servers()), 100).unwrap();
        let patience = Duration::from_secs(40);
        let send = async |count| {
            let sent = outlet.send(&records(count)).await.unwrap();
            tokio::time::timeout(patience, sent.landed()).await.unwrap()
        };
        if before > 0 {
            assert!(send(before).await.is_empty());
        }
        broker.request_errors(kind, &[error]);
        let failures = send(3).await;
        let places: Vec<usize> = failures.iter().map(|failure| failure.place).collect();
        assert_eq!(places, [0, 1, 2], "what was in flight counts as failed");
        let watch = crate::clock::Stopwatch::start();
        while !send(3).await.is_empty() {
            assert!(watch.elapsed() < patience, "the producer is dead");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    #[tokio::test]
    async fn a_producer_that_may_not_produce_is_replaced_by_one_that_may() {
        let forbidden = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
        goes_on_after(RDKafkaApiKey::InitProducerId, forbidden, 0).await;
    }

    #[tokio::test]
    async fn a_producer_whose_sequence_is_lost_is_replaced() {
        let lost = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        goes_on_after(RDKafkaApiKey::Produce, lost, 5).await;
    }

    /// A broker that forgot who the producer is: the client itself asks to be known again, or ends.
    #[tokio::test]
    async fn a_broker_that_forgot_the_producer_knows_it_or_another_one_again() {
        let broker = MockCluster::new(1).unwrap();
        broker.create_topic("statuses", 1, 1).unwrap();
        let outlet = Outlet::new(&Cluster::embedded(&broker.bootstrap_servers()), 100).unwrap();
        assert!(outlet.send(&records(5)).await.unwrap().landed().await.is_empty());
        let forgot = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID;
        broker.request_errors(RDKafkaApiKey::Produce, &[forgot]);
        let watch = crate::clock::Stopwatch::start();
        while !outlet.send(&records(3)).await.unwrap().landed().await.is_empty() {
            assert!(watch.elapsed() < Duration::from_secs(40), "the producer is dead");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A record that the client refuses does not take those behind it down.
    #[tokio::test]
    async fn what_cannot_be_queued_fails_alone() {
        let broker = EmbeddedBroker::start(vec![("statuses".to_owned(), 1)]).unwrap();
        let outlet = Outlet::new(&Cluster::embedded(broker.servers()), 10).unwrap();
        let mut three = records(3);
        three[1].payload = vec![b'x'; 5_000_000].into();
        let failures = outlet.send(&three).await.unwrap().landed().await;
        let said: Vec<_> = failures
            .iter()
            .map(|failure| (failure.place, failure.code, failure.certain))
            .collect();
        assert_eq!(said, [(1, RDKafkaErrorCode::MessageSizeTooLarge, true)]);
    }
}
