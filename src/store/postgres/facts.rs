//! Facts, and the revisions of the registry, which are facts too.

use sqlx::{
    AssertSqlSafe, PgConnection, PgExecutor, Row as _, postgres::PgRow, query, query_as, query_scalar,
    raw_sql,
};
use uuid::Uuid;

use crate::{
    domain::{
        fact::{Fact, FactKind, FactVersion},
        ids::ProcessorId,
        time::At,
    },
    store::{
        Chain, Gate, Head, NewFact, Passed, StoreError, StoredFact,
        deferral::{self, FactColumns},
        history,
    },
};

/// Takes the gate lock, and then reads which facts there are: the second statement's snapshot is of a time when the
/// lock was held, so it sees whatever was committed while it was waited for. One round trip brings both.
///
/// Advisory locks count for a whole database, hence the schema in the key; the number ("lacuna" in ASCII) tells the gate
/// lock from whatever else takes advisory locks there. The next number is the lock between those that open requests and
/// those that let commands wait for one: it is taken after the gate, so that nobody waits in a circle.
pub(super) async fn gate(on: &mut PgConnection, mode: Gate) -> Result<Passed, StoreError> {
    let locks = match mode {
        Gate::Shared => {
            "select 0 from pg_advisory_xact_lock_shared(hashtextextended(coalesce(current_schema(), ''), \
             119165536267873));"
        }
        Gate::Opening => {
            "select 0 from pg_advisory_xact_lock_shared(hashtextextended(coalesce(current_schema(), ''), \
             119165536267873)); select 0 from pg_advisory_xact_lock_shared(hashtextextended(coalesce(current_schema(), ''), \
             119165536267874));"
        }
        Gate::Waiting => {
            "select 0 from pg_advisory_xact_lock_shared(hashtextextended(coalesce(current_schema(), ''), \
             119165536267873)); select 0 from pg_advisory_xact_lock(hashtextextended(coalesce(current_schema(), ''), \
             119165536267874));"
        }
        Gate::Exclusive => {
            "select 0 from pg_advisory_xact_lock(hashtextextended(coalesce(current_schema(), ''), \
             119165536267873));"
        }
    };
    // The text is one of four, whatever comes in.
    let rows = raw_sql(AssertSqlSafe(format!("{locks} {HEADS}")))
        .fetch_all(&mut *on)
        .await?;
    match passed(rows.last().ok_or(sqlx::Error::RowNotFound)?)? {
        Some(passed) => Ok(passed),
        None => heads(on).await,
    }
}

/// How far facts and registry have come, and the time. The subqueries read one row each, by their keys.
const HEADS: &str = "select (select version from fact order by version desc limit 1), \
                     (select chain from fact order by version desc limit 1), \
                     (select revision from registry order by revision desc limit 1), \
                     (select chain from registry order by revision desc limit 1), \
                     (extract(epoch from clock_timestamp()) * 1000)::int8";

/// `None`: something has no chain yet.
fn passed(row: &PgRow) -> Result<Option<Passed>, StoreError> {
    let number =
        |column| Ok::<_, sqlx::Error>(row.try_get::<Option<i32>, _>(column)?.map(i32::cast_unsigned));
    let (Some(facts), Some(registry)) = (
        history::head_of(number(0)?, row.try_get(1)?),
        history::head_of(number(2)?, row.try_get(3)?),
    ) else {
        return Ok(None);
    };
    Ok(Some(Passed {
        facts,
        registry,
        now: At::from_millis(row.try_get(4)?),
    }))
}

/// Reads the heads, and chains first what an older version has added without doing it.
async fn heads(on: &mut PgConnection) -> Result<Passed, StoreError> {
    chain_facts(on).await?;
    chain_revisions(on).await?;
    let row = raw_sql(HEADS).fetch_one(on).await?;
    passed(&row)?.ok_or(StoreError::Conflict)
}

/// Version, id, time, key, digest and chain of a fact.
type ChainColumns = (i32, Uuid, i64, String, Vec<u8>, Option<Vec<u8>>);

/// Whoever does the same at the same time writes the same.
async fn chain_facts(on: &mut PgConnection) -> Result<(), StoreError> {
    let sql = "select version, id, at, key, digest, chain from fact where version >= \
               coalesce((select max(version) from fact where chain is not null), 0) order by version";
    let rows: Vec<ChainColumns> = query_as(sql).fetch_all(&mut *on).await?;
    let mut head = Head::default();
    for (version, id, at, key, digest, chain) in rows {
        if let Some(chain) = chain {
            head =
                history::head_of(Some(version.cast_unsigned()), Some(chain)).ok_or(StoreError::Conflict)?;
            continue;
        }
        head = history::after_fact(head, id, At::from_millis(at), &key, &digest);
        query("update fact set chain = $2 where version = $1 and chain is null")
            .bind(version)
            .bind(head.chain.as_slice())
            .execute(&mut *on)
            .await?;
    }
    Ok(())
}

async fn chain_revisions(on: &mut PgConnection) -> Result<(), StoreError> {
    let sql = "select revision, activated_at, text, chain from registry where revision >= \
               coalesce((select max(revision) from registry where chain is not null), 0) order by revision";
    let rows: Vec<(i32, i64, String, Option<Vec<u8>>)> = query_as(sql).fetch_all(&mut *on).await?;
    let mut before = Chain::default();
    for (revision, at, text, chain) in rows {
        let number = revision.cast_unsigned();
        if chain.is_some() {
            before = history::head_of(Some(number), chain)
                .ok_or(StoreError::Conflict)?
                .chain;
            continue;
        }
        before = history::after_revision(&before, number, At::from_millis(at), &text).chain;
        query("update registry set chain = $2 where revision = $1 and chain is null")
            .bind(revision)
            .bind(before.as_slice())
            .execute(&mut *on)
            .await?;
    }
    Ok(())
}

pub(super) async fn since(
    on: impl PgExecutor<'_>,
    version: FactVersion,
) -> Result<Vec<StoredFact>, StoreError> {
    let sql = "select version, id, at, body, digest, sealed, chain, chain_before from fact where version > $1 order by version";
    let rows: Vec<FactColumns> = query_as(sql).bind(version.cast_signed()).fetch_all(on).await?;
    deferral::facts(rows)
}

pub(super) async fn about(
    on: impl PgExecutor<'_>,
    processor: &ProcessorId,
) -> Result<Vec<StoredFact>, StoreError> {
    let sql = "select version, id, at, body, digest, sealed, chain, chain_before from fact where about = $1 order by version";
    let rows: Vec<FactColumns> = query_as(sql).bind(processor.as_str()).fetch_all(on).await?;
    deferral::facts(rows)
}

pub(super) async fn at(
    on: impl PgExecutor<'_>,
    version: FactVersion,
) -> Result<Option<StoredFact>, StoreError> {
    let sql =
        "select version, id, at, body, digest, sealed, chain, chain_before from fact where version = $1";
    let row: Option<FactColumns> = query_as(sql)
        .bind(version.cast_signed())
        .fetch_optional(on)
        .await?;
    row.map(FactColumns::into_fact).transpose()
}

pub(super) async fn of_key(on: impl PgExecutor<'_>, key: &str) -> Result<Option<StoredFact>, StoreError> {
    let sql = "select version, id, at, body, digest, sealed, chain, chain_before from fact where key = $1";
    let row: Option<FactColumns> = query_as(sql).bind(key).fetch_optional(on).await?;
    row.map(FactColumns::into_fact).transpose()
}

/// Whoever adds one without the exclusive gate lock may lose the race for its version, and inserts nothing.
pub(super) async fn add(on: &mut PgConnection, new: &NewFact) -> Result<FactVersion, StoreError> {
    let kind = i16::from(new.fact.kind().code());
    let key = new.fact.key();
    let head = history::after_fact(heads(on).await?.facts, new.id, new.at, &key, &new.digest);
    let sql = "insert into fact (version, kind, id, at, key, about, body, digest, sealed, chain) \
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing returning version";
    let version: Option<i32> = query_scalar(sql)
        .bind(head.number.cast_signed())
        .bind(kind)
        .bind(new.id)
        .bind(new.at.millis())
        .bind(key)
        .bind(deferral::about(&new.fact).map(ProcessorId::as_str))
        .bind(deferral::fact_body(&new.fact)?)
        .bind(new.digest.as_slice())
        .bind(new.sealed.as_deref())
        .bind(head.chain.as_slice())
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

pub(super) async fn copies_told(
    on: impl PgExecutor<'_>,
    processor: &ProcessorId,
    after: FactVersion,
    told_until: At,
    limit: u32,
) -> Result<Vec<StoredFact>, StoreError> {
    let sql = "select version, id, at, body, digest, sealed, chain, chain_before from fact f \
               where about = $1 and kind = $2 and version > $3 and at <= $4 \
               and version < (select version from fact where at <= $4 order by version desc limit 1) \
               and not exists (select from sweep s where s.version = f.version and s.finished_at is null) \
               order by version limit $5";
    let rows: Vec<FactColumns> = query_as(sql)
        .bind(processor.as_str())
        .bind(i16::from(FactKind::BackupTaken.code()))
        .bind(after.cast_signed())
        .bind(told_until.millis())
        .bind(i64::from(limit))
        .fetch_all(on)
        .await?;
    deferral::facts(rows)
}

pub(super) async fn compact(
    on: &mut PgConnection,
    versions: &[FactVersion],
) -> Result<Vec<FactVersion>, StoreError> {
    let versions: Vec<i32> = versions.iter().map(|version| version.cast_signed()).collect();
    // Whoever else compacts the same waits here, and then finds nothing.
    let sql = "select version from fact where version = any($1) order by version for update";
    let left: Vec<i32> = query_scalar(sql).bind(&versions).fetch_all(&mut *on).await?;
    let sql = "update fact f set chain_before = gone.chain from fact gone \
               where gone.version = any($1) and f.version = gone.version + 1 and f.version <> all($1)";
    query(sql).bind(&left).execute(&mut *on).await?;
    for sql in [
        "delete from sweep where version = any($1)",
        "delete from fact where version = any($1)",
    ] {
        query(sql).bind(&left).execute(&mut *on).await?;
    }
    Ok(left.into_iter().map(i32::cast_unsigned).collect())
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
    on: &mut PgConnection,
    revision: u32,
    text: &str,
    at: At,
) -> Result<(), StoreError> {
    let head = history::after_revision(&heads(on).await?.registry.chain, revision, at, text);
    let sql = "insert into registry (revision, text, activated_at, chain) values ($1, $2, $3, $4) \
               on conflict do nothing";
    let done = query(sql)
        .bind(revision.cast_signed())
        .bind(text)
        .bind(at.millis())
        .bind(head.chain.as_slice())
        .execute(on)
        .await?;
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
}
