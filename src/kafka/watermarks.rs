//! Where partitions end: the lag, and the proof that everything sent before a time has been read.
//!
//! An ack is missing only when settling has read its partition past the time by which it was due. Producers' clocks say
//! nothing about that; the end of the partition, asked for at a known time and then reached, does.
//!
//! What counts is the consumer's own position, never its last message: the last record of a log may be a transaction's
//! marker, or the rest of a transaction that was aborted, and no consumer is ever given those.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
};

use super::types::Partition;
use crate::{clock::Stopwatch, domain::time::At, store::Seen};

pub mod watcher;

/// How long an open transaction is waited for. Behind its first record nothing can be read, also no answer that was sent
/// without any transaction: nearly all transactions are over by then, and what they held back has been read. One that
/// stays open must not hold back the time-outs of everybody.
const OPEN_TRANSACTION: Duration = Duration::from_secs(15);

/// How far partitions have been read, and where they ended when they were last looked at.
#[derive(Debug, Default)]
pub struct Watermarks(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Counts the changes of the assignment: what was asked before one says nothing after it.
    assignment: u64,
    partitions: HashMap<Partition, Progress>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    /// Where reading starts, or goes on: the consumer has no position before it has been given something.
    start: Option<i64>,
    /// The consumer's position.
    position: Option<i64>,
    /// Where it ended; taken when it is reached.
    end: Option<End>,
    /// The first transaction that is open.
    open: Option<Open>,
}

/// A transaction that is open.
#[derive(Debug, Clone, Copy)]
struct Open {
    /// Where it begins.
    offset: i64,
    /// Since when that is known.
    since: Stopwatch,
    /// Whether it was said that it hangs.
    is_said: bool,
}

impl Progress {
    /// The next offset to read, where it is known.
    fn read(&self) -> Option<i64> {
        self.position.or(self.start)
    }

    /// How far it was read, if that was to its end.
    fn reached(&self) -> Option<(At, i64)> {
        let (read, end) = (self.read()?, self.end?);
        let is_reached = read >= end.offset
            || end.stable.is_some_and(|stable| read >= stable) && end.asked.elapsed() >= OPEN_TRANSACTION;
        is_reached.then_some((end.at, read))
    }

    /// Notes where the first open transaction begins, by the latest look. Gives how long it has been open, and whether that it
    /// hangs has to be said now.
    fn note_open(&mut self, offset: Option<i64>, hanging: Duration) -> (Duration, bool) {
        let Some(offset) = offset else {
            self.open = None;
            return (Duration::ZERO, false);
        };
        let open = match &mut self.open {
            Some(open) if open.offset == offset => open,
            open => open.insert(Open {
                offset,
                since: Stopwatch::start(),
                is_said: false,
            }),
        };
        let is_new = !open.is_said && open.since.elapsed() >= hanging;
        open.is_said |= is_new;
        (open.since.elapsed(), is_new)
    }
}

/// Where a partition ended when that was asked.
#[derive(Debug, Clone, Copy)]
struct End {
    at: At,
    asked: Stopwatch,
    /// After its last record.
    offset: i64,
    /// Where the first transaction begins that is still open, by the latest look; what lies behind it cannot be read.
    stable: Option<i64>,
}

impl Watermarks {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These partitions come or go: what is known of them ends.
    pub fn reassigned(&self, partitions: &TopicPartitionList) {
        let mut known = self.lock();
        known.assignment += 1;
        known
            .partitions
            .retain(|(topic, partition), _| partitions.find_partition(topic, *partition).is_none());
    }

    /// Reading of a partition starts here.
    pub fn starts_at(&self, partition: Partition, offset: i64) {
        let mut known = self.lock();
        let progress = known.partitions.entry(partition).or_default();
        progress.start = Some(offset);
        progress.position = None;
    }

    /// Takes the reports of those whose end has been reached. Called by whoever polls the consumer, after what was polled
    /// has been taken along: a position that is read later may lie behind messages that nobody has seen yet.
    pub fn reached<C: ConsumerContext>(&self, cluster: &Arc<str>, consumer: &BaseConsumer<C>) -> Vec<Seen> {
        if !self
            .lock()
            .partitions
            .values()
            .any(|progress| progress.end.is_some())
        {
            return Vec::new();
        }
        match consumer.position() {
            Ok(positions) => self.take_reached(cluster, &positions),
            Err(error) => {
                tracing::debug!(%error, "the consumer's position");
                Vec::new()
            }
        }
    }

    fn take_reached(&self, cluster: &Arc<str>, positions: &TopicPartitionList) -> Vec<Seen> {
        let mut known = self.lock();
        let mut reached = Vec::new();
        for ((topic, partition), progress) in &mut known.partitions {
            let position = positions.find_partition(topic, *partition);
            let Some(position) = position.map(|element| element.offset()) else {
                continue;
            };
            progress.position = offset_of(position);
            if let Some((at, read)) = progress.reached() {
                progress.end = None;
                let (cluster, topic) = (Arc::clone(cluster), Arc::clone(topic));
                reached.push(Seen {
                    cluster,
                    topic,
                    partition: *partition,
                    next: read,
                    at,
                });
            }
        }
        reached
    }
}

fn offset_of(offset: Offset) -> Option<i64> {
    match offset {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "acks";

    /// A partition that ended at 12, with an open transaction at `stable`.
    fn ends(stable: Option<i64>) -> Watermarks {
        let ends = Watermarks::default();
        ends.lock().partitions.insert(
            (Arc::from(TOPIC), 0),
            Progress {
                start: Some(3),
                end: Some(End {
                    at: At::from_millis(7),
                    asked: Stopwatch::start(),
                    offset: 12,
                    stable,
                }),
                ..Progress::default()
            },
        );
        ends
    }

    fn reached_at(ends: &Watermarks, position: Offset) -> Option<i64> {
        let mut positions = TopicPartitionList::new();
        positions.add_partition_offset(TOPIC, 0, position).unwrap();
        let seen = ends.take_reached(&Arc::from("cluster"), &positions);
        seen.first().map(|seen| seen.next)
    }

    #[test]
    fn position_behind_markers_counts_as_end() {
        let ends = ends(None);
        assert_eq!(
            reached_at(&ends, Offset::Invalid),
            None,
            "nothing has been read since the start"
        );
        assert_eq!(reached_at(&ends, Offset::Offset(11)), None);
        assert_eq!(reached_at(&ends, Offset::Offset(12)), Some(12));
        assert_eq!(
            reached_at(&ends, Offset::Offset(12)),
            None,
            "a report is made once"
        );
    }

    #[test]
    fn a_transaction_that_was_opened_just_now_is_waited_for() {
        assert_eq!(reached_at(&ends(Some(9)), Offset::Offset(9)), None);
    }

    #[test]
    fn open_transaction_is_said_once_and_timed_until_it_ends() {
        let mut progress = Progress::default();
        assert!(!progress.note_open(Some(9), Duration::MAX).1);
        assert!(progress.note_open(Some(9), Duration::ZERO).1);
        let (open, again) = progress.note_open(Some(9), Duration::ZERO);
        assert!(open > Duration::ZERO && !again);
        assert!(
            progress.note_open(Some(10), Duration::ZERO).1,
            "it is the next one"
        );
        assert_eq!(progress.note_open(None, Duration::ZERO), (Duration::ZERO, false));
    }

    #[test]
    fn what_was_known_of_a_partition_ends_when_it_goes_or_comes() {
        let ends = ends(None);
        let mut gone = TopicPartitionList::new();
        gone.add_partition(TOPIC, 0);
        ends.reassigned(&gone);
        assert_eq!(reached_at(&ends, Offset::Offset(12)), None);
    }
}
