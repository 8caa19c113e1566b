//! How far partitions have been taken in, what is remembered of their logs, and how acks are spread over them.

use std::sync::Arc;

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::time::At;

/// Positions, as they are committed.
#[async_trait]
pub trait PositionStore: Send + Sync {
    /// How far the partitions of a cluster have been taken in.
    async fn positions(&self, cluster: &str) -> Result<Vec<Position>, StoreError>;
    /// The partitions that were taken in from other clusters, each with that cluster.
    async fn positions_elsewhere(&self, cluster: &str) -> Result<Vec<(String, Position)>, StoreError>;
    /// Notes what was found about positions; of a position that follows another log by now nothing is noted.
    async fn note_positions(&self, notes: &[PositionNote]) -> Result<(), StoreError>;
    /// Says how far a partition has been read without anything new in it. Never moves back.
    async fn seen(&self, seen: &[Seen]) -> Result<(), StoreError>;
    /// How processors' acks were seen to be spread over a topic's partitions.
    async fn ack_ways(&self, cluster: &str, topic: &str) -> Result<Vec<AckWay>, StoreError>;
    /// Remembers how they are spread: what was known before and does not agree is known no longer.
    async fn note_ack_ways(&self, ways: &[AckWay]) -> Result<(), StoreError>;
}

/// Positions within a transaction. Moving them on is [`super::Transaction`]'s own.
#[async_trait]
pub trait PositionTransaction: Send {
    /// Has a position follow another log. [`StoreError::Conflict`]: it is not the one that was looked at.
    async fn accept_position(&mut self, acceptance: &Acceptance) -> Result<(), StoreError>;
}

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

/// A partition has been read to its end at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The cluster.
    pub cluster: Arc<str>,
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset that it was read to: creates the position where there is none yet.
    pub next: i64,
    /// When.
    pub at: At,
}

/// How a processor's acks were seen to be spread over a topic's partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckWay {
    /// The cluster.
    pub cluster: Arc<str>,
    /// The topic.
    pub topic: Arc<str>,
    /// With how many partitions.
    pub partitions: i32,
    /// The processor.
    pub processor: String,
    /// The ways from a key to a partition that all of them agree with, each a bit; none: they can come to any partition.
    pub ways: u8,
}
