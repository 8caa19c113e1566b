//! A consumer in a group: what the group does to it, and the offsets that it commits.

use std::{collections::HashMap, sync::Arc};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError as ClientError, RDKafkaErrorCode},
    topic_partition_list::TopicPartitionList,
    types::RDKafkaRespErr,
};

use super::{assignment::Assignment, client::log_line, membership::Membership, types::Partition};

/// A consumer of ours.
pub type GroupConsumer = BaseConsumer<GroupContext>;

/// Takes partitions over and lets them go, and logs what the group does.
#[derive(Debug)]
pub struct GroupContext {
    /// The stage's name.
    pub stage: &'static str,
    /// Its partitions.
    pub assignment: Arc<Assignment>,
    /// Whether it has its share of the group's partitions.
    pub membership: Arc<Membership>,
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: ClientError, reason: &str) {
        tracing::warn!(stage = self.stage, %error, reason, "Kafka consumer");
        self.membership.heard(error.rdkafka_error_code(), reason);
    }
}

impl ConsumerContext for GroupContext {
    /// Where a partition is read from is not left to the client.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.pre_rebalance(consumer, &Rebalance::Assign(partitions));
                self.assignment.assign(consumer, partitions);
                self.post_rebalance(consumer, &Rebalance::Assign(partitions));
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                self.pre_rebalance(consumer, &Rebalance::Revoke(partitions));
                self.assignment.revoke(consumer, partitions);
                self.post_rebalance(consumer, &Rebalance::Revoke(partitions));
            }
            other => {
                let error = Rebalance::Error(ClientError::Rebalance(other.into()));
                self.post_rebalance(consumer, &error);
            }
        }
    }

    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) | Rebalance::Revoke(partitions) = rebalance {
            self.assignment.watermarks.reassigned(partitions);
        }
        if matches!(rebalance, Rebalance::Revoke(_)) && consumer.assignment_lost() {
            self.membership.lost("the group no longer knows it");
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                let all = consumer.assignment().map_or(0, |all| all.count());
                self.membership.assigned(all);
                tracing::info!(
                    stage = self.stage,
                    partitions = partitions.count(),
                    "partitions assigned"
                );
            }
            Rebalance::Revoke(partitions) => {
                tracing::info!(
                    stage = self.stage,
                    partitions = partitions.count(),
                    "partitions revoked"
                );
            }
            Rebalance::Error(error) => tracing::warn!(stage = self.stage, %error, "rebalance"),
        }
    }
}

/// Stores how far each partition has been dealt with; it is committed in the background.
pub fn store_offsets(consumer: &GroupConsumer, offsets: &HashMap<Partition, i64>) {
    for ((topic, partition), next) in offsets {
        // `store_offset` takes the last offset that was dealt with.
        if let Err(error) = consumer.store_offset(topic, *partition, next - 1) {
            // The partition has gone to another worker, which reads these messages again as replays.
            tracing::info!(%error, %topic, partition, "an offset was not stored");
        }
    }
}

/// Commits what is stored, at the end.
pub fn commit(consumer: &GroupConsumer) {
    match consumer.commit_consumer_state(CommitMode::Sync) {
        Ok(()) | Err(ClientError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
        // The worker's other stage has just left the same group.
        Err(ClientError::ConsumerCommit(error @ RDKafkaErrorCode::RebalanceInProgress)) => {
            tracing::info!(%error, "the last offsets were not committed: their messages are read again as replays");
        }
        Err(error) => {
            tracing::warn!(%error, "the last offsets were not committed: their messages are read again as replays");
        }
    }
}
