//! How far partitions have been taken in, which is what fences a worker that no longer owns one.

use std::collections::HashSet;

use sqlx::{PgConnection, PgExecutor, query, query_as, query_scalar};

use crate::{
    domain::time::At,
    store::{Advance, Position, Seen, StoreError},
};

/// Moves positions on. A worker that starts from an offset before one is fenced.
pub(super) async fn advance(on: &mut PgConnection, advances: &[Advance]) -> Result<(), StoreError> {
    let mut advances: Vec<&Advance> = advances.iter().collect();
    advances.sort_unstable_by(|x, y| key(x).cmp(&key(y)));
    let sql = "update position p set next_offset = v.next_offset, seen_until = greatest(p.seen_until, v.seen_until) \
               from unnest($1::text[], $2::text[], $3::int4[], $4::int8[], $5::int8[], $6::int8[]) \
               with ordinality as v(cluster, topic, part, first, next_offset, seen_until, place) \
               where p.cluster = v.cluster and p.topic = v.topic and p.part = v.part and p.next_offset <= v.first \
               returning v.place";
    let moved: HashSet<i64> = query_scalar(sql)
        .bind(clusters(&advances))
        .bind(topics(&advances))
        .bind(parts(&advances))
        .bind(advances.iter().map(|advance| advance.first).collect::<Vec<_>>())
        .bind(advances.iter().map(|advance| advance.next).collect::<Vec<_>>())
        .bind(
            advances
                .iter()
                .map(|advance| advance.seen_until.millis())
                .collect::<Vec<_>>(),
        )
        .fetch_all(&mut *on)
        .await?
        .into_iter()
        .collect();
    let unmoved: Vec<&Advance> = (1..)
        .zip(advances)
        .filter(|(place, _)| !moved.contains(place))
        .map(|(_, advance)| advance)
        .collect();
    if unmoved.is_empty() {
        return Ok(());
    }
    refuse_known(on, &unmoved).await?;
    insert(on, &unmoved).await
}

/// A partition that has a position and did not move is one that somebody else has moved on.
async fn refuse_known(on: &mut PgConnection, unmoved: &[&Advance]) -> Result<(), StoreError> {
    let sql = "select v.place from unnest($1::text[], $2::text[], $3::int4[]) \
               with ordinality as v(cluster, topic, part, place) \
               join position p on p.cluster = v.cluster and p.topic = v.topic and p.part = v.part \
               order by v.place limit 1";
    let place: Option<i64> = query_scalar(sql)
        .bind(clusters(unmoved))
        .bind(topics(unmoved))
        .bind(parts(unmoved))
        .fetch_optional(on)
        .await?;
    let known = place.and_then(|place| unmoved.get(usize::try_from(place - 1).ok()?));
    known.map_or(Ok(()), |advance| {
        Err(StoreError::Fenced {
            topic: advance.topic.to_string(),
            partition: advance.partition,
            offset: advance.first,
        })
    })
}

/// The first batch of a partition. Whoever comes second violates the key, and finds the position when it tries again.
async fn insert(on: &mut PgConnection, advances: &[&Advance]) -> Result<(), StoreError> {
    let sql = "insert into position (cluster, topic, part, next_offset, seen_until) \
               select * from unnest($1::text[], $2::text[], $3::int4[], $4::int8[], $5::int8[])";
    query(sql)
        .bind(clusters(advances))
        .bind(topics(advances))
        .bind(parts(advances))
        .bind(advances.iter().map(|advance| advance.next).collect::<Vec<_>>())
        .bind(
            advances
                .iter()
                .map(|advance| advance.seen_until.millis())
                .collect::<Vec<_>>(),
        )
        .execute(on)
        .await?;
    Ok(())
}

/// Notes up to when partitions have been read; a partition that has no position gets one.
pub(super) async fn seen(on: impl PgExecutor<'_>, seen: &[Seen]) -> Result<(), StoreError> {
    let mut seen: Vec<&Seen> = seen.iter().collect();
    seen.sort_unstable_by(|x, y| {
        (&x.cluster, &x.topic, x.partition, x.at).cmp(&(&y.cluster, &y.topic, y.partition, y.at))
    });
    // A row may be touched once a statement: the last one of a partition is the latest.
    seen.reverse();
    seen.dedup_by(|x, y| (&x.cluster, &x.topic, x.partition) == (&y.cluster, &y.topic, y.partition));
    seen.reverse();
    let sql = "insert into position as p (cluster, topic, part, next_offset, seen_until) \
               select * from unnest($1::text[], $2::text[], $3::int4[], $4::int8[], $5::int8[]) \
               on conflict (cluster, topic, part) do update set seen_until = excluded.seen_until \
               where p.seen_until < excluded.seen_until";
    query(sql)
        .bind(seen.iter().map(|seen| &*seen.cluster).collect::<Vec<_>>())
        .bind(seen.iter().map(|seen| &*seen.topic).collect::<Vec<_>>())
        .bind(seen.iter().map(|seen| seen.partition).collect::<Vec<_>>())
        .bind(seen.iter().map(|seen| seen.next).collect::<Vec<_>>())
        .bind(seen.iter().map(|seen| seen.at.millis()).collect::<Vec<_>>())
        .execute(on)
        .await?;
    Ok(())
}

pub(super) async fn of_cluster(on: impl PgExecutor<'_>, cluster: &str) -> Result<Vec<Position>, StoreError> {
    let sql =
        "select topic, part, next_offset, seen_until from position where cluster = $1 order by topic, part";
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

fn key(advance: &Advance) -> (&str, &str, i32) {
    (&advance.cluster, &advance.topic, advance.partition)
}

fn clusters<'a>(advances: &[&'a Advance]) -> Vec<&'a str> {
    advances.iter().map(|advance| &*advance.cluster).collect()
}

fn topics<'a>(advances: &[&'a Advance]) -> Vec<&'a str> {
    advances.iter().map(|advance| &*advance.topic).collect()
}

fn parts(advances: &[&Advance]) -> Vec<i32> {
    advances.iter().map(|advance| advance.partition).collect()
}
