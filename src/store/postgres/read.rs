//! What is read. Each function is one statement, on the pool or within a transaction.

use sqlx::{PgExecutor, PgPool, query, query_as, query_scalar};
use uuid::Uuid;

use super::Applied;
use crate::{
    domain::{
        ids::{CommandId, RequestId, Tenant},
        time::At,
        words::Status,
    },
    store::{
        CounterKey, InboxRow, Lock, StoreError, StoredBody, StoredLeaf, StoredRegistry, StoredRequest,
        SubjectDigest,
        codec::{self, BodyColumns, StateColumns},
    },
};

pub(super) fn uuids(ids: &[RequestId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.0).collect()
}

/// Revisions and counts are unsigned here and signed there; none comes near the sign.
pub(super) fn requests_of(rows: Vec<StateColumns<i32>>) -> Result<Vec<StoredRequest>, StoreError> {
    rows.into_iter()
        .map(|(id, revision, packed, key)| codec::stored_request(id, revision.cast_unsigned(), &packed, key))
        .collect()
}

pub(super) async fn requests(
    on: impl PgExecutor<'_>,
    ids: &[RequestId],
) -> Result<Vec<StoredRequest>, StoreError> {
    let sql = "select id, revision, packed, wrapped_key from state where id = any($1)";
    requests_of(query_as(sql).bind(uuids(ids)).fetch_all(on).await?)
}

pub(super) async fn load(
    on: impl PgExecutor<'_>,
    ids: &[RequestId],
    lock: Lock,
) -> Result<Vec<StoredRequest>, StoreError> {
    match lock {
        Lock::None => requests(on, ids).await,
        Lock::Rows => {
            let sql = "select id, revision, packed, wrapped_key from state where id = any($1) \
                       order by id for no key update";
            requests_of(query_as(sql).bind(uuids(ids)).fetch_all(on).await?)
        }
    }
}

pub(super) async fn due(
    on: impl PgExecutor<'_>,
    now: At,
    limit: u32,
) -> Result<Vec<StoredRequest>, StoreError> {
    let sql = "select s.id, s.revision, s.packed, s.wrapped_key from agenda a join state s on s.id = a.request_id \
               where a.wake_at <= $1 order by a.wake_at limit $2 for no key update of s skip locked";
    requests_of(
        query_as(sql)
            .bind(now.millis())
            .bind(i64::from(limit))
            .fetch_all(on)
            .await?,
    )
}

/// Reads the first entry of the index of dates and no row. Most of the time that is all that a turn of the agenda does.
pub(super) async fn is_due(on: impl PgExecutor<'_>, now: At) -> Result<bool, StoreError> {
    let sql = "select exists(select from agenda where wake_at <= $1)";
    Ok(query_scalar(sql).bind(now.millis()).fetch_one(on).await?)
}

pub(super) async fn bodies(
    on: impl PgExecutor<'_>,
    ids: &[RequestId],
) -> Result<Vec<StoredBody>, StoreError> {
    let sql = "select id, body, sealed from request where id = any($1)";
    let rows: Vec<BodyColumns> = query_as(sql).bind(uuids(ids)).fetch_all(on).await?;
    Ok(rows.into_iter().map(codec::stored_body).collect())
}

pub(super) async fn revisions(
    on: impl PgExecutor<'_>,
    ids: &[RequestId],
) -> Result<Vec<(RequestId, u32)>, StoreError> {
    let sql = "select id, revision from state where id = any($1)";
    let rows: Vec<(Uuid, i32)> = query_as(sql).bind(uuids(ids)).fetch_all(on).await?;
    Ok(rows
        .into_iter()
        .map(|(id, revision)| (RequestId(id), revision.cast_unsigned()))
        .collect())
}

pub(super) async fn page(
    on: impl PgExecutor<'_>,
    after: Option<RequestId>,
    limit: u32,
) -> Result<Vec<StoredRequest>, StoreError> {
    let sql = "select id, revision, packed, wrapped_key from state where id > $1 order by id limit $2";
    requests_of(
        query_as(sql)
            .bind(start(after))
            .bind(i64::from(limit))
            .fetch_all(on)
            .await?,
    )
}

pub(super) async fn open_page(
    on: impl PgExecutor<'_>,
    after: Option<RequestId>,
    limit: u32,
) -> Result<Vec<StoredRequest>, StoreError> {
    let sql = "select s.id, s.revision, s.packed, s.wrapped_key from agenda a join state s on s.id = a.request_id \
               where a.request_id > $1 order by a.request_id limit $2";
    requests_of(
        query_as(sql)
            .bind(start(after))
            .bind(i64::from(limit))
            .fetch_all(on)
            .await?,
    )
}

/// No request has the nil id: it is no version of a UUID that a command may bring.
fn start(after: Option<RequestId>) -> Uuid {
    after.map_or(Uuid::nil(), |id| id.0)
}

pub(super) async fn of_subject(
    on: impl PgExecutor<'_>,
    digests: &[SubjectDigest],
    limit: u32,
) -> Result<Vec<RequestId>, StoreError> {
    // Upstream chooses the ids, so they may not be in order of time.
    let sql = "with own as (select request_id from subject where digest = any($1)), \
               found as (select request_id from own union \
               select m.request_id from own join merged m on m.leader = own.request_id) \
               select f.request_id from found f join request r on r.id = f.request_id \
               order by r.received_at desc, r.id desc limit $2";
    let digests: Vec<&[u8]> = digests.iter().map(|digest| digest.as_slice()).collect();
    let ids: Vec<Uuid> = query_scalar(sql)
        .bind(digests)
        .bind(i64::from(limit))
        .fetch_all(on)
        .await?;
    Ok(ids.into_iter().map(RequestId).collect())
}

/// One look at the index a tenant, however many rows it has.
pub(super) async fn tenants(on: impl PgExecutor<'_>, limit: u32) -> Result<Vec<Tenant>, StoreError> {
    let sql = "with recursive one(tenant) as (select min(tenant) from inbox union all \
               select (select min(i.tenant) from inbox i where i.tenant > one.tenant) from one \
               where one.tenant is not null) select tenant from one where tenant is not null limit $1";
    let names: Vec<String> = query_scalar(sql).bind(i64::from(limit)).fetch_all(on).await?;
    names.iter().map(|name| codec::tenant(name)).collect()
}

pub(super) async fn of_subjects(
    on: impl PgExecutor<'_>,
    digests: &[SubjectDigest],
) -> Result<Vec<RequestId>, StoreError> {
    let sql = "with own as (select request_id from subject where digest = any($1)) \
               select request_id from own union \
               select m.request_id from own join merged m on m.leader = own.request_id order by request_id";
    let digests: Vec<&[u8]> = digests.iter().map(|digest| digest.as_slice()).collect();
    let ids: Vec<Uuid> = query_scalar(sql).bind(digests).fetch_all(on).await?;
    Ok(ids.into_iter().map(RequestId).collect())
}

pub(super) async fn leaves(on: impl PgExecutor<'_>, id: RequestId) -> Result<Vec<StoredLeaf>, StoreError> {
    let sql = "select n, leaf, sealed from ledger where request_id = $1 order by n";
    let rows: Vec<(i32, Vec<u8>, Option<Vec<u8>>)> = query_as(sql).bind(id.0).fetch_all(on).await?;
    Ok(rows
        .into_iter()
        .map(|(n, leaf, sealed)| StoredLeaf {
            n: n.cast_unsigned(),
            leaf,
            sealed,
        })
        .collect())
}

pub(super) async fn recorded(
    on: impl PgExecutor<'_>,
    ids: &[RequestId],
) -> Result<Vec<RequestId>, StoreError> {
    // Every request has a first entry, so that its key is looked up and nothing is counted.
    let sql = "select request_id from ledger where request_id = any($1) and n = 0";
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let found: Vec<Uuid> = query_scalar(sql).bind(ids).fetch_all(on).await?;
    Ok(found.into_iter().map(RequestId).collect())
}

pub(super) async fn inbox(
    on: impl PgExecutor<'_>,
    keys: &[(&Tenant, CommandId)],
) -> Result<Vec<InboxRow>, StoreError> {
    let sql = "select i.tenant, i.command_id, i.digest, i.request_id \
               from unnest($1::text[], $2::uuid[]) as k(tenant, command_id) \
               join inbox i on i.tenant = k.tenant and i.command_id = k.command_id";
    let tenants: Vec<&str> = keys.iter().map(|(tenant, _)| tenant.as_str()).collect();
    let commands: Vec<Uuid> = keys.iter().map(|(_, command)| command.0).collect();
    let rows: Vec<codec::InboxColumns> = query_as(sql).bind(tenants).bind(commands).fetch_all(on).await?;
    rows.into_iter().map(codec::inbox_row).collect()
}

pub(super) async fn counters(on: impl PgExecutor<'_>) -> Result<Vec<(CounterKey, i64)>, StoreError> {
    let sql = "select kind, a, b, sum(n)::int8 from counter group by kind, a, b order by kind, a, b";
    let rows: Vec<codec::CounterColumns> = query_as(sql).fetch_all(on).await?;
    Ok(rows.into_iter().filter_map(codec::counter).collect())
}

pub(super) async fn ledger_size(on: impl PgExecutor<'_>) -> Result<u64, StoreError> {
    let sql = "select coalesce(sum(n), 0)::int8 from counter where kind = $1";
    let n: i64 = query_scalar(sql).bind(codec::LEDGER_LEAVES).fetch_one(on).await?;
    Ok(u64::try_from(n).unwrap_or(0))
}

pub(super) async fn oldest_open(on: impl PgExecutor<'_>) -> Result<Option<At>, StoreError> {
    let oldest: Option<i64> = query_scalar("select min(received_at) from agenda")
        .fetch_one(on)
        .await?;
    Ok(oldest.map(At::from_millis))
}

pub(super) async fn keyring_mark(on: impl PgExecutor<'_>) -> Result<Option<Vec<u8>>, StoreError> {
    let row: Option<(Vec<u8>,)> = query_as("select mark from keyring").fetch_optional(on).await?;
    Ok(row.map(|(mark,)| mark))
}

pub(super) async fn registry(on: impl PgExecutor<'_>) -> Result<Option<StoredRegistry>, StoreError> {
    let sql = "select revision, text, activated_at, chain from registry order by revision desc limit 1";
    let row: Option<(i32, String, i64, Option<Vec<u8>>)> = query_as(sql).fetch_optional(on).await?;
    Ok(row.map(|(revision, text, at, chain)| StoredRegistry {
        revision: revision.cast_unsigned(),
        text,
        activated_at: At::from_millis(at),
        chain: chain.and_then(|chain| chain.try_into().ok()),
    }))
}

pub(super) async fn outbox(
    on: impl PgExecutor<'_>,
    before: At,
    limit: u32,
) -> Result<Vec<RequestId>, StoreError> {
    let sql = "select request_id from outbox where at < $1 order by at, request_id limit $2";
    let ids: Vec<Uuid> = query_scalar(sql)
        .bind(before.millis())
        .bind(i64::from(limit))
        .fetch_all(on)
        .await?;
    Ok(ids.into_iter().map(RequestId).collect())
}

pub(super) async fn now(on: impl PgExecutor<'_>) -> Result<At, StoreError> {
    let sql = "select (extract(epoch from clock_timestamp()) * 1000)::int8";
    Ok(At::from_millis(query_scalar(sql).fetch_one(on).await?))
}

pub(super) async fn bytes_on_disk(on: impl PgExecutor<'_>) -> Result<u64, StoreError> {
    let sql = "select coalesce(sum(pg_total_relation_size(oid)), 0)::int8 from pg_class \
               where relkind = 'r' and relnamespace = current_schema()::regnamespace";
    let bytes: i64 = query_scalar(sql).fetch_one(on).await?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// The migrations that the database says it has; none where it never had any.
pub(super) async fn applied_migrations(pool: &PgPool) -> Result<Vec<Applied>, StoreError> {
    let table: bool = query_scalar("select to_regclass('_sqlx_migrations') is not null")
        .fetch_one(pool)
        .await?;
    if !table {
        return Ok(Vec::new());
    }
    let sql = "select version, success, checksum from _sqlx_migrations order by version";
    Ok(query_as(sql).fetch_all(pool).await?)
}

/// Lets one transaction at a time count requests and open more: two that counted at once would each let the whole rest of
/// the hour's volume through. The number beside the schema follows those of the gate and of early commands.
pub(super) async fn lock_volume(on: impl PgExecutor<'_>) -> Result<(), StoreError> {
    let sql =
        "select pg_advisory_xact_lock(hashtextextended(coalesce(current_schema(), ''), 119165536267875))";
    query(sql).execute(on).await?;
    Ok(())
}

pub(super) async fn received_since(
    on: impl PgExecutor<'_>,
    since: At,
    limit: u32,
) -> Result<u64, StoreError> {
    let sql = "select count(*) from (select from request r join state s on s.id = r.id \
               where r.received_at > $1 and s.status <> $3 limit $2) as lately";
    let n: i64 = query_scalar(sql)
        .bind(since.millis())
        .bind(i64::from(limit))
        .bind(i16::from(Status::Merged.code()))
        .fetch_one(on)
        .await?;
    Ok(n.cast_unsigned())
}
