//! What is asked of the server itself.

use sqlx::{PgExecutor, PgPool, query_as, query_scalar};

use crate::{
    domain::time::At,
    store::{error::StoreError, schema::Applied},
};

pub(super) async fn now(on: impl PgExecutor<'_>) -> Result<At, StoreError> {
    let sql = "select (extract(epoch from clock_timestamp()) * 1000)::int8";
    Ok(At::from_millis(query_scalar(sql).fetch_one(on).await?))
}

pub(super) async fn bytes_on_disk(on: impl PgExecutor<'_>) -> Result<u64, StoreError> {
    let sql = "select coalesce(sum(pg_total_relation_size(oid)), 0)::int8 from pg_class \
               where relkind = 'r' and relnamespace = current_schema()::regnamespace";
    let bytes: i64 = query_scalar(sql).fetch_one(on).await?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// The migrations that the database says it has; none where it never had any.
pub(super) async fn applied_migrations(pool: &PgPool) -> Result<Vec<Applied>, StoreError> {
    let table: bool = query_scalar("select to_regclass('_sqlx_migrations') is not null")
        .fetch_one(pool)
        .await?;
    if !table {
        return Ok(Vec::new());
    }
    let sql = "select version, success, checksum from _sqlx_migrations order by version";
    Ok(query_as(sql).fetch_all(pool).await?)
}
