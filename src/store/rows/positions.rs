//! How far partitions have been taken in, and what is remembered of their logs.

use std::sync::Arc;

use crate::domain::time::At;

/// What is remembered of a record, so that another one in its place is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Its offset.
    pub offset: i64,
    /// The time that its log gives it, where it gives one.
    pub at: Option<At>,
    /// The keyed digest of its bytes.
    pub digest: [u8; 16],
}

impl Mark {
    /// Whether it can be the same record.
    pub fn is_same(&self, other: &Self) -> bool {
        let same_time = match (self.at, other.at) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        same_time && self.offset == other.offset && self.digest == other.digest
    }
}

/// A batch moves a position on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// The cluster.
    pub cluster: Arc<str>,
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// Which log of this name.
    pub incarnation: u32,
    /// The offset after the message before the batch: a position that lies before it has gone back, and what lies between
    /// has to be taken in again. `None`: no position was known.
    pub after: Option<i64>,
    /// The offset of the batch's first new message.
    pub first: i64,
    /// The offset after its last message.
    pub next: i64,
    /// What is remembered of that message, where it was read from a log.
    pub last: Option<Mark>,
    /// What was sent before it has been seen; never moves back.
    pub seen_until: At,
}

/// How far a partition has been taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset to take in.
    pub next_offset: i64,
    /// Everything sent before this time has been seen.
    pub seen_until: At,
    /// Which log of this name.
    pub incarnation: u32,
    /// The last record that was taken in.
    pub last: Option<Mark>,
    /// An older one, which was compared with the log since.
    pub checked: Option<Mark>,
    /// The offset of a message before the position that the store does not know.
    pub stray: Option<i64>,
}

/// Something that is noted about a position, where its log is still the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionNote {
    /// The cluster.
    pub cluster: Arc<str>,
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// Which log of this name.
    pub incarnation: u32,
    /// What.
    pub noted: Noted,
}

/// What is noted about a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// The log still has this record.
    Checked(Mark),
    /// A message at this offset, before the position, is one that the store does not know.
    Stray(i64),
    /// There is no message between these offsets: the position, if it is the first of them, moves to the second.
    PassedOver {
        /// The position.
        from: i64,
        /// The next offset to take in.
        to: i64,
    },
}

/// An operator has a position follow another log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// The cluster.
    pub cluster: Arc<str>,
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// Which log it followed before; `None`: there is no position yet.
    pub incarnation: Option<u32>,
    /// The next offset to take in.
    pub next_offset: i64,
}

impl Acceptance {
    /// Which log it follows from now on.
    pub fn next_incarnation(&self) -> u32 {
        self.incarnation.map_or(0, |incarnation| incarnation + 1)
    }
}
