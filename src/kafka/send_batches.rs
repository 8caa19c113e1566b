//! Messages on their way: counted while they are confirmed, and kept by their place only where they are not.
//!
//! A delivery report comes with one number, which names the send_batch and the place of the message in it: so nothing is
//! allocated for a message, and what fails is known exactly.

use std::sync::{
    Arc, Mutex, PoisonError, RwLock,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::Notify;

/// What is said of a message that was not confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Report {
    /// Its place among those of its send_batch.
    pub(super) place: usize,
    /// What the client or the broker says.
    pub(super) code: RDKafkaErrorCode,
    /// Whether the client refused it, so that it is certain that it never left.
    pub(super) certain: bool,
}

/// The messages of one transaction on their way.
#[derive(Debug)]
pub(super) struct SendBatch {
    count: usize,
    remaining: AtomicUsize,
    failures: Mutex<Vec<Report>>,
    /// Its producer is gone: what was not reported will never be.
    lost: AtomicBool,
    over: Notify,
}

impl SendBatch {
    fn of(count: usize) -> Self {
        Self {
            count,
            remaining: AtomicUsize::new(count),
            failures: Mutex::default(),
            lost: AtomicBool::new(false),
            over: Notify::new(),
        }
    }

    /// Takes a report; the answer is whether it was the last one.
    fn report(&self, failure: Option<Report>) -> bool {
        if let Some(failure) = failure {
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.push(failure);
        }
        let is_over = self.remaining.fetch_sub(1, Ordering::AcqRel) == 1;
        if is_over {
            self.over.notify_one();
        }
        is_over
    }

    /// Waits until every message is confirmed or given up, and gives what was not confirmed, in its order.
    pub(super) async fn unconfirmed(&self) -> Vec<Report> {
        loop {
            if self.lost.load(Ordering::Acquire) {
                return self.all_failed();
            }
            if self.remaining.load(Ordering::Acquire) == 0 {
                break;
            }
            self.over.notified().await;
        }
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.sort_unstable_by_key(|failure| failure.place);
        std::mem::take(&mut failures)
    }

    /// Which of them were confirmed is not known, so all of them are sent again: sends are at least once.
    fn all_failed(&self) -> Vec<Report> {
        let failed = |place| Report {
            place,
            code: RDKafkaErrorCode::PurgeInflight,
            certain: false,
        };
        (0..self.count).map(failed).collect()
    }
}

/// The send_batches of a producer.
#[derive(Debug, Default)]
pub(super) struct SendBatches(RwLock<Slots>);

#[derive(Debug, Default)]
struct Slots {
    send_batches: Vec<Option<Arc<SendBatch>>>,
    free: Vec<u32>,
}

/// A place in a send_batch, as one number.
const PLACE_BITS: u32 = 32;
const _: () = assert!(usize::BITS == 64, "a report names a send_batch and a place in it");

/// The number that a report of this message comes with.
pub(super) const fn opaque(slot: u32, place: usize) -> usize {
    ((slot as usize) << PLACE_BITS) | place
}

const fn place_of(opaque: usize) -> (usize, usize) {
    (opaque >> PLACE_BITS, opaque & u32::MAX as usize)
}

impl SendBatches {
    /// Begins a send_batch of so many messages.
    pub(super) fn begin(&self, count: usize) -> (u32, Arc<SendBatch>) {
        let send_batch = Arc::new(SendBatch::of(count));
        if count == 0 {
            return (0, send_batch);
        }
        let mut slots = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.free.pop().unwrap_or_else(|| {
            slots.send_batches.push(None);
            // There are never more of them than messages may be in flight.
            u32::try_from(slots.send_batches.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = slots.send_batches.get_mut(slot as usize) {
            *place = Some(Arc::clone(&send_batch));
        }
        (slot, send_batch)
    }

    /// Takes the report of a message. `failure`: what is said, and whether it is certain that it never left.
    pub(super) fn report(&self, opaque: usize, failure: Option<(RDKafkaErrorCode, bool)>) {
        let (slot, place) = place_of(opaque);
        let is_over = {
            let slots = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let Some(Some(send_batch)) = slots.send_batches.get(slot) else {
                return;
            };
            send_batch.report(failure.map(|(code, certain)| Report { place, code, certain }))
        };
        // Every message of it has reported, so no later report can name this slot and mean it.
        if is_over {
            let mut slots = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(over) = slots.send_batches.get_mut(slot).and_then(Option::take) {
                drop(over);
                slots.free.push(u32::try_from(slot).unwrap_or(u32::MAX));
            }
        }
    }

    /// Whether nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        let slots = self.0.read().unwrap_or_else(PoisonError::into_inner);
        slots.send_batches.iter().all(Option::is_none)
    }

    /// The producer is gone: nothing more is reported.
    pub(super) fn give_up(&self) {
        let mut slots = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for send_batch in slots.send_batches.iter_mut().filter_map(Option::take) {
            send_batch.lost.store(true, Ordering::Release);
            send_batch.over.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn failed_records_are_known_and_slot_is_reused() {
        let send_batches = SendBatches::default();
        let (first, send_batch) = send_batches.begin(3);
        let (second, other) = send_batches.begin(1);
        assert_ne!(first, second);
        send_batches.report(opaque(first, 2), Some((RDKafkaErrorCode::MessageTimedOut, false)));
        send_batches.report(opaque(first, 0), None);
        send_batches.report(
            opaque(first, 1),
            Some((RDKafkaErrorCode::MessageSizeTooLarge, true)),
        );
        let failed: Vec<(usize, bool)> = send_batch
            .unconfirmed()
            .await
            .iter()
            .map(|failure| (failure.place, failure.certain))
            .collect();
        assert_eq!(failed, [(1, true), (2, false)]);
        assert_eq!(send_batches.begin(1).0, first);
        send_batches.report(opaque(second, 0), None);
        assert!(other.unconfirmed().await.is_empty());
        assert!(send_batches.begin(0).1.unconfirmed().await.is_empty());
    }

    #[tokio::test]
    async fn what_a_lost_producer_does_not_report_counts_as_failed() {
        let send_batches = SendBatches::default();
        let (slot, send_batch) = send_batches.begin(2);
        send_batches.report(opaque(slot, 0), None);
        send_batches.give_up();
        assert_eq!(send_batch.unconfirmed().await.len(), 2);
        assert!(send_batches.is_empty());
        // A straggler changes nothing.
        send_batches.report(opaque(slot, 1), None);
    }
}
