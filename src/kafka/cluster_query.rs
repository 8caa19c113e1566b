//! Asking a cluster a question. Where no broker answers, the client library knows why (a refused connection, a wrong
//! certificate, a wrong password) but says so only in an event, which is collected here.

use std::sync::{Mutex, PoisonError};

use rdkafka::{
    ClientContext,
    client::Client,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::RDKafkaErrorCode,
};

use super::{KafkaError, client::Cluster, client::log_line, while_doing};

/// Remembers the last reason that the client library gave.
#[derive(Debug, Default)]
pub struct LastError(Mutex<Option<String>>);

impl ClientContext for LastError {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        // That all brokers are down is known; why one of them is says more.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for LastError {}

impl Cluster {
    /// Asks; `None` is no answer. Blocks for as long as the question does.
    pub fn ask<T>(&self, question: impl FnOnce(&Client<LastError>) -> Option<T>) -> Result<T, KafkaError> {
        // A consumer without a group reads nothing; unlike other clients it hands out what it hears.
        let consumer: BaseConsumer<LastError> = self
            .config()
            .create_with_context(LastError::default())
            .map_err(while_doing("connecting"))?;
        question(consumer.client()).ok_or_else(|| {
            // Each poll hands out one event; there are few.
            for _ in 0..100 {
                drop(consumer.poll(std::time::Duration::ZERO));
            }
            let heard = consumer
                .context()
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            let why = heard.map(|heard| format!(": {heard}")).unwrap_or_default();
            KafkaError::Unreachable {
                servers: self.servers.clone(),
                why,
            }
        })
    }
}
