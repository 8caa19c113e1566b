//! What processors have answered over time: figures that people are shown, and nothing that is decided by.

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::{ids::ProcessorId, time::At};

/// What was answered, as it is committed.
#[async_trait]
pub trait OutcomeStore: Send + Sync {
    /// Adds to what was counted.
    async fn add_outcomes(&self, tallies: &[Tally]) -> Result<(), StoreError>;
    /// What has been counted since a time, summed by processor, outcome and bucket. The time is rounded to the beginning of
    /// five minutes.
    async fn recent_outcomes(&self, since: At) -> Result<Vec<Tally>, StoreError>;
    /// What was counted between two times, by processor and outcome. The times are rounded to the beginning of an hour.
    async fn outcomes_between(&self, from: At, until: At) -> Result<Vec<Tally>, StoreError>;
    /// Forgets the minutes before this one of which no task is out any more.
    async fn forget_out(&self, minute: i64) -> Result<(), StoreError>;
    /// Forgets what is older than these: of the last minutes, and of the last hours.
    async fn forget_outcomes(&self, recent_until: At, hours_until: At) -> Result<(), StoreError>;
}

/// How often a processor has answered something, as far as it took about the same time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tally {
    /// From when on: the beginning of five minutes, or of an hour.
    pub since: At,
    /// The processor.
    pub processor: ProcessorId,
    /// What it answered: the code of an outcome, or 0 for a task that was sent.
    pub outcome: u8,
    /// How long it took, about: see `engine::outcomes`.
    pub bucket: i16,
    /// How often.
    pub n: i64,
}

/// Five minutes.
pub const RECENT: i64 = 5 * 60 * 1000;
/// An hour.
pub const HOUR: i64 = 3600 * 1000;

/// The beginning of the time that this one is in.
pub const fn beginning(at: At, length: i64) -> At {
    At::from_millis(at.millis() - at.millis().rem_euclid(length))
}
