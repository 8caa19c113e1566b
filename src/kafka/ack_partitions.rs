//! How many partitions the ack topic has: some may be added at any time, and an answer in one of those counts at once.

use std::{sync::Arc, time::Duration};

use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio_util::sync::CancellationToken;

use super::{
    KafkaError,
    client::{Cluster, Quiet},
    while_doing,
};
use crate::{clock::Stopwatch, engine::Engine};

/// How often the brokers are asked: no ack is missing as of a time that lies behind the last answer.
const EVERY: Duration = Duration::from_secs(1);

/// How long they may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What one broker says may be older than what another has begun to do by so much.
const PROPAGATION: Duration = Duration::from_secs(1);

/// Asks, once a second, until the shutdown.
pub async fn watch_acks(
    cluster: Cluster,
    engine: Arc<Engine>,
    shutdown: CancellationToken,
) -> Result<(), KafkaError> {
    let asking = tokio::task::spawn_blocking(move || {
        // A consumer without a group reads nothing; a producer's question could make the topic.
        let client: BaseConsumer<Quiet> = cluster
            .config()
            .create_with_context(Quiet)
            .map_err(while_doing("creating a client"))?;
        let mut looked: Option<Stopwatch> = None;
        while !shutdown.is_cancelled() {
            if looked.is_none_or(|looked| looked.elapsed() >= EVERY) {
                looked = Some(Stopwatch::start());
                look(&client, &engine);
                drop(client.poll(Duration::ZERO));
            }
            // Short enough for a prompt shutdown.
            std::thread::park_timeout(Duration::from_millis(100));
        }
        Ok(())
    });
    asking
        .await
        .map_err(|_| KafkaError::Ended("asking for partitions"))?
}

/// Without an answer the older one stands: what it says nothing about is not missing.
fn look(client: &BaseConsumer<Quiet>, engine: &Engine) {
    let at = crate::domain::backup::earlier(engine.clock.now(), PROPAGATION);
    let Ok(metadata) = client.fetch_metadata(Some(engine.ack_topic()), PATIENCE) else {
        return;
    };
    let partitions = metadata
        .topics()
        .first()
        .map_or(0, |topic| topic.partitions().len());
    if let Ok(count @ 1..) = i32::try_from(partitions) {
        engine.know_ack_partitions(count, at);
    }
}
