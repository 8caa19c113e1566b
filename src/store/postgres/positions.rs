//! How far partitions have been taken in, which is what fences a worker that no longer owns one.

use std::collections::HashSet;

use sqlx::{PgConnection, PgExecutor, query, query_as, query_scalar};

use crate::{
    domain::time::At,
    store::{
        Acceptance, Advance, Mark, Noted, Position, PositionNote, Seen, StoreError, codec::PositionColumns,
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
    let sql = "select cluster, topic, part, next_offset, seen_until, incarnation, last_offset, last_at, last_digest, \
               checked_offset, checked_at, checked_digest, stray from position where cluster = $1 order by topic, part";
    let rows: Vec<PositionColumns> = query_as(sql).bind(cluster).fetch_all(on).await?;
    let positions = rows.into_iter().map(PositionColumns::into_position);
    positions
        .map(|position| position.map(|(_, position)| position))
        .collect()
}

pub(super) async fn elsewhere(
    on: impl PgExecutor<'_>,
    cluster: &str,
) -> Result<Vec<(String, Position)>, StoreError> {
    let sql = "select cluster, topic, part, next_offset, seen_until, incarnation, last_offset, last_at, last_digest, \
               checked_offset, checked_at, checked_digest, stray from position where cluster <> $1 \
               order by cluster, topic, part";
    let rows: Vec<PositionColumns> = query_as(sql).bind(cluster).fetch_all(on).await?;
    rows.into_iter().map(PositionColumns::into_position).collect()
}

/// Notes what was found. They are few, and far between.
pub(super) async fn note(on: &mut PgConnection, notes: &[PositionNote]) -> Result<(), StoreError> {
    for note in notes {
        let sql = match note.noted {
            Noted::Checked(_) => {
                "update position set checked_offset = $5, checked_at = $6, checked_digest = $7 \
                 where cluster = $1 and topic = $2 and part = $3 and incarnation = $4"
            }
            Noted::Stray(_) => {
                "update position set stray = least(stray, $5) \
                 where cluster = $1 and topic = $2 and part = $3 and incarnation = $4"
            }
            Noted::PassedOver { .. } => {
                "update position set next_offset = $6 \
                 where cluster = $1 and topic = $2 and part = $3 and incarnation = $4 and next_offset = $5"
            }
        };
        let keyed = query(sql)
            .bind(&*note.cluster)
            .bind(&*note.topic)
            .bind(note.partition)
            .bind(note.incarnation.cast_signed());
        let bound = match note.noted {
            Noted::Checked(mark) => keyed
                .bind(mark.offset)
                .bind(mark.at.map(At::millis))
                .bind(mark.digest.to_vec()),
            Noted::Stray(offset) => keyed.bind(offset),
            Noted::PassedOver { from, to } => keyed.bind(from).bind(to),
        };
        bound.execute(&mut *on).await?;
    }
    Ok(())
}

/// Has a position follow another log: what it remembers of the old one goes, and what was sent has not been seen in it.
pub(super) async fn accept(on: &mut PgConnection, acceptance: &Acceptance) -> Result<(), StoreError> {
    let sql = if acceptance.incarnation.is_some() {
        "update position set next_offset = $5, incarnation = $4, seen_until = 0, last_offset = null, last_at = null, \
         last_digest = null, checked_offset = null, checked_at = null, checked_digest = null, stray = null \
         where cluster = $1 and topic = $2 and part = $3 and incarnation = $4 - 1"
    } else {
        "insert into position (cluster, topic, part, incarnation, next_offset, seen_until) values ($1, $2, $3, $4, $5, 0) \
         on conflict (cluster, topic, part) do nothing"
    };
    let done = query(sql)
        .bind(&*acceptance.cluster)
        .bind(&*acceptance.topic)
        .bind(acceptance.partition)
        .bind(acceptance.next_incarnation().cast_signed())
        .bind(acceptance.next_offset)
        .execute(on)
        .await?;
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
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
