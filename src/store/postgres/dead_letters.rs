//! Messages that could not be taken in.

use sqlx::{PgConnection, PgExecutor, query, query_as};
use uuid::Uuid;

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
    on: impl PgExecutor<'_>,
    filter: DeadLetterFilter,
) -> Result<Vec<DeadLetter>, StoreError> {
    // Two texts, so that the index of open ones serves the list that people look at.
    let sql = if filter.open_only {
        "select id, cluster, topic, part, off, incarnation, reason, detail, kind, at, state, case when $3 then sealed end as sealed, \
         case when $3 then headers end as headers, ids from dead_letter \
         where state = 0 and id > $1 order by id limit $2"
    } else {
        "select id, cluster, topic, part, off, incarnation, reason, detail, kind, at, state, case when $3 then sealed end as sealed, \
         case when $3 then headers end as headers, ids from dead_letter \
         where id > $1 order by id limit $2"
    };
    let rows: Vec<LetterColumns> = query_as(sql)
        .bind(filter.after.unwrap_or(Uuid::nil()))
        .bind(i64::from(filter.limit))
        .bind(filter.with_payload)
        .fetch_all(on)
        .await?;
    rows.into_iter().map(LetterColumns::into_letter).collect()
}

pub(super) async fn one(on: impl PgExecutor<'_>, id: Uuid) -> Result<Option<DeadLetter>, StoreError> {
    let sql = "select id, cluster, topic, part, off, incarnation, reason, detail, kind, at, state, sealed, headers, ids from dead_letter where id = $1";
    let row: Option<LetterColumns> = query_as(sql).bind(id).fetch_optional(on).await?;
    row.map(LetterColumns::into_letter).transpose()
}

pub(super) async fn of_origins(
    on: impl PgExecutor<'_>,
    origins: &[Origin],
) -> Result<Vec<DeadLetter>, StoreError> {
    let sql = "select d.id, d.cluster, d.topic, d.part, d.off, d.incarnation, d.reason, d.detail, d.kind, d.at, d.state, d.sealed, d.headers, d.ids \
               from unnest($1::text[], $2::text[], $3::int4[], $4::int8[], $5::int4[]) as o(cluster, topic, part, off, incarnation) \
               join dead_letter d on d.cluster = o.cluster and d.topic = o.topic and d.part = o.part and d.off = o.off \
               and d.incarnation = o.incarnation";
    let rows: Vec<LetterColumns> = query_as(sql)
        .bind(origins.iter().map(|origin| &*origin.cluster).collect::<Vec<_>>())
        .bind(origins.iter().map(|origin| &*origin.topic).collect::<Vec<_>>())
        .bind(origins.iter().map(|origin| origin.partition).collect::<Vec<_>>())
        .bind(origins.iter().map(|origin| origin.offset).collect::<Vec<_>>())
        .bind(incarnations(origins.iter()))
        .fetch_all(on)
        .await?;
    rows.into_iter().map(LetterColumns::into_letter).collect()
}

/// The counts are kept by the table itself, and each oldest one is the first of its range of an index.
pub(super) async fn open(on: impl PgExecutor<'_>) -> Result<Vec<OpenLetters>, StoreError> {
    let sql = "select c.reason, nullif(c.kind, ''), c.n, first.at \
               from (select reason, kind, sum(n)::int8 as n from open_letter group by reason, kind) as c \
               cross join lateral ( \
                 select d.at from dead_letter d \
                 where d.state = 0 and d.reason = c.reason and coalesce(d.kind, '') = c.kind order by d.at limit 1) as first \
               where c.n > 0 order by c.reason, c.kind";
    let rows: Vec<OpenLettersColumns> = query_as(sql).fetch_all(on).await?;
    Ok(rows.into_iter().map(open_letters).collect())
}

pub(super) async fn close(
    on: impl PgExecutor<'_>,
    id: Uuid,
    how: DeadLetterState,
    note: &str,
    at: At,
) -> Result<bool, StoreError> {
    // What it asked for has been decided about: its bytes are needed by nobody any more.
    let sql = "update dead_letter set state = $2, note = $3, closed_at = $4, sealed = null, headers = null, \
               size = null where id = $1 and state = 0";
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
pub(super) async fn insert(on: &mut PgConnection, letters: &[DeadLetter]) -> Result<(), StoreError> {
    let mut letters: Vec<&DeadLetter> = letters.iter().collect();
    letters.sort_unstable_by(|x, y| x.origin.cmp(&y.origin));
    let sql = "insert into dead_letter (id, cluster, topic, part, off, reason, detail, kind, at, state, sealed, headers, ids, size, \
               incarnation) select * from unnest($1::uuid[], $2::text[], $3::text[], $4::int4[], $5::int8[], $6::text[], \
               $7::text[], $8::text[], $9::int8[], $10::int2[], $11::bytea[], $12::bytea[], $13::bytea[], $14::int8[], $15::int4[]) \
               on conflict (cluster, topic, part, off, incarnation) do nothing";
    query(sql)
        .bind(letters.iter().map(|letter| letter.id).collect::<Vec<_>>())
        .bind(
            letters
                .iter()
                .map(|letter| &*letter.origin.cluster)
                .collect::<Vec<_>>(),
        )
        .bind(
            letters
                .iter()
                .map(|letter| &*letter.origin.topic)
                .collect::<Vec<_>>(),
        )
        .bind(
            letters
                .iter()
                .map(|letter| letter.origin.partition)
                .collect::<Vec<_>>(),
        )
        .bind(
            letters
                .iter()
                .map(|letter| letter.origin.offset)
                .collect::<Vec<_>>(),
        )
        .bind(
            letters
                .iter()
                .map(|letter| letter.reason.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            letters
                .iter()
                .map(|letter| letter.detail.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            letters
                .iter()
                .map(|letter| letter.kind.map(CommandKind::as_str))
                .collect::<Vec<_>>(),
        )
        .bind(
            letters
                .iter()
                .map(|letter| letter.at.millis())
                .collect::<Vec<_>>(),
        )
        .bind(
            letters
                .iter()
                .map(|letter| letter_code(letter.state))
                .collect::<Vec<_>>(),
        )
        .bind(
            letters
                .iter()
                .map(|letter| kept_bytes(letter).0)
                .collect::<Vec<_>>(),
        )
        .bind(
            letters
                .iter()
                .map(|letter| kept_bytes(letter).1)
                .collect::<Vec<_>>(),
        )
        .bind(
            letters
                .iter()
                .map(|letter| packed_letter_ids(letter))
                .collect::<Vec<_>>(),
        )
        .bind(letters.iter().map(|letter| kept_size(letter)).collect::<Vec<_>>())
        .bind(incarnations(letters.iter().map(|letter| &letter.origin)))
        .execute(on)
        .await?;
    Ok(())
}

/// Which logs they come from.
pub(super) fn incarnations<'a>(origins: impl Iterator<Item = &'a Origin>) -> Vec<i32> {
    origins.map(|origin| origin.incarnation.cast_signed()).collect()
}
