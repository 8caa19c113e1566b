//! Waves that their backup system is asked about, for the sweeps of rotations.

use sqlx::{PgConnection, query};

use crate::{
    domain::ids::RequestId,
    store::{AskedRow, Changes, StoreError, deferral},
};

/// What is asked about no more goes first: a wave that a batch has ended and asked about again is asked about.
pub(super) async fn write(on: &mut PgConnection, changes: &Changes) -> Result<(), StoreError> {
    if !changes.unasked.is_empty() {
        delete(on, &deferral::unasked(changes)).await?;
    }
    if !changes.asked.is_empty() {
        upsert(on, &deferral::asked(changes)).await?;
    }
    Ok(())
}

async fn delete(on: &mut PgConnection, keys: &[(RequestId, u16)]) -> Result<(), StoreError> {
    let sql = "delete from asked_wave a using unnest($1::uuid[], $2::int2[]) as v(request_id, ordinal) \
               where a.request_id = v.request_id and a.ordinal = v.ordinal";
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

async fn upsert(on: &mut PgConnection, rows: &[&AskedRow]) -> Result<(), StoreError> {
    let sql = "insert into asked_wave (request_id, mark, ordinal, processor) \
               select * from unnest($1::uuid[], $2::int8[], $3::int2[], $4::text[]) \
               on conflict (request_id, ordinal) do update set mark = excluded.mark, processor = excluded.processor";
    query(sql)
        .bind(rows.iter().map(|row| row.request_id.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.mark.millis()).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|row| row.ordinal.cast_signed())
                .collect::<Vec<_>>(),
        )
        .bind(rows.iter().map(|row| row.processor.as_str()).collect::<Vec<_>>())
        .execute(on)
        .await?;
    Ok(())
}
