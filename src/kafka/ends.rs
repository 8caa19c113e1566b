//! Where partitions end: the lag, and the proof that everything sent before a time has been read.
//!
//! An ack is missing only when settling has read its partition past the time by which it was due. Producers' clocks say
//! nothing about that; the end of the partition, asked for at a known time and then reached, does.
//!
//! What counts is the consumer's own position, never its last message: the last record of a log may be a transaction's
//! marker, or the rest of a transaction that was aborted, and no consumer is ever given those.
//!
//! The broker is asked by a thread and over connections of its own: on the consumer's, an answer waits behind the
//! fetch that is waiting for messages.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use tokio_util::sync::CancellationToken;

use super::{
    KafkaError,
    client::{Cluster, Quiet},
    group::Membership,
    poll::GroupConsumer,
    positions::Partition,
    while_doing,
};
use crate::{
    clock::{Clock, Stopwatch},
    domain::time::At,
    store::Seen,
    telemetry::metrics::Metrics,
};

/// How often the broker is asked.
const EVERY: Duration = Duration::from_secs(1);

/// How long it may take to answer about one partition. Without an answer the older report stands, which errs on the
/// safe side.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long an open transaction is waited for. Behind its first record nothing can be read, also no answer that was sent
/// without any transaction: nearly all transactions are over by then, and what they held back has been read. One that
/// stays open must not hold back the time-outs of everybody.
const OPEN_TRANSACTION: Duration = Duration::from_secs(15);

/// A transaction that is open for so long is said, once: its producer is gone, or hangs.
const HANGING: Duration = Duration::from_secs(60);

/// How far partitions have been read, and where they ended when they were last looked at.
#[derive(Debug, Default)]
pub struct Ends(Mutex<Known>);

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

impl Ends {
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
    pub fn reached(&self, cluster: &Arc<str>, consumer: &GroupConsumer) -> Vec<Seen> {
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

/// Asks the broker, once a second.
pub struct Watcher {
    /// Sees all records, also those of open transactions.
    all: BaseConsumer<Quiet>,
    /// Sees what the consumer can read.
    stable: BaseConsumer<Quiet>,
    /// Whose partitions.
    pub consumer: Arc<GroupConsumer>,
    /// Where the answers go.
    pub ends: Arc<Ends>,
    /// Whether it still is in its group.
    pub membership: Arc<Membership>,
    /// When it was asked.
    pub clock: Clock,
    /// The lag.
    pub metrics: Arc<Metrics>,
    /// Ends it.
    pub shutdown: CancellationToken,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").finish_non_exhaustive()
    }
}

impl Watcher {
    /// Connects.
    pub fn new(
        cluster: &Cluster,
        consumer: Arc<GroupConsumer>,
        ends: Arc<Ends>,
        membership: Arc<Membership>,
        (clock, metrics): (Clock, Arc<Metrics>),
        shutdown: CancellationToken,
    ) -> Result<Self, KafkaError> {
        let asking = |isolation| {
            cluster
                .asking_config(isolation)
                .create_with_context(Quiet)
                .map_err(while_doing("creating a client"))
        };
        Ok(Self {
            all: asking("read_uncommitted")?,
            stable: asking("read_committed")?,
            consumer,
            ends,
            membership,
            clock,
            metrics,
            shutdown,
        })
    }

    /// Runs until the shutdown, on a thread of its own.
    pub fn run(self) {
        let mut looked: Option<Stopwatch> = None;
        while !self.shutdown.is_cancelled() {
            if looked.is_none_or(|looked| looked.elapsed() >= EVERY) {
                looked = Some(Stopwatch::start());
                self.membership.look();
                self.look();
                // What these clients hear is handed out here, so that it does not pile up.
                drop((self.all.poll(Duration::ZERO), self.stable.poll(Duration::ZERO)));
            }
            // Short enough for a prompt shutdown.
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    fn look(&self) {
        let assignment = self.ends.lock().assignment;
        let Ok(positions) = self.consumer.position() else {
            return;
        };
        for element in positions.elements() {
            if self.shutdown.is_cancelled() {
                return;
            }
            let key: Partition = (Arc::from(element.topic()), element.partition());
            self.look_at(&key, offset_of(element.offset()), assignment);
        }
    }

    fn look_at(&self, key: &Partition, position: Option<i64>, assignment: u64) {
        let (at, asked) = (self.clock.now(), Stopwatch::start());
        let Ok((low, end)) = self.all.fetch_watermarks(&key.0, key.1, PATIENCE) else {
            return;
        };
        let known = self.ends.lock().partitions.get(key).and_then(Progress::read);
        let Some(read) = position.or(known).or_else(|| self.start_of(key, low)) else {
            return;
        };
        let stable = if read < end {
            let answer = self.stable.fetch_watermarks(&key.0, key.1, PATIENCE).ok();
            answer.map(|(_, stable)| stable)
        } else {
            None
        };
        let mut known = self.ends.lock();
        if known.assignment != assignment {
            return;
        }
        let progress = known.partitions.entry(key.clone()).or_default();
        progress.start = progress.start.or(Some(read));
        let offset = end;
        let end = progress.end.get_or_insert(End {
            at,
            asked,
            offset,
            stable,
        });
        end.stable = stable.or(end.stable);
        let first_open = stable.filter(|stable| *stable < offset);
        let (open, is_hanging) = progress.note_open(first_open, HANGING);
        if is_hanging {
            tracing::warn!(
                topic = %key.0, partition = key.1, offset = stable,
                "a transaction hangs: nothing behind its first record can be read, and until it ends the tasks whose answers \
                 come in this partition are asked again more seldom. End its producer, or abort it: `kafka-transactions.sh \
                 find-hanging` names it"
            );
        }
        self.metrics.open_transaction(&key.0, key.1, open);
        self.metrics.lag(&key.0, key.1, stable.unwrap_or(offset) - read);
    }

    /// Where reading starts in a partition of which nothing has been read yet.
    fn start_of(&self, key: &Partition, low: i64) -> Option<i64> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&key.0, key.1);
        let committed = self.consumer.committed_offsets(asked, PATIENCE).ok()?;
        match committed.find_partition(&key.0, key.1)?.offset() {
            Offset::Offset(offset) => Some(offset),
            Offset::Invalid => Some(low),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "acks";

    /// A partition that ended at 12, with an open transaction at `stable`.
    fn ends(stable: Option<i64>) -> Ends {
        let ends = Ends::default();
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

    fn reached_at(ends: &Ends, position: Offset) -> Option<i64> {
        let mut positions = TopicPartitionList::new();
        positions.add_partition_offset(TOPIC, 0, position).unwrap();
        let seen = ends.take_reached(&Arc::from("cluster"), &positions);
        seen.first().map(|seen| seen.next)
    }

    #[test]
    fn a_position_behind_markers_is_the_end_although_the_last_message_lies_before_it() {
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
        assert_eq!(progress.note_open(Some(9), Duration::MAX).1, false);
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
