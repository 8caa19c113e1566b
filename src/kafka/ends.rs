//! Where partitions end: the lag, and the proof that everything sent before a time has been read.
//!
//! An ack is missing only when settling has read its partition past the time by which it was due. Producers' clocks say
//! nothing about that; the end of the partition, asked for at a known time and then reached, does.
//!
//! The broker is asked by a thread and over a connection of its own: on the consumer's, an answer waits behind the
//! fetch that is waiting for messages.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rdkafka::{Offset, TopicPartitionList, admin::AdminClient, consumer::Consumer};
use tokio_util::sync::CancellationToken;

use super::{
    KafkaError,
    client::{Cluster, Quiet},
    poll::GroupConsumer,
    positions::{Partition, offsets_after},
    while_doing,
};
use crate::{
    clock::{Clock, Stopwatch},
    domain::time::At,
    engine::prepare::Arrival,
    store::Seen,
    telemetry::metrics::Metrics,
};

/// How often the broker is asked.
const EVERY: Duration = Duration::from_secs(1);

/// How long it may take to answer about one partition. Without an answer the older report stands, which errs on the
/// safe side.
const PATIENCE: Duration = Duration::from_secs(1);

/// How far partitions have been read, and where they ended when they were last looked at.
#[derive(Debug, Default)]
pub struct Ends(Mutex<HashMap<Partition, Progress>>);

#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    /// The next offset to read, where it is known.
    read: Option<i64>,
    /// Where it ended, and when that was asked; taken when it is reached.
    end: Option<(At, i64)>,
}

impl Ends {
    fn lock(&self) -> MutexGuard<'_, HashMap<Partition, Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A partition is read from here: until something has been read, that is how far it has been.
    pub fn starts_at(&self, partition: Partition, offset: i64) {
        let progress = Progress {
            read: Some(offset),
            end: None,
        };
        self.lock().insert(partition, progress);
    }

    /// These messages have been read.
    pub fn read<T>(&self, arrivals: &[Arrival<T>]) {
        if arrivals.is_empty() {
            return;
        }
        let mut partitions = self.lock();
        for (partition, next) in offsets_after(arrivals) {
            partitions.entry(partition).or_default().read = Some(next);
        }
    }

    /// Takes the reports of those whose end has been reached.
    pub fn reached(&self, cluster: &Arc<str>) -> Vec<Seen> {
        let mut reached = Vec::new();
        for ((topic, partition), progress) in self.lock().iter_mut() {
            if let (Some(read), Some((at, end))) = (progress.read, progress.end)
                && read >= end
            {
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

/// Asks the broker, once a second.
pub struct Watcher {
    client: AdminClient<Quiet>,
    /// Whose partitions.
    pub consumer: Arc<GroupConsumer>,
    /// Where the answers go.
    pub ends: Arc<Ends>,
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
        clock: Clock,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
    ) -> Result<Self, KafkaError> {
        let client = cluster
            .config()
            .create_with_context(Quiet)
            .map_err(while_doing("creating a client"))?;
        Ok(Self {
            client,
            consumer,
            ends,
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
                self.look();
            }
            // Short enough for a prompt shutdown.
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    fn look(&self) {
        let Ok(assignment) = self.consumer.assignment() else {
            return;
        };
        self.ends
            .lock()
            .retain(|(topic, partition), _| assignment.find_partition(topic, *partition).is_some());
        for element in assignment.elements() {
            let key: Partition = (Arc::from(element.topic()), element.partition());
            let now = self.clock.now();
            let Ok((low, high)) = self.client.inner().fetch_watermarks(&key.0, key.1, PATIENCE) else {
                continue;
            };
            let known = self.ends.lock().get(&key).and_then(|progress| progress.read);
            let read = known.or_else(|| self.start_of(&key, low));
            let mut partitions = self.ends.lock();
            let progress = partitions.entry(key.clone()).or_default();
            // What was read while the broker was being asked is newer.
            progress.read = progress.read.or(read);
            progress.end.get_or_insert((now, high));
            if let Some(read) = progress.read {
                let partition = key.1.to_string();
                self.metrics
                    .consumer_lag
                    .with_label_values(&[&*key.0, partition.as_str()])
                    .set((high - read).max(0));
            }
        }
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
