//! Tasks that their topics do not take.

use serde_json::json;
use sqlx::{SqliteConnection, SqliteExecutor, query, query_scalar};
use uuid::Uuid;

use super::write::insert_rows;
use crate::{
    domain::{
        ids::{ProcessorId, RequestId},
        time::At,
    },
    store::{Changes, StoreError, deferral},
};

/// What is delivered goes first: a task that a batch has sent and got back is undeliverable.
pub(super) async fn write(on: &mut SqliteConnection, changes: &Changes) -> Result<(), StoreError> {
    if !changes.delivered.is_empty() {
        delete(on, &deferral::delivered(changes)).await?;
    }
    let head = "insert into undeliverable (request_id, due, ordinal, too_large, processor) ";
    let tail = " on conflict (request_id, ordinal) do update set due = excluded.due, too_large = excluded.too_large, \
                processor = excluded.processor";
    let rows = deferral::undeliverable(changes);
    insert_rows(on, head, tail, &rows, |mut values, row| {
        values
            .push_bind(row.request_id.0)
            .push_bind(row.due.millis())
            .push_bind(row.ordinal.cast_signed())
            .push_bind(row.too_large)
            .push_bind(row.processor.as_str());
        Ok(())
    })
    .await?;
    Ok(())
}

async fn delete(on: &mut SqliteConnection, keys: &[(RequestId, u16)]) -> Result<(), StoreError> {
    let keys: Vec<_> = keys
        .iter()
        .map(|(id, ordinal)| (id.0.simple().to_string(), ordinal))
        .collect();
    let sql = "delete from undeliverable where (request_id, ordinal) in \
               (select unhex(value ->> 0), value ->> 1 from json_each(?1))";
    query(sql).bind(json!(keys).to_string()).execute(on).await?;
    Ok(())
}

pub(super) async fn lanes(
    on: impl SqliteExecutor<'_>,
    processors: &[ProcessorId],
    now: At,
    too_large: bool,
) -> Result<Vec<ProcessorId>, StoreError> {
    let names: Vec<&str> = processors.iter().map(ProcessorId::as_str).collect();
    let sql = "select v.value from json_each(?1) as v where exists (select 1 from undeliverable u \
               where u.processor = v.value and u.due <= ?2 and u.too_large = ?3)";
    let names: Vec<String> = query_scalar(sql)
        .bind(json!(names).to_string())
        .bind(now.millis())
        .bind(too_large)
        .fetch_all(on)
        .await?;
    let found = processors
        .iter()
        .filter(|id| names.iter().any(|name| name == id.as_str()));
    Ok(found.cloned().collect())
}

pub(super) async fn requests(
    on: impl SqliteExecutor<'_>,
    processor: &ProcessorId,
    too_large: bool,
    now: At,
    after: Option<RequestId>,
    limit: u32,
) -> Result<Vec<RequestId>, StoreError> {
    let sql = "select distinct request_id from undeliverable where processor = ?1 and due <= ?2 and request_id > ?3 \
               and too_large = ?5 order by request_id limit ?4";
    let ids: Vec<Uuid> = query_scalar(sql)
        .bind(processor.as_str())
        .bind(now.millis())
        .bind(after.map_or(Uuid::nil(), |id| id.0))
        .bind(limit)
        .bind(too_large)
        .fetch_all(on)
        .await?;
    Ok(ids.into_iter().map(RequestId).collect())
}
