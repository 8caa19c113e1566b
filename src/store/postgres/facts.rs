//! Facts, and the revisions of the registry, which are facts too.

use sqlx::{PgConnection, PgExecutor, Row as _, query, query_as, query_scalar, raw_sql};

use crate::{
    domain::{
        fact::{Fact, FactVersion},
        ids::ProcessorId,
        time::At,
    },
    store::{
        Gate, NewFact, StoreError, StoredFact,
        deferral::{self, FactColumns},
    },
};

/// Takes the gate lock, and then reads which facts there are: the second statement's snapshot is of a time when the
/// lock was held, so it sees whatever was committed while it was waited for. One round trip brings both.
///
/// Advisory locks count for a whole database, hence the schema in the key; the number ("lacuna" in ASCII) tells the gate
/// lock from whatever else takes advisory locks there. The next number is the lock between those that open requests and
/// those that let commands wait for one: it is taken after the gate, so that nobody waits in a circle.
pub(super) async fn gate(on: &mut PgConnection, mode: Gate) -> Result<FactVersion, StoreError> {
    let sql = match mode {
        Gate::Shared => {
            "select 0 from pg_advisory_xact_lock_shared(hashtextextended(coalesce(current_schema(), ''), \
             119165536267873)); select coalesce(max(version), 0) from fact"
        }
        Gate::Opening => {
            "select 0 from pg_advisory_xact_lock_shared(hashtextextended(coalesce(current_schema(), ''), \
             119165536267873)); select 0 from pg_advisory_xact_lock_shared(hashtextextended(coalesce(current_schema(), ''), \
             119165536267874)); select coalesce(max(version), 0) from fact"
        }
        Gate::Waiting => {
            "select 0 from pg_advisory_xact_lock_shared(hashtextextended(coalesce(current_schema(), ''), \
             119165536267873)); select 0 from pg_advisory_xact_lock(hashtextextended(coalesce(current_schema(), ''), \
             119165536267874)); select coalesce(max(version), 0) from fact"
        }
        Gate::Exclusive => {
            "select 0 from pg_advisory_xact_lock(hashtextextended(coalesce(current_schema(), ''), \
             119165536267873)); select coalesce(max(version), 0) from fact"
        }
    };
    let rows = raw_sql(sql).fetch_all(on).await?;
    let version: i32 = rows.last().ok_or(sqlx::Error::RowNotFound)?.try_get(0)?;
    Ok(version.cast_unsigned())
}

pub(super) async fn since(
    on: impl PgExecutor<'_>,
    version: FactVersion,
) -> Result<Vec<StoredFact>, StoreError> {
    let sql = "select version, id, at, body, digest, sealed from fact where version > $1 order by version";
    let rows: Vec<FactColumns> = query_as(sql).bind(version.cast_signed()).fetch_all(on).await?;
    deferral::facts(rows)
}

pub(super) async fn about(
    on: impl PgExecutor<'_>,
    processor: &ProcessorId,
) -> Result<Vec<StoredFact>, StoreError> {
    let sql = "select version, id, at, body, digest, sealed from fact where about = $1 order by version";
    let rows: Vec<FactColumns> = query_as(sql).bind(processor.as_str()).fetch_all(on).await?;
    deferral::facts(rows)
}

pub(super) async fn at(
    on: impl PgExecutor<'_>,
    version: FactVersion,
) -> Result<Option<StoredFact>, StoreError> {
    let sql = "select version, id, at, body, digest, sealed from fact where version = $1";
    let row: Option<FactColumns> = query_as(sql)
        .bind(version.cast_signed())
        .fetch_optional(on)
        .await?;
    row.map(FactColumns::into_fact).transpose()
}

pub(super) async fn of_key(on: impl PgExecutor<'_>, key: &str) -> Result<Option<StoredFact>, StoreError> {
    let sql = "select version, id, at, body, digest, sealed from fact where key = $1";
    let row: Option<FactColumns> = query_as(sql).bind(key).fetch_optional(on).await?;
    row.map(FactColumns::into_fact).transpose()
}

/// Whoever adds one without the exclusive gate lock may lose the race for its version, and inserts nothing.
pub(super) async fn add(on: &mut PgConnection, new: &NewFact) -> Result<FactVersion, StoreError> {
    let kind = i16::from(new.fact.kind().code());
    let sql = "insert into fact (version, kind, id, at, key, about, body, digest, sealed) \
               select coalesce(max(version), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8 from fact \
               on conflict do nothing returning version";
    let version: Option<i32> = query_scalar(sql)
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
        let sql = "insert into sweep (version, kind, started_at, updated_at, done, stage) values ($1, $2, $3, $3, 0, 0)";
        query(sql)
            .bind(version)
            .bind(kind)
            .bind(new.at.millis())
            .execute(on)
            .await?;
    }
    Ok(version.cast_unsigned())
}

pub(super) async fn rewrite(
    on: impl PgExecutor<'_>,
    version: FactVersion,
    fact: &Fact,
) -> Result<(), StoreError> {
    let done = query("update fact set body = $2 where version = $1")
        .bind(version.cast_signed())
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
    on: impl PgExecutor<'_>,
    revision: u32,
    text: &str,
    at: At,
) -> Result<(), StoreError> {
    let sql =
        "insert into registry (revision, text, activated_at) values ($1, $2, $3) on conflict do nothing";
    let done = query(sql)
        .bind(revision.cast_signed())
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
