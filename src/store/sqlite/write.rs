//! What is written: a statement a table and chunk of rows.

use sqlx::{SqliteConnection, query};

use super::{deferred, insert_rows::insert_rows, requests::ids_json};
use crate::{
    domain::time::At,
    store::{
        changes::Changes,
        error::StoreError,
        in_order::{self, packed_digests},
        ledger::LeafRow,
        requests::{InboxRow, MovedRow, OpenedRow},
        sql,
    },
};

pub(super) async fn write(on: &mut SqliteConnection, changes: &Changes) -> Result<(), StoreError> {
    let (opened, moved) = (
        in_order::opened_in_order(changes),
        in_order::moved_in_order(changes),
    );
    update_states(on, &moved).await?;
    insert_inbox(on, &changes.inbox).await?;
    insert_requests(on, &opened).await?;
    insert_states(on, &opened).await?;
    insert_subjects(on, &opened).await?;
    insert_leaves(on, &changes.leaves, changes.at).await?;
    write_agenda(on, &opened, &moved).await?;
    sql::write_before_deferred(on, changes).await?;
    let deferred = in_order::last_of_each(&changes.deferred, |row| (row.request_id, row.ordinal));
    deferred::upsert(on, &deferred).await?;
    sql::write_cold(on, changes).await?;
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
    let head = "insert into request (id, tenant, received_at, body, sealed, lookups, ticket) ";
    insert_rows(on, head, "", opened, |mut row, opened| {
        row.push_bind(opened.state.id.0)
            .push_bind(opened.tenant.as_str())
            .push_bind(opened.state.received_at.millis())
            .push_bind(opened.body.as_slice())
            .push_bind(opened.sealed.as_slice())
            .push_bind(packed_digests(&opened.digests))
            .push_bind(opened.ticket.as_ref().map(<[u8; 16]>::as_slice));
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
    let rows = in_order::subjects(opened);
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
        .bind(in_order::id_at(at))
        .bind(at.millis())
        .bind(i64::try_from(leaves.len()).unwrap_or(i64::MAX))
        .bind(in_order::leaf_keys(leaves))
        .execute(on)
        .await?;
    Ok(())
}

async fn write_agenda(
    on: &mut SqliteConnection,
    opened: &[&OpenedRow],
    moved: &[&MovedRow],
) -> Result<(), StoreError> {
    let (set, deleted) = in_order::wakes(opened, moved);
    let head = "insert into agenda (request_id, wake_at, received_at, deadline, parked) ";
    // A row is missing where a closed request is opened again.
    let tail = " on conflict (request_id) do update set wake_at = excluded.wake_at, deadline = excluded.deadline, \
                parked = excluded.parked where agenda.wake_at <> excluded.wake_at or agenda.parked <> excluded.parked \
                or agenda.deadline is not excluded.deadline";
    insert_rows(
        on,
        head,
        tail,
        &set,
        |mut row, (id, at, received, due, parked)| {
            row.push_bind(id.0)
                .push_bind(at.millis())
                .push_bind(received.millis())
                .push_bind(due.millis())
                .push_bind(*parked);
            Ok(())
        },
    )
    .await?;
    if !deleted.is_empty() {
        let sql = "delete from agenda where request_id in (select unhex(value) from json_each(?1))";
        query(sql).bind(ids_json(deleted)).execute(on).await?;
    }
    Ok(())
}

async fn add_to_counters(on: &mut SqliteConnection, changes: &Changes) -> Result<(), StoreError> {
    let sums: Vec<_> = in_order::counters(changes).into_iter().collect();
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
