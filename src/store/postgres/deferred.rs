//! Tasks that wait for a date or an event.

use sqlx::{PgConnection, PgExecutor, query, query_as, query_scalar};

use super::{asked, undeliverable};
use crate::{
    domain::{
        ids::{ProcessorId, RequestId},
        time::At,
    },
    store::{
        Changes, DeferredFilter, DeferredRow, StoreError,
        deferral::{self, DeferredColumns, REASONS},
    },
};

/// What is no longer deferred goes first: a task that a batch has resumed and deferred again is deferred.
pub(super) async fn write(on: &mut PgConnection, changes: &Changes) -> Result<(), StoreError> {
    if !changes.resumed.is_empty() {
        delete(on, &deferral::resumed(changes)).await?;
    }
    if !changes.deferred.is_empty() {
        upsert(on, &deferral::deferred(changes)).await?;
    }
    undeliverable::write(on, changes).await?;
    asked::write(on, changes).await
}

async fn delete(on: &mut PgConnection, keys: &[(RequestId, u16)]) -> Result<(), StoreError> {
    let sql = "delete from deferred d using unnest($1::uuid[], $2::int2[]) as v(request_id, ordinal) \
               where d.request_id = v.request_id and d.ordinal = v.ordinal";
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

async fn upsert(on: &mut PgConnection, rows: &[&DeferredRow]) -> Result<(), StoreError> {
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
        .bind(
            rows.iter()
                .map(|row| deferral::until(row.until))
                .collect::<Vec<_>>(),
        )
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

/// Merges a range by date of each pair of reason and processor that the filter lets through. The pairs are found by
/// leaping from one to the next in the index, so that the list costs the same however many rows there are.
pub(super) async fn list(
    on: impl PgExecutor<'_>,
    filter: &DeferredFilter,
) -> Result<Vec<DeferredRow>, StoreError> {
    let (until, id, ordinal) = deferral::list_after(filter);
    let sql = "with recursive pair(reason, processor) as ( \
                 (select reason, processor from deferred order by reason, processor limit 1) \
                 union all \
                 select n.reason, n.processor from pair p cross join lateral ( \
                   select d.reason, d.processor from deferred d where (d.reason, d.processor) > (p.reason, p.processor) \
                   order by d.reason, d.processor limit 1) n) \
               select r.request_id, r.until, r.mark, r.ordinal, r.reason, n.name as processor \
               from pair p join processor_number n on n.number = p.processor cross join lateral ( \
                 select d.* from deferred d where d.reason = p.reason and d.processor = p.processor and d.until <= $3 \
                 and (d.until, d.request_id, d.ordinal) > ($4, $5, $6) \
                 order by d.until, d.request_id, d.ordinal limit $7) r \
               where ($1::int2 is null or p.reason = $1) and ($2::text is null or n.name = $2) \
               order by r.until, r.request_id, r.ordinal limit $7";
    let rows: Vec<DeferredColumns> = query_as(sql)
        .bind(filter.reason.map(|reason| i16::from(reason.code())))
        .bind(filter.processor.as_ref().map(ProcessorId::as_str))
        .bind(deferral::list_until(filter))
        .bind(until)
        .bind(id)
        .bind(ordinal)
        .bind(i64::from(filter.limit))
        .fetch_all(on)
        .await?;
    rows.into_iter().map(DeferredColumns::into_row).collect()
}

/// The reasons are given one by one, because the index begins with them.
pub(super) async fn before(
    on: impl PgExecutor<'_>,
    bounds: &[(ProcessorId, At)],
) -> Result<Vec<(ProcessorId, u64)>, StoreError> {
    let sql = "select (select count(*) from unnest($3::int2[]) as r(reason) join deferred d \
               on d.reason = r.reason and d.processor = p.number and d.until < v.bound) \
               from unnest($1::text[], $2::int8[]) with ordinality as v(name, bound, place) \
               left join processor_number p on p.name = v.name order by v.place";
    let counts: Vec<(i64,)> = query_as(sql)
        .bind(
            bounds
                .iter()
                .map(|(processor, _)| processor.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(bounds.iter().map(|(_, at)| at.millis()).collect::<Vec<_>>())
        .bind(REASONS.map(|reason| i16::from(reason.code())).as_slice())
        .fetch_all(on)
        .await?;
    let processors = bounds.iter().map(|(processor, _)| processor.clone());
    Ok(processors
        .zip(counts)
        .map(|(processor, (n,))| (processor, n.cast_unsigned()))
        .collect())
}
