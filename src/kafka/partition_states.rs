//! Where each partition of a consumer is read, shared by the thread that polls, the stage that decides and the log monitor.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{positions::Finding, types::Partition};
use crate::{engine::prepare::Arrival, store::Origin};

/// Where a partition is read.
#[derive(Debug, Clone)]
pub struct PartitionState {
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

/// The states of all partitions that a consumer has or had.
#[derive(Debug, Default)]
pub struct PartitionStates {
    states: Mutex<HashMap<Partition, PartitionState>>,
    changes: AtomicU64,
}

impl PartitionStates {
    fn lock(&self) -> MutexGuard<'_, HashMap<Partition, PartitionState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the assignments: what was remembered of a partition before may have changed with each.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Partitions have been assigned.
    pub fn take(&self, states: &[(Partition, PartitionState)]) {
        self.lock().extend(states.iter().cloned());
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Partitions have been revoked. Their states stay: messages of them may still be on their way to be decided.
    pub fn release(&self, keys: &[Partition]) {
        let mut states = self.lock();
        for key in keys {
            if let Some(state) = states.get_mut(key) {
                state.is_assigned = false;
            }
        }
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Whether a partition was not read when the consumer had it last.
    pub fn was_stopped(&self, key: &Partition) -> bool {
        self.lock().get(key).is_some_and(|state| state.stopped.is_some())
    }

    /// Where a partition is read; `None`: it is not this consumer's, or it is not read.
    pub fn read(&self, topic: &str, partition: i32) -> Option<PartitionState> {
        let states = self.lock();
        let (_, state) = states
            .iter()
            .find(|((name, number), _)| **name == *topic && *number == partition)?;
        (state.is_assigned && state.stopped.is_none()).then(|| state.clone())
    }

    /// The partitions that the consumer has now.
    pub fn assigned(&self) -> Vec<(Partition, PartitionState)> {
        let states = self.lock();
        let assigned = states.iter().filter(|(_, state)| state.is_assigned);
        assigned
            .map(|(key, state)| (key.clone(), state.clone()))
            .collect()
    }

    /// What lies before the position has been taken in already.
    pub fn split<T>(&self, arrivals: Vec<Arrival<T>>) -> (Vec<Arrival<T>>, Vec<Arrival<T>>) {
        // Partitions are few, and replays are rare: usually nothing has to move.
        let states = self.lock();
        let next = |origin: &Origin| {
            let same = |((topic, partition), _): &(&Partition, &PartitionState)| {
                *partition == origin.partition && *topic == origin.topic
            };
            states.iter().find(same).map(|(_, state)| state.next)
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
        let mut states = self.lock();
        for (key, next) in next {
            if let Some(state) = states.get_mut(key) {
                state.has_position = true;
                state.next = state.next.max(*next);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn state(next: i64, stopped: Option<Finding>) -> PartitionState {
        PartitionState {
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
        let states = PartitionStates::default();
        let key: Partition = (Arc::from("acks"), 1);
        states.take(&[(key.clone(), state(4, Some(Finding::NoAnswer)))]);
        assert!(states.read("acks", 1).is_none() && states.was_stopped(&key));
        assert_eq!(states.assigned().len(), 1);
        states.take(&[(key.clone(), state(4, None))]);
        assert!(states.read("acks", 1).is_some() && !states.was_stopped(&key));
        assert!(states.read("acks", 0).is_none());
        let changes = states.changes();
        states.release(std::slice::from_ref(&key));
        assert!(states.read("acks", 1).is_none() && states.assigned().is_empty());
        assert!(states.changes() > changes);
    }

    #[test]
    fn a_place_moves_on_and_never_back() {
        let states = PartitionStates::default();
        let key: Partition = (Arc::from("acks"), 1);
        states.take(&[(key.clone(), state(4, None))]);
        for (next, expected) in [(9, 9), (7, 9)] {
            states.advance(&HashMap::from([(key.clone(), next)]));
            assert_eq!(states.read("acks", 1).unwrap().next, expected);
        }
    }
}
