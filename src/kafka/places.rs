//! Where each partition of a consumer is read, shared by the thread that polls, the stage that decides and the guard.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::positions::{Finding, Partition};
use crate::{engine::prepare::Arrival, store::Origin};

/// Where a partition is read.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where this life of the consumer starts.
    pub start: i64,
    /// Up to where it is taken in, as far as this worker knows.
    pub next: i64,
    /// Whether the store has a position of it.
    pub has_position: bool,
    /// Which log of this name.
    pub incarnation: u32,
    /// Why it is not read.
    pub stopped: Option<Finding>,
    /// Whether it is still this consumer's.
    pub is_assigned: bool,
}

/// The places of all partitions that a consumer has or had.
#[derive(Debug, Default)]
pub struct Places {
    places: Mutex<HashMap<Partition, Place>>,
    changes: AtomicU64,
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, HashMap<Partition, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the assignments: what was remembered of a place before may have changed with each.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Partitions have been assigned.
    pub fn take(&self, places: &[(Partition, Place)]) {
        self.lock().extend(places.iter().cloned());
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Partitions have been revoked. Their places stay: messages of them may still be on their way to be decided.
    pub fn let_go(&self, keys: &[Partition]) {
        let mut places = self.lock();
        for key in keys {
            if let Some(place) = places.get_mut(key) {
                place.is_assigned = false;
            }
        }
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Whether a partition was not read when the consumer had it last.
    pub fn was_stopped(&self, key: &Partition) -> bool {
        self.lock().get(key).is_some_and(|place| place.stopped.is_some())
    }

    /// Where a partition is read; `None`: it is not this consumer's, or it is not read.
    pub fn read(&self, topic: &str, partition: i32) -> Option<Place> {
        let places = self.lock();
        let (_, place) = places
            .iter()
            .find(|((name, number), _)| **name == *topic && *number == partition)?;
        (place.is_assigned && place.stopped.is_none()).then(|| place.clone())
    }

    /// The partitions that the consumer has now.
    pub fn assigned(&self) -> Vec<(Partition, Place)> {
        let places = self.lock();
        let assigned = places.iter().filter(|(_, place)| place.is_assigned);
        assigned
            .map(|(key, place)| (key.clone(), place.clone()))
            .collect()
    }

    /// What lies before the position has been taken in already.
    pub fn split<T>(&self, arrivals: Vec<Arrival<T>>) -> (Vec<Arrival<T>>, Vec<Arrival<T>>) {
        // Partitions are few, and replays are rare: usually nothing has to move.
        let places = self.lock();
        let next = |origin: &Origin| {
            let same = |((topic, partition), _): &(&Partition, &Place)| {
                *partition == origin.partition && *topic == origin.topic
            };
            places.iter().find(same).map(|(_, place)| place.next)
        };
        let is_replay = |arrival: &Arrival<T>| {
            let origin = arrival.origin.as_ref();
            origin.is_some_and(|origin| next(origin).is_some_and(|next| origin.offset < next))
        };
        if arrivals.iter().any(is_replay) {
            arrivals.into_iter().partition(is_replay)
        } else {
            (Vec::new(), arrivals)
        }
    }

    /// These have been taken in.
    pub fn advance(&self, next: &HashMap<Partition, i64>) {
        let mut places = self.lock();
        for (key, next) in next {
            if let Some(place) = places.get_mut(key) {
                place.has_position = true;
                place.next = place.next.max(*next);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn place(next: i64, stopped: Option<Finding>) -> Place {
        Place {
            start: 0,
            next,
            has_position: true,
            incarnation: 0,
            stopped,
            is_assigned: true,
        }
    }

    #[test]
    fn a_partition_is_read_while_it_is_assigned_and_not_stopped() {
        let places = Places::default();
        let key: Partition = (Arc::from("acks"), 1);
        places.take(&[(key.clone(), place(4, Some(Finding::NoAnswer)))]);
        assert!(places.read("acks", 1).is_none() && places.was_stopped(&key));
        assert_eq!(places.assigned().len(), 1);
        places.take(&[(key.clone(), place(4, None))]);
        assert!(places.read("acks", 1).is_some() && !places.was_stopped(&key));
        assert!(places.read("acks", 0).is_none());
        let changes = places.changes();
        places.let_go(std::slice::from_ref(&key));
        assert!(places.read("acks", 1).is_none() && places.assigned().is_empty());
        assert!(places.changes() > changes);
    }

    #[test]
    fn a_place_moves_on_and_never_back() {
        let places = Places::default();
        let key: Partition = (Arc::from("acks"), 1);
        places.take(&[(key.clone(), place(4, None))]);
        for (next, expected) in [(9, 9), (7, 9)] {
            places.advance(&HashMap::from([(key.clone(), next)]));
            assert_eq!(places.read("acks", 1).unwrap().next, expected);
        }
    }
}
