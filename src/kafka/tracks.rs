//! What the polling thread remembers of each partition: which message it handed on last. So every message knows the one before
//! it, and a position that does not lie between the two is noticed where the message is taken in.

use std::sync::Arc;

use super::assignment::Assignment;

/// The partitions that messages have come from.
#[derive(Debug, Default)]
pub struct Tracks {
    /// As of which assignment.
    assigned: u64,
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

/// What is known of a message by those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The topic.
    pub topic: Arc<str>,
    /// Which log of this name.
    pub incarnation: u32,
    /// The offset after the message before it; `None`: its partition has no position.
    pub after: Option<i64>,
}

impl Tracks {
    /// A message comes; `None`: its partition is not read, or its log has gone back.
    pub fn step(
        &mut self,
        assignment: &Assignment,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Option<Step> {
        let assigned = assignment.count();
        if assigned != self.assigned {
            self.tracks.clear();
            self.assigned = assigned;
        }
        let is_its = |track: &Track| track.partition == partition && *track.topic == *topic;
        let place = match self.tracks.iter().position(is_its) {
            Some(place) => place,
            None => {
                let topic = self.shared(topic);
                let place = assignment.place(&topic, partition);
                self.tracks.push(Track {
                    topic,
                    partition,
                    read: place.map(|place| Read {
                        incarnation: place.incarnation,
                        after: place.has_position.then_some(place.next),
                        least: place.start,
                    }),
                });
                self.tracks.len() - 1
            }
        };
        let track = self.tracks.get_mut(place)?;
        let read = track.read.as_mut()?;
        if offset < read.least {
            assignment.start_again("a partition has gone back");
            track.read = None;
            return None;
        }
        let step = Step {
            topic: Arc::clone(&track.topic),
            incarnation: read.incarnation,
            after: read.after,
        };
        read.least = offset + 1;
        read.after = Some(read.after.unwrap_or(offset + 1).max(offset + 1));
        Some(step)
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
