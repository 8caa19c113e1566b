//! What is kept for a restore replay, and the keys that it is forgotten with.

use std::collections::BTreeMap;

use sqlx::{Acquire as _, PgConnection, PgExecutor, PgPool, query, query_as};

use super::read::uuids;
use crate::{
    domain::{fact::CapsuleEpoch, ids::RequestId},
    store::{
        CapsuleRow, StoreError, StoredCapsule,
        deferral::{self, CapsuleColumns, EpochKey},
    },
};

/// The keys of these epochs. Nearly always each has one, and then this is one statement that locks nothing: workers
/// that park requests of the same week must not wait for each other. Nobody destroys a key meanwhile, because that is
/// a fact, and whoever seals a capsule holds the gate lock.
pub(super) async fn keys(
    on: &mut PgConnection,
    epochs: &[(CapsuleEpoch, Vec<u8>)],
) -> Result<Vec<Vec<u8>>, StoreError> {
    if epochs.is_empty() {
        return Ok(Vec::new());
    }
    let mut known = stored_keys(on, epochs).await?;
    let missing = deferral::without_key(epochs, &known);
    if !missing.is_empty() {
        add_keys(on, &missing).await?;
        // Another worker may have been faster, and then its key counts.
        known = stored_keys(on, epochs).await?;
    }
    deferral::keys_of(epochs, &known)
}

async fn stored_keys(
    on: &mut PgConnection,
    epochs: &[(CapsuleEpoch, Vec<u8>)],
) -> Result<BTreeMap<EpochKey, Vec<u8>>, StoreError> {
    let sql = "select e.week, e.sets, e.wrapped_key from unnest($1::int4[], $2::text[]) as v(week, sets) \
               join capsule_epoch e on e.week = v.week and e.sets = v.sets where e.wrapped_key is not null";
    let (weeks, sets): (Vec<i32>, Vec<String>) =
        epochs.iter().map(|(epoch, _)| deferral::epoch_key(epoch)).unzip();
    let rows: Vec<(i32, String, Vec<u8>)> = query_as(sql).bind(weeks).bind(sets).fetch_all(on).await?;
    Ok(rows
        .into_iter()
        .map(|(week, sets, key)| ((week, sets), key))
        .collect())
}

async fn add_keys(on: &mut PgConnection, missing: &BTreeMap<EpochKey, &[u8]>) -> Result<(), StoreError> {
    let sql = "insert into capsule_epoch as e (week, sets, wrapped_key) \
               select * from unnest($1::int4[], $2::text[], $3::bytea[]) \
               on conflict (week, sets) do update set wrapped_key = excluded.wrapped_key where e.wrapped_key is null";
    query(sql)
        .bind(missing.keys().map(|(week, _)| *week).collect::<Vec<_>>())
        .bind(missing.keys().map(|(_, sets)| sets.as_str()).collect::<Vec<_>>())
        .bind(missing.values().copied().collect::<Vec<_>>())
        .execute(on)
        .await?;
    Ok(())
}

pub(super) async fn upsert(on: &mut PgConnection, rows: &[&CapsuleRow]) -> Result<(), StoreError> {
    let sql = "insert into capsule (request_id, week, sets, sealed) \
               select * from unnest($1::uuid[], $2::int4[], $3::text[], $4::bytea[]) \
               on conflict (request_id) do update set week = excluded.week, sets = excluded.sets, \
               sealed = excluded.sealed";
    let (weeks, sets): (Vec<i32>, Vec<String>) =
        rows.iter().map(|row| deferral::epoch_key(&row.epoch)).unzip();
    query(sql)
        .bind(rows.iter().map(|row| row.request_id.0).collect::<Vec<_>>())
        .bind(weeks)
        .bind(sets)
        .bind(rows.iter().map(|row| row.sealed.as_slice()).collect::<Vec<_>>())
        .execute(on)
        .await?;
    Ok(())
}

pub(super) async fn of_requests(
    on: impl PgExecutor<'_>,
    ids: &[RequestId],
) -> Result<Vec<StoredCapsule>, StoreError> {
    let sql = "select c.request_id, c.week, c.sets, c.sealed, e.wrapped_key from capsule c \
               join capsule_epoch e on e.week = c.week and e.sets = c.sets \
               where c.request_id = any($1) and e.wrapped_key is not null";
    let rows: Vec<CapsuleColumns> = query_as(sql).bind(uuids(ids)).fetch_all(on).await?;
    deferral::stored_capsules(rows)
}

pub(super) async fn epochs(on: impl PgExecutor<'_>) -> Result<Vec<CapsuleEpoch>, StoreError> {
    let sql = "select week, sets from capsule_epoch where wrapped_key is not null order by week, sets";
    let rows: Vec<(i32, String)> = query_as(sql).fetch_all(on).await?;
    deferral::epochs(rows)
}

pub(super) async fn destroy(on: impl PgExecutor<'_>, epoch: &CapsuleEpoch) -> Result<(), StoreError> {
    let (week, sets) = deferral::epoch_key(epoch);
    query("update capsule_epoch set wrapped_key = null where week = $1 and sets = $2")
        .bind(week)
        .bind(sets)
        .execute(on)
        .await?;
    Ok(())
}

/// Deletes capsules that nobody can open, and then the epochs that have none left.
pub(super) async fn drop_some(pool: &PgPool, limit: u32) -> Result<u64, StoreError> {
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    // A capsule that is being replaced is passed over: it belongs to another epoch afterwards.
    let sql = "delete from capsule c using ( \
                 select c.request_id from capsule_epoch e join capsule c on c.week = e.week and c.sets = e.sets \
                 where e.wrapped_key is null limit $1 for update of c skip locked) as v \
               where c.request_id = v.request_id";
    let dropped = query(sql)
        .bind(i64::from(limit))
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    if dropped < u64::from(limit) {
        let sql = "delete from capsule_epoch e where e.wrapped_key is null \
                   and not exists (select from capsule c where c.week = e.week and c.sets = e.sets)";
        query(sql).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(dropped)
}
