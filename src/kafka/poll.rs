//! The polling thread: reads messages, prepares them, and hands batches to a stage.
//!
//! One OS thread a consumer, because parsing and sealing are work for a processor and not for the runtime. It never
//! decides and never touches the store. The bounded channel to the stage is its backpressure.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rdkafka::{
    ClientContext, Message,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError as ClientError, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers},
    topic_partition_list::TopicPartitionList,
    types::RDKafkaRespErr,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    assignment::Assignment,
    client::log_line,
    group::Membership,
    log::written_at,
    tracks::{Step, Tracks},
};
use crate::{
    clock::Stopwatch,
    engine::prepare::{Arrival, Reading},
    store::{Origin, Seen},
    wire::{
        KeptHeaders, Refusal,
        envelope::{Envelope, open},
        kept,
    },
};

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
            self.assignment.ends.reassigned(partitions);
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

/// How large a batch may become, and how long it may wait for more.
///
/// Every transaction costs the same again whatever is in it, and every transaction that touches a request rewrites its row,
/// adds a leaf and says a status. So a batch that fills fast waits longer: where much arrives, work queues up behind it
/// anyway, and fewer transactions shorten that queue by more than the waiting adds. A rush is more than half of what two
/// cores can carry: below that the time to completion counts for more. (To wait for as long as the stage is busy was tried:
/// it saves a tenth less.)
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Messages.
    pub messages: usize,
    /// Bytes of their values and headers: a burst of large messages must not fill the memory.
    pub bytes: usize,
    /// Time after the first message.
    pub wait: Duration,
    /// So many messages by then are a rush.
    pub rush: usize,
    /// Time after the first message in a rush.
    pub rush_wait: Duration,
}

impl Window {
    /// Of commands. At half load, 10 ms cost 20-30 % less CPU than 1-5 ms and give a better p99.
    pub const COMMANDS: Self = Self {
        messages: 500,
        bytes: 8 << 20,
        wait: Duration::from_millis(10),
        rush: 60,
        rush_wait: Duration::from_millis(30),
    };

    /// Of acks. Those of a request come close together: 25 ms save a quarter of the transactions that touch it. Twice as many
    /// commands would cost a third more memory and gain nothing; twice as many acks cost next to none.
    pub const ACKS: Self = Self {
        messages: 4000,
        bytes: 8 << 20,
        wait: Duration::from_millis(25),
        rush: 900,
        rush_wait: Duration::from_millis(120),
    };
}

/// Messages read together, and how far partitions have been read to their end.
#[derive(Debug)]
pub struct Batch<T> {
    /// The messages, in the order of each partition.
    pub arrivals: Vec<Arrival<T>>,
    /// Partitions whose end, as of a time, lies behind these messages.
    pub seen: Vec<Seen>,
}

/// Reads for a stage.
pub struct Poller<F> {
    /// The consumer, subscribed.
    pub consumer: Arc<GroupConsumer>,
    /// The cluster's id.
    pub cluster: Arc<str>,
    /// Prepares one message of a topic.
    pub prepare: F,
    /// The largest batch.
    pub window: Window,
    /// Its partitions.
    pub assignment: Arc<Assignment>,
    /// The tenant of messages that name none.
    pub tenant_default: crate::domain::ids::Tenant,
    /// Ends it.
    pub shutdown: CancellationToken,
}

impl<F> std::fmt::Debug for Poller<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poller")
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl<F> Poller<F> {
    /// Reads until the shutdown, or until the stage is gone.
    pub fn run<T>(self, batches: &mpsc::Sender<Batch<T>>) -> Result<(), ClientError>
    where
        F: Fn(&str, &[u8], &Envelope<'_>) -> Result<T, Refusal>,
    {
        let mut tracks = Tracks::default();
        while !self.shutdown.is_cancelled() {
            let arrivals = self.collect(&mut tracks)?;
            let seen = self.assignment.ends.reached(&self.cluster, &self.consumer);
            if arrivals.is_empty() && seen.is_empty() {
                continue;
            }
            if batches.blocking_send(Batch { arrivals, seen }).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Collects what is there, up to the window.
    fn collect<T>(&self, tracks: &mut Tracks) -> Result<Vec<Arrival<T>>, ClientError>
    where
        F: Fn(&str, &[u8], &Envelope<'_>) -> Result<T, Refusal>,
    {
        let mut filling = Filling::new(self.window);
        let mut arrivals = Vec::with_capacity(64);
        self.consumer.context().membership.polled();
        while let Some(wait) = filling.wait() {
            match self.consumer.poll(wait) {
                None if wait.is_zero() => filling.ran_dry(),
                None => break,
                Some(Err(error)) if is_fatal(&error) => return Err(error),
                Some(Err(error)) if has_lost_its_place(&error) => {
                    self.assignment
                        .start_again("a partition has no message at the next offset");
                    break;
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "reading");
                    break;
                }
                Some(Ok(message)) => {
                    let Some(arrival) = self.arrival(&message, tracks) else {
                        continue;
                    };
                    filling.took(arrival.raw.len() + arrival.headers.len());
                    arrivals.push(arrival);
                }
            }
        }
        Ok(arrivals)
    }

    /// `None`: it comes from a partition that is not read.
    fn arrival<T>(&self, message: &BorrowedMessage<'_>, tracks: &mut Tracks) -> Option<Arrival<T>>
    where
        F: Fn(&str, &[u8], &Envelope<'_>) -> Result<T, Refusal>,
    {
        let (partition, offset) = (message.partition(), message.offset());
        let before = match tracks.step(&self.assignment.places, message.topic(), partition, offset) {
            Step::On(before) => before,
            Step::NotRead => return None,
            Step::Back => {
                self.assignment.start_again("a partition has gone back");
                return None;
            }
        };
        Some(Arrival {
            origin: Some(Origin {
                cluster: Arc::clone(&self.cluster),
                topic: before.topic,
                partition,
                offset,
                incarnation: before.incarnation,
            }),
            content: self.content(message),
            raw: Zeroizing::new(kept(message.payload().unwrap_or_default()).to_vec()),
            headers: KeptHeaders::of(headers_of(message)),
            reading: Some(Reading {
                after: before.after,
                at: written_at(message),
            }),
        })
    }

    fn content<T>(&self, message: &BorrowedMessage<'_>) -> Result<T, Refusal>
    where
        F: Fn(&str, &[u8], &Envelope<'_>) -> Result<T, Refusal>,
    {
        let opened = open(headers_of(message), message.payload(), &self.tenant_default)?;
        (self.prepare)(message.topic(), &opened.payload, &opened.envelope)
    }
}

fn headers_of<'a>(message: &'a BorrowedMessage<'_>) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
    let headers = message.headers().into_iter();
    headers
        .flat_map(|headers| headers.iter())
        .map(|header| (header.key, header.value))
}

/// How a batch fills.
struct Filling {
    window: Window,
    messages: usize,
    bytes: usize,
    started: Option<Stopwatch>,
    /// Whether nothing was there a moment ago.
    is_dry: bool,
}

impl Filling {
    /// Short enough for a prompt shutdown.
    const IDLE: Duration = Duration::from_millis(100);
    /// After so many messages in a row the time is looked at.
    const UNTIMED: usize = 32;

    fn new(window: Window) -> Self {
        Self {
            window,
            messages: 0,
            bytes: 0,
            started: None,
            is_dry: true,
        }
    }

    /// How long to wait for the next message; `None`: it is enough. What is there already is taken without a look at the
    /// time.
    fn wait(&self) -> Option<Duration> {
        if self.messages >= self.window.messages || self.bytes >= self.window.bytes {
            return None;
        }
        let Some(started) = &self.started else {
            return Some(Self::IDLE);
        };
        if !self.is_dry && !self.messages.is_multiple_of(Self::UNTIMED) {
            return Some(Duration::ZERO);
        }
        let until = if self.messages >= self.window.rush {
            self.window.rush_wait
        } else {
            self.window.wait
        };
        let left = until.saturating_sub(started.elapsed());
        match (left.is_zero(), self.is_dry) {
            (true, _) => None,
            (false, true) => Some(whole_millis(left)),
            (false, false) => Some(Duration::ZERO),
        }
    }

    fn took(&mut self, bytes: usize) {
        self.started.get_or_insert_with(Stopwatch::start);
        self.messages += 1;
        self.bytes += bytes;
        self.is_dry = false;
    }

    fn ran_dry(&mut self) {
        self.is_dry = true;
    }
}

/// Rounds up to what the client can wait for. It waits whole milliseconds and asks again and again, without a pause, for
/// what is left of one: half a millisecond of a processor's time for each batch.
pub fn whole_millis(wait: Duration) -> Duration {
    Duration::from_millis(u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

/// Whether the consumer cannot go on: the client library hands out nothing any more, however long it is asked. It says so with
/// a code of its own, and does not mark the event.
fn is_fatal(error: &ClientError) -> bool {
    matches!(error, ClientError::MessageConsumptionFatal(_))
        || error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal)
}

/// Whether the log has nothing at the offset that comes next: the client must not jump by itself.
fn has_lost_its_place(error: &ClientError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::LogTruncation)
    )
}

/// Stores how far each partition has been dealt with; it is committed in the background.
pub fn store_offsets(consumer: &GroupConsumer, offsets: &HashMap<(Arc<str>, i32), i64>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn filling(messages: usize, window: Window) -> Filling {
        let mut filling = Filling::new(window);
        for _ in 0..messages {
            filling.took(10);
        }
        filling
    }

    /// Its first wait is over at once, its second one not while this runs.
    const WINDOW: Window = Window {
        messages: 100,
        bytes: 10_000,
        wait: Duration::ZERO,
        rush: 3,
        rush_wait: Duration::from_secs(3600),
    };

    #[test]
    fn a_batch_that_fills_fast_waits_longer() {
        let mut slow = filling(2, WINDOW);
        slow.ran_dry();
        assert_eq!(slow.wait(), None);
        let mut fast = filling(3, WINDOW);
        fast.ran_dry();
        assert!(fast.wait().is_some_and(|wait| wait > Duration::from_secs(3000)));
    }

    #[test]
    fn what_is_there_is_taken_before_anything_is_waited_for() {
        assert_eq!(filling(0, WINDOW).wait(), Some(Filling::IDLE));
        assert_eq!(filling(1, WINDOW).wait(), Some(Duration::ZERO));
        // However much is there, the time is looked at now and then.
        let endless = Window {
            rush: usize::MAX,
            ..WINDOW
        };
        assert_eq!(filling(Filling::UNTIMED, endless).wait(), None);
        assert_eq!(filling(Filling::UNTIMED, WINDOW).wait(), Some(Duration::ZERO));
    }

    #[test]
    fn neither_messages_nor_bytes_exceed_the_window() {
        assert_eq!(filling(100, WINDOW).wait(), None);
        let heavy = Window { bytes: 50, ..WINDOW };
        assert_eq!(filling(5, heavy).wait(), None);
    }
}
