//! Sweeps: how far each has come, and the lists of requests that they walk.

use serde_json::json;
use sqlx::{SqliteExecutor, query, query_as, query_scalar};
use uuid::Uuid;

use crate::{
    domain::fact::FactVersion,
    store::{
        Concerned, Place, StoreError, Sweep,
        deferral::{self, SweepColumns},
    },
};

/// One writer: no other worker can have taken it.
pub(super) async fn next(
    on: impl SqliteExecutor<'_>,
    passed_over: &[FactVersion],
) -> Result<Option<Sweep>, StoreError> {
    let sql = "select version, kind, started_at, updated_at, finished_at, done, total, stage, after_mark, after_id \
               from sweep where finished_at is null and version not in (select value from json_each(?1)) \
               order by version limit 1";
    let row: Option<SweepColumns> = query_as(sql)
        .bind(json!(passed_over).to_string())
        .fetch_optional(on)
        .await?;
    row.map(SweepColumns::into_sweep).transpose()
}

pub(super) async fn list(
    on: impl SqliteExecutor<'_>,
    unfinished: bool,
    limit: u32,
) -> Result<Vec<Sweep>, StoreError> {
    // Two texts, so that the index of those that go on serves the list that is asked for all the time.
    let sql = if unfinished {
        "select version, kind, started_at, updated_at, finished_at, done, total, stage, after_mark, after_id \
         from sweep where finished_at is null order by version desc limit ?1"
    } else {
        "select version, kind, started_at, updated_at, finished_at, done, total, stage, after_mark, after_id \
         from sweep order by version desc limit ?1"
    };
    let rows: Vec<SweepColumns> = query_as(sql).bind(limit).fetch_all(on).await?;
    rows.into_iter().map(SweepColumns::into_sweep).collect()
}

pub(super) async fn advance(on: impl SqliteExecutor<'_>, sweep: &Sweep) -> Result<(), StoreError> {
    let sql = "update sweep set updated_at = ?2, finished_at = ?3, done = ?4, total = ?5, stage = ?6, \
               after_mark = ?7, after_id = ?8 where version = ?1";
    let done = query(sql)
        .bind(sweep.version)
        .bind(sweep.updated_at.millis())
        .bind(sweep.finished_at.map(|at| at.millis()))
        .bind(sweep.done.cast_signed())
        .bind(sweep.total.map(u64::cast_signed))
        .bind(sweep.stage)
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

pub(super) async fn concerned(
    on: impl SqliteExecutor<'_>,
    of: &Concerned,
    after: Option<Place>,
    limit: u32,
) -> Result<Vec<Place>, StoreError> {
    let (mark, id) = deferral::place(after);
    let rows: Vec<(i64, Uuid)> = match of {
        Concerned::Open => {
            let sql = "select 0, request_id from agenda where request_id > ?1 order by request_id limit ?2";
            query_as(sql).bind(id).bind(limit).fetch_all(on).await?
        }
        Concerned::All => {
            let sql = "select 0, id from state where id > ?1 order by id limit ?2";
            query_as(sql).bind(id).bind(limit).fetch_all(on).await?
        }
        Concerned::Held => {
            // The reason is in the text, because only then the index of what is held serves.
            let sql = "select distinct 0, request_id from deferred where reason = 7 and request_id > ?1 \
                       order by request_id limit ?2";
            query_as(sql).bind(id).bind(limit).fetch_all(on).await?
        }
        Concerned::Deferred {
            reason,
            processor,
            up_to,
        } => {
            let sql = "select distinct mark, request_id from deferred \
                       where reason = ?1 and processor = ?2 and mark <= ?3 and (mark, request_id) > (?4, ?5) \
                       order by mark, request_id limit ?6";
            query_as(sql)
                .bind(reason.code())
                .bind(processor.as_str())
                .bind(up_to.millis())
                .bind(mark)
                .bind(id)
                .bind(limit)
                .fetch_all(on)
                .await?
        }
        Concerned::Asked { processor, up_to } => {
            let sql = "select distinct mark, request_id from asked_wave \
                       where processor = ?1 and mark <= ?2 and (mark, request_id) > (?3, ?4) \
                       order by mark, request_id limit ?5";
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
            let sql = "select week, request_id from capsule \
                       where week >= ?1 and (week, request_id) > (?2, ?3) order by week, request_id limit ?4";
            query_as(sql)
                .bind(from.cast_signed())
                .bind(mark)
                .bind(id)
                .bind(limit)
                .fetch_all(on)
                .await?
        }
    };
    Ok(deferral::places(rows))
}

/// Exact: one file holds no list that takes long to count.
pub(super) async fn count(on: impl SqliteExecutor<'_>, of: &Concerned) -> Result<u64, StoreError> {
    let n: i64 = match of {
        Concerned::Open => query_scalar("select count(*) from agenda").fetch_one(on).await?,
        Concerned::All => query_scalar("select count(*) from state").fetch_one(on).await?,
        Concerned::Held => {
            let sql = "select count(distinct request_id) from deferred where reason = 7";
            query_scalar(sql).fetch_one(on).await?
        }
        Concerned::Deferred {
            reason,
            processor,
            up_to,
        } => {
            let sql = "select count(*) from (select distinct mark, request_id from deferred \
                       where reason = ?1 and processor = ?2 and mark <= ?3)";
            query_scalar(sql)
                .bind(reason.code())
                .bind(processor.as_str())
                .bind(up_to.millis())
                .fetch_one(on)
                .await?
        }
        Concerned::Asked { processor, up_to } => {
            let sql = "select count(*) from (select distinct mark, request_id from asked_wave \
                       where processor = ?1 and mark <= ?2)";
            query_scalar(sql)
                .bind(processor.as_str())
                .bind(up_to.millis())
                .fetch_one(on)
                .await?
        }
        Concerned::Capsules { from } => {
            let sql = "select count(*) from capsule where week >= ?1";
            query_scalar(sql).bind(from.cast_signed()).fetch_one(on).await?
        }
    };
    Ok(n.cast_unsigned())
}
