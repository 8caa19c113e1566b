//! What is written: a statement a table and chunk of rows.

use serde_json::json;
use sqlx::{
    QueryBuilder, Sqlite, SqliteConnection, SqliteExecutor, query, query_builder::Separated, query_scalar,
};
use uuid::Uuid;

use super::{capsules, dead_letters, deferred, early, expiry, merged, read::ids_json, reseal, suppression};
use crate::{
    domain::{ids::RequestId, time::At},
    store::{
        Changes, InboxRow, LeafRow, MovedRow, OpenedRow, StoreError, codec, deferral, expiry::packed_digests,
    },
};

/// The values of one row.
pub(super) type Row<'a> = Separated<'a, Sqlite, &'static str>;

/// Rows a statement. Full chunks share one prepared statement; beyond this size the crossing between threads is noise.
const CHUNK: usize = 128;

/// Inserts rows in chunks; tells how many were written.
pub(super) async fn insert_rows<T>(
    on: &mut SqliteConnection,
    head: &'static str,
    tail: &'static str,
    rows: &[T],
    push: impl Fn(Row<'_>, &T) -> Result<(), StoreError>,
) -> Result<u64, StoreError> {
    let mut written = 0;
    for chunk in rows.chunks(CHUNK) {
        let mut builder = QueryBuilder::<Sqlite>::new(head);
        let mut pushed = Ok(());
        builder.push_values(chunk, |row, item| {
            if pushed.is_ok() {
                pushed = push(row, item);
            }
        });
        pushed?;
        builder.push(tail);
        let query = builder.build().persistent(chunk.len() == CHUNK);
        written += query.execute(&mut *on).await?.rows_affected();
    }
    Ok(written)
}

pub(super) async fn write(on: &mut SqliteConnection, changes: &Changes) -> Result<(), StoreError> {
    let (opened, moved) = (codec::opened_in_order(changes), codec::moved_in_order(changes));
    update_states(on, &moved).await?;
    insert_inbox(on, &changes.inbox).await?;
    insert_requests(on, &opened).await?;
    insert_states(on, &opened).await?;
    insert_subjects(on, &opened).await?;
    insert_leaves(on, &changes.leaves, changes.at).await?;
    write_agenda(on, &opened, &moved).await?;
    merged::write(on, changes).await?;
    deferred::write(on, changes).await?;
    reseal::write(on, &changes.resealed).await?;
    suppression::insert(on, &changes.suppression).await?;
    capsules::upsert(on, &deferral::capsules(changes)).await?;
    dead_letters::insert(on, &changes.dead_letters).await?;
    early::write(on, &changes.early, changes.at).await?;
    upsert_outbox(on, &changes.outbox, changes.at).await?;
    expiry::write(on, changes).await?;
    add_to_counters(on, changes).await
}

/// A row that has another revision than expected is not updated, and the count tells.
async fn update_states(on: &mut SqliteConnection, moved: &[&MovedRow]) -> Result<(), StoreError> {
    let head = "with v(id, from_revision, revision, status, packed, shred) as (";
    let tail = ") update state set revision = v.revision, status = v.status, packed = v.packed, \
                wrapped_key = case when v.shred then null else wrapped_key end \
                from v where state.id = v.id and state.revision = v.from_revision";
    let written = insert_rows(on, head, tail, moved, |mut row, moved| {
        row.push_bind(moved.state.id.0)
            .push_bind(moved.from_revision)
            .push_bind(moved.state.revision)
            .push_bind(moved.state.status.code())
            .push_bind(moved.state.packed.as_slice())
            .push_bind(moved.shred);
        Ok(())
    })
    .await?;
    if written == moved.len() as u64 {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
}

async fn insert_inbox(on: &mut SqliteConnection, rows: &[InboxRow]) -> Result<(), StoreError> {
    insert_rows(
        on,
        "insert into inbox (tenant, command_id, digest, request_id) ",
        "",
        rows,
        |mut row, inbox| {
            row.push_bind(inbox.tenant.as_str())
                .push_bind(inbox.command_id.0)
                .push_bind(inbox.digest.as_slice())
                .push_bind(inbox.request_id.0);
            Ok(())
        },
    )
    .await?;
    Ok(())
}

async fn insert_requests(on: &mut SqliteConnection, opened: &[&OpenedRow]) -> Result<(), StoreError> {
    let head = "insert into request (id, tenant, received_at, body, sealed, lookups) ";
    insert_rows(on, head, "", opened, |mut row, opened| {
        row.push_bind(opened.state.id.0)
            .push_bind(opened.tenant.as_str())
            .push_bind(opened.state.received_at.millis())
            .push_bind(opened.body.as_slice())
            .push_bind(opened.sealed.as_slice())
            .push_bind(packed_digests(&opened.digests));
        Ok(())
    })
    .await?;
    Ok(())
}

async fn insert_states(on: &mut SqliteConnection, opened: &[&OpenedRow]) -> Result<(), StoreError> {
    let head = "insert into state (id, revision, status, packed, wrapped_key) ";
    insert_rows(on, head, "", opened, |mut row, opened| {
        row.push_bind(opened.state.id.0)
            .push_bind(opened.state.revision)
            .push_bind(opened.state.status.code())
            .push_bind(opened.state.packed.as_slice())
            .push_bind(opened.wrapped_key.as_deref());
        Ok(())
    })
    .await?;
    Ok(())
}

async fn insert_subjects(on: &mut SqliteConnection, opened: &[&OpenedRow]) -> Result<(), StoreError> {
    let rows = codec::subjects(opened);
    insert_rows(
        on,
        "insert into subject (digest, request_id) ",
        // A request that was purged and is opened again may find a row of its first life.
        " on conflict do nothing",
        &rows,
        |mut row, (digest, id)| {
            row.push_bind(digest.as_slice()).push_bind(id.0);
            Ok(())
        },
    )
    .await?;
    Ok(())
}

/// The leaves, and the order in which the transaction gave them.
async fn insert_leaves(on: &mut SqliteConnection, leaves: &[LeafRow], at: At) -> Result<(), StoreError> {
    if leaves.is_empty() {
        return Ok(());
    }
    insert_rows(
        on,
        "insert into ledger (request_id, n, leaf, sealed) ",
        "",
        leaves,
        |mut row, leaf| {
            row.push_bind(leaf.request_id.0)
                .push_bind(leaf.n)
                .push_bind(leaf.leaf.as_slice())
                .push_bind(leaf.sealed.as_deref());
            Ok(())
        },
    )
    .await?;
    query("insert into ledger_batch (id, at, count, keys) values (?1, ?2, ?3, ?4)")
        .bind(codec::id_at(at))
        .bind(at.millis())
        .bind(i64::try_from(leaves.len()).unwrap_or(i64::MAX))
        .bind(codec::leaf_keys(leaves))
        .execute(on)
        .await?;
    Ok(())
}

async fn write_agenda(
    on: &mut SqliteConnection,
    opened: &[&OpenedRow],
    moved: &[&MovedRow],
) -> Result<(), StoreError> {
    let (set, deleted) = codec::wakes(opened, moved);
    let head = "insert into agenda (request_id, wake_at, received_at) ";
    // A row is missing where a closed request is opened again.
    let tail = " on conflict (request_id) do update set wake_at = excluded.wake_at \
                where agenda.wake_at <> excluded.wake_at";
    insert_rows(on, head, tail, &set, |mut row, (id, at, received)| {
        row.push_bind(id.0)
            .push_bind(at.millis())
            .push_bind(received.millis());
        Ok(())
    })
    .await?;
    if !deleted.is_empty() {
        let sql = "delete from agenda where request_id in (select unhex(value) from json_each(?1))";
        query(sql).bind(ids_json(deleted)).execute(on).await?;
    }
    Ok(())
}

async fn upsert_outbox(
    on: &mut SqliteConnection,
    rows: &[(RequestId, u32)],
    at: At,
) -> Result<(), StoreError> {
    let rows: Vec<_> = codec::highest(rows).into_iter().collect();
    let head = "insert into outbox (request_id, revision, at) ";
    let tail = " on conflict (request_id) do update set revision = excluded.revision, at = excluded.at \
                where outbox.revision < excluded.revision";
    insert_rows(on, head, tail, &rows, |mut row, (id, revision)| {
        row.push_bind(id.0).push_bind(*revision).push_bind(at.millis());
        Ok(())
    })
    .await?;
    Ok(())
}

async fn add_to_counters(on: &mut SqliteConnection, changes: &Changes) -> Result<(), StoreError> {
    let sums: Vec<_> = codec::counters(changes).into_iter().collect();
    let head = "insert into counter (slot, kind, a, b, n) ";
    let tail = " on conflict (slot, kind, a, b) do update set n = counter.n + excluded.n";
    insert_rows(on, head, tail, &sums, |mut row, ((kind, a, b), n)| {
        // The same bits as in PostgreSQL, whose smallint has a sign.
        row.push_bind(changes.slot.cast_signed())
            .push_bind(*kind)
            .push_bind(*a)
            .push_bind(*b)
            .push_bind(*n);
        Ok(())
    })
    .await?;
    Ok(())
}

pub(super) async fn mark_keyring(on: impl SqliteExecutor<'_>, mark: &[u8]) -> Result<(), StoreError> {
    let sql = "insert into keyring (one, mark) values (1, ?1) on conflict do nothing";
    query(sql).bind(mark).execute(on).await?;
    Ok(())
}

/// Takes rows that nobody has produced for long.
pub(super) async fn take_outbox(
    on: impl SqliteExecutor<'_>,
    before: At,
    now: At,
    limit: u32,
) -> Result<Vec<RequestId>, StoreError> {
    let sql = "update outbox set at = ?2 where request_id in (select request_id from outbox where at < ?1 \
               order by at, request_id limit ?3) returning request_id";
    let mut ids: Vec<Uuid> = query_scalar(sql)
        .bind(before.millis())
        .bind(now.millis())
        .bind(limit)
        .fetch_all(on)
        .await?;
    ids.sort_unstable();
    Ok(ids.into_iter().map(RequestId).collect())
}

pub(super) async fn keep_outbox(
    on: impl SqliteExecutor<'_>,
    ids: &[RequestId],
    now: At,
) -> Result<(), StoreError> {
    let ids: Vec<String> = ids.iter().map(|id| id.0.simple().to_string()).collect();
    let sql =
        "update outbox set at = ?2 where at < ?2 and request_id in (select unhex(value) from json_each(?1))";
    query(sql)
        .bind(json!(ids).to_string())
        .bind(now.millis())
        .execute(on)
        .await?;
    Ok(())
}

/// What has moved on since it was produced stays.
pub(super) async fn outbox_done(
    on: impl SqliteExecutor<'_>,
    done: &[(RequestId, u32)],
) -> Result<(), StoreError> {
    let done: Vec<_> = codec::highest(done)
        .into_iter()
        .map(|(id, revision)| (id.0.simple().to_string(), revision))
        .collect();
    let sql = "delete from outbox where request_id in (select o.request_id from json_each(?1) v \
               cross join outbox o on o.request_id = unhex(v.value ->> 0) where o.revision <= v.value ->> 1)";
    query(sql).bind(json!(done).to_string()).execute(on).await?;
    Ok(())
}
