//! Tasks that wait for a date or an event, and waves that their backup system is asked about.
//!
//! Deferred tasks are laid out differently in both databases: PostgreSQL, which may have very many, has a number for each
//! processor. Their rows are written in the adapters.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::{
        ids::{ProcessorId, RequestId},
        time::At,
        words::Why,
    },
    store::{
        changes::Changes,
        deferred::{AskedRow, DeferredFilter, DeferredRow, DeferredStore},
        error::StoreError,
        in_order::{keys_in_order, last_of_each},
        session::{Pool, Session},
        statement::{Column, Delete, Insert, Statement, Table, sql},
    },
};

/// The reasons for which a task has a row of its own.
const REASONS: [Why; 4] = [Why::Hold, Why::BackupRotation, Why::Retention, Why::Verification];

/// No date is stored as the end of time: what has none comes last in a list by date.
const NO_DATE: i64 = i64::MAX;

#[async_trait]
impl<S: Pool> DeferredStore for S {
    /// In PostgreSQL a range by date of each pair of reason and processor that the filter lets through is merged. The pairs
    /// are found by leaping from one to the next in the index, so that the list costs the same however many rows there are.
    async fn deferred(&self, filter: &DeferredFilter) -> Result<Vec<DeferredRow>, StoreError> {
        let (until, id, ordinal) = list_after(filter);
        let sql = sql!(["with recursive pair(reason, processor) as ( \
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
              order by r.until, r.request_id, r.ordinal limit $7"
            | "select request_id, until, mark, ordinal, reason, processor from deferred \
                where ($1 is null or reason = $1) and ($2 is null or processor = $2) and until <= $3 \
                and (until, request_id, ordinal) > ($4, $5, $6) order by until, request_id, ordinal limit $7"]);
        let statement = Statement::new(sql)
            .bind(filter.reason.map(|reason| i16::from(reason.code())))
            .bind(filter.processor.as_ref().map(ProcessorId::as_str))
            .bind(list_until(filter))
            .bind(until)
            .bind(id)
            .bind(ordinal)
            .bind(i64::from(filter.limit));
        self.read(statement).await?.try_map(DeferredColumns::into_row)
    }

    async fn deferred_before(
        &self,
        bounds: &[(ProcessorId, At)],
    ) -> Result<Vec<(ProcessorId, u64)>, StoreError> {
        // PostgreSQL is given the reasons one by one, because the index begins with them.
        let sql = sql!([
            "select (select count(*) from unnest($3::int2[]) as r(reason) join deferred d \
              on d.reason = r.reason and d.processor = p.number and d.until < v.bound) \
              from unnest($1::text[], $2::int8[]) with ordinality as v(name, bound, place) \
              left join processor_number p on p.name = v.name order by v.place"
                | "select (select count(*) from deferred d where d.until < v.value ->> 1 \
                and d.processor = v.value ->> 0) from json_each($1) v order by v.key"
        ]);
        let statement = Statement::new(sql)
            .bind(
                Table::of(bounds)
                    .text("name", |(processor, _)| processor.as_str())
                    .bigint("bound", |(_, at)| at.millis()),
            )
            .bind(Column::Smallint(
                REASONS.map(|reason| i16::from(reason.code())).to_vec(),
            ));
        let counts: Vec<(i64,)> = self.glance(statement).await?.all()?;
        let processors = bounds.iter().map(|(processor, _)| processor.clone());
        Ok(processors
            .zip(counts)
            .map(|(processor, (n,))| (processor, n.cast_unsigned()))
            .collect())
    }
}

/// Deletes what is no longer deferred. It goes before anything is written: a task that a batch has resumed and deferred
/// again is deferred.
pub(super) async fn delete_resumed(on: &mut impl Session, changes: &Changes) -> Result<(), StoreError> {
    delete_tasks(on, "deferred", &changes.resumed).await
}

/// Writes which waves are asked about. What is asked about no more goes first: a wave that a batch has ended and asked
/// about again is asked about.
pub(super) async fn write_asked(on: &mut impl Session, changes: &Changes) -> Result<(), StoreError> {
    delete_tasks(on, "asked_wave", &changes.unasked).await?;
    if changes.asked.is_empty() {
        return Ok(());
    }
    let rows = last_of_each(&changes.asked, |row: &AskedRow| (row.request_id, row.ordinal));
    let table = Table::of(&rows)
        .uuid("request_id", |row| row.request_id.0)
        .bigint("mark", |row| row.mark.millis())
        .smallint("ordinal", |row| row.ordinal.cast_signed())
        .text("processor", |row| row.processor.as_str());
    let insert = Insert::into("asked_wave", table).on_conflict(
        "(request_id, ordinal) do update set mark = excluded.mark, processor = excluded.processor",
    );
    on.run(insert.into()).await?;
    Ok(())
}

/// Deletes rows of tasks.
pub(super) async fn delete_tasks(
    on: &mut impl Session,
    table: &'static str,
    tasks: &[(RequestId, u16)],
) -> Result<(), StoreError> {
    if tasks.is_empty() {
        return Ok(());
    }
    let keys = keys_in_order(tasks);
    let keys = Table::of(&keys)
        .uuid("request_id", |(id, _)| id.0)
        .smallint("ordinal", |(_, ordinal)| ordinal.cast_signed());
    on.run(Delete::from(table, keys).into()).await?;
    Ok(())
}

columns! {
    /// A row of `deferred`.
    struct DeferredColumns {
        request_id: Uuid,
        until: i64,
        mark: i64,
        ordinal: i16,
        reason: i16,
        processor: String,
    }
}

impl DeferredColumns {
    fn into_row(self) -> Result<DeferredRow, StoreError> {
        let unreadable = |detail| StoreError::Unreadable {
            table: "deferred",
            detail: format!("request {}: {detail}", self.request_id),
        };
        let reason = u8::try_from(self.reason).ok().and_then(Why::from_code);
        Ok(DeferredRow {
            request_id: RequestId(self.request_id),
            ordinal: self.ordinal.cast_unsigned(),
            reason: reason.ok_or_else(|| unreadable(format!("reason {}", self.reason)))?,
            processor: ProcessorId::new(&self.processor).map_err(|error| unreadable(error.to_string()))?,
            until: (self.until != NO_DATE).then_some(At::from_millis(self.until)),
            mark: At::from_millis(self.mark),
        })
    }
}

pub(in crate::store) fn until(at: Option<At>) -> i64 {
    at.map_or(NO_DATE, At::millis)
}

/// Where a list of deferred tasks goes on: after this (until, request, ordinal). No plan has so many tasks that an
/// ordinal comes near the sign.
fn list_after(filter: &DeferredFilter) -> (i64, Uuid, i16) {
    filter
        .after
        .map_or((i64::MIN, Uuid::nil(), -1), |(at, id, ordinal)| {
            (until(at), id.0, ordinal.cast_signed())
        })
}

/// The last date that a list of deferred tasks shows.
fn list_until(filter: &DeferredFilter) -> i64 {
    filter
        .due_before
        .map_or(NO_DATE, |before| before.millis().saturating_sub(1))
}
