//! How far each partition has been taken in, and whether the log still begins before that.

use std::{collections::HashMap, sync::Arc};

use rdkafka::client::Client;

use super::{
    KafkaError,
    client::{Cluster, PATIENCE},
    inquiry::Hearsay,
    poll::Batch,
    while_doing,
};
use crate::{
    engine::{Engine, EngineError, prepare::Arrival},
    store::{Origin, Position},
};

/// A partition of a topic.
pub type Partition = (Arc<str>, i32);

/// The offset after the last message of each partition.
pub fn offsets_after<T>(arrivals: &[Arrival<T>]) -> HashMap<Partition, i64> {
    let mut next = HashMap::new();
    let mut origins = arrivals
        .iter()
        .filter_map(|arrival| arrival.origin.as_ref())
        .peekable();
    while let Some(origin) = origins.next() {
        // Messages of a partition come in runs: the last one of each is enough.
        let goes_on = |next: &&Origin| next.partition == origin.partition && next.topic == origin.topic;
        if !origins.peek().is_some_and(goes_on) {
            next.insert((Arc::clone(&origin.topic), origin.partition), origin.offset + 1);
        }
    }
    next
}

/// How far each partition has been taken in, as far as this life of the consumer knows.
#[derive(Debug, Default)]
pub struct Positions(HashMap<Partition, i64>);

impl Positions {
    /// Reads the positions of partitions that are seen for the first time, and checks them against the log.
    pub async fn learn<T>(
        &mut self,
        batch: &Batch<T>,
        cluster: &Cluster,
        engine: &Engine,
    ) -> Result<(), KafkaError> {
        let unknown: Vec<Partition> = offsets_after(&batch.arrivals)
            .into_keys()
            .filter(|key| !self.0.contains_key(key))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let stored = engine
            .store
            .positions(engine.cluster())
            .await
            .map_err(EngineError::from)?;
        let mut taken_in = Vec::new();
        for key in &unknown {
            let is_its = |position: &&Position| *position.topic == *key.0 && position.partition == key.1;
            if let Some(position) = stored.iter().find(is_its) {
                taken_in.push((key.clone(), position.next_offset));
            }
        }
        if !taken_in.is_empty() {
            check_log(cluster, taken_in.clone()).await?;
        }
        self.0.extend(unknown.into_iter().map(|key| (key, 0)));
        self.0.extend(taken_in);
        Ok(())
    }

    /// What lies before the position has been taken in already.
    pub fn split<T>(&self, arrivals: Vec<Arrival<T>>) -> (Vec<Arrival<T>>, Vec<Arrival<T>>) {
        // Partitions are few, and replays are rare: usually nothing has to move.
        let position = |origin: &Origin| {
            let same = |((topic, partition), _): &(&Partition, &i64)| {
                *partition == origin.partition && *topic == origin.topic
            };
            self.0.iter().find(same).map(|(_, position)| *position)
        };
        let is_replay = |arrival: &Arrival<T>| {
            let origin = arrival.origin.as_ref();
            origin.is_some_and(|origin| position(origin).is_some_and(|position| origin.offset < position))
        };
        if arrivals.iter().any(is_replay) {
            arrivals.into_iter().partition(is_replay)
        } else {
            (Vec::new(), arrivals)
        }
    }

    pub fn advance(&mut self, next: &HashMap<Partition, i64>) {
        for (key, next) in next {
            let position = self.0.entry(key.clone()).or_default();
            *position = (*position).max(*next);
        }
    }
}

/// A position outside of the log means that messages were lost, or that the topic is another one: refuse loudly.
///
/// A client of its own asks: on the consumer's connection the question would stand behind a fetch that the broker holds back
/// until there is something, for half a second on a quiet topic.
async fn check_log(cluster: &Cluster, positions: Vec<(Partition, i64)>) -> Result<(), KafkaError> {
    let cluster = cluster.clone();
    let asking = tokio::task::spawn_blocking(move || {
        let is_in_log = |client: &Client<Hearsay>, ((topic, partition), position): (Partition, i64)| {
            let (low, high) = client
                .fetch_watermarks(&topic, partition, PATIENCE)
                .map_err(while_doing("asking for watermarks"))?;
            if (low..=high).contains(&position) {
                return Ok(());
            }
            Err(KafkaError::PositionOutOfLog {
                topic: topic.to_string(),
                partition,
                position,
                low,
                high,
            })
        };
        cluster.ask(|client| {
            Some(
                positions
                    .into_iter()
                    .try_for_each(|position| is_in_log(client, position)),
            )
        })
    });
    asking
        .await
        .map_err(|_| KafkaError::Ended("asking for watermarks"))??
}
