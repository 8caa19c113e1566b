//! What is kept for a restore replay, and the keys that it is forgotten with.

use std::collections::BTreeMap;

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::{
        fact::CapsuleEpoch,
        ids::{ProcessorId, RequestId},
    },
    store::{
        capsules::{CapsuleRow, CapsuleStore, CapsuleTransaction, StoredCapsule},
        error::StoreError,
        in_order::last_of_each,
        session::{Pool, Session},
        statement::{Insert, Statement, Table, sql},
    },
};

/// The capsules of requests whose epoch still has its key.
fn of_requests(ids: &[RequestId]) -> Statement<'_> {
    let sql = sql!(
        "select c.request_id, c.week, c.sets, c.sealed, e.wrapped_key from capsule c "
        join " capsule_epoch e on e.week = c.week and e.sets = c.sets \
        where c.request_id " ids "$1" " and e.wrapped_key is not null"
    );
    Statement::new(sql).bind(ids)
}

#[async_trait]
impl<S: Pool> CapsuleStore for S {
    async fn capsule_epochs(&self) -> Result<Vec<CapsuleEpoch>, StoreError> {
        let sql =
            sql!("select week, sets from capsule_epoch where wrapped_key is not null order by week, sets");
        let rows = self.read(Statement::new(sql)).await?;
        rows.try_map(|(week, sets): (i32, String)| epoch(week, &sets))
    }

    async fn capsules(&self, ids: &[RequestId]) -> Result<Vec<StoredCapsule>, StoreError> {
        self.read(of_requests(ids)).await?.try_map(stored_capsule)
    }

    /// First capsules that nobody can open, and then the epochs that have none left.
    async fn drop_capsules(&self, limit: u32) -> Result<u64, StoreError> {
        // A capsule that is being replaced is passed over: it belongs to another epoch afterwards.
        let sql = sql!(["delete from capsule c using ( \
                select c.request_id from capsule_epoch e join capsule c on c.week = e.week and c.sets = e.sets \
                where e.wrapped_key is null limit $1 for update of c skip locked) as v \
              where c.request_id = v.request_id"
            | "delete from capsule where request_id in (select c.request_id from capsule_epoch e \
                cross join capsule c on c.week = e.week and c.sets = e.sets where e.wrapped_key is null limit $1)"]);
        let dropped = self.run(Statement::new(sql).bind(i64::from(limit))).await?;
        if dropped < u64::from(limit) {
            // Nobody seals a capsule of an epoch whose key is destroyed, so none comes between the two statements.
            let sql = sql!(
                "delete from capsule_epoch as e where e.wrapped_key is null \
                 and not exists (select" ["" | " 1"] " from capsule c where c.week = e.week and c.sets = e.sets)"
            );
            self.run(Statement::new(sql)).await?;
        }
        Ok(dropped)
    }
}

#[async_trait]
impl<S: Session> CapsuleTransaction for S {
    /// Nearly always each epoch has its key, and then this is one statement that locks nothing: workers that park requests
    /// of the same week must not wait for each other. Nobody destroys a key meanwhile, because that is a fact, and whoever
    /// seals a capsule holds the gate lock.
    async fn capsule_keys(&mut self, epochs: &[(CapsuleEpoch, Vec<u8>)]) -> Result<Vec<Vec<u8>>, StoreError> {
        if epochs.is_empty() {
            return Ok(Vec::new());
        }
        let mut known = stored_keys(self, epochs).await?;
        let missing = without_key(epochs, &known);
        if !missing.is_empty() {
            add_keys(self, &missing).await?;
            // Another worker may have been faster, and then its key counts.
            known = stored_keys(self, epochs).await?;
        }
        keys_of(epochs, &known)
    }

    async fn capsules(&mut self, ids: &[RequestId]) -> Result<Vec<StoredCapsule>, StoreError> {
        self.fetch(of_requests(ids)).await?.try_map(stored_capsule)
    }

    async fn destroy_capsules(&mut self, epoch: &CapsuleEpoch) -> Result<(), StoreError> {
        let (week, sets) = epoch_key(epoch);
        let sql = sql!("update capsule_epoch set wrapped_key = null where week = $1 and sets = $2");
        self.run(Statement::new(sql).bind(week).bind(sets)).await?;
        Ok(())
    }
}

async fn stored_keys(
    on: &mut impl Session,
    epochs: &[(CapsuleEpoch, Vec<u8>)],
) -> Result<BTreeMap<EpochKey, Vec<u8>>, StoreError> {
    let sql = sql!([
        "select e.week, e.sets, e.wrapped_key from unnest($1::int4[], $2::text[]) as v(week, sets) \
          join capsule_epoch e on e.week = v.week and e.sets = v.sets where e.wrapped_key is not null"
            | "select e.week, e.sets, e.wrapped_key from json_each($1) v \
            cross join capsule_epoch e on e.week = v.value ->> 0 and e.sets = v.value ->> 1 \
            where e.wrapped_key is not null"
    ]);
    let keys = Table::of(epochs)
        .integer("week", |(epoch, _)| epoch_key(epoch).0)
        .text("sets", |(epoch, _)| epoch_key(epoch).1);
    let rows = on.fetch(Statement::new(sql).bind(keys)).await?;
    let rows: Vec<(i32, String, Vec<u8>)> = rows.all()?;
    Ok(rows
        .into_iter()
        .map(|(week, sets, key)| ((week, sets), key))
        .collect())
}

async fn add_keys(on: &mut impl Session, missing: &BTreeMap<EpochKey, &[u8]>) -> Result<(), StoreError> {
    let missing: Vec<_> = missing.iter().collect();
    let table = Table::of(&missing)
        .integer("week", |((week, _), _)| *week)
        .text("sets", |((_, sets), _)| sets.as_str())
        .bytes("wrapped_key", |(_, key)| **key);
    let insert = Insert::into("capsule_epoch as e", table).on_conflict(
        "(week, sets) do update set wrapped_key = excluded.wrapped_key where e.wrapped_key is null",
    );
    on.run(insert.into()).await?;
    Ok(())
}

/// New capsules by request. What was said last counts.
pub(super) async fn upsert(on: &mut impl Session, rows: &[CapsuleRow]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = last_of_each(rows, |row| row.request_id);
    let table = Table::of(&rows)
        .uuid("request_id", |row| row.request_id.0)
        .integer("week", |row| epoch_key(&row.epoch).0)
        .text("sets", |row| epoch_key(&row.epoch).1)
        .bytes("sealed", |row| row.sealed.as_slice());
    let insert = Insert::into("capsule", table).on_conflict(
        "(request_id) do update set week = excluded.week, sets = excluded.sets, sealed = excluded.sealed",
    );
    on.run(insert.into()).await?;
    Ok(())
}

/// Weeks are unsigned here and signed there; none comes near the sign.
fn epoch(week: i32, sets: &str) -> Result<CapsuleEpoch, StoreError> {
    let sets: Result<Vec<ProcessorId>, _> = sets.split_ascii_whitespace().map(ProcessorId::new).collect();
    Ok(CapsuleEpoch {
        week: week.cast_unsigned(),
        sets: sets.map_err(|error| StoreError::Unreadable {
            table: "capsule_epoch",
            detail: format!("week {week}: {error}"),
        })?,
    })
}

/// Columns: request id, week, sets, sealed, wrapped key.
type CapsuleColumns = (Uuid, i32, String, Vec<u8>, Vec<u8>);

fn stored_capsule(
    (id, week, sets, sealed, wrapped_key): CapsuleColumns,
) -> Result<StoredCapsule, StoreError> {
    Ok(StoredCapsule {
        request_id: RequestId(id),
        epoch: epoch(week, &sets)?,
        sealed,
        wrapped_key,
    })
}

/// An epoch as its columns.
type EpochKey = (i32, String);

fn epoch_key(epoch: &CapsuleEpoch) -> EpochKey {
    (epoch.week.cast_signed(), epoch.name())
}

/// The epochs that have no key yet, by their columns, each with the key that is offered for it.
fn without_key<'a>(
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
fn keys_of(
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
}
