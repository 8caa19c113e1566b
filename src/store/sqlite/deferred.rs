//! Tasks that wait for a date or an event.

use sqlx::SqliteConnection;

use super::insert_rows::insert_rows;
use crate::store::{deferred::DeferredRow, error::StoreError, sql::until};

pub(super) async fn upsert(on: &mut SqliteConnection, rows: &[&DeferredRow]) -> Result<(), StoreError> {
    let head = "insert into deferred (request_id, until, mark, ordinal, reason, processor) ";
    // A row that says the same already is left alone: writing it would write all of its indexes.
    let tail = " on conflict (request_id, ordinal) do update set until = excluded.until, mark = excluded.mark, \
                reason = excluded.reason, processor = excluded.processor \
                where (deferred.until, deferred.mark, deferred.reason, deferred.processor) \
                <> (excluded.until, excluded.mark, excluded.reason, excluded.processor)";
    insert_rows(on, head, tail, rows, |mut values, row| {
        values
            .push_bind(row.request_id.0)
            .push_bind(until(row.until))
            .push_bind(row.mark.millis())
            .push_bind(row.ordinal.cast_signed())
            .push_bind(row.reason.code())
            .push_bind(row.processor.as_str());
        Ok(())
    })
    .await?;
    Ok(())
}
