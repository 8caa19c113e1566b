//! Asks where partitions end, once a second.
//!
//! The broker is asked by a thread and over connections of its own: on the consumer's, an answer waits behind the fetch that is
//! waiting for messages.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
};
use tokio_util::sync::CancellationToken;

use super::{End, Progress, Watermarks, offset_of};
use crate::{
    clock::{Clock, Stopwatch},
    kafka::{
        KafkaError,
        client::{Cluster, Quiet},
        membership::Membership,
        types::Partition,
        while_doing,
    },
    telemetry::metrics::Metrics,
};

/// How often the broker is asked.
const EVERY: Duration = Duration::from_secs(1);

/// How long it may take to answer about one partition. Without an answer the older report stands, which errs on the
/// safe side.
const PATIENCE: Duration = Duration::from_secs(1);

/// A transaction that is open for so long is said, once: its producer is gone, or hangs.
const HANGING: Duration = Duration::from_secs(60);

/// Asks the broker, once a second.
pub struct Watcher<C: ConsumerContext> {
    /// Sees all records, also those of open transactions.
    all: BaseConsumer<Quiet>,
    /// Sees what the consumer can read.
    stable: BaseConsumer<Quiet>,
    /// Whose partitions.
    pub consumer: Arc<BaseConsumer<C>>,
    /// Where the answers go.
    pub watermarks: Arc<Watermarks>,
    /// Whether it still is in its group.
    pub membership: Arc<Membership>,
    /// When it was asked.
    pub clock: Clock,
    /// The lag.
    pub metrics: Arc<Metrics>,
    /// Ends it.
    pub shutdown: CancellationToken,
}

impl<C: ConsumerContext> std::fmt::Debug for Watcher<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").finish_non_exhaustive()
    }
}

impl<C: ConsumerContext> Watcher<C> {
    /// Connects.
    pub fn new(
        cluster: &Cluster,
        consumer: Arc<BaseConsumer<C>>,
        watermarks: Arc<Watermarks>,
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
            watermarks,
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
        let assignment = self.watermarks.lock().assignment;
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
        let known = self
            .watermarks
            .lock()
            .partitions
            .get(key)
            .and_then(Progress::read);
        let Some(read) = position.or(known).or_else(|| self.start_of(key, low)) else {
            return;
        };
        let stable = if read < end {
            let answer = self.stable.fetch_watermarks(&key.0, key.1, PATIENCE).ok();
            answer.map(|(_, stable)| stable)
        } else {
            None
        };
        let mut known = self.watermarks.lock();
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
