//! Tasks that their topics do not take.

use sqlx::{PgConnection, PgExecutor, query, query_scalar};
use uuid::Uuid;

use crate::{
    domain::{
        ids::{ProcessorId, RequestId},
        time::At,
    },
    store::{Changes, StoreError, UndeliverableRow, deferral},
};

/// What is delivered goes first: a task that a batch has sent and got back is undeliverable.
pub(super) async fn write(on: &mut PgConnection, changes: &Changes) -> Result<(), StoreError> {
    if !changes.delivered.is_empty() {
        delete(on, &deferral::delivered(changes)).await?;
    }
    if !changes.undeliverable.is_empty() {
        upsert(on, &deferral::undeliverable(changes)).await?;
    }
    Ok(())
}

async fn delete(on: &mut PgConnection, keys: &[(RequestId, u16)]) -> Result<(), StoreError> {
    let sql = "delete from undeliverable u using unnest($1::uuid[], $2::int2[]) as v(request_id, ordinal) \
               where u.request_id = v.request_id and u.ordinal = v.ordinal";
    query(sql)
        .bind(keys.iter().map(|(id, _)| id.0).collect::<Vec<_>>())
        .bind(
            keys.iter()
                .map(|(_, ordinal)| ordinal.cast_signed())
                .collect::<Vec<_>>(),
        )
        .execute(on)
        .await?;
    Ok(())
}

async fn upsert(on: &mut PgConnection, rows: &[&UndeliverableRow]) -> Result<(), StoreError> {
    let sql = "insert into undeliverable (request_id, due, ordinal, too_large, processor) \
               select * from unnest($1::uuid[], $2::int8[], $3::int2[], $4::bool[], $5::text[]) \
               on conflict (request_id, ordinal) do update set due = excluded.due, too_large = excluded.too_large, \
               processor = excluded.processor";
    query(sql)
        .bind(rows.iter().map(|row| row.request_id.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.due.millis()).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|row| row.ordinal.cast_signed())
                .collect::<Vec<_>>(),
        )
        .bind(rows.iter().map(|row| row.too_large).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.processor.as_str()).collect::<Vec<_>>())
        .execute(on)
        .await?;
    Ok(())
}

pub(super) async fn lanes(
    on: impl PgExecutor<'_>,
    processors: &[ProcessorId],
    now: At,
    too_large: bool,
) -> Result<Vec<ProcessorId>, StoreError> {
    let sql = "select v.id from unnest($1::text[]) as v(id) where exists (select from undeliverable u \
               where u.processor = v.id and u.due <= $2 and u.too_large = $3)";
    let names: Vec<String> = query_scalar(sql)
        .bind(processors.iter().map(ProcessorId::as_str).collect::<Vec<_>>())
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
    on: impl PgExecutor<'_>,
    processor: &ProcessorId,
    too_large: bool,
    now: At,
    after: Option<RequestId>,
    limit: u32,
) -> Result<Vec<RequestId>, StoreError> {
    let sql = "select distinct request_id from undeliverable where processor = $1 and due <= $2 and request_id > $3 \
               and too_large = $5 order by request_id limit $4";
    let ids: Vec<Uuid> = query_scalar(sql)
        .bind(processor.as_str())
        .bind(now.millis())
        .bind(after.map_or(Uuid::nil(), |id| id.0))
        .bind(i64::from(limit))
        .bind(too_large)
        .fetch_all(on)
        .await?;
    Ok(ids.into_iter().map(RequestId).collect())
}
