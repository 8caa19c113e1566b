//! How processors' acks are spread over the ack topic's partitions. It is written when something new has been seen, which is seldom.

use sqlx::{Acquire, SqliteConnection, SqliteExecutor, query, query_as};

use crate::store::{AckWay, StoreError, rows::ack_way};

pub(super) async fn of_topic(
    on: impl SqliteExecutor<'_>,
    cluster: &str,
    topic: &str,
) -> Result<Vec<AckWay>, StoreError> {
    let sql =
        "select partitions, processor, ways from ack_way where cluster = ?1 and topic = ?2 order by 1, 2";
    let rows: Vec<(i32, String, i32)> = query_as(sql).bind(cluster).bind(topic).fetch_all(on).await?;
    Ok(rows.into_iter().map(|row| ack_way(cluster, topic, row)).collect())
}

pub(super) async fn note(on: &mut SqliteConnection, ways: &[AckWay]) -> Result<(), StoreError> {
    let mut transaction = on.begin().await?;
    for way in ways {
        let sql = "insert into ack_way (cluster, topic, partitions, processor, ways) values (?1, ?2, ?3, ?4, ?5) \
                   on conflict (cluster, topic, partitions, processor) do update set ways = ways & excluded.ways";
        query(sql)
            .bind(&*way.cluster)
            .bind(&*way.topic)
            .bind(way.partitions)
            .bind(&*way.processor)
            .bind(i32::from(way.ways))
            .execute(&mut *transaction)
            .await?;
    }
    Ok(transaction.commit().await?)
}
