//! Backup sets: what is known about their copies, and what that proves.
//!
//! The catalogue explains a horizon and finds contradictions. It never shortens one.

use std::time::Duration;

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

/// What decisions have to know about the copies of one set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copies {
    /// Immutable copies: taken then, locked until then.
    locks: Vec<(At, At)>,
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
        self.locks.push((taken_at, lock_until));
    }

    /// Older copies are gone, as was said at `told_at`.
    pub(super) fn rotated(&mut self, oldest_retained_at: At, told_at: At) {
        let outdoes = |a: (At, At), b: (At, At)| a.0 >= b.0 && a.1 >= b.1;
        let new = (oldest_retained_at, told_at);
        if !self.rotations.iter().any(|known| outdoes(*known, new)) {
            self.rotations.retain(|known| !outdoes(new, *known));
            self.rotations.push(new);
        }
    }

    /// Every copy taken before this time is proved gone. A copy that was locked when its rotation was claimed is not.
    pub fn gone_before(&self) -> Option<At> {
        self.rotations
            .iter()
            .map(|(oldest, told_at)| {
                let still_locked = self.locks.iter().filter(|(_, until)| until > told_at);
                still_locked.map(|(taken_at, _)| *taken_at).fold(*oldest, At::min)
            })
            .max()
    }

    /// Until when a copy that was taken up to this time cannot be deleted.
    pub fn locked_until(&self, taken_until: At) -> Option<At> {
        self.locks
            .iter()
            .filter(|(taken_at, _)| *taken_at <= taken_until)
            .map(|(_, until)| *until)
            .max()
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
            .iter()
            .any(|(taken_at, until)| *taken_at < oldest_retained_at && *until > told_at);
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
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
mod tests {
    use super::*;

    const fn day(n: i64) -> At {
        At::from_millis(n * 24 * 3600 * 1000)
    }

    #[test]
    fn a_rotation_proves_what_it_says_and_the_latest_says_most() {
        let mut copies = Copies::default();
        assert_eq!(copies.gone_before(), None);
        copies.rotated(day(10), day(45));
        copies.rotated(day(8), day(43));
        assert_eq!(copies.gone_before(), Some(day(10)));
        assert_eq!(copies.rotations.len(), 1, "what was outdone is not kept");
    }

    #[test]
    fn a_lock_is_never_undercut_in_whatever_order_it_becomes_known() {
        for late in [false, true] {
            let mut copies = Copies::default();
            if !late {
                copies.locked(day(5), day(100));
            }
            copies.rotated(day(10), day(45));
            if late {
                copies.locked(day(5), day(100));
            }
            assert_eq!(copies.gone_before(), Some(day(5)));
            assert_eq!(copies.locked_until(day(6)), Some(day(100)));
            assert_eq!(copies.locked_until(day(4)), None);
            copies.rotated(day(70), day(101));
            assert_eq!(copies.gone_before(), Some(day(70)));
        }
    }

    #[test]
    fn contradictions_are_found() {
        let mut copies = Copies::default();
        copies.locked(day(5), day(100));
        copies.rotated(day(4), day(40));
        let rotated = |oldest| BackupChange::Rotated {
            oldest_retained_at: day(oldest),
        };
        let taken = |at, lock: Option<i64>| BackupChange::Taken {
            taken_at: day(at),
            lock_until: lock.map(day),
        };
        let restored = |at| BackupChange::Restored {
            taken_at: day(at),
            restored_into: Vec::new(),
        };
        for (news, contradiction) in [
            (rotated(6), Some(Contradiction::Locked)),
            (rotated(3), Some(Contradiction::Backwards)),
            (rotated(5), None),
            (taken(3, None), Some(Contradiction::Gone)),
            (taken(3, Some(41)), Some(Contradiction::Locked)),
            // It was free again when it was said to be gone.
            (taken(3, Some(39)), Some(Contradiction::Gone)),
            (taken(4, None), None),
            (taken(4, Some(90)), None),
            (restored(3), Some(Contradiction::Gone)),
            (restored(4), None),
        ] {
            assert_eq!(copies.contradicts(&news, day(50)), contradiction, "{news:?}");
        }
    }

    #[test]
    fn a_week_ends_where_the_next_one_begins() {
        let at = day(20_000);
        assert!(at < end_of(week_of(at)));
        assert_eq!(week_of(end_of(week_of(at))), week_of(at) + 1);
    }
}
