//! The embedded broker: librdkafka's in-process mock, for development and demonstrations.
//!
//! It is memory only and keeps about 5 MB a partition: whoever writes faster than it is read loses messages silently,
//! so a producer to it needs backpressure, and invariants 1 and 12 do not hold on it.

use std::{sync::mpsc, thread::JoinHandle};

use rdkafka::mocking::MockCluster;

use super::{KafkaError, while_doing};

/// A running in-process broker. Dropped, it is gone with all that it held.
#[derive(Debug)]
pub struct EmbeddedBroker {
    servers: String,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedBroker {
    /// Starts it with these topics, each with this many partitions.
    pub fn start(topics: Vec<(String, i32)>) -> Result<Self, KafkaError> {
        let (stop, stopped) = mpsc::channel::<()>();
        let (report, reported) = mpsc::channel();
        // The mock's handle must stay on the thread that made it.
        let thread = std::thread::spawn(move || {
            let cluster = match start(&topics) {
                Ok(cluster) => cluster,
                Err(error) => {
                    report.send(Err(error)).unwrap_or_default();
                    return;
                }
            };
            report.send(Ok(cluster.bootstrap_servers())).unwrap_or_default();
            // An error means that the handle was dropped, which is an end as well.
            stopped.recv().unwrap_or_default();
        });
        let servers = reported
            .recv()
            .map_err(|_| KafkaError::Ended("the embedded broker"))??;
        Ok(Self {
            servers,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens: loopback.
    pub fn servers(&self) -> &str {
        &self.servers
    }
}

fn start(
    topics: &[(String, i32)],
) -> Result<MockCluster<'static, rdkafka::producer::DefaultProducerContext>, KafkaError> {
    let cluster = MockCluster::new(1).map_err(while_doing("starting the embedded broker"))?;
    for (topic, partitions) in topics {
        cluster
            .create_topic(topic, *partitions, 1)
            .map_err(while_doing("creating a topic of the embedded broker"))?;
    }
    Ok(cluster)
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the embedded broker's thread panicked");
        }
    }
}
