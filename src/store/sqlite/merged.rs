//! Requests of the same person: which there are, and which of them were merged into another.

use serde_json::json;
use sqlx::{SqliteConnection, SqliteExecutor, query, query_as};
use uuid::Uuid;

use super::{read::ids_json, write::insert_rows};
use crate::{
    domain::ids::RequestId,
    store::{Changes, StoreError, SubjectDigest, codec},
};

/// A range of the index for each digest, so that no flood of one person's requests is read as a whole.
pub(super) async fn alike(
    on: impl SqliteExecutor<'_>,
    digests: &[SubjectDigest],
    each: u32,
) -> Result<Vec<(SubjectDigest, RequestId)>, StoreError> {
    let sql = "select d.digest, s.request_id from (select unhex(value) as digest from json_each(?1)) d \
               cross join subject s on s.digest = d.digest and s.request_id in \
               (select request_id from subject where digest = d.digest order by request_id desc limit ?2)";
    let digests: Vec<String> = digests.iter().map(hex::encode).collect();
    let rows: Vec<(Vec<u8>, Uuid)> = query_as(sql)
        .bind(json!(digests).to_string())
        .bind(each)
        .fetch_all(on)
        .await?;
    rows.into_iter().map(codec::alike).collect()
}

/// After the agenda's rows are written, which it pulls forward.
pub(super) async fn write(on: &mut SqliteConnection, changes: &Changes) -> Result<(), StoreError> {
    let head = "insert into merged (leader, request_id) ";
    insert_rows(on, head, "", &changes.merged, |mut row, (leader, id)| {
        row.push_bind(leader.0).push_bind(id.0);
        Ok(())
    })
    .await?;
    for (leader, id) in &changes.separated {
        query("delete from merged where leader = ?1 and request_id = ?2")
            .bind(leader.0)
            .bind(id.0)
            .execute(&mut *on)
            .await?;
    }
    let head = "insert into subject (digest, request_id) ";
    insert_rows(
        on,
        head,
        " on conflict do nothing",
        &changes.found_by,
        |mut row, (digest, id)| {
            row.push_bind(digest.as_slice()).push_bind(id.0);
            Ok(())
        },
    )
    .await?;
    for (id, digests) in codec::by_request(&changes.found_by) {
        // What finds it has to go with it. Joined bytes are a text to SQLite until they are told otherwise.
        query("update request set lookups = cast(lookups || ?2 as blob) where id = ?1")
            .bind(id.0)
            .bind(digests)
            .execute(&mut *on)
            .await?;
    }
    rouse(on, changes).await
}

async fn rouse(on: &mut SqliteConnection, changes: &Changes) -> Result<(), StoreError> {
    if changes.roused.is_empty() {
        return Ok(());
    }
    let sql = "insert into agenda (request_id, wake_at, received_at) \
               select m.request_id, ?2, r.received_at from merged m cross join request r on r.id = m.request_id \
               where m.leader in (select unhex(value) from json_each(?1)) \
               on conflict (request_id) do update set wake_at = min(agenda.wake_at, excluded.wake_at)";
    query(sql)
        .bind(ids_json(changes.roused.iter().copied()))
        .bind(changes.at.millis())
        .execute(on)
        .await?;
    Ok(())
}
