//! How far each partition has been taken in, and whether the log still begins before that.

use std::{collections::HashMap, sync::Arc};

use rdkafka::consumer::Consumer;

use super::{
    KafkaError,
    client::PATIENCE,
    poll::{Batch, GroupConsumer},
    while_doing,
};
use crate::engine::{Engine, EngineError, prepare::Arrival};

/// A partition of a topic.
pub type Partition = (Arc<str>, i32);

/// The offset after the last message of each partition.
pub fn offsets_after<T>(arrivals: &[Arrival<T>]) -> HashMap<Partition, i64> {
    let mut next = HashMap::new();
    for origin in arrivals.iter().filter_map(|arrival| arrival.origin.as_ref()) {
        next.insert((Arc::clone(&origin.topic), origin.partition), origin.offset + 1);
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
        consumer: &Arc<GroupConsumer>,
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
        for key in unknown {
            let found = stored
                .iter()
                .find(|position| *position.topic == *key.0 && position.partition == key.1);
            let position = found.map_or(0, |position| position.next_offset);
            if found.is_some() {
                check_log(consumer, &key, position).await?;
            }
            self.0.insert(key, position);
        }
        Ok(())
    }

    /// What lies before the position has been taken in already.
    pub fn split<T>(&self, arrivals: Vec<Arrival<T>>) -> (Vec<Arrival<T>>, Vec<Arrival<T>>) {
        arrivals.into_iter().partition(|arrival| {
            arrival.origin.as_ref().is_some_and(|origin| {
                self.0
                    .get(&(Arc::clone(&origin.topic), origin.partition))
                    .is_some_and(|position| origin.offset < *position)
            })
        })
    }

    pub fn advance(&mut self, next: &HashMap<Partition, i64>) {
        for (key, next) in next {
            let position = self.0.entry(key.clone()).or_default();
            *position = (*position).max(*next);
        }
    }
}

/// A position outside of the log means that messages were lost, or that the topic is another one: refuse loudly.
async fn check_log(consumer: &Arc<GroupConsumer>, key: &Partition, position: i64) -> Result<(), KafkaError> {
    let (asked, topic, partition) = (Arc::clone(consumer), Arc::clone(&key.0), key.1);
    let (low, high) =
        tokio::task::spawn_blocking(move || asked.fetch_watermarks(&topic, partition, PATIENCE))
            .await
            .map_err(|_| KafkaError::Ended("asking for watermarks"))?
            .map_err(while_doing("asking for watermarks"))?;
    if position < low || position > high {
        return Err(KafkaError::PositionOutOfLog {
            topic: key.0.to_string(),
            partition,
            position,
            low,
            high,
        });
    }
    Ok(())
}
