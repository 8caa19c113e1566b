//! How long the lists of sweeps are.

use sqlx::{SqliteExecutor, query_scalar};

use crate::{
    domain::ids::ProcessorId,
    store::{error::StoreError, sweeps::Concerned},
};

/// Exact: one file holds no list that takes long to count.
pub(super) async fn count(on: impl SqliteExecutor<'_>, of: &Concerned) -> Result<u64, StoreError> {
    let n: i64 = match of {
        Concerned::Open => query_scalar("select count(*) from agenda").fetch_one(on).await?,
        Concerned::All => query_scalar("select count(*) from state").fetch_one(on).await?,
        Concerned::Held => {
            let sql = "select count(distinct request_id) from deferred where reason = 7";
            query_scalar(sql).fetch_one(on).await?
        }
        Concerned::Queued(lanes) => {
            let names: Vec<&str> = lanes.iter().map(ProcessorId::as_str).collect();
            let sql = "select count(distinct request_id) from queued \
                       where processor in (select value from json_each(?1))";
            let names = serde_json::Value::from(names).to_string();
            query_scalar(sql).bind(names).fetch_one(on).await?
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
