//! What is kept for a restore replay, and the keys that it is forgotten with.

use std::collections::BTreeMap;

use serde_json::json;
use sqlx::{Connection as _, SqliteConnection, SqliteExecutor, query, query_as};

use super::{read::ids_json, write::insert_rows};
use crate::{
    domain::{fact::CapsuleEpoch, ids::RequestId},
    store::{
        CapsuleRow, StoreError, StoredCapsule,
        deferral::{self, CapsuleColumns, EpochKey},
    },
};

/// The keys of these epochs, as they are after those that were missing have been stored.
pub(super) async fn keys(
    on: &mut SqliteConnection,
    epochs: &[(CapsuleEpoch, Vec<u8>)],
) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut known = stored_keys(on, epochs).await?;
    let missing: Vec<_> = deferral::without_key(epochs, &known).into_iter().collect();
    if !missing.is_empty() {
        let head = "insert into capsule_epoch (week, sets, wrapped_key) ";
        let tail = " on conflict (week, sets) do update set wrapped_key = excluded.wrapped_key";
        insert_rows(on, head, tail, &missing, |mut row, ((week, sets), key)| {
            row.push_bind(*week).push_bind(sets.as_str()).push_bind(*key);
            Ok(())
        })
        .await?;
        known = stored_keys(on, epochs).await?;
    }
    deferral::keys_of(epochs, &known)
}

async fn stored_keys(
    on: &mut SqliteConnection,
    epochs: &[(CapsuleEpoch, Vec<u8>)],
) -> Result<BTreeMap<EpochKey, Vec<u8>>, StoreError> {
    let sql = "select e.week, e.sets, e.wrapped_key from json_each(?1) v \
               cross join capsule_epoch e on e.week = v.value ->> 0 and e.sets = v.value ->> 1 \
               where e.wrapped_key is not null";
    let keys: Vec<EpochKey> = epochs
        .iter()
        .map(|(epoch, _)| deferral::epoch_key(epoch))
        .collect();
    let rows: Vec<(i32, String, Vec<u8>)> = query_as(sql).bind(json!(keys).to_string()).fetch_all(on).await?;
    Ok(rows
        .into_iter()
        .map(|(week, sets, key)| ((week, sets), key))
        .collect())
}

pub(super) async fn upsert(on: &mut SqliteConnection, rows: &[&CapsuleRow]) -> Result<(), StoreError> {
    let head = "insert into capsule (request_id, week, sets, sealed) ";
    let tail = " on conflict (request_id) do update set week = excluded.week, sets = excluded.sets, \
                sealed = excluded.sealed";
    insert_rows(on, head, tail, rows, |mut values, row| {
        let (week, sets) = deferral::epoch_key(&row.epoch);
        values
            .push_bind(row.request_id.0)
            .push_bind(week)
            .push_bind(sets)
            .push_bind(row.sealed.as_slice());
        Ok(())
    })
    .await?;
    Ok(())
}

pub(super) async fn of_requests(
    on: impl SqliteExecutor<'_>,
    ids: &[RequestId],
) -> Result<Vec<StoredCapsule>, StoreError> {
    let sql = "select c.request_id, c.week, c.sets, c.sealed, e.wrapped_key from capsule c \
               cross join capsule_epoch e on e.week = c.week and e.sets = c.sets \
               where c.request_id in (select unhex(value) from json_each(?1)) and e.wrapped_key is not null";
    let rows: Vec<CapsuleColumns> = query_as(sql)
        .bind(ids_json(ids.iter().copied()))
        .fetch_all(on)
        .await?;
    deferral::stored_capsules(rows)
}

pub(super) async fn epochs(on: impl SqliteExecutor<'_>) -> Result<Vec<CapsuleEpoch>, StoreError> {
    let sql = "select week, sets from capsule_epoch where wrapped_key is not null order by week, sets";
    let rows: Vec<(i32, String)> = query_as(sql).fetch_all(on).await?;
    deferral::epochs(rows)
}

pub(super) async fn destroy(on: impl SqliteExecutor<'_>, epoch: &CapsuleEpoch) -> Result<(), StoreError> {
    let (week, sets) = deferral::epoch_key(epoch);
    query("update capsule_epoch set wrapped_key = null where week = ?1 and sets = ?2")
        .bind(week)
        .bind(sets)
        .execute(on)
        .await?;
    Ok(())
}

/// Deletes capsules that nobody can open, and then the epochs that have none left.
pub(super) async fn drop_some(on: &mut SqliteConnection, limit: u32) -> Result<u64, StoreError> {
    let mut transaction = on.begin_with("begin immediate").await?;
    let sql = "delete from capsule where request_id in (select c.request_id from capsule_epoch e \
               cross join capsule c on c.week = e.week and c.sets = e.sets where e.wrapped_key is null limit ?1)";
    let dropped = query(sql)
        .bind(limit)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    if dropped < u64::from(limit) {
        let sql = "delete from capsule_epoch as e where e.wrapped_key is null \
                   and not exists (select 1 from capsule c where c.week = e.week and c.sets = e.sets)";
        query(sql).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(dropped)
}
