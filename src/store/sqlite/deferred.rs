//! Tasks that wait for a date or an event.

use serde_json::json;
use sqlx::{SqliteConnection, SqliteExecutor, query, query_as, query_scalar};

use super::{asked, undeliverable, write::insert_rows};
use crate::{
    domain::{
        ids::{ProcessorId, RequestId},
        time::At,
    },
    store::{
        Changes, DeferredFilter, DeferredRow, StoreError,
        deferral::{self, DeferredColumns},
    },
};

/// What is no longer deferred goes first: a task that a batch has resumed and deferred again is deferred.
pub(super) async fn write(on: &mut SqliteConnection, changes: &Changes) -> Result<(), StoreError> {
    if !changes.resumed.is_empty() {
        delete(on, &deferral::resumed(changes)).await?;
    }
    upsert(on, &deferral::deferred(changes)).await?;
    undeliverable::write(on, changes).await?;
    asked::write(on, changes).await
}

async fn delete(on: &mut SqliteConnection, keys: &[(RequestId, u16)]) -> Result<(), StoreError> {
    let keys: Vec<_> = keys
        .iter()
        .map(|(id, ordinal)| (id.0.simple().to_string(), ordinal))
        .collect();
    let sql = "delete from deferred where (request_id, ordinal) in \
               (select unhex(value ->> 0), value ->> 1 from json_each(?1))";
    query(sql).bind(json!(keys).to_string()).execute(on).await?;
    Ok(())
}

async fn upsert(on: &mut SqliteConnection, rows: &[&DeferredRow]) -> Result<(), StoreError> {
    let head = "insert into deferred (request_id, until, mark, ordinal, reason, processor) ";
    // A row that says the same already is left alone: writing it would write all of its indexes.
    let tail = " on conflict (request_id, ordinal) do update set until = excluded.until, mark = excluded.mark, \
                reason = excluded.reason, processor = excluded.processor \
                where (deferred.until, deferred.mark, deferred.reason, deferred.processor) \
                <> (excluded.until, excluded.mark, excluded.reason, excluded.processor)";
    insert_rows(on, head, tail, rows, |mut values, row| {
        values
            .push_bind(row.request_id.0)
            .push_bind(deferral::until(row.until))
            .push_bind(row.mark.millis())
            .push_bind(row.ordinal.cast_signed())
            .push_bind(row.reason.code())
            .push_bind(row.processor.as_str());
        Ok(())
    })
    .await?;
    Ok(())
}

pub(super) async fn list(
    on: impl SqliteExecutor<'_>,
    filter: &DeferredFilter,
) -> Result<Vec<DeferredRow>, StoreError> {
    let (until, id, ordinal) = deferral::list_after(filter);
    let sql = "select request_id, until, mark, ordinal, reason, processor from deferred \
               where (?1 is null or reason = ?1) and (?2 is null or processor = ?2) and until <= ?3 \
               and (until, request_id, ordinal) > (?4, ?5, ?6) order by until, request_id, ordinal limit ?7";
    let rows: Vec<DeferredColumns> = query_as(sql)
        .bind(filter.reason.map(|reason| reason.code()))
        .bind(filter.processor.as_ref().map(ProcessorId::as_str))
        .bind(deferral::list_until(filter))
        .bind(until)
        .bind(id)
        .bind(ordinal)
        .bind(filter.limit)
        .fetch_all(on)
        .await?;
    rows.into_iter().map(DeferredColumns::into_row).collect()
}

pub(super) async fn before(
    on: impl SqliteExecutor<'_>,
    bounds: &[(ProcessorId, At)],
) -> Result<Vec<(ProcessorId, u64)>, StoreError> {
    let sql = "select (select count(*) from deferred d where d.until < v.value ->> 1 \
               and d.processor = v.value ->> 0) from json_each(?1) v order by v.key";
    let pairs: Vec<_> = bounds
        .iter()
        .map(|(processor, at)| (processor.as_str(), at.millis()))
        .collect();
    let counts: Vec<i64> = query_scalar(sql)
        .bind(json!(pairs).to_string())
        .fetch_all(on)
        .await?;
    let processors = bounds.iter().map(|(processor, _)| processor.clone());
    Ok(processors
        .zip(counts)
        .map(|(processor, n)| (processor, n.cast_unsigned()))
        .collect())
}
