//! The polling thread: reads messages, prepares them, and hands batches to a stage.
//!
//! One OS thread a consumer, because parsing and sealing are work for a processor and not for the runtime. It never
//! decides and never touches the store. The bounded channel to the stage is its backpressure.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    Message,
    consumer::Consumer,
    error::{KafkaError as ClientError, RDKafkaErrorCode},
    message::OwnedMessage,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    assignment::Assignment,
    batch_processor::{Reading, Work},
    batch_window::{Filling, Window},
    group_consumer::GroupConsumer,
    log_reader::written_at,
    offset_tracker::{OffsetTracker, Step},
    types::Batch,
};
use crate::{
    engine::prepare::{self, Arrival},
    store::Origin,
    wire::kept,
};

/// So many records that are no messages are passed over before anything else is looked at: a stage also has to end, and to
/// say how far it has read.
const MOST_PASSED: usize = 20_000;

/// How long a record rests that cannot be read just now: short enough for a prompt shutdown.
const REST: Duration = Duration::from_millis(300);

/// Reads for a stage.
pub struct Poller<W> {
    /// The consumer, subscribed.
    pub consumer: Arc<GroupConsumer>,
    /// The cluster's id.
    pub cluster: Arc<str>,
    /// Reads one record.
    pub work: Arc<W>,
    /// The largest batch.
    pub window: Window,
    /// Its partitions.
    pub assignment: Arc<Assignment>,
    /// The tenant of messages that name none.
    pub tenant_default: crate::domain::ids::Tenant,
    /// Ends it.
    pub shutdown: CancellationToken,
}

impl<W> std::fmt::Debug for Poller<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poller")
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

/// What a record has come to.
enum Taken<T> {
    Arrival(Arrival<T>),
    /// It is no message.
    Passed,
    /// It comes from a partition that is not read.
    NotRead,
    /// It is read again.
    NotNow,
}

/// What the thread remembers between two batches.
#[derive(Default)]
struct Memory {
    tracker: OffsetTracker,
    /// A record that could not be read yet. Nothing behind it is.
    held: Option<OwnedMessage>,
}

impl<W: Work> Poller<W> {
    /// Reads until the shutdown, or until the stage is gone.
    pub fn run(self, batches: &mpsc::Sender<Batch<W::Item>>) -> Result<(), ClientError> {
        let mut memory = Memory::default();
        while !self.shutdown.is_cancelled() {
            let arrivals = self.collect(&mut memory)?;
            // The consumer's position lies behind a record that is held: nothing is said of it before that is read.
            let seen = match memory.held {
                Some(_) => Vec::new(),
                None => self.assignment.watermarks.reached(&self.cluster, &self.consumer),
            };
            if arrivals.is_empty() && seen.is_empty() {
                if memory.held.is_some() {
                    std::thread::park_timeout(REST);
                }
                continue;
            }
            if batches.blocking_send(Batch { arrivals, seen }).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Collects what is there, up to the window.
    fn collect(&self, memory: &mut Memory) -> Result<Vec<Arrival<W::Item>>, ClientError> {
        let mut filling = Filling::new(self.window);
        let mut arrivals = Vec::with_capacity(64);
        let mut passed = 0;
        self.consumer.context().membership.polled();
        if let Some(record) = memory.held.take() {
            match self.take(&record, &mut memory.tracker) {
                Taken::Arrival(arrival) => {
                    filling.took(arrival.raw.len() + arrival.headers.len());
                    arrivals.push(arrival);
                }
                Taken::Passed | Taken::NotRead => {}
                Taken::NotNow => {
                    memory.held = Some(record);
                    return Ok(arrivals);
                }
            }
        }
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
                Some(Ok(record)) => match self.take(&record, &mut memory.tracker) {
                    Taken::Arrival(arrival) => {
                        filling.took(arrival.raw.len() + arrival.headers.len());
                        arrivals.push(arrival);
                    }
                    Taken::NotRead => {}
                    Taken::Passed => {
                        passed += 1;
                        if passed >= MOST_PASSED {
                            break;
                        }
                    }
                    Taken::NotNow => {
                        memory.held = Some(record.detach());
                        break;
                    }
                },
            }
        }
        Ok(arrivals)
    }

    fn take<M: Message>(&self, record: &M, tracker: &mut OffsetTracker) -> Taken<W::Item> {
        let (partition, offset) = (record.partition(), record.offset());
        let states = &self.assignment.states;
        let Some(incarnation) = tracker.incarnation(states, record.topic(), partition) else {
            return Taken::NotRead;
        };
        let content = match self.work.read(record, incarnation, &self.tenant_default) {
            Reading::Message(content) => content,
            Reading::NotNow => return Taken::NotNow,
            Reading::Nothing => {
                if tracker.pass(states, record.topic(), partition, offset) {
                    self.assignment.start_again("a partition has gone back");
                }
                return Taken::Passed;
            }
        };
        let before = match tracker.step(states, record.topic(), partition, offset) {
            Step::On(before) => before,
            Step::NotRead => return Taken::NotRead,
            Step::Back => {
                self.assignment.start_again("a partition has gone back");
                return Taken::NotRead;
            }
        };
        Taken::Arrival(Arrival {
            origin: Some(Origin {
                cluster: Arc::clone(&self.cluster),
                topic: before.topic,
                partition,
                offset,
                incarnation: before.incarnation,
            }),
            content,
            raw: Zeroizing::new(kept(record.payload().unwrap_or_default()).to_vec()),
            headers: self.work.kept_headers(record),
            reading: Some(prepare::Reading {
                after: before.after,
                at: written_at(record),
            }),
        })
    }
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
