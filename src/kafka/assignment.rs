//! The partitions that one life of a consumer has: where each is read from, and which are not read.
//!
//! Where reading starts is decided by the store's position, when partitions are assigned, and by nothing else: not by the
//! group's offsets, which anybody can move, and not by the client, which would jump to what is left of a log. Whatever looks
//! wrong later ends this life of the consumer, and the next one looks again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    KafkaError,
    client::{Cluster, PATIENCE},
    log_reader::{Held, LogReader, Question},
    partition_states::{PartitionState, PartitionStates},
    positions::{Finding, Known},
    types::Partition,
    watermarks::Watermarks,
    while_doing,
};
use crate::{clock::Stopwatch, engine::Engine, telemetry::readiness::Readiness};

/// How long an assignment waits for the store or the group's coordinator before the consumer starts again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The partitions of one life of a consumer.
#[derive(Debug)]
pub struct Assignment {
    /// The stage's name.
    pub stage: &'static str,
    /// The cluster.
    pub cluster: Cluster,
    /// The group.
    pub group_id: String,
    /// The use cases.
    pub engine: Arc<Engine>,
    /// Where it shows that a partition is not read.
    pub readiness: Readiness,
    /// Where the partitions end.
    pub watermarks: Arc<Watermarks>,
    /// Ends this life of the consumer.
    pub stop: CancellationToken,
    /// Where each partition is read.
    pub states: PartitionStates,
    runtime: Handle,
    reader: Mutex<Option<LogReader>>,
    failure: Mutex<Option<KafkaError>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Assignment {
    /// For a consumer that is about to subscribe, within the runtime that the store works in.
    pub fn new(
        stage: &'static str,
        (cluster, group_id): (Cluster, String),
        engine: Arc<Engine>,
        readiness: Readiness,
        stop: CancellationToken,
    ) -> Self {
        Self {
            stage,
            cluster,
            group_id,
            engine,
            readiness,
            watermarks: Arc::default(),
            stop,
            states: PartitionStates::default(),
            runtime: Handle::current(),
            reader: Mutex::default(),
            failure: Mutex::default(),
        }
    }

    /// Why this life of the consumer had to end, if it was its own doing.
    pub fn take_failure(&self) -> Option<KafkaError> {
        lock(&self.failure).take()
    }

    /// Something is not as it should be: the next life of the consumer looks at all partitions anew.
    pub fn start_again(&self, why: &str) {
        tracing::warn!(stage = self.stage, why, "the consumer starts again");
        self.stop.cancel();
    }

    /// Takes partitions over, on the polling thread.
    pub fn assign<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        partitions: &mut TopicPartitionList,
    ) {
        let keys = keys(partitions);
        let states = self.look_up_patiently(consumer, &keys).unwrap_or_else(|error| {
            *lock(&self.failure) = Some(error);
            self.stop.cancel();
            keys.iter().map(|key| (key.clone(), unread())).collect()
        });
        let done = self.take_over(consumer, partitions, &states);
        if let Err(error) = done.map_err(while_doing("taking partitions over")) {
            lock(&self.failure).get_or_insert(error);
            self.stop.cancel();
        }
        self.states.take(&states);
        for ((topic, partition), state) in &states {
            if state.stopped.is_none() {
                self.watermarks
                    .starts_at((Arc::clone(topic), *partition), state.start);
            }
        }
        if !self.stop.is_cancelled() {
            for (key, state) in &states {
                self.say(key, state);
            }
            self.show();
        }
    }

    fn take_over<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        partitions: &mut TopicPartitionList,
        states: &[(Partition, PartitionState)],
    ) -> Result<(), rdkafka::error::KafkaError> {
        let (mut stopped, mut read) = (TopicPartitionList::new(), TopicPartitionList::new());
        for ((topic, partition), state) in states {
            partitions.set_partition_offset(topic, *partition, Offset::Offset(state.start))?;
            let key = (Arc::clone(topic), *partition);
            if state.stopped.is_some() {
                stopped.add_partition(topic, *partition);
            } else if self.states.was_stopped(&key) {
                read.add_partition(topic, *partition);
            }
        }
        consumer.incremental_assign(partitions)?;
        if stopped.count() > 0 {
            consumer.pause(&stopped)?;
        }
        if read.count() > 0 {
            // They were stopped when this consumer had them before.
            consumer.resume(&read)?;
        }
        Ok(())
    }

    /// Lets partitions go, on the polling thread. It must not wait for anything: a consumer that closes does this too.
    pub fn revoke<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>, partitions: &TopicPartitionList) {
        if let Err(error) = consumer.incremental_unassign(partitions) {
            tracing::warn!(stage = self.stage, %error, "letting partitions go");
        }
        // From here on nobody asks about them; whoever had begun to finds that out.
        self.watermarks.reassigned(partitions);
        let keys = keys(partitions);
        for (topic, partition) in &keys {
            self.engine.metrics.forget_partition(topic, *partition);
        }
        self.states.release(&keys);
        // What is not read stays so between two lives of the consumer: the next one says how it stands.
        if self.stop.is_cancelled() {
            return;
        }
        for key in &keys {
            self.set_gauge(key, false);
        }
        self.show();
    }

    fn look_up_patiently<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        keys: &[Partition],
    ) -> Result<Vec<(Partition, PartitionState)>, KafkaError> {
        let watch = Stopwatch::start();
        loop {
            // A consumer that closes must not begin to read.
            if keys.is_empty() || self.stop.is_cancelled() {
                return Ok(keys.iter().map(|key| (key.clone(), unread())).collect());
            }
            match self.look_up(consumer, keys) {
                Err(error) if error.is_unreachable() && watch.elapsed() < LONGEST_WAIT => {
                    tracing::warn!(
                        stage = self.stage,
                        error = &error as &dyn std::error::Error,
                        "waiting before partitions are read"
                    );
                    self.readiness.not_ready(self.part(), error.to_string());
                    std::thread::park_timeout(Duration::from_millis(500));
                }
                done => return done,
            }
        }
    }

    fn look_up<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        keys: &[Partition],
    ) -> Result<Vec<(Partition, PartitionState)>, KafkaError> {
        let known = self.runtime.block_on(Known::of_engine(&self.engine))?;
        let mut asked = TopicPartitionList::new();
        for (topic, partition) in keys {
            asked.add_partition(topic, *partition);
        }
        let committed = consumer
            .committed_offsets(asked, PATIENCE)
            .map_err(while_doing("asking for the group's offsets"))?;
        // A new connection: the brokers may be others than those that were known.
        *lock(&self.reader) = None;
        let held = self.look_at_logs(keys.iter().map(|key| known.question(key)).collect())?;
        let other = self.other_brokers();
        let state_of = |key: &Partition| {
            let held = held.get(key);
            let judged = match &other {
                Some(other) => Err(Finding::OtherBrokers(other.clone())),
                None => known.judge(key, held),
            };
            let offset = committed
                .find_partition(&key.0, key.1)
                .map(|found| found.offset());
            let committed = match offset {
                Some(Offset::Offset(offset)) => Some(offset),
                _ => None,
            };
            state(&known, key, held, committed, judged.err())
        };
        let states: Vec<(Partition, PartitionState)> =
            keys.iter().map(|key| (key.clone(), state_of(key))).collect();
        self.hold_back(consumer, &committed, &states);
        Ok(states)
    }

    /// Where the group's offsets lie past what the store has taken in, they are set back: they say up to where everything has
    /// been produced as well.
    fn hold_back<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        committed: &TopicPartitionList,
        states: &[(Partition, PartitionState)],
    ) {
        let mut back = TopicPartitionList::new();
        for ((topic, partition), state) in states {
            let Some(Offset::Offset(offset)) = committed
                .find_partition(topic, *partition)
                .map(|found| found.offset())
            else {
                continue;
            };
            if state.stopped.is_some() || offset <= state.start {
                continue;
            }
            tracing::warn!(
                stage = self.stage, %topic, partition, offset, start = state.start,
                "the group's offset lies past what the store has taken in: reading starts where the store is"
            );
            // It is in range: it was given as an offset.
            drop(back.add_partition_offset(topic, *partition, Offset::Offset(state.start)));
        }
        if back.count() > 0
            && let Err(error) = consumer.commit(&back, CommitMode::Async)
        {
            tracing::warn!(stage = self.stage, %error, "the group's offsets were not set back");
        }
    }

    /// Looks at logs, over a connection that is kept. Blocks.
    pub fn look_at_logs(&self, questions: Vec<Question>) -> Result<HashMap<Partition, Held>, KafkaError> {
        let mut reader = lock(&self.reader);
        let reader = match &mut *reader {
            Some(reader) => reader,
            none => none.insert(LogReader::new(
                &self.cluster,
                &self.group_id,
                self.engine.vault.clone(),
            )?),
        };
        reader.look(&questions)
    }

    /// Has the next look go over a new connection.
    pub fn forget_connection(&self) {
        *lock(&self.reader) = None;
    }

    /// The cluster that the brokers belong to, where it is not the one that positions are kept for.
    pub fn other_brokers(&self) -> Option<String> {
        if self.cluster.embedded {
            return None;
        }
        let id = lock(&self.reader).as_ref().and_then(LogReader::cluster_id)?;
        (*id != **self.engine.cluster()).then_some(id)
    }
}

/// A partition that is not read because nothing is known of it.
const fn unread() -> PartitionState {
    PartitionState {
        start: 0,
        next: 0,
        has_position: false,
        incarnation: 0,
        stopped: Some(Finding::NoAnswer),
        is_assigned: true,
    }
}

/// Where a partition is read: from the store's position, and from the group's offset where that lies before it, so that what may
/// not have been produced is republished.
fn state(
    known: &Known,
    key: &Partition,
    held: Option<&Held>,
    committed: Option<i64>,
    stopped: Option<Finding>,
) -> PartitionState {
    let low = held.map_or(0, |held| held.low);
    let position = known.position(key);
    let start = match position {
        Some(position) if stopped.is_none() => committed.unwrap_or(low).min(position.next_offset).max(low),
        // What the store has never seen it takes in, whatever the group says.
        _ => low,
    };
    PartitionState {
        start,
        next: position.map_or(start, |position| position.next_offset),
        has_position: position.is_some(),
        incarnation: position.map_or(0, |position| position.incarnation),
        stopped,
        is_assigned: true,
    }
}

fn keys(partitions: &TopicPartitionList) -> Vec<Partition> {
    let elements = partitions.elements();
    elements
        .iter()
        .map(|element| (Arc::from(element.topic()), element.partition()))
        .collect()
}
