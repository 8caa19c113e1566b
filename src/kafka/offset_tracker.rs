//! What the polling thread remembers of each partition: which message it handed on last. So every message knows the one before
//! it, and a position that does not lie between the two is noticed where the message is taken in.

use std::sync::Arc;

use super::partition_states::PartitionStates;

/// The partitions that messages have come from.
#[derive(Debug, Default)]
pub struct OffsetTracker {
    /// As of which assignment.
    changes: u64,
    partitions: Vec<Tracked>,
    /// One name for all messages of a topic: a stage reads few of them.
    topics: Vec<Arc<str>>,
}

#[derive(Debug)]
struct Tracked {
    topic: Arc<str>,
    partition: i32,
    /// `None`: it is not read.
    read: Option<Read>,
}

#[derive(Debug)]
struct Read {
    incarnation: u32,
    /// The least that the position can be when the next message is taken in; `None`: there is none.
    after: Option<i64>,
    /// No message comes from before it.
    least: i64,
}

/// What is to be done with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is handed on.
    On(Before),
    /// Its partition is not read.
    NotRead,
    /// It lies before one that was handed on: the log has gone back.
    Back,
}

/// What is known of a message by those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// The topic.
    pub topic: Arc<str>,
    /// Which log of this name.
    pub incarnation: u32,
    /// The offset after the message before it; `None`: its partition has no position.
    pub after: Option<i64>,
}

impl OffsetTracker {
    /// Which log of its name a partition's records come from; `None`: it is not read.
    pub fn incarnation(&mut self, states: &PartitionStates, topic: &str, partition: i32) -> Option<u32> {
        let read = self.tracked(states, topic, partition).read.as_ref();
        read.map(|read| read.incarnation)
    }

    /// A record comes that is no message here: what comes next follows the message before it. Whether its log has gone back.
    pub fn pass(&mut self, states: &PartitionStates, topic: &str, partition: i32, offset: i64) -> bool {
        let Some(read) = self.tracked(states, topic, partition).read.as_mut() else {
            return false;
        };
        let has_gone_back = offset < read.least;
        read.least = read.least.max(offset + 1);
        has_gone_back
    }

    /// A message comes.
    pub fn step(&mut self, states: &PartitionStates, topic: &str, partition: i32, offset: i64) -> Step {
        let track = self.tracked(states, topic, partition);
        let Some(read) = track.read.as_mut() else {
            return Step::NotRead;
        };
        if offset < read.least {
            track.read = None;
            return Step::Back;
        }
        let before = Before {
            topic: Arc::clone(&track.topic),
            incarnation: read.incarnation,
            after: read.after,
        };
        read.least = offset + 1;
        read.after = Some(read.after.unwrap_or(read.least).max(read.least));
        Step::On(before)
    }

    fn tracked(&mut self, states: &PartitionStates, topic: &str, partition: i32) -> &mut Tracked {
        let changes = states.changes();
        if changes != self.changes {
            self.partitions.clear();
            self.changes = changes;
        }
        let is_its = |tracked: &Tracked| tracked.partition == partition && *tracked.topic == *topic;
        let at = self.partitions.iter().position(is_its).unwrap_or_else(|| {
            let track = self.track(states, topic, partition);
            self.partitions.push(track);
            self.partitions.len() - 1
        });
        &mut self.partitions[at]
    }

    fn track(&mut self, states: &PartitionStates, topic: &str, partition: i32) -> Tracked {
        let topic = self.shared(topic);
        let state = states.read(&topic, partition);
        Tracked {
            topic,
            partition,
            read: state.map(|state| Read {
                incarnation: state.incarnation,
                after: state.has_position.then_some(state.next),
                least: state.start,
            }),
        }
    }

    fn shared(&mut self, topic: &str) -> Arc<str> {
        if let Some(known) = self.topics.iter().find(|known| ***known == *topic) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(topic);
        self.topics.push(Arc::clone(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::{partition_states::PartitionState, positions::Finding, types::Partition};

    fn states(start: i64, next: i64, stopped: Option<Finding>) -> (PartitionStates, Partition) {
        let key: Partition = (Arc::from("commands"), 0);
        let states = PartitionStates::default();
        let state = PartitionState {
            start,
            next,
            has_position: next > 0,
            incarnation: 3,
            stopped,
            is_assigned: true,
        };
        states.take(&[(key.clone(), state)]);
        (states, key)
    }

    fn after(step: Step) -> Option<i64> {
        match step {
            Step::On(before) => before.after,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn record_that_is_passed_over_is_a_gap_between_messages() {
        let (states, key) = states(4, 4, None);
        let mut tracker = OffsetTracker::default();
        assert_eq!(after(tracker.step(&states, &key.0, 0, 4)), Some(4));
        assert!(!tracker.pass(&states, &key.0, 0, 5));
        assert!(!tracker.pass(&states, &key.0, 0, 6));
        // The position still lies behind the message at 4, or anywhere up to this one.
        assert_eq!(after(tracker.step(&states, &key.0, 0, 7)), Some(5));
        assert!(tracker.pass(&states, &key.0, 0, 3), "the log has gone back");
    }

    #[test]
    fn every_message_knows_the_one_before_it() {
        let (states, _) = states(0, 0, None);
        let mut tracker = OffsetTracker::default();
        // 2 and 3 are marks of a transaction.
        let told = [0, 1, 4].map(|offset| after(tracker.step(&states, "commands", 0, offset)));
        assert_eq!(told, [None, Some(1), Some(2)]);
    }

    #[test]
    fn what_comes_first_after_replays_follows_the_position() {
        let (states, _) = states(5, 8, None);
        let mut tracker = OffsetTracker::default();
        let told = [5, 6, 9, 10].map(|offset| after(tracker.step(&states, "commands", 0, offset)));
        assert_eq!(told, [Some(8), Some(8), Some(8), Some(10)]);
    }

    #[test]
    fn a_log_that_goes_back_is_noticed_and_read_no_further() {
        let (states, _) = states(5, 8, None);
        let mut tracker = OffsetTracker::default();
        let told = [7, 6, 8].map(|offset| tracker.step(&states, "commands", 0, offset));
        assert!(
            matches!(told, [Step::On(_), Step::Back, Step::NotRead]),
            "{told:?}"
        );
        let mut tracker = OffsetTracker::default();
        assert_eq!(
            tracker.step(&states, "commands", 0, 4),
            Step::Back,
            "before its start"
        );
    }

    #[test]
    fn stopped_or_revoked_partition_hands_on_nothing() {
        let (stopped, _) = states(0, 8, Some(Finding::NoAnswer));
        let mut tracker = OffsetTracker::default();
        assert_eq!(tracker.step(&stopped, "commands", 0, 9), Step::NotRead);
        assert_eq!(
            tracker.step(&stopped, "commands", 1, 9),
            Step::NotRead,
            "it has no such"
        );
        let (revoked, key) = states(0, 8, None);
        let mut tracker = OffsetTracker::default();
        assert!(matches!(tracker.step(&revoked, "commands", 0, 8), Step::On(_)));
        revoked.release(&[key]);
        assert_eq!(tracker.step(&revoked, "commands", 0, 9), Step::NotRead);
    }
}
