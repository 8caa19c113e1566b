//! How far partitions have been taken in. A batch brings one or a few, so each is a statement of its own.

use sqlx::{Acquire, SqliteConnection, SqliteExecutor, query, query_as, query_scalar};

use crate::{
    domain::time::At,
    store::{Acceptance, Advance, Noted, Position, PositionNote, Seen, StoreError, codec::PositionColumns},
};

/// Moves positions on. A worker that starts from an offset before one, or from one that the position has not reached, is
/// fenced.
pub(super) async fn advance(on: &mut SqliteConnection, advances: &[Advance]) -> Result<(), StoreError> {
    for advance in advances {
        let sql = if advance.after.is_some() {
            "update position set next_offset = ?5, seen_until = max(seen_until, ?6), \
             last_offset = coalesce(?9, last_offset), last_at = case when ?9 is null then last_at else ?10 end, \
             last_digest = coalesce(?11, last_digest) where cluster = ?1 and topic = ?2 and part = ?3 \
             and incarnation = ?7 and next_offset between ?8 and ?4 returning 1"
        } else {
            "insert into position (cluster, topic, part, next_offset, seen_until, incarnation, last_offset, last_at, last_digest) \
             values (?1, ?2, ?3, ?5, ?6, ?7, ?9, ?10, ?11) on conflict (cluster, topic, part) do update set \
             next_offset = excluded.next_offset, seen_until = max(seen_until, excluded.seen_until), \
             last_offset = coalesce(?9, last_offset), last_at = case when ?9 is null then last_at else ?10 end, \
             last_digest = coalesce(?11, last_digest) \
             where incarnation = excluded.incarnation and next_offset <= ?4 returning 1"
        };
        let moved: Option<i64> = query_scalar(sql)
            .bind(&*advance.cluster)
            .bind(&*advance.topic)
            .bind(advance.partition)
            .bind(advance.first)
            .bind(advance.next)
            .bind(advance.seen_until.millis())
            .bind(advance.incarnation)
            .bind(advance.after)
            .bind(advance.last.map(|mark| mark.offset))
            .bind(advance.last.and_then(|mark| mark.at).map(At::millis))
            .bind(advance.last.map(|mark| mark.digest.to_vec()))
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
    let sql = "select cluster, topic, part, next_offset, seen_until, incarnation, last_offset, last_at, last_digest, \
               checked_offset, checked_at, checked_digest, stray from position where cluster = ?1 order by topic, part";
    let rows: Vec<PositionColumns> = query_as(sql).bind(cluster).fetch_all(on).await?;
    let positions = rows.into_iter().map(PositionColumns::into_position);
    positions
        .map(|position| position.map(|(_, position)| position))
        .collect()
}

pub(super) async fn elsewhere(
    on: impl SqliteExecutor<'_>,
    cluster: &str,
) -> Result<Vec<(String, Position)>, StoreError> {
    let sql = "select cluster, topic, part, next_offset, seen_until, incarnation, last_offset, last_at, last_digest, \
               checked_offset, checked_at, checked_digest, stray from position where cluster <> ?1 \
               order by cluster, topic, part";
    let rows: Vec<PositionColumns> = query_as(sql).bind(cluster).fetch_all(on).await?;
    rows.into_iter().map(PositionColumns::into_position).collect()
}

/// Notes what was found. They are few, and far between.
pub(super) async fn note(on: &mut SqliteConnection, notes: &[PositionNote]) -> Result<(), StoreError> {
    for note in notes {
        let sql = match note.noted {
            Noted::Checked(_) => {
                "update position set checked_offset = ?5, checked_at = ?6, checked_digest = ?7 \
                 where cluster = ?1 and topic = ?2 and part = ?3 and incarnation = ?4"
            }
            Noted::Stray(_) => {
                "update position set stray = min(coalesce(stray, ?5), ?5) \
                 where cluster = ?1 and topic = ?2 and part = ?3 and incarnation = ?4"
            }
            Noted::PassedOver { .. } => {
                "update position set next_offset = ?6 \
                 where cluster = ?1 and topic = ?2 and part = ?3 and incarnation = ?4 and next_offset = ?5"
            }
        };
        let keyed = query(sql)
            .bind(&*note.cluster)
            .bind(&*note.topic)
            .bind(note.partition)
            .bind(note.incarnation);
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
pub(super) async fn accept(on: &mut SqliteConnection, acceptance: &Acceptance) -> Result<(), StoreError> {
    let sql = if acceptance.incarnation.is_some() {
        "update position set next_offset = ?5, incarnation = ?4, seen_until = 0, last_offset = null, last_at = null, \
         last_digest = null, checked_offset = null, checked_at = null, checked_digest = null, stray = null \
         where cluster = ?1 and topic = ?2 and part = ?3 and incarnation = ?4 - 1"
    } else {
        "insert into position (cluster, topic, part, incarnation, next_offset, seen_until) values (?1, ?2, ?3, ?4, ?5, 0) \
         on conflict (cluster, topic, part) do nothing"
    };
    let done = query(sql)
        .bind(&*acceptance.cluster)
        .bind(&*acceptance.topic)
        .bind(acceptance.partition)
        .bind(acceptance.next_incarnation())
        .bind(acceptance.next_offset)
        .execute(on)
        .await?;
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
}
