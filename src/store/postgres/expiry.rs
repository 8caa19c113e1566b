//! What goes when it has been kept for long enough: the lines that it waits in, and its deletion.

use sqlx::{PgConnection, PgExecutor, query, query_as};
use uuid::Uuid;

use super::read::uuids;
use crate::{
    domain::{identity::SubjectDigest, ids::RequestId, time::At},
    store::{
        Changes, Closing, LastWord, Line, PurgedRow, StoreError,
        expiry::{self, ClosingColumns, LookupColumns, WordColumns},
    },
};

pub(super) async fn closings(
    on: impl PgExecutor<'_>,
    line: Line,
    limit: u32,
) -> Result<Vec<Closing>, StoreError> {
    let sql = match line {
        Line::Lookups => {
            "select at, id, requests from lookups_line order by at, id limit $1 for update skip locked"
        }
        Line::Records => {
            "select at, id, requests from records_line order by at, id limit $1 for update skip locked"
        }
    };
    let rows: Vec<ClosingColumns> = query_as(sql).bind(i64::from(limit)).fetch_all(on).await?;
    Ok(expiry::closings(line, rows))
}

pub(super) async fn leaf_counts(
    on: impl PgExecutor<'_>,
    ids: &[RequestId],
) -> Result<Vec<(RequestId, u32)>, StoreError> {
    let sql = "select l.request_id, max(l.n) + 1 from unnest($1::uuid[]) as v(id) \
               join ledger l on l.request_id = v.id group by l.request_id";
    let rows: Vec<(Uuid, i32)> = query_as(sql).bind(uuids(ids)).fetch_all(on).await?;
    Ok(rows
        .into_iter()
        .map(|(id, n)| (RequestId(id), n.cast_unsigned()))
        .collect())
}

/// The digests first: the rows that say which they are may go next.
pub(super) async fn write(on: &mut PgConnection, changes: &Changes) -> Result<(), StoreError> {
    let purged: Vec<RequestId> = changes.purged.iter().map(|row| row.id).collect();
    let expired = [changes.expired.as_slice(), &purged].concat();
    if !expired.is_empty() {
        delete_lookups(on, &expired).await?;
    }
    if !changes.expired.is_empty() {
        query("update request r set lookups = '' from unnest($1::uuid[]) as v(id) where r.id = v.id")
            .bind(uuids(&changes.expired))
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
    if !changes.last_words.is_empty() {
        insert_words(on, &changes.last_words, changes.at).await?;
    }
    Ok(())
}

async fn delete_lookups(on: &mut PgConnection, ids: &[RequestId]) -> Result<(), StoreError> {
    let sql = "select id, lookups from request where id = any($1)";
    let rows: Vec<LookupColumns> = query_as(sql).bind(uuids(ids)).fetch_all(&mut *on).await?;
    let (digests, owners): (Vec<SubjectDigest>, Vec<Uuid>) = expiry::lookups(rows)
        .into_iter()
        .map(|(digest, id)| (digest, id.0))
        .unzip();
    let sql = "delete from subject s using unnest($1::bytea[], $2::uuid[]) as v(digest, id) \
               where s.digest = v.digest and s.request_id = v.id";
    query(sql)
        .bind(digests.iter().map(<[u8; 16]>::as_slice).collect::<Vec<_>>())
        .bind(owners)
        .execute(&mut *on)
        .await?;
    query("delete from suppression s using unnest($1::uuid[]) as v(id) where s.request_id = v.id")
        .bind(uuids(ids))
        .execute(on)
        .await?;
    Ok(())
}

/// A row that has another revision than expected is not deleted, and the count tells.
async fn delete_states(on: &mut PgConnection, rows: &[PurgedRow]) -> Result<(), StoreError> {
    let sql = "delete from state s using unnest($1::uuid[], $2::int4[]) as v(id, revision) \
               where s.id = v.id and s.revision = v.revision";
    let done = query(sql)
        .bind(rows.iter().map(|row| row.id.0).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|row| row.revision.cast_signed())
                .collect::<Vec<_>>(),
        )
        .execute(on)
        .await?;
    if done.rows_affected() == rows.len() as u64 {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
}

async fn delete_rows(on: &mut PgConnection, rows: &[PurgedRow]) -> Result<(), StoreError> {
    const EACH: [&str; 10] = [
        "delete from request r using unnest($1::uuid[]) as v(id) where r.id = v.id",
        // The commands but the one that gave the request its id: the condition is that of the index.
        "delete from inbox i using unnest($1::uuid[]) as v(id) where i.request_id = v.id and i.request_id <> i.command_id",
        "delete from agenda a using unnest($1::uuid[]) as v(id) where a.request_id = v.id",
        "delete from deferred d using unnest($1::uuid[]) as v(id) where d.request_id = v.id",
        "delete from asked_wave w using unnest($1::uuid[]) as v(id) where w.request_id = v.id",
        "delete from undeliverable u using unnest($1::uuid[]) as v(id) where u.request_id = v.id",
        "delete from merged m using unnest($1::uuid[]) as v(id) where m.leader = v.id",
        "delete from capsule c using unnest($1::uuid[]) as v(id) where c.request_id = v.id",
        "delete from outbox o using unnest($1::uuid[]) as v(id) where o.request_id = v.id",
        // The leaves stay as they are; the free text and the references beside them go.
        "update ledger l set sealed = null from unnest($1::uuid[]) as v(id) \
         where l.request_id = v.id and l.sealed is not null",
    ];
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id.0).collect();
    for sql in EACH {
        query(sql).bind(&ids).execute(&mut *on).await?;
    }
    let sql = "delete from inbox i using unnest($1::text[], $2::uuid[]) as v(tenant, id) \
               where i.tenant = v.tenant and i.command_id = v.id and i.request_id = v.id";
    query(sql)
        .bind(rows.iter().map(|row| row.tenant.as_str()).collect::<Vec<_>>())
        .bind(ids)
        .execute(on)
        .await?;
    Ok(())
}

async fn leave_line(on: &mut PgConnection, line: Line, rows: &[&Closing]) -> Result<(), StoreError> {
    let sql = match line {
        Line::Lookups => {
            "delete from lookups_line l using unnest($1::int8[], $2::uuid[]) as v(at, id) \
             where l.at = v.at and l.id = v.id"
        }
        Line::Records => {
            "delete from records_line l using unnest($1::int8[], $2::uuid[]) as v(at, id) \
             where l.at = v.at and l.id = v.id"
        }
    };
    let done = query(sql)
        .bind(rows.iter().map(|row| row.at.millis()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.id).collect::<Vec<_>>())
        .execute(on)
        .await?;
    if done.rows_affected() == rows.len() as u64 {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
}

async fn stand_in_line(on: &mut PgConnection, line: Line, rows: &[&Closing]) -> Result<(), StoreError> {
    let sql = match line {
        Line::Lookups => {
            "insert into lookups_line (at, id, requests) select * from unnest($1::int8[], $2::uuid[], $3::bytea[])"
        }
        Line::Records => {
            "insert into records_line (at, id, requests) select * from unnest($1::int8[], $2::uuid[], $3::bytea[])"
        }
    };
    query(sql)
        .bind(rows.iter().map(|row| row.at.millis()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.id).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|row| expiry::packed_ids(&row.requests))
                .collect::<Vec<_>>(),
        )
        .execute(on)
        .await?;
    Ok(())
}

async fn insert_words(on: &mut PgConnection, words: &[LastWord], at: At) -> Result<(), StoreError> {
    let sql = "insert into last_word (id, at, kind, key) \
               select v.id, $4, v.kind, v.key from unnest($1::uuid[], $2::int2[], $3::bytea[]) as v(id, kind, key)";
    let (kinds, keys): (Vec<i16>, Vec<&[u8]>) =
        words.iter().map(|word| expiry::key_columns(&word.key)).unzip();
    query(sql)
        .bind(words.iter().map(|word| word.id).collect::<Vec<_>>())
        .bind(kinds)
        .bind(keys)
        .bind(at.millis())
        .execute(on)
        .await?;
    Ok(())
}

/// Takes them: nobody else gets them for a while.
pub(super) async fn take_last_words(
    on: impl PgExecutor<'_>,
    before: At,
    now: At,
    limit: u32,
) -> Result<Vec<LastWord>, StoreError> {
    let sql = "update last_word w set at = $2 from (select id from last_word where at < $1 \
               order by id limit $3 for update skip locked) as v where w.id = v.id returning w.id, w.kind, w.key";
    let mut rows: Vec<WordColumns> = query_as(sql)
        .bind(before.millis())
        .bind(now.millis())
        .bind(i64::from(limit))
        .fetch_all(on)
        .await?;
    rows.sort_by_key(|(id, ..)| *id);
    rows.into_iter().map(expiry::last_word).collect()
}

pub(super) async fn last_words_done(on: impl PgExecutor<'_>, ids: &[Uuid]) -> Result<(), StoreError> {
    query("delete from last_word w using unnest($1::uuid[]) as v(id) where w.id = v.id")
        .bind(ids)
        .execute(on)
        .await?;
    Ok(())
}
