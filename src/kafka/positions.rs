//! Whether the log is still the one that was taken in. Pure: what the store remembers is held against what the log holds.
//!
//! Nothing here guesses: where a message may have been lost, or where another log lies under the name, the partition is not
//! read until an operator has looked at it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    log_reader::{Held, Question},
    types::Partition,
};
use crate::{
    engine::{Engine, EngineError, prepare::Arrival},
    store::{Mark, Origin, Position, Store, StoreError},
};

/// What the ids of embedded brokers start with: each start is another cluster, and none follows another.
pub const EMBEDDED: &str = "embedded-";

/// Why a partition is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// Records that nobody had read are no longer there.
    #[error(
        "it was taken in up to offset {next}, and the log begins at {low}: up to {lost} messages were removed before they were \
         read",
        lost = low - next
    )]
    Removed {
        /// The position.
        next: i64,
        /// The log's first offset.
        low: i64,
    },
    /// The log ends before the position.
    #[error(
        "it was taken in up to offset {next}, and the log ends at {high}: the topic was made anew, or the log was truncated"
    )]
    Shrunk {
        /// The position.
        next: i64,
        /// The offset after the log's last record.
        high: i64,
    },
    /// Another record lies where one was taken in.
    #[error(
        "the record at offset {0} is not the one that was taken in: the topic was made anew, or the log was truncated and has \
         grown again"
    )]
    OtherRecord(i64),
    /// A message that should have been taken in is unknown.
    #[error(
        "the message at offset {0} lies before the position, and the store does not know it: it is another log"
    )]
    Stray(i64),
    /// The store knows the partition from another cluster.
    #[error("the store has taken it in from cluster {0}, and this is another cluster")]
    OtherCluster(String),
    /// The brokers belong to another cluster than at the start.
    #[error(
        "the brokers belong to cluster {0} now, and this worker was started on another one: start it again"
    )]
    OtherBrokers(String),
    /// Nobody says what the log holds.
    #[error("its leader does not answer")]
    NoAnswer,
    /// A record that shows whether it is the same log could not be read.
    #[error("the record at offset {0} could not be read just now")]
    Unread(i64),
}

impl Finding {
    /// Whether an operator can have the partition be read on.
    pub const fn can_be_accepted(&self) -> bool {
        !matches!(self, Self::OtherBrokers(_)) && !self.says_nothing()
    }

    /// Whether it is no finding about the log: it could not be looked at.
    pub const fn says_nothing(&self) -> bool {
        matches!(self, Self::NoAnswer | Self::Unread(_))
    }

    /// Whether it is the same kind of finding: the numbers in it move on.
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// What the store knows of the partitions of a cluster.
#[derive(Debug, Default)]
pub struct Known {
    positions: HashMap<Partition, Position>,
    elsewhere: HashMap<Partition, String>,
}

impl Known {
    /// Reads it.
    pub async fn read(store: &dyn Store, cluster: &str) -> Result<Self, StoreError> {
        Ok(Self::new(
            store.positions(cluster).await?,
            store.positions_elsewhere(cluster).await?,
        ))
    }

    /// The same of the cluster of an engine.
    pub async fn of_engine(engine: &Engine) -> Result<Self, EngineError> {
        Ok(Self::new(
            engine.positions().await?,
            engine.positions_elsewhere().await?,
        ))
    }

    fn new(positions: Vec<Position>, elsewhere: Vec<(String, Position)>) -> Self {
        let key = |position: &Position| (Arc::from(position.topic.as_str()), position.partition);
        Self {
            positions: positions
                .into_iter()
                .map(|position| (key(&position), position))
                .collect(),
            elsewhere: elsewhere
                .into_iter()
                // Where nothing was taken in, nothing can be lost.
                .filter(|(other, position)| !other.starts_with(EMBEDDED) && position.next_offset > 0)
                .map(|(other, position)| (key(&position), other))
                .collect(),
        }
    }

    /// How far a partition has been taken in.
    pub fn position(&self, partition: &Partition) -> Option<&Position> {
        self.positions.get(partition)
    }

    /// The partitions that have a position.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.positions.keys()
    }

    /// What the log has to be asked about a partition.
    pub fn question(&self, partition: &Partition) -> Question {
        let marks = self.position(partition).map(marks).unwrap_or_default();
        let offsets: BTreeSet<i64> = marks.iter().map(|mark| mark.offset).collect();
        Question {
            partition: partition.clone(),
            offsets: offsets.into_iter().collect(),
        }
    }

    /// Whether a partition can be read on.
    pub fn judge(&self, partition: &Partition, held: Option<&Held>) -> Result<(), Finding> {
        let held = held.ok_or(Finding::NoAnswer)?;
        let Some(position) = self.position(partition) else {
            return match self.elsewhere.get(partition) {
                Some(other) => Err(Finding::OtherCluster(other.clone())),
                None => Ok(()),
            };
        };
        judge(position, held)
    }
}

/// What a position remembers.
fn marks(position: &Position) -> Vec<Mark> {
    position.checked.into_iter().chain(position.last).collect()
}

fn judge(position: &Position, held: &Held) -> Result<(), Finding> {
    let (next, low, high) = (position.next_offset, held.low, held.high);
    if next > high {
        return Err(Finding::Shrunk { next, high });
    }
    if next < low {
        return Err(Finding::Removed { next, low });
    }
    if let Some(offset) = held.unread {
        return Err(Finding::Unread(offset));
    }
    // A record that is not there any more was removed after it had been taken in.
    for mark in marks(position) {
        let found = held.records.iter().find(|found| found.offset == mark.offset);
        if found.is_some_and(|found| !found.is_same(&mark)) {
            return Err(Finding::OtherRecord(mark.offset));
        }
    }
    position
        .stray
        .map_or(Ok(()), |offset| Err(Finding::Stray(offset)))
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::At;

    fn mark(offset: i64, seed: u8) -> Mark {
        Mark {
            offset,
            at: Some(At::from_millis(i64::from(seed))),
            digest: [seed; 16],
        }
    }

    fn position(next_offset: i64) -> Position {
        Position {
            topic: "commands".to_owned(),
            partition: 0,
            next_offset,
            seen_until: At::default(),
            incarnation: 0,
            last: Some(mark(next_offset - 1, 7)),
            checked: Some(mark(next_offset - 5, 5)),
            stray: None,
        }
    }

    fn held(low: i64, high: i64, records: &[Mark]) -> Held {
        Held {
            low,
            high,
            records: records.to_vec(),
            unread: None,
        }
    }

    #[test]
    fn record_that_could_not_be_read_is_no_proof_and_not_accepted() {
        let unread = Held {
            unread: Some(9),
            ..held(0, 20, &[mark(5, 5)])
        };
        assert_eq!(judge(&position(10), &unread), Err(Finding::Unread(9)));
        assert!(!Finding::Unread(9).can_be_accepted() && Finding::OtherRecord(9).can_be_accepted());
    }

    #[test]
    fn a_log_that_goes_on_is_read_on() {
        for held in [
            held(0, 20, &[mark(9, 7), mark(5, 5)]),
            held(0, 10, &[mark(9, 7), mark(5, 5)]),
            // What was taken in has been removed since.
            held(10, 10, &[]),
            held(9, 30, &[mark(9, 7)]),
            // Compacted.
            held(0, 30, &[]),
        ] {
            assert_eq!(judge(&position(10), &held), Ok(()), "{held:?}");
        }
    }

    #[test]
    fn another_log_or_a_loss_is_named() {
        let cases = [
            (held(12, 30, &[]), Finding::Removed { next: 10, low: 12 }),
            (held(0, 9, &[]), Finding::Shrunk { next: 10, high: 9 }),
            (held(0, 0, &[]), Finding::Shrunk { next: 10, high: 0 }),
            (held(0, 30, &[mark(9, 8), mark(5, 5)]), Finding::OtherRecord(9)),
            // Made anew and read on before anybody noticed: the older mark shows it.
            (held(0, 30, &[mark(9, 7), mark(5, 6)]), Finding::OtherRecord(5)),
        ];
        for (held, finding) in cases {
            assert_eq!(judge(&position(10), &held), Err(finding), "{held:?}");
        }
        let stray = Position {
            stray: Some(3),
            ..position(10)
        };
        assert_eq!(judge(&stray, &held(0, 20, &[])), Err(Finding::Stray(3)));
    }

    #[test]
    fn the_same_bytes_at_another_time_are_another_record() {
        let later = Mark {
            at: Some(At::from_millis(99)),
            ..mark(9, 7)
        };
        let held = held(0, 20, &[later]);
        assert_eq!(judge(&position(10), &held), Err(Finding::OtherRecord(9)));
    }

    #[test]
    fn a_partition_of_another_cluster_is_not_read_and_a_new_one_is() {
        let key: Partition = (Arc::from("commands"), 0);
        let other: Partition = (Arc::from("commands"), 1);
        let known = Known {
            positions: HashMap::new(),
            elsewhere: HashMap::from([(key.clone(), "old".to_owned())]),
        };
        let held = held(0, 0, &[]);
        assert_eq!(
            known.judge(&key, Some(&held)),
            Err(Finding::OtherCluster("old".to_owned()))
        );
        assert_eq!(known.judge(&other, Some(&held)), Ok(()));
        assert_eq!(known.judge(&other, None), Err(Finding::NoAnswer));
    }
}
