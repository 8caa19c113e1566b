//! What the polling thread remembers of each partition: which message it handed on last. So every message knows the one before
//! it, and a position that does not lie between the two is noticed where the message is taken in.

use std::sync::Arc;

use super::places::Places;

/// The partitions that messages have come from.
#[derive(Debug, Default)]
pub struct Tracks {
    /// As of which assignment.
    changes: u64,
    tracks: Vec<Track>,
    /// One name for all messages of a topic: a stage reads few of them.
    topics: Vec<Arc<str>>,
}

#[derive(Debug)]
struct Track {
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

impl Tracks {
    /// A message comes.
    pub fn step(&mut self, places: &Places, topic: &str, partition: i32, offset: i64) -> Step {
        let changes = places.changes();
        if changes != self.changes {
            self.tracks.clear();
            self.changes = changes;
        }
        let is_its = |track: &Track| track.partition == partition && *track.topic == *topic;
        let at = self.tracks.iter().position(is_its).unwrap_or_else(|| {
            let track = self.track(places, topic, partition);
            self.tracks.push(track);
            self.tracks.len() - 1
        });
        let track = &mut self.tracks[at];
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

    fn track(&mut self, places: &Places, topic: &str, partition: i32) -> Track {
        let topic = self.shared(topic);
        let place = places.read(&topic, partition);
        Track {
            topic,
            partition,
            read: place.map(|place| Read {
                incarnation: place.incarnation,
                after: place.has_position.then_some(place.next),
                least: place.start,
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
    use crate::kafka::{
        places::Place,
        positions::{Finding, Partition},
    };

    fn places(start: i64, next: i64, stopped: Option<Finding>) -> (Places, Partition) {
        let key: Partition = (Arc::from("commands"), 0);
        let places = Places::default();
        let place = Place {
            start,
            next,
            has_position: next > 0,
            incarnation: 3,
            stopped,
            is_assigned: true,
        };
        places.take(&[(key.clone(), place)]);
        (places, key)
    }

    fn after(step: Step) -> Option<i64> {
        match step {
            Step::On(before) => before.after,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_message_knows_the_one_before_it() {
        let (places, _) = places(0, 0, None);
        let mut tracks = Tracks::default();
        // 2 and 3 are marks of a transaction.
        let told = [0, 1, 4].map(|offset| after(tracks.step(&places, "commands", 0, offset)));
        assert_eq!(told, [None, Some(1), Some(2)]);
    }

    #[test]
    fn what_comes_first_after_replays_follows_the_position() {
        let (places, _) = places(5, 8, None);
        let mut tracks = Tracks::default();
        let told = [5, 6, 9, 10].map(|offset| after(tracks.step(&places, "commands", 0, offset)));
        assert_eq!(told, [Some(8), Some(8), Some(8), Some(10)]);
    }

    #[test]
    fn a_log_that_goes_back_is_noticed_and_read_no_further() {
        let (places, _) = places(5, 8, None);
        let mut tracks = Tracks::default();
        let told = [7, 6, 8].map(|offset| tracks.step(&places, "commands", 0, offset));
        assert!(
            matches!(told, [Step::On(_), Step::Back, Step::NotRead]),
            "{told:?}"
        );
        let mut tracks = Tracks::default();
        assert_eq!(
            tracks.step(&places, "commands", 0, 4),
            Step::Back,
            "before its start"
        );
    }

    #[test]
    fn nothing_is_handed_on_of_a_partition_that_is_stopped_or_revoked() {
        let (stopped, _) = places(0, 8, Some(Finding::NoAnswer));
        let mut tracks = Tracks::default();
        assert_eq!(tracks.step(&stopped, "commands", 0, 9), Step::NotRead);
        assert_eq!(
            tracks.step(&stopped, "commands", 1, 9),
            Step::NotRead,
            "it has no such"
        );
        let (revoked, key) = places(0, 8, None);
        let mut tracks = Tracks::default();
        assert!(matches!(tracks.step(&revoked, "commands", 0, 8), Step::On(_)));
        revoked.let_go(&[key]);
        assert_eq!(tracks.step(&revoked, "commands", 0, 9), Step::NotRead);
    }
}
