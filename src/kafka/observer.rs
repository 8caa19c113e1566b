//! Asks a cluster how it stands with our topics and consumer groups, over a client of its own: which topics there are, who is in
//! a group and has which partitions, where a log ends. It reads no message and joins no group. All of it blocks, each question for
//! no longer than `PATIENCE`.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    types::RDKafkaRespErr,
};

use super::{
    KafkaError,
    client::{Cluster, Quiet},
    types::Partition,
    while_doing,
};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// A member of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it calls itself.
    pub client_id: String,
    /// The address that the coordinator knows it by.
    pub host: String,
    /// What was assigned to it.
    pub partitions: Vec<Partition>,
}

/// Asks.
pub struct Observer {
    client: BaseConsumer<Quiet>,
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}

impl Observer {
    /// Connects.
    pub fn new(cluster: &Cluster) -> Result<Self, KafkaError> {
        // A consumer without a group reads nothing; a producer's question could make a topic.
        let client = cluster.config().create_with_context(Quiet);
        Ok(Self {
            client: client.map_err(while_doing("creating a client"))?,
        })
    }

    /// Whether there is such a topic. `None`: the broker does not know either.
    pub fn has_topic(&self, topic: &str) -> Result<Option<bool>, KafkaError> {
        let metadata = self
            .client
            .fetch_metadata(Some(topic), PATIENCE)
            .map_err(while_doing("asking for a topic"))?;
        let described = metadata.topics().iter().find(|found| found.name() == topic);
        Ok(match described.map(|found| found.error()) {
            Some(None) => Some(true),
            Some(Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)) => Some(false),
            _ => None,
        })
    }

    /// The members of a group. `None`: it is between two assignments, so nobody can say who has what.
    pub fn members(&self, group: &str) -> Result<Option<Vec<Member>>, KafkaError> {
        let groups = self
            .client
            .client()
            .fetch_group_list(Some(group), PATIENCE)
            .map_err(while_doing("asking who is in a consumer group"))?;
        let Some(group) = groups.groups().iter().find(|found| found.name() == group) else {
            return Ok(Some(Vec::new()));
        };
        let is_settled = matches!(group.state(), "Stable" | "Empty" | "Dead");
        Ok(is_settled.then(|| {
            let members = group.members().iter();
            members
                .map(|member| Member {
                    client_id: member.client_id().to_owned(),
                    host: member.client_host().trim_start_matches('/').to_owned(),
                    // What cannot be read names no partition.
                    partitions: member.assignment().and_then(partitions).unwrap_or_default(),
                })
                .collect()
        }))
    }

    /// How many messages a log holds at or after an offset.
    pub fn messages_from(&self, (topic, partition): &Partition, offset: i64) -> Result<i64, KafkaError> {
        let (low, high) = self
            .client
            .fetch_watermarks(topic, *partition, PATIENCE)
            .map_err(while_doing("asking where a log ends"))?;
        Ok(high - offset.max(low))
    }

    /// Hands out what the client has heard, so that it does not pile up.
    pub fn hand_out(&self) {
        drop(self.client.poll(Duration::ZERO));
    }
}

/// Reads an assignment as the consumer protocol writes it: a version, and the partitions of each topic. What follows is the
/// assignor's own.
fn partitions(mut bytes: &[u8]) -> Option<Vec<Partition>> {
    let _version: [u8; 2] = take(&mut bytes)?;
    let mut partitions = Vec::new();
    for _ in 0..i32::from_be_bytes(take(&mut bytes)?) {
        let length = usize::try_from(i16::from_be_bytes(take(&mut bytes)?)).ok()?;
        let (name, rest) = bytes.split_at_checked(length)?;
        let topic: Arc<str> = Arc::from(std::str::from_utf8(name).ok()?);
        bytes = rest;
        for _ in 0..i32::from_be_bytes(take(&mut bytes)?) {
            partitions.push((Arc::clone(&topic), i32::from_be_bytes(take(&mut bytes)?)));
        }
    }
    Some(partitions)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version 1, topic "acks" with partitions 2 and 5, topic "b" with none, and something of the assignor's.
    const ASSIGNMENT: &[u8] =
        b"\0\x01\0\0\0\x02\0\x04acks\0\0\0\x02\0\0\0\x02\0\0\0\x05\0\x01b\0\0\0\0\0\0\0\x03xyz";

    #[test]
    fn assignment_names_partitions_of_each_topic() {
        let acks: Arc<str> = Arc::from("acks");
        assert_eq!(
            partitions(ASSIGNMENT),
            Some(vec![(Arc::clone(&acks), 2), (acks, 5)])
        );
    }

    #[test]
    fn assignment_that_is_cut_short_names_nothing() {
        for length in 0..27 {
            assert_eq!(partitions(&ASSIGNMENT[..length]), None, "{length} bytes");
        }
    }
}
