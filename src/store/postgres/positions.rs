//! How far partitions have been taken in, which is what fences a worker that no longer owns one.

use std::collections::HashSet;

use sqlx::{PgConnection, query, query_scalar};

use crate::{
    domain::time::At,
    store::{
        error::StoreError,
        positions::{Advance, Mark},
    },
};

/// Moves positions on. A worker that starts from an offset before one, or from one that the position has not reached, is
/// fenced.
pub(super) async fn advance(on: &mut PgConnection, advances: &[Advance]) -> Result<(), StoreError> {
    let mut advances: Vec<&Advance> = advances.iter().collect();
    advances.sort_unstable_by(|x, y| key(x).cmp(&key(y)));
    let sql = "update position p set next_offset = v.next_offset, seen_until = greatest(p.seen_until, v.seen_until), \
               last_offset = coalesce(v.last_offset, p.last_offset), \
               last_at = case when v.last_offset is null then p.last_at else v.last_at end, \
               last_digest = coalesce(v.last_digest, p.last_digest) \
               from unnest($1::text[], $2::text[], $3::int4[], $4::int4[], $5::int8[], $6::int8[], $7::int8[], $8::int8[], \
               $9::int8[], $10::int8[], $11::bytea[]) with ordinality as v(cluster, topic, part, incarnation, after, first, \
               next_offset, seen_until, last_offset, last_at, last_digest, place) \
               where p.cluster = v.cluster and p.topic = v.topic and p.part = v.part and p.incarnation = v.incarnation \
               and p.next_offset between coalesce(v.after, p.next_offset) and v.first returning v.place";
    let moved: HashSet<i64> = query_scalar(sql)
        .bind(clusters(&advances))
        .bind(topics(&advances))
        .bind(parts(&advances))
        .bind(incarnations(&advances))
        .bind(advances.iter().map(|advance| advance.after).collect::<Vec<_>>())
        .bind(advances.iter().map(|advance| advance.first).collect::<Vec<_>>())
        .bind(nexts(&advances))
        .bind(seen_until(&advances))
        .bind(last(&advances, |mark| Some(mark.offset)))
        .bind(last(&advances, |mark| mark.at.map(At::millis)))
        .bind(last(&advances, |mark| Some(mark.digest.to_vec())))
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
    if let Some(gone) = unmoved.iter().find(|advance| advance.after.is_some()) {
        return Err(fenced(gone));
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
    known.map_or(Ok(()), |advance| Err(fenced(advance)))
}

fn fenced(advance: &Advance) -> StoreError {
    StoreError::Fenced {
        topic: advance.topic.to_string(),
        partition: advance.partition,
        offset: advance.first,
    }
}

/// The first batch of a partition. Whoever comes second violates the key, and finds the position when it tries again.
async fn insert(on: &mut PgConnection, advances: &[&Advance]) -> Result<(), StoreError> {
    let sql = "insert into position (cluster, topic, part, incarnation, next_offset, seen_until, last_offset, last_at, last_digest) \
               select * from unnest($1::text[], $2::text[], $3::int4[], $4::int4[], $5::int8[], $6::int8[], $7::int8[], \
               $8::int8[], $9::bytea[])";
    query(sql)
        .bind(clusters(advances))
        .bind(topics(advances))
        .bind(parts(advances))
        .bind(incarnations(advances))
        .bind(nexts(advances))
        .bind(seen_until(advances))
        .bind(last(advances, |mark| Some(mark.offset)))
        .bind(last(advances, |mark| mark.at.map(At::millis)))
        .bind(last(advances, |mark| Some(mark.digest.to_vec())))
        .execute(on)
        .await?;
    Ok(())
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

fn incarnations(advances: &[&Advance]) -> Vec<i32> {
    advances
        .iter()
        .map(|advance| advance.incarnation.cast_signed())
        .collect()
}

fn nexts(advances: &[&Advance]) -> Vec<i64> {
    advances.iter().map(|advance| advance.next).collect()
}

fn seen_until(advances: &[&Advance]) -> Vec<i64> {
    advances
        .iter()
        .map(|advance| advance.seen_until.millis())
        .collect()
}

/// Something of the last record of each, where it is known.
fn last<T>(advances: &[&Advance], of: impl Fn(&Mark) -> Option<T>) -> Vec<Option<T>> {
    advances
        .iter()
        .map(|advance| advance.last.as_ref().and_then(&of))
        .collect()
}
