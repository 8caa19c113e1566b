//! Waves that their backup system is asked about, for the sweeps of rotations.

use serde_json::json;
use sqlx::{SqliteConnection, query};

use super::write::insert_rows;
use crate::{
    domain::ids::RequestId,
    store::{Changes, StoreError, deferral},
};

/// What is asked about no more goes first: a wave that a batch has ended and asked about again is asked about.
pub(super) async fn write(on: &mut SqliteConnection, changes: &Changes) -> Result<(), StoreError> {
    if !changes.unasked.is_empty() {
        delete(on, &deferral::unasked(changes)).await?;
    }
    let head = "insert into asked_wave (request_id, mark, ordinal, processor) ";
    let tail = " on conflict (request_id, ordinal) do update set mark = excluded.mark, processor = excluded.processor";
    insert_rows(on, head, tail, &deferral::asked(changes), |mut values, row| {
        values
            .push_bind(row.request_id.0)
            .push_bind(row.mark.millis())
            .push_bind(row.ordinal.cast_signed())
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
    let sql = "delete from asked_wave where (request_id, ordinal) in \
               (select unhex(value ->> 0), value ->> 1 from json_each(?1))";
    query(sql).bind(json!(keys).to_string()).execute(on).await?;
    Ok(())
}
