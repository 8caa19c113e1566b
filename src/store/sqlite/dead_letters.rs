//! Messages that could not be taken in.

use serde_json::json;
use sqlx::{SqliteConnection, SqliteExecutor, query, query_as};
use uuid::Uuid;

use super::write::insert_rows;
use crate::{
    domain::{time::At, words::CommandKind},
    store::{
        DeadLetter, DeadLetterFilter, DeadLetterState, OpenLetters, Origin, StoreError,
        codec::{
            LetterColumns, OpenLettersColumns, kept_bytes, kept_size, letter_code, open_letters,
            packed_letter_ids,
        },
    },
};

pub(super) async fn list(
    on: impl SqliteExecutor<'_>,
    filter: DeadLetterFilter,
) -> Result<Vec<DeadLetter>, StoreError> {
    // Two texts, so that the index of open ones serves the list that people look at.
    let sql = if filter.open_only {
        "select id, cluster, topic, part, off, incarnation, reason, detail, kind, at, state, case when ?3 then sealed end as sealed, \
         case when ?3 then headers end as headers, ids from dead_letter \
         where state = 0 and id > ?1 order by id limit ?2"
    } else {
        "select id, cluster, topic, part, off, incarnation, reason, detail, kind, at, state, case when ?3 then sealed end as sealed, \
         case when ?3 then headers end as headers, ids from dead_letter \
         where id > ?1 order by id limit ?2"
    };
    let rows: Vec<LetterColumns> = query_as(sql)
        .bind(filter.after.unwrap_or(Uuid::nil()))
        .bind(filter.limit)
        .bind(filter.with_payload)
        .fetch_all(on)
        .await?;
    rows.into_iter().map(LetterColumns::into_letter).collect()
}

pub(super) async fn one(on: impl SqliteExecutor<'_>, id: Uuid) -> Result<Option<DeadLetter>, StoreError> {
    let sql = "select id, cluster, topic, part, off, incarnation, reason, detail, kind, at, state, sealed, headers, ids from dead_letter where id = ?1";
    let row: Option<LetterColumns> = query_as(sql).bind(id).fetch_optional(on).await?;
    row.map(LetterColumns::into_letter).transpose()
}

pub(super) async fn of_origins(
    on: impl SqliteExecutor<'_>,
    origins: &[Origin],
) -> Result<Vec<DeadLetter>, StoreError> {
    let sql = "select d.id, d.cluster, d.topic, d.part, d.off, d.incarnation, d.reason, d.detail, d.kind, d.at, d.state, d.sealed, d.headers, d.ids \
               from json_each(?1) o cross join dead_letter d on d.cluster = o.value ->> 0 \
               and d.topic = o.value ->> 1 and d.part = o.value ->> 2 and d.off = o.value ->> 3 \
               and d.incarnation = o.value ->> 4";
    let rows: Vec<LetterColumns> = query_as(sql).bind(origins_json(origins)).fetch_all(on).await?;
    rows.into_iter().map(LetterColumns::into_letter).collect()
}

/// The counts are kept by the table itself, and each oldest one is the first of its range of an index.
pub(super) async fn open(on: impl SqliteExecutor<'_>) -> Result<Vec<OpenLetters>, StoreError> {
    let sql = "select reason, nullif(kind, ''), n, oldest from ( \
                 select c.reason, c.kind, c.n, ( \
                   select d.at from dead_letter d indexed by dead_letter_open_at \
                   where d.state = 0 and d.reason = c.reason and coalesce(d.kind, '') = c.kind order by d.at limit 1) as oldest \
                 from open_letter c where c.n > 0) \
               where oldest is not null order by reason, kind";
    let rows: Vec<OpenLettersColumns> = query_as(sql).fetch_all(on).await?;
    Ok(rows.into_iter().map(open_letters).collect())
}

pub(super) async fn close(
    on: impl SqliteExecutor<'_>,
    id: Uuid,
    how: DeadLetterState,
    note: &str,
    at: At,
) -> Result<bool, StoreError> {
    // What it asked for has been decided about: its bytes are needed by nobody any more.
    let sql = "update dead_letter set state = ?2, note = ?3, closed_at = ?4, sealed = null, headers = null, \
               size = null where id = ?1 and state = 0";
    let done = query(sql)
        .bind(id)
        .bind(letter_code(how))
        .bind(note)
        .bind(at.millis())
        .execute(on)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The same message brings the same dead letter, however often it is read.
pub(super) async fn insert(on: &mut SqliteConnection, letters: &[DeadLetter]) -> Result<(), StoreError> {
    let into = "insert into dead_letter (id, cluster, topic, part, off, reason, detail, kind, at, state, sealed, headers, ids, size, \
                incarnation) ";
    let or_not = " on conflict (cluster, topic, part, off, incarnation) do nothing";
    insert_rows(on, into, or_not, letters, |mut row, letter| {
        let (sealed, headers) = kept_bytes(letter);
        row.push_bind(letter.id)
            .push_bind(&*letter.origin.cluster)
            .push_bind(&*letter.origin.topic)
            .push_bind(letter.origin.partition)
            .push_bind(letter.origin.offset)
            .push_bind(letter.reason.as_str())
            .push_bind(letter.detail.as_str())
            .push_bind(letter.kind.map(CommandKind::as_str))
            .push_bind(letter.at.millis())
            .push_bind(letter_code(letter.state))
            .push_bind(sealed)
            .push_bind(headers)
            .push_bind(packed_letter_ids(letter))
            .push_bind(kept_size(letter))
            .push_bind(letter.origin.incarnation);
        Ok(())
    })
    .await?;
    Ok(())
}

/// Where messages came from, for `json_each`.
pub(super) fn origins_json(origins: &[Origin]) -> String {
    let origins: Vec<_> = origins
        .iter()
        .map(|origin| {
            let Origin {
                cluster,
                topic,
                partition,
                offset,
                incarnation,
            } = origin;
            (&**cluster, &**topic, partition, offset, incarnation)
        })
        .collect();
    json!(origins).to_string()
}
