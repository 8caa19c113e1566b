//! A producer for simulations: cheap, and loud about what it loses.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError as ClientError, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::{BaseProducer, BaseRecord, Producer, ProducerContext},
};
use uuid::Uuid;

use crate::kafka::{KafkaError, client::Cluster, while_doing};

/// Produces messages keyed by request.
pub(super) struct Outbox {
    producer: BaseProducer<Losses>,
    lost: Arc<AtomicU64>,
}

/// Counts messages that were given up.
struct Losses(Arc<AtomicU64>);

impl ClientContext for Losses {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        crate::kafka::client::log_line(level, facility, message);
    }

    fn error(&self, error: ClientError, reason: &str) {
        tracing::warn!(%error, reason, "a simulation's producer");
    }
}

impl ProducerContext for Losses {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Outbox {
    /// Sets a producer up as real services would, except that it hears of failures only.
    pub(super) fn new(cluster: &Cluster) -> Result<Self, KafkaError> {
        let lost = Arc::new(AtomicU64::new(0));
        let producer = cluster
            .producer_config()
            // A report a message costs as much as the message; what is lost shows in the count.
            .set("delivery.report.only.error", "true")
            .set("message.timeout.ms", "60000")
            .create_with_context(Losses(Arc::clone(&lost)))
            .map_err(while_doing("creating a simulation's producer"))?;
        Ok(Self { producer, lost })
    }

    /// Hands a message over; where the client's queue is full, waits until it is not.
    pub(super) fn send(&self, topic: &str, key: Uuid, payload: &[u8]) -> Result<(), KafkaError> {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let key: &str = key.hyphenated().encode_lower(&mut text);
        let mut message = BaseRecord::to(topic).key(key).payload(payload);
        loop {
            match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err((ClientError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    message = back;
                    self.producer.poll(Duration::from_millis(1));
                }
                Err((source, _)) => return Err(while_doing("producing for a simulation")(source)),
            }
        }
    }

    /// Takes reports in.
    pub(super) fn poll(&self) {
        self.producer.poll(Duration::ZERO);
    }

    /// How many messages were given up.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until everything is out.
    pub(super) fn flush(&self) -> Result<(), KafkaError> {
        self.producer
            .flush(Duration::from_secs(10))
            .map_err(while_doing("flushing a simulation's producer"))
    }
}
