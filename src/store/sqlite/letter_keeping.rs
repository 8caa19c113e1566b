//! How much is kept of messages that could not be taken in: payloads go by age, and rows of a topic by number.

use std::collections::BTreeMap;

use sqlx::{Connection as _, SqliteConnection, SqliteExecutor, query, query_as};

use crate::{
    domain::time::At,
    store::{
        DroppedLetters, LettersOfTopic, StoreError,
        codec::{DroppedColumns, LettersOfTopicColumns, dropped_letters, letters_of_topic},
    },
};

/// Both halves are read from indexes that hold nothing else, and neither is long: that is what they are read for.
pub(super) async fn by_topic(on: impl SqliteExecutor<'_>) -> Result<Vec<LettersOfTopic>, StoreError> {
    let sql = "select topic, sum(bytes), sum(open) from ( \
                 select topic, sum(size) as bytes, 0 as open from dead_letter where size is not null group by topic \
                 union all \
                 select topic, 0, count(*) from dead_letter \
                 where state = 0 and (kind is null or kind not in ('erase', 'anonymize')) group by topic) v \
               group by topic order by topic";
    let rows: Vec<LettersOfTopicColumns> = query_as(sql).fetch_all(on).await?;
    Ok(rows.into_iter().map(letters_of_topic).collect())
}

pub(super) async fn forget_payloads(
    on: impl SqliteExecutor<'_>,
    before: At,
    limit: u32,
) -> Result<u64, StoreError> {
    let sql = "update dead_letter set sealed = null, headers = null, size = null where id in ( \
                 select id from dead_letter where size is not null and at < ?1 \
                 and (state <> 0 or kind is null or kind not in ('erase', 'anonymize')) order by at limit ?2)";
    let done = query(sql).bind(before.millis()).bind(limit).execute(on).await?;
    Ok(done.rows_affected())
}

pub(super) async fn drop_oldest(
    on: &mut SqliteConnection,
    topic: &str,
    limit: u32,
) -> Result<u64, StoreError> {
    let mut transaction = on.begin_with("begin immediate").await?;
    let sql = "delete from dead_letter where id in ( \
                 select id from dead_letter where topic = ?1 and state = 0 and (kind is null or kind not in ('erase', 'anonymize')) \
                 order by id limit ?2) returning reason, at";
    let gone: Vec<(String, i64)> = query_as(sql)
        .bind(topic)
        .bind(limit)
        .fetch_all(&mut *transaction)
        .await?;
    let mut by_reason: BTreeMap<&str, (i64, i64, i64)> = BTreeMap::new();
    for (reason, at) in &gone {
        let (count, since, until) = by_reason.entry(reason).or_insert((0, *at, *at));
        *count += 1;
        *since = (*since).min(*at);
        *until = (*until).max(*at);
    }
    for (reason, (count, since, until)) in by_reason {
        let sql = "insert into dead_letter_dropped as d (topic, reason, count, since, until) values (?1, ?2, ?3, ?4, ?5) \
                   on conflict (topic, reason) do update set count = d.count + excluded.count, \
                   since = min(d.since, excluded.since), until = max(d.until, excluded.until)";
        query(sql)
            .bind(topic)
            .bind(reason)
            .bind(count)
            .bind(since)
            .bind(until)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(gone.len() as u64)
}

pub(super) async fn dropped(on: impl SqliteExecutor<'_>) -> Result<Vec<DroppedLetters>, StoreError> {
    let sql = "select topic, reason, count, since, until from dead_letter_dropped order by topic, reason";
    let rows: Vec<DroppedColumns> = query_as(sql).fetch_all(on).await?;
    Ok(rows.into_iter().map(dropped_letters).collect())
}
