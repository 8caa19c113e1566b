//! Tasks that wait for a date or an event. There may be very many, so that each processor has a number, and rows have that.

use sqlx::{PgConnection, query, query_scalar};

use crate::store::{deferred::DeferredRow, error::StoreError, sql::until};

pub(super) async fn upsert(on: &mut PgConnection, rows: &[&DeferredRow]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let named = upsert_named(on, rows).await?;
    if named == rows.len() {
        return Ok(());
    }
    // The first time that something is deferred at a processor.
    number(on, rows).await?;
    if upsert_named(on, rows).await? == rows.len() {
        Ok(())
    } else {
        // Another worker has just numbered another processor.
        Err(StoreError::Conflict)
    }
}

/// Writes the rows of the processors that have a number, and says how many rows that were.
async fn upsert_named(on: &mut PgConnection, rows: &[&DeferredRow]) -> Result<usize, StoreError> {
    // A row that says the same already is left alone: writing it would write all of its indexes.
    let sql = "with named as ( \
                 select v.request_id, v.until, v.mark, v.ordinal, v.reason, p.number \
                 from unnest($1::uuid[], $2::int8[], $3::int8[], $4::int2[], $5::int2[], $6::text[]) \
                   as v(request_id, until, mark, ordinal, reason, processor) \
                 join processor_number p on p.name = v.processor), \
               written as ( \
                 insert into deferred as d (request_id, until, mark, ordinal, reason, processor) select * from named \
                 on conflict (request_id, ordinal) do update set until = excluded.until, mark = excluded.mark, \
                 reason = excluded.reason, processor = excluded.processor \
                 where (d.until, d.mark, d.reason, d.processor) \
                 <> (excluded.until, excluded.mark, excluded.reason, excluded.processor)) \
               select count(*) from named";
    let named: i64 = query_scalar(sql)
        .bind(rows.iter().map(|row| row.request_id.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| until(row.until)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.mark.millis()).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|row| row.ordinal.cast_signed())
                .collect::<Vec<_>>(),
        )
        .bind(
            rows.iter()
                .map(|row| i16::from(row.reason.code()))
                .collect::<Vec<_>>(),
        )
        .bind(names(rows))
        .fetch_one(on)
        .await?;
    Ok(usize::try_from(named).unwrap_or(0))
}

/// Gives a number to those processors that have none.
async fn number(on: &mut PgConnection, rows: &[&DeferredRow]) -> Result<(), StoreError> {
    let sql = "insert into processor_number (number, name) \
               select (select coalesce(max(number), 0) from processor_number) + row_number() over (order by v.name), v.name \
               from (select distinct name from unnest($1::text[]) as all_names(name)) as v \
               where not exists (select from processor_number p where p.name = v.name) on conflict do nothing";
    query(sql).bind(names(rows)).execute(on).await?;
    Ok(())
}

fn names<'a>(rows: &[&'a DeferredRow]) -> Vec<&'a str> {
    rows.iter().map(|row| row.processor.as_str()).collect()
}
