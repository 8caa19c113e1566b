//! What is read. Each function is one statement with one constant text; a list of keys is one JSON text.

use serde_json::json;
use sqlx::{SqliteConnection, SqliteExecutor, query_as, query_scalar};
use uuid::Uuid;

use crate::{
    domain::{
        ids::{CommandId, RequestId, Tenant},
        time::At,
        words::Status,
    },
    store::{
        CounterKey, InboxRow, StoreError, StoredBody, StoredLeaf, StoredRegistry, StoredRequest,
        SubjectDigest,
        codec::{self, BodyColumns, StateColumns},
        schema::Applied,
    },
};

/// A list of ids for `json_each`, in hexadecimal digits, because JSON has no bytes.
pub(super) fn ids_json(ids: impl IntoIterator<Item = RequestId>) -> String {
    let ids: Vec<String> = ids.into_iter().map(|id| id.0.simple().to_string()).collect();
    json!(ids).to_string()
}

fn requests_of(rows: Vec<StateColumns<u32>>) -> Result<Vec<StoredRequest>, StoreError> {
    rows.into_iter()
        .map(|(id, revision, packed, key)| codec::stored_request(id, revision, &packed, key))
        .collect()
}

pub(super) async fn requests(
    on: impl SqliteExecutor<'_>,
    ids: &[RequestId],
) -> Result<Vec<StoredRequest>, StoreError> {
    let sql = "select id, revision, packed, wrapped_key from state \
               where id in (select unhex(value) from json_each(?1))";
    requests_of(
        query_as(sql)
            .bind(ids_json(ids.iter().copied()))
            .fetch_all(on)
            .await?,
    )
}

pub(super) async fn due(
    on: impl SqliteExecutor<'_>,
    now: At,
    limit: u32,
) -> Result<Vec<StoredRequest>, StoreError> {
    let sql = "select s.id, s.revision, s.packed, s.wrapped_key from agenda a cross join state s on s.id = a.request_id \
               where a.wake_at <= ?1 order by a.wake_at limit ?2";
    requests_of(query_as(sql).bind(now.millis()).bind(limit).fetch_all(on).await?)
}

pub(super) async fn is_due(on: impl SqliteExecutor<'_>, now: At) -> Result<bool, StoreError> {
    let sql = "select exists(select 1 from agenda where wake_at <= ?1)";
    Ok(query_scalar(sql).bind(now.millis()).fetch_one(on).await?)
}

pub(super) async fn bodies(
    on: impl SqliteExecutor<'_>,
    ids: &[RequestId],
) -> Result<Vec<StoredBody>, StoreError> {
    let sql = "select id, body, sealed from request where id in (select unhex(value) from json_each(?1))";
    let rows: Vec<BodyColumns> = query_as(sql)
        .bind(ids_json(ids.iter().copied()))
        .fetch_all(on)
        .await?;
    Ok(rows.into_iter().map(codec::stored_body).collect())
}

pub(super) async fn revisions(
    on: impl SqliteExecutor<'_>,
    ids: &[RequestId],
) -> Result<Vec<(RequestId, u32)>, StoreError> {
    let sql = "select id, revision from state where id in (select unhex(value) from json_each(?1))";
    let rows: Vec<(Uuid, u32)> = query_as(sql)
        .bind(ids_json(ids.iter().copied()))
        .fetch_all(on)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(id, revision)| (RequestId(id), revision))
        .collect())
}

pub(super) async fn page(
    on: impl SqliteExecutor<'_>,
    after: Option<RequestId>,
    limit: u32,
) -> Result<Vec<StoredRequest>, StoreError> {
    let sql = "select id, revision, packed, wrapped_key from state where id > ?1 order by id limit ?2";
    requests_of(query_as(sql).bind(start(after)).bind(limit).fetch_all(on).await?)
}

pub(super) async fn open_page(
    on: impl SqliteExecutor<'_>,
    after: Option<RequestId>,
    limit: u32,
) -> Result<Vec<StoredRequest>, StoreError> {
    let sql = "select s.id, s.revision, s.packed, s.wrapped_key from agenda a cross join state s on s.id = a.request_id \
               where a.request_id > ?1 order by a.request_id limit ?2";
    requests_of(query_as(sql).bind(start(after)).bind(limit).fetch_all(on).await?)
}

/// Every id comes after no bytes at all.
fn start(after: Option<RequestId>) -> Vec<u8> {
    after.map_or_else(Vec::new, |id| id.0.as_bytes().to_vec())
}

pub(super) async fn of_subject(
    on: impl SqliteExecutor<'_>,
    digests: &[SubjectDigest],
    limit: u32,
) -> Result<Vec<RequestId>, StoreError> {
    // Upstream chooses the ids, so they may not be in order of time.
    let sql = "with own as (select request_id from subject \
               where digest in (select unhex(value) from json_each(?1))), \
               found as (select request_id from own union \
               select m.request_id from own cross join merged m on m.leader = own.request_id) \
               select f.request_id from found f cross join request r on r.id = f.request_id \
               order by r.received_at desc, r.id desc limit ?2";
    let digests: Vec<String> = digests.iter().map(hex::encode).collect();
    let ids: Vec<Uuid> = query_scalar(sql)
        .bind(json!(digests).to_string())
        .bind(limit)
        .fetch_all(on)
        .await?;
    Ok(ids.into_iter().map(RequestId).collect())
}

/// One look at the index a tenant, however many rows it has.
pub(super) async fn tenants(on: impl SqliteExecutor<'_>, limit: u32) -> Result<Vec<Tenant>, StoreError> {
    let sql = "with recursive one(tenant) as (select min(tenant) from inbox union all \
               select (select min(i.tenant) from inbox i where i.tenant > one.tenant) from one \
               where one.tenant is not null) select tenant from one where tenant is not null limit ?1";
    let names: Vec<String> = query_scalar(sql).bind(limit).fetch_all(on).await?;
    names.iter().map(|name| codec::tenant(name)).collect()
}

pub(super) async fn of_subjects(
    on: impl SqliteExecutor<'_>,
    digests: &[SubjectDigest],
) -> Result<Vec<RequestId>, StoreError> {
    let sql = "with own as (select request_id from subject \
               where digest in (select unhex(value) from json_each(?1))) \
               select request_id from own union \
               select m.request_id from own cross join merged m on m.leader = own.request_id order by request_id";
    let digests: Vec<String> = digests.iter().map(hex::encode).collect();
    let ids: Vec<Uuid> = query_scalar(sql)
        .bind(json!(digests).to_string())
        .fetch_all(on)
        .await?;
    Ok(ids.into_iter().map(RequestId).collect())
}

pub(super) async fn leaves(
    on: impl SqliteExecutor<'_>,
    id: RequestId,
) -> Result<Vec<StoredLeaf>, StoreError> {
    let sql = "select n, leaf, sealed from ledger where request_id = ?1 order by n";
    let rows: Vec<(u32, Vec<u8>, Option<Vec<u8>>)> = query_as(sql).bind(id.0).fetch_all(on).await?;
    Ok(rows
        .into_iter()
        .map(|(n, leaf, sealed)| StoredLeaf { n, leaf, sealed })
        .collect())
}

pub(super) async fn recorded(
    on: impl SqliteExecutor<'_>,
    ids: &[RequestId],
) -> Result<Vec<RequestId>, StoreError> {
    let sql = "select l.request_id from json_each(?1) k cross join ledger l on l.request_id = unhex(k.value) and l.n = 0";
    let found: Vec<Uuid> = query_scalar(sql)
        .bind(ids_json(ids.iter().copied()))
        .fetch_all(on)
        .await?;
    Ok(found.into_iter().map(RequestId).collect())
}

pub(super) async fn inbox(
    on: impl SqliteExecutor<'_>,
    keys: &[(&Tenant, CommandId)],
) -> Result<Vec<InboxRow>, StoreError> {
    let sql = "select i.tenant, i.command_id, i.digest, i.request_id from json_each(?1) k \
               cross join inbox i on i.tenant = k.value ->> 0 and i.command_id = unhex(k.value ->> 1)";
    let keys: Vec<_> = keys
        .iter()
        .map(|(tenant, command)| (tenant.as_str(), command.0.simple().to_string()))
        .collect();
    let rows: Vec<codec::InboxColumns> = query_as(sql).bind(json!(keys).to_string()).fetch_all(on).await?;
    rows.into_iter().map(codec::inbox_row).collect()
}

pub(super) async fn counters(on: impl SqliteExecutor<'_>) -> Result<Vec<(CounterKey, i64)>, StoreError> {
    let sql = "select kind, a, b, sum(n) from counter group by kind, a, b order by kind, a, b";
    let rows: Vec<codec::CounterColumns> = query_as(sql).fetch_all(on).await?;
    Ok(rows.into_iter().filter_map(codec::counter).collect())
}

pub(super) async fn ledger_size(on: impl SqliteExecutor<'_>) -> Result<u64, StoreError> {
    let sql = "select coalesce(sum(n), 0) from counter where kind = ?1";
    let n: i64 = query_scalar(sql).bind(codec::LEDGER_LEAVES).fetch_one(on).await?;
    Ok(u64::try_from(n).unwrap_or(0))
}

pub(super) async fn oldest_open(on: impl SqliteExecutor<'_>) -> Result<Option<At>, StoreError> {
    let oldest: Option<i64> =
        query_scalar("select min(received_at) from agenda indexed by agenda_received_at")
            .fetch_one(on)
            .await?;
    Ok(oldest.map(At::from_millis))
}

pub(super) async fn keyring_mark(on: impl SqliteExecutor<'_>) -> Result<Option<Vec<u8>>, StoreError> {
    let row: Option<(Vec<u8>,)> = query_as("select mark from keyring").fetch_optional(on).await?;
    Ok(row.map(|(mark,)| mark))
}

pub(super) async fn registry(on: impl SqliteExecutor<'_>) -> Result<Option<StoredRegistry>, StoreError> {
    let sql = "select revision, text, activated_at, chain from registry order by revision desc limit 1";
    let row: Option<(u32, String, i64, Option<Vec<u8>>)> = query_as(sql).fetch_optional(on).await?;
    Ok(row.map(|(revision, text, at, chain)| StoredRegistry {
        revision,
        text,
        activated_at: At::from_millis(at),
        chain: chain.and_then(|chain| chain.try_into().ok()),
    }))
}

pub(super) async fn outbox(
    on: impl SqliteExecutor<'_>,
    before: At,
    limit: u32,
) -> Result<Vec<RequestId>, StoreError> {
    let sql = "select request_id from outbox where at < ?1 order by at, request_id limit ?2";
    let ids: Vec<Uuid> = query_scalar(sql)
        .bind(before.millis())
        .bind(limit)
        .fetch_all(on)
        .await?;
    Ok(ids.into_iter().map(RequestId).collect())
}

/// The migrations that the file says it has; none where it never had any.
pub(super) async fn applied_migrations(on: &mut SqliteConnection) -> Result<Vec<Applied>, StoreError> {
    let sql = "select count(*) from sqlite_master where type = 'table' and name = '_sqlx_migrations'";
    let tables: i64 = query_scalar(sql).fetch_one(&mut *on).await?;
    if tables == 0 {
        return Ok(Vec::new());
    }
    let sql = "select version, success, checksum from _sqlx_migrations order by version";
    Ok(query_as(sql).fetch_all(on).await?)
}

pub(super) async fn received_since(
    on: impl SqliteExecutor<'_>,
    since: At,
    limit: u32,
) -> Result<u64, StoreError> {
    let sql = "select count(*) from (select 1 from request r cross join state s on s.id = r.id \
               where r.received_at > ?1 and s.status <> ?3 limit ?2)";
    let n: i64 = query_scalar(sql)
        .bind(since.millis())
        .bind(i64::from(limit))
        .bind(Status::Merged.code())
        .fetch_one(on)
        .await?;
    Ok(n.cast_unsigned())
}
