//! What is known of the copies of a backup set.

use serde::Serialize;
use uuid::Uuid;

use crate::{
    domain::{
        backup::{BackupChange, BackupEvent},
        fact::Fact,
        ids::Label,
        time::At,
    },
    store::StoredFact,
};

/// A copy that was told of.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct CopyView {
    /// When it was taken.
    pub taken_at: At,
    /// When Lacuna was told that it is gone, by a rotation that no lock of this copy denies.
    pub rotated_at: Option<At>,
    /// Until when it is locked.
    pub lock_until: Option<At>,
}

/// Where a copy stands in the list: by time, then by its event.
pub type CopyPlace = [u8; 24];

/// The copies of a set, the newest first, each with its place; and the latest that a rotation has said.
pub fn copies(stored: &[StoredFact], set: &Label) -> (Vec<(CopyPlace, CopyView)>, Option<At>) {
    let events: Vec<(At, &BackupEvent)> = stored.iter().filter_map(|fact| event_of(fact, set)).collect();
    let rotations: Vec<(At, At)> = events
        .iter()
        .filter_map(|(at, event)| rotation(*at, event))
        .collect();
    let mut copies: Vec<(CopyPlace, CopyView)> = events
        .iter()
        .filter_map(|(_, event)| copy(event, &rotations))
        .collect();
    copies.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
    let latest = rotations.iter().map(|(oldest, _)| *oldest).max();
    (copies, latest)
}

fn event_of<'a>(stored: &'a StoredFact, set: &Label) -> Option<(At, &'a BackupEvent)> {
    match &stored.fact {
        Fact::Backup(event) if event.set == *set => Some((stored.at, event)),
        _ => None,
    }
}

/// The oldest copy that is left, and when Lacuna was told.
fn rotation(told_at: At, event: &BackupEvent) -> Option<(At, At)> {
    match event.change {
        BackupChange::Rotated { oldest_retained_at } => Some((oldest_retained_at, told_at)),
        BackupChange::Taken { .. } | BackupChange::Restored { .. } => None,
    }
}

/// A copy with its place in the list. The rotations stand in the order in which they were told.
fn copy(event: &BackupEvent, rotations: &[(At, At)]) -> Option<(CopyPlace, CopyView)> {
    let BackupChange::Taken { taken_at, lock_until } = event.change else {
        return None;
    };
    let is_gone = |(oldest, told_at): &&(At, At)| {
        *oldest > taken_at && lock_until.is_none_or(|until| until <= *told_at)
    };
    Some((
        place_of(taken_at, event.event_id.0),
        CopyView {
            taken_at,
            rotated_at: rotations.iter().find(is_gone).map(|(_, told_at)| *told_at),
            lock_until,
        },
    ))
}

fn place_of(taken_at: At, event: Uuid) -> CopyPlace {
    let mut place = [0; 24];
    // With the sign turned, the bytes are in the order of the times also before 1970.
    let turned = taken_at.millis().cast_unsigned() ^ (1 << 63);
    place[..8].copy_from_slice(&turned.to_be_bytes());
    place[8..].copy_from_slice(event.as_bytes());
    place
}
