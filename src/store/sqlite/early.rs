//! Commands that wait for the request that they name.

use sqlx::{SqliteConnection, SqliteExecutor, query, query_as, query_scalar};

use super::{dead_letters::origins_json, read::ids_json, write::insert_rows};
use crate::{
    domain::{ids::RequestId, time::At},
    store::{
        EarlyChanges, EarlyRow, Origin, StoreError,
        early::{EarlyColumns, OriginColumns, origin},
    },
};

fn rows(found: Vec<EarlyColumns>) -> Result<Vec<EarlyRow>, StoreError> {
    found.into_iter().map(EarlyColumns::into_row).collect()
}

pub(super) async fn of_requests(
    on: impl SqliteExecutor<'_>,
    ids: &[RequestId],
) -> Result<Vec<EarlyRow>, StoreError> {
    let sql = "select cluster, topic, part, off, incarnation, request_id, tenant, command_id, arrived_at, expires_at, command, raw, headers \
               from early_command where request_id in (select unhex(value) from json_each(?1)) \
               and buried_at is null order by arrived_at, topic, part, off";
    let found = query_as(sql).bind(ids_json(ids.iter().copied()));
    rows(found.fetch_all(on).await?)
}

pub(super) async fn expired(
    on: impl SqliteExecutor<'_>,
    now: At,
    limit: u32,
) -> Result<Vec<EarlyRow>, StoreError> {
    let sql = "select cluster, topic, part, off, incarnation, request_id, tenant, command_id, arrived_at, expires_at, command, raw, headers \
               from early_command where expires_at <= ?1 and buried_at is null order by expires_at limit ?2";
    rows(query_as(sql).bind(now.millis()).bind(limit).fetch_all(on).await?)
}

pub(super) async fn count(on: impl SqliteExecutor<'_>) -> Result<u64, StoreError> {
    let count: i64 = query_scalar("select count(*) from early_command")
        .fetch_one(on)
        .await?;
    Ok(count.cast_unsigned())
}

/// Takes them: nobody else gets them for a while.
pub(super) async fn take_unproduced(
    on: impl SqliteExecutor<'_>,
    before: At,
    now: At,
    limit: u32,
) -> Result<Vec<Origin>, StoreError> {
    let sql = "update early_command set buried_at = ?2 where (cluster, topic, part, off, incarnation) in \
               (select cluster, topic, part, off, incarnation from early_command where buried_at <= ?1 limit ?3) \
               returning cluster, topic, part, off, incarnation";
    let found: Vec<OriginColumns> = query_as(sql)
        .bind(before.millis())
        .bind(now.millis())
        .bind(limit)
        .fetch_all(on)
        .await?;
    Ok(found.into_iter().map(origin).collect())
}

pub(super) async fn write(
    on: &mut SqliteConnection,
    changes: &EarlyChanges,
    at: At,
) -> Result<(), StoreError> {
    insert(on, &changes.waiting).await?;
    if !changes.taken.is_empty() {
        delete(&mut *on, &changes.taken).await?;
    }
    bury(&mut *on, &changes.buried, at).await?;
    // Due at once.
    bury(&mut *on, &changes.refused, At::from_millis(0)).await?;
    for (tenant, command) in &changes.forgotten {
        query("delete from inbox where tenant = ?1 and command_id = ?2")
            .bind(tenant.as_str())
            .bind(command.0)
            .execute(&mut *on)
            .await?;
    }
    Ok(())
}

/// Their dead letters are written; from this time on the production of those is waited for.
async fn bury(on: impl SqliteExecutor<'_>, origins: &[Origin], at: At) -> Result<(), StoreError> {
    if origins.is_empty() {
        return Ok(());
    }
    let sql = "update early_command set buried_at = ?2 from json_each(?1) o where cluster = o.value ->> 0 \
               and topic = o.value ->> 1 and part = o.value ->> 2 and off = o.value ->> 3 \
               and incarnation = o.value ->> 4";
    query(sql)
        .bind(origins_json(origins))
        .bind(at.millis())
        .execute(on)
        .await?;
    Ok(())
}

async fn insert(on: &mut SqliteConnection, waiting: &[EarlyRow]) -> Result<(), StoreError> {
    let into = "insert into early_command (cluster, topic, part, off, request_id, tenant, command_id, arrived_at, \
                expires_at, command, raw, headers, incarnation) ";
    insert_rows(on, into, "", waiting, |mut row, early| {
        row.push_bind(&*early.origin.cluster)
            .push_bind(&*early.origin.topic)
            .push_bind(early.origin.partition)
            .push_bind(early.origin.offset)
            .push_bind(early.request_id.0)
            .push_bind(early.tenant.as_str())
            .push_bind(early.command_id.0)
            .push_bind(early.arrived_at.millis())
            .push_bind(early.expires_at.millis())
            .push_bind(early.command.as_slice())
            .push_bind(early.raw.as_slice())
            .push_bind(early.headers.as_deref())
            .push_bind(early.origin.incarnation);
        Ok(())
    })
    .await?;
    Ok(())
}

pub(super) async fn delete(on: impl SqliteExecutor<'_>, origins: &[Origin]) -> Result<(), StoreError> {
    let sql = "delete from early_command where (cluster, topic, part, off, incarnation) in \
               (select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 from json_each(?1))";
    query(sql).bind(origins_json(origins)).execute(on).await?;
    Ok(())
}
