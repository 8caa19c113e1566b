//! How long the lists of sweeps are.

use sqlx::{PgConnection, query_scalar};

use crate::{
    domain::{ids::ProcessorId, words::Why},
    store::{error::StoreError, sweeps::Concerned},
};

/// Up to this many requests of a list are counted; of a longer one a sample is.
const COUNTED: i64 = 100_000;

/// So many pages of a table are a sample of it.
const SAMPLED_PAGES: f64 = 2_000.0;

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
        Concerned::Queued(_) => "queued",
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
        Concerned::Queued(lanes) => {
            let sql = "select count(*) from (select distinct on (request_id) request_id from queued \
                       where processor = any($1) order by request_id limit $2) as part";
            query_scalar(sql)
                .bind(names(lanes))
                .bind(COUNTED)
                .fetch_one(on)
                .await?
        }
        Concerned::Deferred {
            reason,
            processor,
            up_to,
        } => {
            query_scalar(first_deferred(*reason))
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

fn names(lanes: &[ProcessorId]) -> Vec<&str> {
    lanes.iter().map(ProcessorId::as_str).collect()
}

/// Counts the first of what is deferred for a reason at a processor.
fn first_deferred(reason: Why) -> &'static str {
    // Seldom has a request more than two copies of one mark: where so many rows are not all, so many requests are
    // not either.
    let rotations = "select count(*) from (select distinct mark, request_id from ( \
                       select mark, request_id from deferred where reason = 8 and reason = $1 \
                       and processor = (select number from processor_number where name = $2) \
                       and mark <= $3 order by mark limit 2 * $4) as rows) as part";
    let others = "select count(*) from (select distinct on (until, request_id) until from deferred \
                  where reason = $1 and processor = (select number from processor_number where name = $2) and until <= $3 \
                  order by until, request_id limit $4) as part";
    if reason == Why::BackupRotation {
        rotations
    } else {
        others
    }
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
        Concerned::Queued(lanes) => {
            let sql = "select count(*) from queued tablesample system ($1) where processor = any($2)";
            query_scalar(sql)
                .bind(percent)
                .bind(names(lanes))
                .fetch_one(on)
                .await?
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
