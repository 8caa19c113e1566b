//! How far partitions have been taken in. A batch brings one or a few, so each is a statement of its own.

use sqlx::{SqliteConnection, query_scalar};

use crate::{
    domain::time::At,
    store::{error::StoreError, positions::Advance},
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
