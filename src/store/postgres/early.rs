//! Commands that wait for the request that they name.

use sqlx::{PgConnection, PgExecutor, query, query_as, query_scalar};

use super::dead_letters::incarnations;
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
    on: impl PgExecutor<'_>,
    ids: &[RequestId],
) -> Result<Vec<EarlyRow>, StoreError> {
    let sql = "select cluster, topic, part, off, incarnation, request_id, tenant, command_id, arrived_at, expires_at, command, raw, headers \
               from early_command where request_id = any($1) and buried_at is null \
               order by arrived_at, topic, part, off for update";
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    rows(query_as(sql).bind(ids).fetch_all(on).await?)
}

pub(super) async fn expired(
    on: impl PgExecutor<'_>,
    now: At,
    limit: u32,
) -> Result<Vec<EarlyRow>, StoreError> {
    let sql = "select cluster, topic, part, off, incarnation, request_id, tenant, command_id, arrived_at, expires_at, command, raw, headers \
               from early_command where expires_at <= $1 and buried_at is null \
               order by expires_at limit $2 for update skip locked";
    let found = query_as(sql).bind(now.millis()).bind(i64::from(limit));
    rows(found.fetch_all(on).await?)
}

pub(super) async fn count(on: impl PgExecutor<'_>) -> Result<u64, StoreError> {
    let count: i64 = query_scalar("select count(*) from early_command")
        .fetch_one(on)
        .await?;
    Ok(count.cast_unsigned())
}

/// Takes them: nobody else gets them for a while.
pub(super) async fn take_unproduced(
    on: impl PgExecutor<'_>,
    before: At,
    now: At,
    limit: u32,
) -> Result<Vec<Origin>, StoreError> {
    let sql = "update early_command e set buried_at = $2 from (select cluster, topic, part, off, incarnation \
               from early_command where buried_at <= $1 limit $3 for update skip locked) as v \
               where (e.cluster, e.topic, e.part, e.off, e.incarnation) = \
               (v.cluster, v.topic, v.part, v.off, v.incarnation) \
               returning e.cluster, e.topic, e.part, e.off, e.incarnation";
    let found: Vec<OriginColumns> = query_as(sql)
        .bind(before.millis())
        .bind(now.millis())
        .bind(i64::from(limit))
        .fetch_all(on)
        .await?;
    Ok(found.into_iter().map(origin).collect())
}

pub(super) async fn write(on: &mut PgConnection, changes: &EarlyChanges, at: At) -> Result<(), StoreError> {
    if !changes.waiting.is_empty() {
        insert(&mut *on, &changes.waiting).await?;
    }
    if !changes.taken.is_empty() {
        delete(&mut *on, &changes.taken).await?;
    }
    bury(&mut *on, &changes.buried, at).await?;
    // Due at once.
    bury(&mut *on, &changes.refused, At::from_millis(0)).await?;
    if !changes.forgotten.is_empty() {
        let sql = "delete from inbox i using unnest($1::text[], $2::uuid[]) as k(tenant, command_id) \
                   where i.tenant = k.tenant and i.command_id = k.command_id";
        let (tenants, commands): (Vec<&str>, Vec<_>) = changes
            .forgotten
            .iter()
            .map(|(tenant, command)| (tenant.as_str(), command.0))
            .unzip();
        query(sql).bind(tenants).bind(commands).execute(on).await?;
    }
    Ok(())
}

/// Their dead letters are written; from this time on the production of those is waited for.
async fn bury(on: impl PgExecutor<'_>, origins: &[Origin], at: At) -> Result<(), StoreError> {
    if origins.is_empty() {
        return Ok(());
    }
    let sql = "update early_command e set buried_at = $6 \
               from unnest($1::text[], $2::text[], $3::int4[], $4::int8[], $5::int4[]) as o(cluster, topic, part, off, incarnation) \
               where e.cluster = o.cluster and e.topic = o.topic and e.part = o.part and e.off = o.off \
               and e.incarnation = o.incarnation";
    query(sql)
        .bind(origins.iter().map(|origin| &*origin.cluster).collect::<Vec<_>>())
        .bind(origins.iter().map(|origin| &*origin.topic).collect::<Vec<_>>())
        .bind(origins.iter().map(|origin| origin.partition).collect::<Vec<_>>())
        .bind(origins.iter().map(|origin| origin.offset).collect::<Vec<_>>())
        .bind(incarnations(origins.iter()))
        .bind(at.millis())
        .execute(on)
        .await?;
    Ok(())
}

async fn insert(on: &mut PgConnection, waiting: &[EarlyRow]) -> Result<(), StoreError> {
    let sql = "insert into early_command (cluster, topic, part, off, request_id, tenant, command_id, arrived_at, \
               expires_at, command, raw, headers, incarnation) select * from unnest($1::text[], $2::text[], $3::int4[], $4::int8[], \
               $5::uuid[], $6::text[], $7::uuid[], $8::int8[], $9::int8[], $10::bytea[], $11::bytea[], $12::bytea[], $13::int4[])";
    query(sql)
        .bind(waiting.iter().map(|row| &*row.origin.cluster).collect::<Vec<_>>())
        .bind(waiting.iter().map(|row| &*row.origin.topic).collect::<Vec<_>>())
        .bind(waiting.iter().map(|row| row.origin.partition).collect::<Vec<_>>())
        .bind(waiting.iter().map(|row| row.origin.offset).collect::<Vec<_>>())
        .bind(waiting.iter().map(|row| row.request_id.0).collect::<Vec<_>>())
        .bind(waiting.iter().map(|row| row.tenant.as_str()).collect::<Vec<_>>())
        .bind(waiting.iter().map(|row| row.command_id.0).collect::<Vec<_>>())
        .bind(
            waiting
                .iter()
                .map(|row| row.arrived_at.millis())
                .collect::<Vec<_>>(),
        )
        .bind(
            waiting
                .iter()
                .map(|row| row.expires_at.millis())
                .collect::<Vec<_>>(),
        )
        .bind(
            waiting
                .iter()
                .map(|row| row.command.as_slice())
                .collect::<Vec<_>>(),
        )
        .bind(waiting.iter().map(|row| row.raw.as_slice()).collect::<Vec<_>>())
        .bind(
            waiting
                .iter()
                .map(|row| row.headers.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(incarnations(waiting.iter().map(|row| &row.origin)))
        .execute(on)
        .await?;
    Ok(())
}

pub(super) async fn delete(on: impl PgExecutor<'_>, origins: &[Origin]) -> Result<(), StoreError> {
    let sql = "delete from early_command e \
               using unnest($1::text[], $2::text[], $3::int4[], $4::int8[], $5::int4[]) as o(cluster, topic, part, off, incarnation) \
               where e.cluster = o.cluster and e.topic = o.topic and e.part = o.part and e.off = o.off \
               and e.incarnation = o.incarnation";
    query(sql)
        .bind(origins.iter().map(|origin| &*origin.cluster).collect::<Vec<_>>())
        .bind(origins.iter().map(|origin| &*origin.topic).collect::<Vec<_>>())
        .bind(origins.iter().map(|origin| origin.partition).collect::<Vec<_>>())
        .bind(origins.iter().map(|origin| origin.offset).collect::<Vec<_>>())
        .bind(incarnations(origins.iter()))
        .execute(on)
        .await?;
    Ok(())
}
