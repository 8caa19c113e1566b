//! Sweeps: how far each has come, and the lists of requests that they walk.

use sqlx::{PgConnection, PgExecutor, query, query_as, query_scalar};
use uuid::Uuid;

use crate::{
    domain::{fact::FactVersion, words::Why},
    store::{
        Concerned, Place, StoreError, Sweep,
        deferral::{self, SweepColumns},
    },
};

/// Up to this many requests of a list are counted; of a longer one a sample is.
const COUNTED: i64 = 100_000;

/// So many pages of a table are a sample of it.
const SAMPLED_PAGES: f64 = 2_000.0;

/// What another worker has taken is passed over. It holds the row until its batch is committed.
pub(super) async fn next(
    on: impl PgExecutor<'_>,
    passed_over: &[FactVersion],
) -> Result<Option<Sweep>, StoreError> {
    let sql = "select version, kind, started_at, updated_at, finished_at, done, total, stage, after_mark, after_id \
               from sweep where finished_at is null and version <> all($1) \
               order by version limit 1 for no key update skip locked";
    let passed_over: Vec<i32> = passed_over.iter().map(|version| version.cast_signed()).collect();
    let row: Option<SweepColumns> = query_as(sql).bind(passed_over).fetch_optional(on).await?;
    row.map(SweepColumns::into_sweep).transpose()
}

pub(super) async fn list(
    on: impl PgExecutor<'_>,
    unfinished: bool,
    limit: u32,
) -> Result<Vec<Sweep>, StoreError> {
    // Two texts, so that the index of those that go on serves the list that is asked for all the time.
    let sql = if unfinished {
        "select version, kind, started_at, updated_at, finished_at, done, total, stage, after_mark, after_id \
         from sweep where finished_at is null order by version desc limit $1"
    } else {
        "select version, kind, started_at, updated_at, finished_at, done, total, stage, after_mark, after_id \
         from sweep order by version desc limit $1"
    };
    let rows: Vec<SweepColumns> = query_as(sql).bind(i64::from(limit)).fetch_all(on).await?;
    rows.into_iter().map(SweepColumns::into_sweep).collect()
}

pub(super) async fn advance(on: impl PgExecutor<'_>, sweep: &Sweep) -> Result<(), StoreError> {
    let sql = "update sweep set updated_at = $2, finished_at = $3, done = $4, total = $5, stage = $6, \
               after_mark = $7, after_id = $8 where version = $1";
    let done = query(sql)
        .bind(sweep.version.cast_signed())
        .bind(sweep.updated_at.millis())
        .bind(sweep.finished_at.map(|at| at.millis()))
        .bind(sweep.done.cast_signed())
        .bind(sweep.total.map(u64::cast_signed))
        .bind(i32::from(sweep.stage))
        .bind(sweep.after.map(|(mark, _)| mark))
        .bind(sweep.after.map(|(_, id)| id.0))
        .execute(on)
        .await?;
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
}

/// `distinct on` keeps the order of the index that it reads, where `distinct` may gather a whole list first.
pub(super) async fn concerned(
    on: impl PgExecutor<'_>,
    of: &Concerned,
    after: Option<Place>,
    limit: u32,
) -> Result<Vec<Place>, StoreError> {
    let (mark, id) = deferral::place(after);
    let limit = i64::from(limit);
    let rows: Vec<(i64, Uuid)> = match of {
        Concerned::Open => {
            let sql =
                "select 0::int8, request_id from agenda where request_id > $1 order by request_id limit $2";
            query_as(sql).bind(id).bind(limit).fetch_all(on).await?
        }
        Concerned::All => {
            let sql = "select 0::int8, id from state where id > $1 order by id limit $2";
            query_as(sql).bind(id).bind(limit).fetch_all(on).await?
        }
        Concerned::Held => {
            // The reason is in the text, because only then the index of what is held serves: see the test `the_numbers_of_reasons`.
            let sql = "select distinct on (request_id) 0::int8, request_id from deferred \
                       where reason = 7 and request_id > $1 order by request_id limit $2";
            query_as(sql).bind(id).bind(limit).fetch_all(on).await?
        }
        Concerned::Deferred {
            reason,
            processor,
            up_to,
        } => {
            // See the test `the_numbers_of_reasons` for the 8. The index knows marks and no ids, so the batch's last mark
            // is found first: whatever the planner believes, no more is sorted than what lies before it.
            let rotations = "select distinct on (mark, request_id) mark, request_id from deferred \
                             where reason = 8 and reason = $1 and processor = (select number from processor_number where name = $2) and mark >= $4 \
                             and mark <= coalesce((select d.mark from deferred d where d.reason = 8 \
                               and d.processor = (select number from processor_number where name = $2) and d.mark >= $4 and d.mark <= $3 \
                               and (d.mark, d.request_id) > ($4, $5) order by d.mark offset $6 - 1 limit 1), $3) \
                             and (mark, request_id) > ($4, $5) order by mark, request_id limit $6";
            // The mark of anything else that has a processor's date is that date.
            let others = "select distinct on (until, request_id) until, request_id from deferred \
                          where reason = $1 and processor = (select number from processor_number where name = $2) and until <= $3 \
                          and (until, request_id) > ($4, $5) \
                          order by until, request_id limit $6";
            let sql = if *reason == Why::BackupRotation {
                rotations
            } else {
                others
            };
            query_as(sql)
                .bind(i16::from(reason.code()))
                .bind(processor.as_str())
                .bind(up_to.millis())
                .bind(mark)
                .bind(id)
                .bind(limit)
                .fetch_all(on)
                .await?
        }
        Concerned::Asked { processor, up_to } => {
            let sql = "select distinct on (mark, request_id) mark, request_id from asked_wave \
                       where processor = $1 and mark <= $2 and (mark, request_id) > ($3, $4) \
                       order by mark, request_id limit $5";
            query_as(sql)
                .bind(processor.as_str())
                .bind(up_to.millis())
                .bind(mark)
                .bind(id)
                .bind(limit)
                .fetch_all(on)
                .await?
        }
        Concerned::Capsules { from } => {
            let from = from.cast_signed();
            let (week, id) = if mark < i64::from(from) {
                (from, Uuid::nil())
            } else {
                (i32::try_from(mark).unwrap_or(i32::MAX), id)
            };
            let sql = "select week::int8, request_id from capsule where (week, request_id) > ($1, $2) \
                       order by week, request_id limit $3";
            query_as(sql)
                .bind(week)
                .bind(id)
                .bind(limit)
                .fetch_all(on)
                .await?
        }
    };
    Ok(deferral::places(rows))
}

/// A list that is short is counted by its index. Counting a long one could take longer than a statement may, so that
/// its sweep would never begin: it is estimated from some pages of the table.
pub(super) async fn count(on: &mut PgConnection, of: &Concerned) -> Result<u64, StoreError> {
    let n = counted(on, of).await?;
    if n < COUNTED {
        return Ok(n.cast_unsigned());
    }
    let table = match of {
        Concerned::Open => "agenda",
        Concerned::All => "state",
        Concerned::Held | Concerned::Deferred { .. } => "deferred",
        Concerned::Asked { .. } => "asked_wave",
        Concerned::Capsules { .. } => "capsule",
    };
    let sql = "select greatest(pg_relation_size(to_regclass($1)) / current_setting('block_size')::int8, 1)";
    let pages: i64 = query_scalar(sql).bind(table).fetch_one(&mut *on).await?;
    let percent = (100.0 * SAMPLED_PAGES / pages as f64).min(100.0);
    let estimate = sampled(on, of, percent).await? as f64 * 100.0 / percent;
    Ok((estimate as u64).max(n.cast_unsigned()))
}

async fn counted(on: &mut PgConnection, of: &Concerned) -> Result<i64, StoreError> {
    let n: i64 = match of {
        Concerned::Open => {
            let sql = "select count(*) from (select from agenda order by request_id limit $1) as part";
            query_scalar(sql).bind(COUNTED).fetch_one(on).await?
        }
        Concerned::All => {
            let sql = "select count(*) from (select from state order by id limit $1) as listed";
            query_scalar(sql).bind(COUNTED).fetch_one(on).await?
        }
        Concerned::Held => {
            let sql = "select count(*) from (select distinct on (request_id) request_id from deferred \
                       where reason = 7 order by request_id limit $1) as part";
            query_scalar(sql).bind(COUNTED).fetch_one(on).await?
        }
        Concerned::Deferred {
            reason,
            processor,
            up_to,
        } => {
            // Seldom has a request more than two copies of one mark: where so many rows are not all, so many requests are
            // not either.
            let rotations = "select count(*) from (select distinct mark, request_id from ( \
                               select mark, request_id from deferred where reason = 8 and reason = $1 \
                               and processor = (select number from processor_number where name = $2) \
                               and mark <= $3 order by mark limit 2 * $4) as rows) as part";
            let others = "select count(*) from (select distinct on (until, request_id) until from deferred \
                          where reason = $1 and processor = (select number from processor_number where name = $2) and until <= $3 \
                          order by until, request_id limit $4) as part";
            let sql = if *reason == Why::BackupRotation {
                rotations
            } else {
                others
            };
            query_scalar(sql)
                .bind(i16::from(reason.code()))
                .bind(processor.as_str())
                .bind(up_to.millis())
                .bind(COUNTED)
                .fetch_one(on)
                .await?
        }
        Concerned::Asked { processor, up_to } => {
            let sql = "select count(*) from (select distinct on (mark, request_id) mark from asked_wave \
                       where processor = $1 and mark <= $2 order by mark, request_id limit $3) as part";
            query_scalar(sql)
                .bind(processor.as_str())
                .bind(up_to.millis())
                .bind(COUNTED)
                .fetch_one(on)
                .await?
        }
        Concerned::Capsules { from } => {
            let sql =
                "select count(*) from (select from capsule where week >= $1 order by week limit $2) as part";
            query_scalar(sql)
                .bind(from.cast_signed())
                .bind(COUNTED)
                .fetch_one(on)
                .await?
        }
    };
    Ok(n)
}

/// How many rows of a list the sample has. A request that has two of them counts twice, which an estimate may do.
async fn sampled(on: &mut PgConnection, of: &Concerned, percent: f64) -> Result<i64, StoreError> {
    let n: i64 = match of {
        Concerned::Open => {
            let sql = "select count(*) from agenda tablesample system ($1)";
            query_scalar(sql).bind(percent).fetch_one(on).await?
        }
        Concerned::All => {
            let sql = "select count(*) from state tablesample system ($1)";
            query_scalar(sql).bind(percent).fetch_one(on).await?
        }
        Concerned::Held => {
            let sql = "select count(*) from deferred tablesample system ($1) where reason = 7";
            query_scalar(sql).bind(percent).fetch_one(on).await?
        }
        Concerned::Deferred {
            reason,
            processor,
            up_to,
        } => {
            let sql = "select count(*) from deferred tablesample system ($1) \
                       where reason = $2 and processor = (select number from processor_number where name = $3) and mark <= $4";
            query_scalar(sql)
                .bind(percent)
                .bind(i16::from(reason.code()))
                .bind(processor.as_str())
                .bind(up_to.millis())
                .fetch_one(on)
                .await?
        }
        Concerned::Asked { processor, up_to } => {
            let sql =
                "select count(*) from asked_wave tablesample system ($1) where processor = $2 and mark <= $3";
            query_scalar(sql)
                .bind(percent)
                .bind(processor.as_str())
                .bind(up_to.millis())
                .fetch_one(on)
                .await?
        }
        Concerned::Capsules { from } => {
            let sql = "select count(*) from capsule tablesample system ($1) where week >= $2";
            query_scalar(sql)
                .bind(percent)
                .bind(from.cast_signed())
                .fetch_one(on)
                .await?
        }
    };
    Ok(n)
}
