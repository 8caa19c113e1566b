//! The polling thread: reads messages, prepares them, and hands batches to a stage.
//!
//! One OS thread a consumer, because parsing and sealing are work for a processor and not for the runtime. It never
//! decides and never touches the store. The bounded channel to the stage is its backpressure.

use std::sync::Arc;

use rdkafka::{
    Message,
    consumer::Consumer,
    error::{KafkaError as ClientError, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    assignment::Assignment,
    batch_window::{Filling, Window},
    group_consumer::GroupConsumer,
    log_reader::written_at,
    offset_tracker::{OffsetTracker, Step},
    types::Batch,
};
use crate::{
    engine::prepare::{Arrival, Reading},
    store::Origin,
    wire::{
        KeptHeaders, Rejection,
        envelope::{Envelope, open},
        kept,
    },
};

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
        F: Fn(&str, &[u8], &Envelope<'_>) -> Result<T, Rejection>,
    {
        let mut tracker = OffsetTracker::default();
        while !self.shutdown.is_cancelled() {
            let arrivals = self.collect(&mut tracker)?;
            let seen = self.assignment.watermarks.reached(&self.cluster, &self.consumer);
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
    fn collect<T>(&self, tracker: &mut OffsetTracker) -> Result<Vec<Arrival<T>>, ClientError>
    where
        F: Fn(&str, &[u8], &Envelope<'_>) -> Result<T, Rejection>,
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
                    let Some(arrival) = self.arrival(&message, tracker) else {
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
    fn arrival<T>(&self, message: &BorrowedMessage<'_>, tracker: &mut OffsetTracker) -> Option<Arrival<T>>
    where
        F: Fn(&str, &[u8], &Envelope<'_>) -> Result<T, Rejection>,
    {
        let (partition, offset) = (message.partition(), message.offset());
        let before = match tracker.step(&self.assignment.states, message.topic(), partition, offset) {
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

    fn content<T>(&self, message: &BorrowedMessage<'_>) -> Result<T, Rejection>
    where
        F: Fn(&str, &[u8], &Envelope<'_>) -> Result<T, Rejection>,
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
