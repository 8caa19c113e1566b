//! Messages on their way: counted while they are confirmed, and kept by their place only where they are not.
//!
//! A delivery report comes with one number, which names the flight and the place of the message in it: so nothing is
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
    /// Its place among those of its flight.
    pub(super) place: usize,
    /// What the client or the broker says.
    pub(super) code: RDKafkaErrorCode,
    /// Whether the client refused it, so that it is certain that it never left.
    pub(super) certain: bool,
}

/// The messages of one transaction on their way.
#[derive(Debug)]
pub(super) struct Flight {
    count: usize,
    remaining: AtomicUsize,
    failures: Mutex<Vec<Report>>,
    /// Its producer is gone: what was not reported will never be.
    lost: AtomicBool,
    over: Notify,
}

impl Flight {
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

/// The flights of a producer.
#[derive(Debug, Default)]
pub(super) struct Flights(RwLock<Slots>);

#[derive(Debug, Default)]
struct Slots {
    flights: Vec<Option<Arc<Flight>>>,
    free: Vec<u32>,
}

/// A place in a flight, as one number.
const PLACE_BITS: u32 = 32;
const _: () = assert!(usize::BITS == 64, "a report names a flight and a place in it");

/// The number that a report of this message comes with.
pub(super) const fn opaque(slot: u32, place: usize) -> usize {
    ((slot as usize) << PLACE_BITS) | place
}

const fn place_of(opaque: usize) -> (usize, usize) {
    (opaque >> PLACE_BITS, opaque & u32::MAX as usize)
}

impl Flights {
    /// Begins a flight of so many messages.
    pub(super) fn begin(&self, count: usize) -> (u32, Arc<Flight>) {
        let flight = Arc::new(Flight::of(count));
        if count == 0 {
            return (0, flight);
        }
        let mut slots = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.free.pop().unwrap_or_else(|| {
            slots.flights.push(None);
            // There are never more of them than messages may be in flight.
            u32::try_from(slots.flights.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = slots.flights.get_mut(slot as usize) {
            *place = Some(Arc::clone(&flight));
        }
        (slot, flight)
    }

    /// Takes the report of a message. `failure`: what is said, and whether it is certain that it never left.
    pub(super) fn report(&self, opaque: usize, failure: Option<(RDKafkaErrorCode, bool)>) {
        let (slot, place) = place_of(opaque);
        let is_over = {
            let slots = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let Some(Some(flight)) = slots.flights.get(slot) else {
                return;
            };
            flight.report(failure.map(|(code, certain)| Report { place, code, certain }))
        };
        // Every message of it has reported, so no later report can name this slot and mean it.
        if is_over {
            let mut slots = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(over) = slots.flights.get_mut(slot).and_then(Option::take) {
                drop(over);
                slots.free.push(u32::try_from(slot).unwrap_or(u32::MAX));
            }
        }
    }

    /// Whether nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        let slots = self.0.read().unwrap_or_else(PoisonError::into_inner);
        slots.flights.iter().all(Option::is_none)
    }

    /// The producer is gone: nothing more is reported.
    pub(super) fn give_up(&self) {
        let mut slots = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for flight in slots.flights.iter_mut().filter_map(Option::take) {
            flight.lost.store(true, Ordering::Release);
            flight.over.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn failed_records_are_known_and_slot_is_reused() {
        let flights = Flights::default();
        let (first, flight) = flights.begin(3);
        let (second, other) = flights.begin(1);
        assert_ne!(first, second);
        flights.report(opaque(first, 2), Some((RDKafkaErrorCode::MessageTimedOut, false)));
        flights.report(opaque(first, 0), None);
        flights.report(
            opaque(first, 1),
            Some((RDKafkaErrorCode::MessageSizeTooLarge, true)),
        );
        let failed: Vec<(usize, bool)> = flight
            .unconfirmed()
            .await
            .iter()
            .map(|failure| (failure.place, failure.certain))
            .collect();
        assert_eq!(failed, [(1, true), (2, false)]);
        assert_eq!(flights.begin(1).0, first);
        flights.report(opaque(second, 0), None);
        assert!(other.unconfirmed().await.is_empty());
        assert!(flights.begin(0).1.unconfirmed().await.is_empty());
    }

    #[tokio::test]
    async fn what_a_lost_producer_does_not_report_counts_as_failed() {
        let flights = Flights::default();
        let (slot, flight) = flights.begin(2);
        flights.report(opaque(slot, 0), None);
        flights.give_up();
        assert_eq!(flight.unconfirmed().await.len(), 2);
        assert!(flights.is_empty());
        // A straggler changes nothing.
        flights.report(opaque(slot, 1), None);
    }
}
