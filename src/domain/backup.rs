//! Backup sets: what is known about their copies, and what that proves.
//!
//! The catalogue explains a horizon and finds contradictions. It never shortens one.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    ids::{EventId, Label, ProcessorId},
    time::At,
};

/// What happened to a backup of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupEvent {
    /// The idempotency key.
    pub event_id: EventId,
    /// The backup processor.
    pub processor: ProcessorId,
    /// The set.
    pub set: Label,
    /// What happened.
    #[serde(flatten)]
    pub change: BackupChange,
    /// The sender's own time: shown, and never reckoned with.
    pub at: Option<At>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum BackupChange {
    /// A backup was taken.
    #[serde(rename = "backup.taken")]
    Taken {
        /// When.
        taken_at: At,
        /// Until when it cannot be deleted, where copies are immutable.
        lock_until: Option<At>,
    },
    /// Older backups are gone.
    #[serde(rename = "backup.rotated")]
    Rotated {
        /// The oldest that is left was taken then.
        oldest_retained_at: At,
    },
    /// A backup was put back.
    #[serde(rename = "backup.restored")]
    Restored {
        /// When it had been taken.
        taken_at: At,
        /// Into which processors.
        restored_into: Vec<ProcessorId>,
    },
}

/// What decisions have to know about the copies of one set. It stays as small as what can still make a difference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copies {
    /// Immutable copies: until when each is locked, by when it was taken. One that was taken later than another and is free
    /// sooner says nothing that the other does not, and is not kept: the later a copy was taken, the later it is free.
    locks: BTreeMap<At, At>,
    /// Rotations that no other one outdoes: the oldest copy left, and when Lacuna was told.
    rotations: Vec<(At, At)>,
}

impl Copies {
    /// Something happened to a copy, as was said at `told_at`.
    pub fn learn(&mut self, change: &BackupChange, told_at: At) {
        match change {
            BackupChange::Taken {
                taken_at,
                lock_until: Some(lock_until),
            } => self.locked(*taken_at, *lock_until),
            // The catalogue alone shows the first, and what was put back concerns requests.
            BackupChange::Taken { lock_until: None, .. } | BackupChange::Restored { .. } => {}
            BackupChange::Rotated { oldest_retained_at } => self.rotated(*oldest_retained_at, told_at),
        }
    }

    /// An immutable copy was taken.
    pub(super) fn locked(&mut self, taken_at: At, lock_until: At) {
        if self
            .locked_until(taken_at)
            .is_some_and(|until| until >= lock_until)
        {
            return;
        }
        let outdone: Vec<At> = self
            .locks
            .range(taken_at..)
            .take_while(|(_, until)| **until <= lock_until)
            .map(|(taken_at, _)| *taken_at)
            .collect();
        for taken_at in outdone {
            self.locks.remove(&taken_at);
        }
        self.locks.insert(taken_at, lock_until);
        self.drop_settled();
    }

    /// Older copies are gone, as was said at `told_at`.
    pub(super) fn rotated(&mut self, oldest_retained_at: At, told_at: At) {
        let outdoes = |a: (At, At), b: (At, At)| a.0 >= b.0 && a.1 >= b.1;
        let new = (oldest_retained_at, told_at);
        if !self.rotations.iter().any(|known| outdoes(*known, new)) {
            self.rotations.retain(|known| !outdoes(new, *known));
            self.rotations.push(new);
            self.drop_settled();
        }
    }

    /// The locks that were taken first are free first, so the settled ones are at the front.
    fn drop_settled(&mut self) {
        while let Some((taken_at, until)) = self.locks.first_key_value().map(|(a, b)| (*a, *b))
            && self.is_settled(taken_at, Some(until))
        {
            self.locks.pop_first();
        }
    }

    /// Every copy taken before this time is proved gone. A copy that was locked when its rotation was claimed is not.
    pub fn gone_before(&self) -> Option<At> {
        self.rotations
            .iter()
            .map(|(oldest, told_at)| {
                let still_locked = self.locks.iter().find(|(_, until)| *until > told_at);
                still_locked.map_or(*oldest, |(taken_at, _)| *oldest.min(taken_at))
            })
            .max()
    }

    /// Whether nothing that may still be told can make a copy matter that was taken then: it is proved gone, and its lock had
    /// ended whenever a rotation that still counts was told.
    pub fn is_settled(&self, taken_at: At, lock_until: Option<At>) -> bool {
        let is_gone = self.gone_before().is_some_and(|gone| taken_at < gone);
        is_gone && lock_until.is_none_or(|until| self.rotations.iter().all(|(_, told_at)| until <= *told_at))
    }

    /// Until when a copy that was taken up to this time cannot be deleted.
    pub fn locked_until(&self, taken_until: At) -> Option<At> {
        self.locks
            .range(..=taken_until)
            .next_back()
            .map(|(_, until)| *until)
    }

    /// How news, told at this time, contradict what is known. They count all the same: a copy that was put back is
    /// replayed whatever was said of it before.
    pub fn contradicts(&self, news: &BackupChange, told_at: At) -> Option<Contradiction> {
        match news {
            BackupChange::Rotated { oldest_retained_at } => {
                self.rotation_contradicts(*oldest_retained_at, told_at)
            }
            BackupChange::Taken {
                taken_at,
                lock_until: Some(until),
            } if self.is_said_gone(*taken_at, *until) => Some(Contradiction::Locked),
            BackupChange::Taken { taken_at, .. } | BackupChange::Restored { taken_at, .. } => self
                .is_said_gone(*taken_at, At::from_millis(i64::MAX))
                .then_some(Contradiction::Gone),
        }
    }

    /// Whether a rotation that was told before `until` said that a copy taken at this time is gone.
    fn is_said_gone(&self, taken_at: At, until: At) -> bool {
        self.rotations
            .iter()
            .any(|(oldest, told_at)| taken_at < *oldest && *told_at < until)
    }

    fn rotation_contradicts(&self, oldest_retained_at: At, told_at: At) -> Option<Contradiction> {
        let locked = self
            .locks
            .range(..oldest_retained_at)
            .next_back()
            .is_some_and(|(_, until)| *until > told_at);
        let backwards = self
            .rotations
            .iter()
            .any(|(oldest, told)| *oldest > oldest_retained_at && *told <= told_at);
        if locked {
            Some(Contradiction::Locked)
        } else {
            backwards.then_some(Contradiction::Backwards)
        }
    }
}

/// How news of a set contradict what is known of it. They are kept, and a rotation proves nothing that a lock denies.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Contradiction {
    /// A copy that is said to be gone cannot be deleted yet.
    #[error("a copy that is said to be gone is locked and cannot be deleted yet")]
    Locked,
    /// An earlier rotation said that these copies were gone.
    #[error("an earlier rotation said that copies which are said to be left were gone")]
    Backwards,
    /// An earlier rotation said that this copy was gone.
    #[error("an earlier rotation said that this copy was gone: that was not so, or its taking was told late")]
    Gone,
}

/// The week that a capsule belongs to: capsules of a week are forgotten together.
pub type Week = u32;

const WEEK: i64 = 7 * 24 * 3600 * 1000;

/// The week of a confirmation.
pub fn week_of(at: At) -> Week {
    // Before 1970 nothing was confirmed, and after the year 80,000,000 nobody reads it.
    u32::try_from(at.millis().div_euclid(WEEK).max(0)).unwrap_or(u32::MAX)
}

/// The first moment after a week.
pub fn end_of(week: Week) -> At {
    At::from_millis((i64::from(week) + 1) * WEEK)
}

/// A time that much earlier; used only where earlier is the safe side.
pub fn earlier(at: At, by: Duration) -> At {
    At::from_millis(
        at.millis()
            .saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)),
    )
}

#[cfg(test)]
mod tests;
