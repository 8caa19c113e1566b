//! Tasks that wait for a date or an event.

use sqlx::{PgConnection, PgExecutor, query, query_as};

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
    Ok(())
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
    // A row that says the same already is left alone: writing it would write all of its indexes.
    let sql = "insert into deferred as d (request_id, until, mark, ordinal, reason, processor) \
               select * from unnest($1::uuid[], $2::int8[], $3::int8[], $4::int2[], $5::int2[], $6::text[]) \
               on conflict (request_id, ordinal) do update set until = excluded.until, mark = excluded.mark, \
               reason = excluded.reason, processor = excluded.processor \
               where (d.until, d.mark, d.reason, d.processor) \
               <> (excluded.until, excluded.mark, excluded.reason, excluded.processor)";
    query(sql)
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
        .bind(rows.iter().map(|row| row.processor.as_str()).collect::<Vec<_>>())
        .execute(on)
        .await?;
    Ok(())
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
               select r.request_id, r.until, r.mark, r.ordinal, r.reason, r.processor \
               from pair p cross join lateral ( \
                 select d.* from deferred d where d.reason = p.reason and d.processor = p.processor and d.until <= $3 \
                 and (d.until, d.request_id, d.ordinal) > ($4, $5, $6) \
                 order by d.until, d.request_id, d.ordinal limit $7) r \
               where ($1::int2 is null or p.reason = $1) and ($2::text is null or p.processor = $2) \
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
               on d.reason = r.reason and d.processor = v.processor and d.until < v.bound) \
               from unnest($1::text[], $2::int8[]) with ordinality as v(processor, bound, place) order by v.place";
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
