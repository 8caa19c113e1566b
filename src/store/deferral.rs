//! How facts, sweeps, deferred tasks and capsules are laid out, as far as both adapters share it.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{
    AskedRow, CapsuleRow, Changes, DeferredFilter, DeferredRow, Place, StoreError, StoredCapsule, StoredFact,
    Sweep, UndeliverableRow,
};
use crate::domain::{
    fact::{CapsuleEpoch, Fact, FactKind},
    ids::{ProcessorId, RequestId},
    time::At,
    words::Why,
};

/// The reasons for which a task has a row of its own.
pub(super) const REASONS: [Why; 4] = [Why::Hold, Why::BackupRotation, Why::Retention, Why::Verification];

/// No date is stored as the end of time: what has none comes last in a list by date.
const NO_DATE: i64 = i64::MAX;

/// A row of `fact`.
#[derive(sqlx::FromRow)]
pub(super) struct FactColumns {
    version: i32,
    id: Uuid,
    at: i64,
    body: String,
    digest: Vec<u8>,
    sealed: Option<Vec<u8>>,
    chain: Option<Vec<u8>>,
    chain_before: Option<Vec<u8>>,
}

impl FactColumns {
    pub(super) fn into_fact(self) -> Result<StoredFact, StoreError> {
        let unreadable = |detail| StoreError::Unreadable {
            table: "fact",
            detail: format!("version {}: {detail}", self.version),
        };
        Ok(StoredFact {
            version: self.version.cast_unsigned(),
            id: self.id,
            fact: serde_json::from_str(&self.body).map_err(|error| unreadable(error.to_string()))?,
            digest: self
                .digest
                .try_into()
                .map_err(|_| unreadable("a digest of another length".into()))?,
            sealed: self.sealed,
            at: At::from_millis(self.at),
            chain: self.chain.and_then(|chain| chain.try_into().ok()),
            chain_before: self.chain_before.and_then(|chain| chain.try_into().ok()),
        })
    }
}

pub(super) fn facts(rows: Vec<FactColumns>) -> Result<Vec<StoredFact>, StoreError> {
    rows.into_iter().map(FactColumns::into_fact).collect()
}

/// The fact as JSON. It is written under its key, and read back whole.
pub(super) fn fact_body(fact: &Fact) -> Result<String, StoreError> {
    serde_json::to_string(fact).map_err(|error| StoreError::Unreadable {
        table: "fact",
        detail: format!("{}: {error}", fact.key()),
    })
}

/// The processor that a fact is about, where it is one of the catalogue of backups.
pub(super) const fn about(fact: &Fact) -> Option<&ProcessorId> {
    match fact {
        Fact::Backup(event) => Some(&event.processor),
        Fact::Hold(_) | Fact::Release { .. } | Fact::Registry { .. } | Fact::Forgotten(_) => None,
    }
}

/// A row of `sweep`.
#[derive(sqlx::FromRow)]
pub(super) struct SweepColumns {
    version: i32,
    kind: i16,
    started_at: i64,
    updated_at: i64,
    finished_at: Option<i64>,
    done: i64,
    total: Option<i64>,
    stage: i32,
    after_mark: Option<i64>,
    after_id: Option<Uuid>,
}

impl SweepColumns {
    pub(super) fn into_sweep(self) -> Result<Sweep, StoreError> {
        let unreadable = |detail| StoreError::Unreadable {
            table: "sweep",
            detail: format!("version {}: {detail}", self.version),
        };
        let kind = u8::try_from(self.kind).ok().and_then(FactKind::from_code);
        Ok(Sweep {
            version: self.version.cast_unsigned(),
            kind: kind.ok_or_else(|| unreadable(format!("kind {}", self.kind)))?,
            started_at: At::from_millis(self.started_at),
            updated_at: At::from_millis(self.updated_at),
            finished_at: self.finished_at.map(At::from_millis),
            done: self.done.cast_unsigned(),
            total: self.total.map(i64::cast_unsigned),
            stage: u16::try_from(self.stage).map_err(|_| unreadable(format!("stage {}", self.stage)))?,
            after: self
                .after_mark
                .zip(self.after_id)
                .map(|(mark, id)| (mark, RequestId(id))),
        })
    }
}

/// Before every place: no request has the nil id.
pub(super) fn place(after: Option<Place>) -> (i64, Uuid) {
    after.map_or((i64::MIN, Uuid::nil()), |(mark, id)| (mark, id.0))
}

/// Columns: mark or week or 0, request id.
pub(super) fn places(rows: Vec<(i64, Uuid)>) -> Vec<Place> {
    rows.into_iter().map(|(mark, id)| (mark, RequestId(id))).collect()
}

/// A row of `deferred`.
#[derive(sqlx::FromRow)]
pub(super) struct DeferredColumns {
    request_id: Uuid,
    until: i64,
    mark: i64,
    ordinal: i16,
    reason: i16,
    processor: String,
}

impl DeferredColumns {
    pub(super) fn into_row(self) -> Result<DeferredRow, StoreError> {
        let unreadable = |detail| StoreError::Unreadable {
            table: "deferred",
            detail: format!("request {}: {detail}", self.request_id),
        };
        let reason = u8::try_from(self.reason).ok().and_then(Why::from_code);
        Ok(DeferredRow {
            request_id: RequestId(self.request_id),
            ordinal: self.ordinal.cast_unsigned(),
            reason: reason.ok_or_else(|| unreadable(format!("reason {}", self.reason)))?,
            processor: ProcessorId::new(&self.processor).map_err(|error| unreadable(error.to_string()))?,
            until: (self.until != NO_DATE).then_some(At::from_millis(self.until)),
            mark: At::from_millis(self.mark),
        })
    }
}

pub(super) fn until(at: Option<At>) -> i64 {
    at.map_or(NO_DATE, At::millis)
}

/// Where a list of deferred tasks goes on: after this (until, request, ordinal). No plan has so many tasks that an
/// ordinal comes near the sign.
pub(super) fn list_after(filter: &DeferredFilter) -> (i64, Uuid, i16) {
    filter
        .after
        .map_or((i64::MIN, Uuid::nil(), -1), |(at, id, ordinal)| {
            (until(at), id.0, ordinal.cast_signed())
        })
}

/// The last date that a list of deferred tasks shows.
pub(super) fn list_until(filter: &DeferredFilter) -> i64 {
    filter
        .due_before
        .map_or(NO_DATE, |before| before.millis().saturating_sub(1))
}

/// Deferred tasks by their keys. A batch may defer a task twice: what was said last counts.
pub(super) fn deferred(changes: &Changes) -> Vec<&DeferredRow> {
    let rows = changes.deferred.iter();
    let last: BTreeMap<_, _> = rows.map(|row| ((row.request_id, row.ordinal), row)).collect();
    last.into_values().collect()
}

/// Tasks that are no longer deferred, by their keys.
pub(super) fn resumed(changes: &Changes) -> Vec<(RequestId, u16)> {
    in_order(&changes.resumed)
}

/// Waves that are asked about, by their keys. What was said last counts.
pub(super) fn asked(changes: &Changes) -> Vec<&AskedRow> {
    let rows = changes.asked.iter();
    let last: BTreeMap<_, _> = rows.map(|row| ((row.request_id, row.ordinal), row)).collect();
    last.into_values().collect()
}

/// Waves that are asked about no more, by their keys.
pub(super) fn unasked(changes: &Changes) -> Vec<(RequestId, u16)> {
    in_order(&changes.unasked)
}

/// Tasks that their topics do not take, by their keys. What was said last counts.
pub(super) fn undeliverable(changes: &Changes) -> Vec<&UndeliverableRow> {
    let rows = changes.undeliverable.iter();
    let last: BTreeMap<_, _> = rows.map(|row| ((row.request_id, row.ordinal), row)).collect();
    last.into_values().collect()
}

/// Tasks that are so no longer, by their keys.
pub(super) fn delivered(changes: &Changes) -> Vec<(RequestId, u16)> {
    in_order(&changes.delivered)
}

fn in_order(keys: &[(RequestId, u16)]) -> Vec<(RequestId, u16)> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// New capsules by request. What was said last counts.
pub(super) fn capsules(changes: &Changes) -> Vec<&CapsuleRow> {
    let rows = changes.capsules.iter();
    let last: BTreeMap<_, _> = rows.map(|row| (row.request_id, row)).collect();
    last.into_values().collect()
}

/// Weeks are unsigned here and signed there; none comes near the sign.
pub(super) fn epoch(week: i32, sets: &str) -> Result<CapsuleEpoch, StoreError> {
    let sets: Result<Vec<ProcessorId>, _> = sets.split_ascii_whitespace().map(ProcessorId::new).collect();
    Ok(CapsuleEpoch {
        week: week.cast_unsigned(),
        sets: sets.map_err(|error| StoreError::Unreadable {
            table: "capsule_epoch",
            detail: format!("week {week}: {error}"),
        })?,
    })
}

/// Columns: week, sets.
pub(super) fn epochs(rows: Vec<(i32, String)>) -> Result<Vec<CapsuleEpoch>, StoreError> {
    rows.into_iter().map(|(week, sets)| epoch(week, &sets)).collect()
}

/// Columns: request id, week, sets, sealed, wrapped key.
pub(super) type CapsuleColumns = (Uuid, i32, String, Vec<u8>, Vec<u8>);

pub(super) fn stored_capsules(rows: Vec<CapsuleColumns>) -> Result<Vec<StoredCapsule>, StoreError> {
    rows.into_iter()
        .map(|(id, week, sets, sealed, wrapped_key)| {
            Ok(StoredCapsule {
                request_id: RequestId(id),
                epoch: epoch(week, &sets)?,
                sealed,
                wrapped_key,
            })
        })
        .collect()
}

/// An epoch as its columns.
pub(super) type EpochKey = (i32, String);

pub(super) fn epoch_key(epoch: &CapsuleEpoch) -> EpochKey {
    (epoch.week.cast_signed(), epoch.name())
}

/// The epochs that have no key yet, by their columns, each with the key that is offered for it.
pub(super) fn without_key<'a>(
    epochs: &'a [(CapsuleEpoch, Vec<u8>)],
    known: &BTreeMap<EpochKey, Vec<u8>>,
) -> BTreeMap<EpochKey, &'a [u8]> {
    let offered = epochs
        .iter()
        .map(|(epoch, new)| (epoch_key(epoch), new.as_slice()));
    offered.filter(|(key, _)| !known.contains_key(key)).collect()
}

/// The keys of epochs in the order in which they were asked for. A key that was destroyed between being stored and
/// being read back is a lost race.
pub(super) fn keys_of(
    epochs: &[(CapsuleEpoch, Vec<u8>)],
    known: &BTreeMap<EpochKey, Vec<u8>>,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let keys = epochs
        .iter()
        .map(|(epoch, _)| known.get(&epoch_key(epoch)).cloned());
    keys.collect::<Option<_>>().ok_or(StoreError::Conflict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_reasons() {
        // Migrations and statements say the numbers: an index over some rows serves only what names them literally.
        assert_eq!((Why::Hold.code(), Why::BackupRotation.code()), (7, 8));
    }

    #[test]
    fn an_epoch_comes_back_from_its_columns() {
        for sets in [&[][..], &["vault"], &["nightly", "off-site"]] {
            let kept = CapsuleEpoch {
                week: 2_900,
                sets: sets.iter().map(|set| ProcessorId::new(set).unwrap()).collect(),
            };
            let (week, name) = epoch_key(&kept);
            assert_eq!(epoch(week, &name).unwrap(), kept);
        }
    }

    #[test]
    fn what_was_said_last_about_a_task_counts() {
        let row = |ordinal, until| DeferredRow {
            request_id: RequestId(Uuid::from_u128(1)),
            ordinal,
            reason: Why::Retention,
            processor: ProcessorId::new("billing").unwrap(),
            until: Some(At::from_millis(until)),
            mark: At::from_millis(0),
        };
        let changes = Changes {
            deferred: vec![row(1, 10), row(0, 20), row(1, 30)],
            ..Changes::default()
        };
        assert_eq!(deferred(&changes), [&row(0, 20), &row(1, 30)]);
    }
}
