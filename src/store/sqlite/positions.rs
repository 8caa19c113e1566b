//! How far partitions have been taken in. A batch brings one or a few, so each is a statement of its own.

use sqlx::{Acquire, SqliteConnection, SqliteExecutor, query, query_as, query_scalar};

use crate::{
    domain::time::At,
    store::{Advance, Position, Seen, StoreError},
};

/// Moves positions on. A worker that starts from an offset before one is fenced.
pub(super) async fn advance(on: &mut SqliteConnection, advances: &[Advance]) -> Result<(), StoreError> {
    for advance in advances {
        let sql = "insert into position (cluster, topic, part, next_offset, seen_until) values (?1, ?2, ?3, ?5, ?6) \
                   on conflict (cluster, topic, part) do update set next_offset = excluded.next_offset, \
                   seen_until = max(seen_until, excluded.seen_until) where next_offset <= ?4 returning 1";
        let moved: Option<i64> = query_scalar(sql)
            .bind(&*advance.cluster)
            .bind(&*advance.topic)
            .bind(advance.partition)
            .bind(advance.first)
            .bind(advance.next)
            .bind(advance.seen_until.millis())
            .fetch_optional(&mut *on)
            .await?;
        if moved.is_none() {
            return Err(StoreError::Fenced {
                topic: advance.topic.to_string(),
                partition: advance.partition,
                offset: advance.first,
            });
        }
    }
    Ok(())
}

/// Notes up to when partitions have been read; a partition that has no position gets one.
pub(super) async fn seen(on: &mut SqliteConnection, seen: &[Seen]) -> Result<(), StoreError> {
    let mut transaction = on.begin().await?;
    for seen in seen {
        let sql = "insert into position (cluster, topic, part, next_offset, seen_until) values (?1, ?2, ?3, ?4, ?5) \
                   on conflict (cluster, topic, part) do update set seen_until = excluded.seen_until \
                   where seen_until < excluded.seen_until";
        query(sql)
            .bind(&*seen.cluster)
            .bind(&*seen.topic)
            .bind(seen.partition)
            .bind(seen.next)
            .bind(seen.at.millis())
            .execute(&mut *transaction)
            .await?;
    }
    Ok(transaction.commit().await?)
}

pub(super) async fn of_cluster(
    on: impl SqliteExecutor<'_>,
    cluster: &str,
) -> Result<Vec<Position>, StoreError> {
    let sql =
        "select topic, part, next_offset, seen_until from position where cluster = ?1 order by topic, part";
    let rows: Vec<(String, i32, i64, i64)> = query_as(sql).bind(cluster).fetch_all(on).await?;
    Ok(rows
        .into_iter()
        .map(|(topic, partition, next_offset, seen_until)| Position {
            topic,
            partition,
            next_offset,
            seen_until: At::from_millis(seen_until),
        })
        .collect())
}
