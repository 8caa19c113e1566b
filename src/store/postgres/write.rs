//! What is written: one statement a table, its rows as arrays, in the order that the store's locks are taken in.

use sqlx::{PgConnection, query};
use uuid::Uuid;

use super::deferred;
use crate::{
    domain::time::At,
    store::{
        changes::Changes,
        error::StoreError,
        in_order::{self, packed_digests},
        ledger::LeafRow,
        requests::{InboxRow, MovedRow, OpenedRow, StateRow},
        sql,
    },
};

pub(super) async fn write(on: &mut PgConnection, changes: &Changes) -> Result<(), StoreError> {
    let (opened, moved) = (
        in_order::opened_in_order(changes),
        in_order::moved_in_order(changes),
    );
    if !moved.is_empty() {
        update_states(on, &moved).await?;
    }
    if !changes.inbox.is_empty() {
        insert_inbox(on, &changes.inbox).await?;
    }
    if !opened.is_empty() {
        insert_requests(on, &opened).await?;
        insert_states(on, &opened).await?;
        insert_subjects(on, &opened).await?;
    }
    if !changes.leaves.is_empty() {
        insert_leaves(on, &changes.leaves).await?;
        insert_ledger_batch(on, &changes.leaves, changes.at).await?;
    }
    write_agenda(on, &opened, &moved).await?;
    sql::write_before_deferred(on, changes).await?;
    let deferred = in_order::last_of_each(&changes.deferred, |row| (row.request_id, row.ordinal));
    deferred::upsert(on, &deferred).await?;
    sql::write_cold(on, changes).await?;
    add_to_counters(on, changes).await
}

/// A row that has another revision than expected is not updated, and the count tells.
async fn update_states(on: &mut PgConnection, moved: &[&MovedRow]) -> Result<(), StoreError> {
    let sql = "update state s set revision = v.revision, status = v.status, packed = v.packed, \
               wrapped_key = case when v.shred then null else s.wrapped_key end \
               from unnest($1::uuid[], $2::int4[], $3::int4[], $4::int2[], $5::bytea[], $6::bool[]) \
               as v(id, from_revision, revision, status, packed, shred) \
               where s.id = v.id and s.revision = v.from_revision";
    let done = query(sql)
        .bind(moved.iter().map(|row| row.state.id.0).collect::<Vec<_>>())
        .bind(
            moved
                .iter()
                .map(|row| row.from_revision.cast_signed())
                .collect::<Vec<_>>(),
        )
        .bind(
            moved
                .iter()
                .map(|row| row.state.revision.cast_signed())
                .collect::<Vec<_>>(),
        )
        .bind(moved.iter().map(|row| status(&row.state)).collect::<Vec<_>>())
        .bind(
            moved
                .iter()
                .map(|row| row.state.packed.as_slice())
                .collect::<Vec<_>>(),
        )
        .bind(moved.iter().map(|row| row.shred).collect::<Vec<_>>())
        .execute(on)
        .await?;
    if done.rows_affected() == moved.len() as u64 {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
}

async fn insert_inbox(on: &mut PgConnection, rows: &[InboxRow]) -> Result<(), StoreError> {
    let mut rows: Vec<&InboxRow> = rows.iter().collect();
    rows.sort_unstable_by(|x, y| (&x.tenant, x.command_id).cmp(&(&y.tenant, y.command_id)));
    let sql = "insert into inbox (tenant, command_id, digest, request_id) \
               select * from unnest($1::text[], $2::uuid[], $3::bytea[], $4::uuid[])";
    query(sql)
        .bind(rows.iter().map(|row| row.tenant.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.command_id.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.digest.as_slice()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.request_id.0).collect::<Vec<_>>())
        .execute(on)
        .await?;
    Ok(())
}

async fn insert_requests(on: &mut PgConnection, opened: &[&OpenedRow]) -> Result<(), StoreError> {
    let sql = "insert into request (id, tenant, received_at, body, sealed, lookups, ticket) \
               select * from unnest($1::uuid[], $2::text[], $3::int8[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[])";
    query(sql)
        .bind(ids(opened))
        .bind(opened.iter().map(|row| row.tenant.as_str()).collect::<Vec<_>>())
        .bind(
            opened
                .iter()
                .map(|row| row.state.received_at.millis())
                .collect::<Vec<_>>(),
        )
        .bind(opened.iter().map(|row| row.body.as_slice()).collect::<Vec<_>>())
        .bind(opened.iter().map(|row| row.sealed.as_slice()).collect::<Vec<_>>())
        .bind(
            opened
                .iter()
                .map(|row| packed_digests(&row.digests))
                .collect::<Vec<_>>(),
        )
        .bind(
            opened
                .iter()
                .map(|row| row.ticket.as_ref().map(<[u8; 16]>::as_slice))
                .collect::<Vec<_>>(),
        )
        .execute(on)
        .await?;
    Ok(())
}

async fn insert_states(on: &mut PgConnection, opened: &[&OpenedRow]) -> Result<(), StoreError> {
    let sql = "insert into state (id, revision, status, packed, wrapped_key) \
               select * from unnest($1::uuid[], $2::int4[], $3::int2[], $4::bytea[], $5::bytea[])";
    query(sql)
        .bind(ids(opened))
        .bind(
            opened
                .iter()
                .map(|row| row.state.revision.cast_signed())
                .collect::<Vec<_>>(),
        )
        .bind(opened.iter().map(|row| status(&row.state)).collect::<Vec<_>>())
        .bind(
            opened
                .iter()
                .map(|row| row.state.packed.as_slice())
                .collect::<Vec<_>>(),
        )
        .bind(
            opened
                .iter()
                .map(|row| row.wrapped_key.as_deref())
                .collect::<Vec<_>>(),
        )
        .execute(on)
        .await?;
    Ok(())
}

async fn insert_subjects(on: &mut PgConnection, opened: &[&OpenedRow]) -> Result<(), StoreError> {
    let rows = in_order::subjects(opened);
    if rows.is_empty() {
        return Ok(());
    }
    // A request that was purged and is opened again may find a row of its first life.
    let sql = "insert into subject (digest, request_id) select * from unnest($1::bytea[], $2::uuid[]) \
               on conflict do nothing";
    query(sql)
        .bind(
            rows.iter()
                .map(|(digest, _)| digest.as_slice())
                .collect::<Vec<_>>(),
        )
        .bind(rows.iter().map(|(_, id)| id.0).collect::<Vec<_>>())
        .execute(on)
        .await?;
    Ok(())
}

async fn insert_leaves(on: &mut PgConnection, leaves: &[LeafRow]) -> Result<(), StoreError> {
    let sql = "insert into ledger (request_id, n, leaf, sealed) \
               select * from unnest($1::uuid[], $2::int4[], $3::bytea[], $4::bytea[])";
    let mut rows: Vec<&LeafRow> = leaves.iter().collect();
    rows.sort_unstable_by_key(|row| (row.request_id, row.n));
    query(sql)
        .bind(rows.iter().map(|row| row.request_id.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.n.cast_signed()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.leaf.as_slice()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.sealed.as_deref()).collect::<Vec<_>>())
        .execute(on)
        .await?;
    Ok(())
}

/// Keeps the order in which the transaction gave its leaves.
async fn insert_ledger_batch(on: &mut PgConnection, leaves: &[LeafRow], at: At) -> Result<(), StoreError> {
    query("insert into ledger_batch (id, at, count, keys) values ($1, $2, $3, $4)")
        .bind(in_order::id_at(at))
        .bind(at.millis())
        .bind(i32::try_from(leaves.len()).unwrap_or(i32::MAX))
        .bind(in_order::leaf_keys(leaves))
        .execute(on)
        .await?;
    Ok(())
}

async fn write_agenda(
    on: &mut PgConnection,
    opened: &[&OpenedRow],
    moved: &[&MovedRow],
) -> Result<(), StoreError> {
    let (set, deleted) = in_order::wakes(opened, moved);
    if !set.is_empty() {
        // A row is missing where a closed request is opened again.
        let sql = "insert into agenda (request_id, wake_at, received_at, deadline, parked) \
                   select * from unnest($1::uuid[], $2::int8[], $3::int8[], $4::int8[], $5::bool[]) \
                   on conflict (request_id) do update set wake_at = excluded.wake_at, deadline = excluded.deadline, \
                   parked = excluded.parked where agenda.wake_at <> excluded.wake_at or agenda.parked <> excluded.parked \
                   or agenda.deadline is distinct from excluded.deadline";
        query(sql)
            .bind(set.iter().map(|(id, ..)| id.0).collect::<Vec<_>>())
            .bind(set.iter().map(|(_, at, ..)| at.millis()).collect::<Vec<_>>())
            .bind(
                set.iter()
                    .map(|(_, _, received, ..)| received.millis())
                    .collect::<Vec<_>>(),
            )
            .bind(
                set.iter()
                    .map(|(_, _, _, due, _)| due.millis())
                    .collect::<Vec<_>>(),
            )
            .bind(set.iter().map(|(.., parked)| *parked).collect::<Vec<_>>())
            .execute(&mut *on)
            .await?;
    }
    if !deleted.is_empty() {
        let sql = "delete from agenda a using unnest($1::uuid[]) as v(id) where a.request_id = v.id";
        query(sql)
            .bind(deleted.iter().map(|id| id.0).collect::<Vec<_>>())
            .execute(on)
            .await?;
    }
    Ok(())
}

/// Last of all, because workers that share a slot wait here for each other's commit.
async fn add_to_counters(on: &mut PgConnection, changes: &Changes) -> Result<(), StoreError> {
    let sums = in_order::counters(changes);
    if sums.is_empty() {
        return Ok(());
    }
    let sql = "insert into counter (slot, kind, a, b, n) \
               select $1, v.kind, v.a, v.b, v.n from unnest($2::text[], $3::text[], $4::text[], $5::int8[]) \
               as v(kind, a, b, n) on conflict (slot, kind, a, b) do update set n = counter.n + excluded.n";
    query(sql)
        .bind(changes.slot.cast_signed())
        .bind(sums.keys().map(|(kind, ..)| *kind).collect::<Vec<_>>())
        .bind(sums.keys().map(|(_, a, _)| *a).collect::<Vec<_>>())
        .bind(sums.keys().map(|(.., b)| *b).collect::<Vec<_>>())
        .bind(sums.values().copied().collect::<Vec<_>>())
        .execute(on)
        .await?;
    Ok(())
}

fn ids(opened: &[&OpenedRow]) -> Vec<Uuid> {
    opened.iter().map(|row| row.state.id.0).collect()
}

fn status(state: &StateRow) -> i16 {
    i16::from(state.status.code())
}
