//! Facts, and the revisions of the registry, which are facts too.

use sqlx::{SqliteConnection, SqliteExecutor, query, query_as, query_scalar};

use crate::{
    domain::{
        fact::{Fact, FactVersion},
        ids::ProcessorId,
        time::At,
    },
    store::{
        NewFact, StoreError, StoredFact,
        deferral::{self, FactColumns},
    },
};

pub(super) async fn version(on: impl SqliteExecutor<'_>) -> Result<FactVersion, StoreError> {
    Ok(query_scalar("select coalesce(max(version), 0) from fact")
        .fetch_one(on)
        .await?)
}

pub(super) async fn since(
    on: impl SqliteExecutor<'_>,
    version: FactVersion,
) -> Result<Vec<StoredFact>, StoreError> {
    let sql = "select version, id, at, body, digest, sealed from fact where version > ?1 order by version";
    let rows: Vec<FactColumns> = query_as(sql).bind(version).fetch_all(on).await?;
    deferral::facts(rows)
}

pub(super) async fn about(
    on: impl SqliteExecutor<'_>,
    processor: &ProcessorId,
) -> Result<Vec<StoredFact>, StoreError> {
    let sql = "select version, id, at, body, digest, sealed from fact where about = ?1 order by version";
    let rows: Vec<FactColumns> = query_as(sql).bind(processor.as_str()).fetch_all(on).await?;
    deferral::facts(rows)
}

pub(super) async fn at(
    on: impl SqliteExecutor<'_>,
    version: FactVersion,
) -> Result<Option<StoredFact>, StoreError> {
    let sql = "select version, id, at, body, digest, sealed from fact where version = ?1";
    let row: Option<FactColumns> = query_as(sql).bind(version).fetch_optional(on).await?;
    row.map(FactColumns::into_fact).transpose()
}

pub(super) async fn of_key(on: impl SqliteExecutor<'_>, key: &str) -> Result<Option<StoredFact>, StoreError> {
    let sql = "select version, id, at, body, digest, sealed from fact where key = ?1";
    let row: Option<FactColumns> = query_as(sql).bind(key).fetch_optional(on).await?;
    row.map(FactColumns::into_fact).transpose()
}

pub(super) async fn add(on: &mut SqliteConnection, new: &NewFact) -> Result<FactVersion, StoreError> {
    let kind = new.fact.kind().code();
    // Without a condition SQLite would take `on conflict` for the join of a select.
    let sql = "insert into fact (version, kind, id, at, key, about, body, digest, sealed) \
               select coalesce(max(version), 0) + 1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 from fact where true \
               on conflict do nothing returning version";
    let version: Option<FactVersion> = query_scalar(sql)
        .bind(kind)
        .bind(new.id)
        .bind(new.at.millis())
        .bind(new.fact.key())
        .bind(deferral::about(&new.fact).map(ProcessorId::as_str))
        .bind(deferral::fact_body(&new.fact)?)
        .bind(new.digest.as_slice())
        .bind(new.sealed.as_deref())
        .fetch_optional(&mut *on)
        .await?;
    let version = version.ok_or(StoreError::Conflict)?;
    if new.sweeps {
        let sql = "insert into sweep (version, kind, started_at, updated_at, done, stage) values (?1, ?2, ?3, ?3, 0, 0)";
        query(sql)
            .bind(version)
            .bind(kind)
            .bind(new.at.millis())
            .execute(on)
            .await?;
    }
    Ok(version)
}

pub(super) async fn rewrite(
    on: impl SqliteExecutor<'_>,
    version: FactVersion,
    fact: &Fact,
) -> Result<(), StoreError> {
    let done = query("update fact set body = ?2 where version = ?1")
        .bind(version)
        .bind(deferral::fact_body(fact)?)
        .execute(on)
        .await?;
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
}

pub(super) async fn add_registry(
    on: impl SqliteExecutor<'_>,
    revision: u32,
    text: &str,
    at: At,
) -> Result<(), StoreError> {
    let sql =
        "insert into registry (revision, text, activated_at) values (?1, ?2, ?3) on conflict do nothing";
    let done = query(sql)
        .bind(revision)
        .bind(text)
        .bind(at.millis())
        .execute(on)
        .await?;
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
}
