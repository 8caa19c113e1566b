//! How processors' acks are spread over the ack topic's partitions. It is written when something new has been seen, which is seldom.

use sqlx::{PgExecutor, query, query_as};

use crate::store::{AckWay, StoreError, rows::ack_way};

pub(super) async fn of_topic(
    on: impl PgExecutor<'_>,
    cluster: &str,
    topic: &str,
) -> Result<Vec<AckWay>, StoreError> {
    let sql =
        "select partitions, processor, ways from ack_way where cluster = $1 and topic = $2 order by 1, 2";
    let rows: Vec<(i32, String, i32)> = query_as(sql).bind(cluster).bind(topic).fetch_all(on).await?;
    Ok(rows.into_iter().map(|row| ack_way(cluster, topic, row)).collect())
}

pub(super) async fn note(on: impl PgExecutor<'_>, ways: &[AckWay]) -> Result<(), StoreError> {
    let mut ways: Vec<&AckWay> = ways.iter().collect();
    ways.sort_unstable_by(|x, y| (x.partitions, &x.processor).cmp(&(y.partitions, &y.processor)));
    let sql = "insert into ack_way as a (cluster, topic, partitions, processor, ways) \
               select * from unnest($1::text[], $2::text[], $3::int4[], $4::text[], $5::int4[]) \
               on conflict (cluster, topic, partitions, processor) do update set ways = a.ways & excluded.ways";
    query(sql)
        .bind(ways.iter().map(|way| &*way.cluster).collect::<Vec<_>>())
        .bind(ways.iter().map(|way| &*way.topic).collect::<Vec<_>>())
        .bind(ways.iter().map(|way| way.partitions).collect::<Vec<_>>())
        .bind(ways.iter().map(|way| &*way.processor).collect::<Vec<_>>())
        .bind(ways.iter().map(|way| i32::from(way.ways)).collect::<Vec<_>>())
        .execute(on)
        .await?;
    Ok(())
}
