//! What goes when it has been kept for long enough: the lines that it waits in, and its deletion.

use serde_json::json;
use sqlx::{SqliteConnection, SqliteExecutor, query, query_as};
use uuid::Uuid;

use super::{read::ids_json, write::insert_rows};
use crate::{
    domain::{ids::RequestId, time::At},
    store::{
        Changes, Closing, LastWord, Line, PurgedRow, StoreError,
        expiry::{self, ClosingColumns, LookupColumns, WordColumns},
    },
};

pub(super) async fn closings(
    on: impl SqliteExecutor<'_>,
    line: Line,
    limit: u32,
) -> Result<Vec<Closing>, StoreError> {
    let sql = match line {
        Line::Lookups => "select at, id, requests from lookups_line order by at, id limit ?1",
        Line::Records => "select at, id, requests from records_line order by at, id limit ?1",
    };
    let rows: Vec<ClosingColumns> = query_as(sql).bind(limit).fetch_all(on).await?;
    Ok(expiry::closings(line, rows))
}

pub(super) async fn leaf_counts(
    on: impl SqliteExecutor<'_>,
    ids: &[RequestId],
) -> Result<Vec<(RequestId, u32)>, StoreError> {
    let sql = "select request_id, max(n) + 1 from ledger \
               where request_id in (select unhex(value) from json_each(?1)) group by request_id";
    let rows: Vec<(Uuid, u32)> = query_as(sql)
        .bind(ids_json(ids.iter().copied()))
        .fetch_all(on)
        .await?;
    Ok(rows.into_iter().map(|(id, n)| (RequestId(id), n)).collect())
}

/// The digests first: the rows that say which they are may go next.
pub(super) async fn write(on: &mut SqliteConnection, changes: &Changes) -> Result<(), StoreError> {
    let purged: Vec<RequestId> = changes.purged.iter().map(|row| row.id).collect();
    let expired = [changes.expired.as_slice(), &purged].concat();
    if !expired.is_empty() {
        delete_lookups(on, &expired).await?;
    }
    if !changes.expired.is_empty() {
        let sql = "update request set lookups = x'' where id in (select unhex(value) from json_each(?1))";
        query(sql)
            .bind(ids_json(changes.expired.iter().copied()))
            .execute(&mut *on)
            .await?;
    }
    if !changes.purged.is_empty() {
        delete_states(on, &changes.purged).await?;
        delete_rows(on, &changes.purged).await?;
    }
    for (line, rows) in expiry::by_line(&changes.closings_done) {
        leave_line(on, line, &rows).await?;
    }
    for (line, rows) in expiry::by_line(&changes.closings) {
        stand_in_line(on, line, &rows).await?;
    }
    insert_words(on, &changes.last_words, changes.at).await
}

async fn delete_lookups(on: &mut SqliteConnection, ids: &[RequestId]) -> Result<(), StoreError> {
    let ids = ids_json(ids.iter().copied());
    let sql = "select id, lookups from request where id in (select unhex(value) from json_each(?1))";
    let rows: Vec<LookupColumns> = query_as(sql).bind(&ids).fetch_all(&mut *on).await?;
    let keys: Vec<(String, String)> = expiry::lookups(rows)
        .into_iter()
        .map(|(digest, id)| (hex::encode(digest), id.0.simple().to_string()))
        .collect();
    let sql = "delete from subject where (digest, request_id) in \
               (select unhex(value ->> 0), unhex(value ->> 1) from json_each(?1))";
    query(sql).bind(json!(keys).to_string()).execute(&mut *on).await?;
    query("delete from suppression where request_id in (select unhex(value) from json_each(?1))")
        .bind(ids)
        .execute(on)
        .await?;
    Ok(())
}

/// A row that has another revision than expected is not deleted, and the count tells.
async fn delete_states(on: &mut SqliteConnection, rows: &[PurgedRow]) -> Result<(), StoreError> {
    let keys: Vec<(String, u32)> = rows
        .iter()
        .map(|row| (row.id.0.simple().to_string(), row.revision))
        .collect();
    let sql = "delete from state where id in (select s.id from json_each(?1) v \
               cross join state s on s.id = unhex(v.value ->> 0) where s.revision = v.value ->> 1)";
    let done = query(sql).bind(json!(keys).to_string()).execute(on).await?;
    if done.rows_affected() == rows.len() as u64 {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
}

async fn delete_rows(on: &mut SqliteConnection, rows: &[PurgedRow]) -> Result<(), StoreError> {
    const EACH: [&str; 10] = [
        "delete from request where id in (select unhex(value) from json_each(?1))",
        // The commands but the one that gave the request its id: the condition is that of the index.
        "delete from inbox where request_id in (select unhex(value) from json_each(?1)) and request_id <> command_id",
        "delete from agenda where request_id in (select unhex(value) from json_each(?1))",
        "delete from deferred where request_id in (select unhex(value) from json_each(?1))",
        "delete from asked_wave where request_id in (select unhex(value) from json_each(?1))",
        "delete from undeliverable where request_id in (select unhex(value) from json_each(?1))",
        "delete from merged where leader in (select unhex(value) from json_each(?1))",
        "delete from capsule where request_id in (select unhex(value) from json_each(?1))",
        "delete from outbox where request_id in (select unhex(value) from json_each(?1))",
        // The leaves stay as they are; the free text and the references beside them go.
        "update ledger set sealed = null where request_id in (select unhex(value) from json_each(?1)) \
         and sealed is not null",
    ];
    let ids = ids_json(rows.iter().map(|row| row.id));
    for sql in EACH {
        query(sql).bind(&ids).execute(&mut *on).await?;
    }
    let keys: Vec<(&str, String)> = rows
        .iter()
        .map(|row| (row.tenant.as_str(), row.id.0.simple().to_string()))
        .collect();
    let sql = "delete from inbox where (tenant, command_id) in \
               (select value ->> 0, unhex(value ->> 1) from json_each(?1)) and request_id = command_id";
    query(sql).bind(json!(keys).to_string()).execute(on).await?;
    Ok(())
}

async fn leave_line(on: &mut SqliteConnection, line: Line, rows: &[&Closing]) -> Result<(), StoreError> {
    let sql = match line {
        Line::Lookups => "delete from lookups_line where at = ?1 and id = ?2",
        Line::Records => "delete from records_line where at = ?1 and id = ?2",
    };
    for row in rows {
        let done = query(sql)
            .bind(row.at.millis())
            .bind(row.id)
            .execute(&mut *on)
            .await?;
        if done.rows_affected() != 1 {
            return Err(StoreError::Conflict);
        }
    }
    Ok(())
}

async fn stand_in_line(on: &mut SqliteConnection, line: Line, rows: &[&Closing]) -> Result<(), StoreError> {
    let head = match line {
        Line::Lookups => "insert into lookups_line (at, id, requests) ",
        Line::Records => "insert into records_line (at, id, requests) ",
    };
    insert_rows(on, head, "", rows, |mut values, row| {
        values
            .push_bind(row.at.millis())
            .push_bind(row.id)
            .push_bind(expiry::packed_ids(&row.requests));
        Ok(())
    })
    .await?;
    Ok(())
}

async fn insert_words(on: &mut SqliteConnection, words: &[LastWord], at: At) -> Result<(), StoreError> {
    let head = "insert into last_word (id, at, kind, key) ";
    insert_rows(on, head, "", words, |mut values, word| {
        let (kind, key) = expiry::key_columns(&word.key);
        values
            .push_bind(word.id)
            .push_bind(at.millis())
            .push_bind(kind)
            .push_bind(key.to_vec());
        Ok(())
    })
    .await?;
    Ok(())
}

/// Takes them: nobody else gets them for a while.
pub(super) async fn take_last_words(
    on: impl SqliteExecutor<'_>,
    before: At,
    now: At,
    limit: u32,
) -> Result<Vec<LastWord>, StoreError> {
    let sql = "update last_word set at = ?2 where id in (select id from last_word where at < ?1 \
               order by id limit ?3) returning id, kind, key";
    let mut rows: Vec<WordColumns> = query_as(sql)
        .bind(before.millis())
        .bind(now.millis())
        .bind(limit)
        .fetch_all(on)
        .await?;
    rows.sort_by_key(|(id, ..)| *id);
    rows.into_iter().map(expiry::last_word).collect()
}

pub(super) async fn last_words_done(on: impl SqliteExecutor<'_>, ids: &[Uuid]) -> Result<(), StoreError> {
    let ids: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
    query("delete from last_word where id in (select unhex(value) from json_each(?1))")
        .bind(json!(ids).to_string())
        .execute(on)
        .await?;
    Ok(())
}
