//! How much is kept of messages that could not be taken in: payloads go by age, and rows of a topic by number.

use sqlx::{PgExecutor, query, query_as, query_scalar};

use crate::{
    domain::time::At,
    store::{
        DroppedLetters, LettersOfTopic, StoreError,
        codec::{DroppedColumns, LettersOfTopicColumns, dropped_letters, letters_of_topic},
    },
};

/// Both halves are read from indexes that hold nothing else, and neither is long: that is what they are read for.
pub(super) async fn by_topic(on: impl PgExecutor<'_>) -> Result<Vec<LettersOfTopic>, StoreError> {
    let sql = "select topic, sum(bytes)::int8, sum(open)::int8 from ( \
                 select topic, sum(size) as bytes, 0 as open from dead_letter where size is not null group by topic \
                 union all \
                 select topic, 0, count(*) from dead_letter \
                 where state = 0 and (kind is null or kind not in ('erase', 'anonymize')) group by topic) v \
               group by topic order by topic";
    let rows: Vec<LettersOfTopicColumns> = query_as(sql).fetch_all(on).await?;
    Ok(rows.into_iter().map(letters_of_topic).collect())
}

pub(super) async fn forget_payloads(
    on: impl PgExecutor<'_>,
    before: At,
    limit: u32,
) -> Result<u64, StoreError> {
    let sql = "update dead_letter set sealed = null, headers = null, size = null where id in ( \
                 select id from dead_letter where size is not null and at < $1 \
                 and (state <> 0 or kind is null or kind not in ('erase', 'anonymize')) \
                 order by at limit $2 for update skip locked)";
    let done = query(sql)
        .bind(before.millis())
        .bind(i64::from(limit))
        .execute(on)
        .await?;
    Ok(done.rows_affected())
}

pub(super) async fn drop_oldest(on: impl PgExecutor<'_>, topic: &str, limit: u32) -> Result<u64, StoreError> {
    let sql = "with gone as (delete from dead_letter where id in ( \
                 select id from dead_letter where topic = $1 and state = 0 and (kind is null or kind not in ('erase', 'anonymize')) \
                 order by id limit $2 for update skip locked) returning topic, reason, at), \
               noted as (insert into dead_letter_dropped as d (topic, reason, count, since, until) \
                 select topic, reason, count(*), min(at), max(at) from gone group by topic, reason order by reason \
                 on conflict (topic, reason) do update set count = d.count + excluded.count, \
                 since = least(d.since, excluded.since), until = greatest(d.until, excluded.until)) \
               select count(*) from gone";
    let gone: i64 = query_scalar(sql)
        .bind(topic)
        .bind(i64::from(limit))
        .fetch_one(on)
        .await?;
    Ok(gone.cast_unsigned())
}

pub(super) async fn dropped(on: impl PgExecutor<'_>) -> Result<Vec<DroppedLetters>, StoreError> {
    let sql = "select topic, reason, count, since, until from dead_letter_dropped order by topic, reason";
    let rows: Vec<DroppedColumns> = query_as(sql).fetch_all(on).await?;
    Ok(rows.into_iter().map(dropped_letters).collect())
}
