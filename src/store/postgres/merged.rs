//! Requests of the same person: which there are, and which of them were merged into another.

use sqlx::{PgConnection, PgExecutor, query, query_as};
use uuid::Uuid;

use crate::{
    domain::ids::RequestId,
    store::{Changes, StoreError, SubjectDigest, codec},
};

/// A range of the index for each digest, so that no flood of one person's requests is read as a whole.
pub(super) async fn alike(
    on: impl PgExecutor<'_>,
    digests: &[SubjectDigest],
    each: u32,
) -> Result<Vec<(SubjectDigest, RequestId)>, StoreError> {
    let sql = "select d.digest, s.request_id from unnest($1::bytea[]) as d(digest) cross join lateral \
               (select request_id from subject where digest = d.digest order by request_id desc limit $2) s";
    let digests: Vec<&[u8]> = digests.iter().map(<[u8; 16]>::as_slice).collect();
    let rows: Vec<(Vec<u8>, Uuid)> = query_as(sql)
        .bind(digests)
        .bind(i64::from(each))
        .fetch_all(on)
        .await?;
    rows.into_iter().map(codec::alike).collect()
}

/// After the agenda's rows are written, which it pulls forward.
pub(super) async fn write(on: &mut PgConnection, changes: &Changes) -> Result<(), StoreError> {
    if !changes.merged.is_empty() {
        query("insert into merged (leader, request_id) select * from unnest($1::uuid[], $2::uuid[])")
            .bind(firsts(&changes.merged))
            .bind(seconds(&changes.merged))
            .execute(&mut *on)
            .await?;
    }
    if !changes.separated.is_empty() {
        let sql = "delete from merged m using unnest($1::uuid[], $2::uuid[]) as v(leader, request_id) \
                   where m.leader = v.leader and m.request_id = v.request_id";
        query(sql)
            .bind(firsts(&changes.separated))
            .bind(seconds(&changes.separated))
            .execute(&mut *on)
            .await?;
    }
    if !changes.found_by.is_empty() {
        let sql = "insert into subject (digest, request_id) select * from unnest($1::bytea[], $2::uuid[]) \
                   on conflict do nothing";
        let digests: Vec<&[u8]> = changes
            .found_by
            .iter()
            .map(|(digest, _)| digest.as_slice())
            .collect();
        query(sql)
            .bind(digests)
            .bind(changes.found_by.iter().map(|(_, id)| id.0).collect::<Vec<_>>())
            .execute(&mut *on)
            .await?;
    }
    for (id, digests) in codec::by_request(&changes.found_by) {
        // What finds it has to go with it.
        query("update request set lookups = lookups || $2 where id = $1")
            .bind(id.0)
            .bind(digests)
            .execute(&mut *on)
            .await?;
    }
    if !changes.roused.is_empty() {
        // The lock waits for whoever purges one of them, and finds it gone; or keeps it until this wake-up can be seen and
        // goes with the rest. Without it a wake-up could be left that belongs to nobody.
        let sql = "insert into agenda (request_id, wake_at, received_at) \
                   select m.request_id, $2, r.received_at from merged m join state s on s.id = m.request_id \
                   join request r on r.id = m.request_id \
                   where m.leader = any($1) order by m.request_id for key share of s \
                   on conflict (request_id) do update set wake_at = least(agenda.wake_at, excluded.wake_at)";
        query(sql)
            .bind(changes.roused.iter().map(|id| id.0).collect::<Vec<_>>())
            .bind(changes.at.millis())
            .execute(on)
            .await?;
    }
    Ok(())
}

fn firsts(pairs: &[(RequestId, RequestId)]) -> Vec<Uuid> {
    pairs.iter().map(|(leader, _)| leader.0).collect()
}

fn seconds(pairs: &[(RequestId, RequestId)]) -> Vec<Uuid> {
    pairs.iter().map(|(_, id)| id.0).collect()
}
