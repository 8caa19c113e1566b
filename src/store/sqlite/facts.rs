//! Facts, and the revisions of the registry, which are facts too.

use sqlx::{SqliteConnection, SqliteExecutor, query, query_as, query_scalar};
use uuid::Uuid;

use crate::{
    domain::{
        fact::{Fact, FactKind, FactVersion},
        ids::ProcessorId,
        time::At,
    },
    store::{
        Chain, Head, NewFact, StoreError, StoredFact,
        deferral::{self, FactColumns},
        history,
    },
};

/// How far facts and registry have come. What an older version has added without a chain is chained first.
pub(super) async fn heads(on: &mut SqliteConnection) -> Result<(Head, Head), StoreError> {
    if let Some(heads) = read_heads(on).await? {
        return Ok(heads);
    }
    chain_facts(on).await?;
    chain_revisions(on).await?;
    read_heads(on).await?.ok_or(StoreError::Conflict)
}

/// Number and chain of the last fact, and of the last revision of the registry.
type HeadColumns = (Option<u32>, Option<Vec<u8>>, Option<u32>, Option<Vec<u8>>);

/// Version, id, time, key, digest and chain of a fact.
type ChainColumns = (u32, Uuid, i64, String, Vec<u8>, Option<Vec<u8>>);

/// `None`: something has no chain yet.
async fn read_heads(on: &mut SqliteConnection) -> Result<Option<(Head, Head)>, StoreError> {
    let sql = "select (select version from fact order by version desc limit 1), \
               (select chain from fact order by version desc limit 1), \
               (select revision from registry order by revision desc limit 1), \
               (select chain from registry order by revision desc limit 1)";
    let (version, fact, revision, registry): HeadColumns = query_as(sql).fetch_one(on).await?;
    Ok(history::head_of(version, fact).zip(history::head_of(revision, registry)))
}

async fn chain_facts(on: &mut SqliteConnection) -> Result<(), StoreError> {
    let sql = "select version, id, at, key, digest, chain from fact where version >= \
               coalesce((select max(version) from fact where chain is not null), 0) order by version";
    let rows: Vec<ChainColumns> = query_as(sql).fetch_all(&mut *on).await?;
    let mut head = Head::default();
    for (version, id, at, key, digest, chain) in rows {
        if chain.is_some() {
            head = history::head_of(Some(version), chain).ok_or(StoreError::Conflict)?;
            continue;
        }
        head = history::after_fact(head, id, At::from_millis(at), &key, &digest);
        query("update fact set chain = ?2 where version = ?1")
            .bind(version)
            .bind(head.chain.as_slice())
            .execute(&mut *on)
            .await?;
    }
    Ok(())
}

async fn chain_revisions(on: &mut SqliteConnection) -> Result<(), StoreError> {
    let sql = "select revision, activated_at, text, chain from registry where revision >= \
               coalesce((select max(revision) from registry where chain is not null), 0) order by revision";
    let rows: Vec<(u32, i64, String, Option<Vec<u8>>)> = query_as(sql).fetch_all(&mut *on).await?;
    let mut before = Chain::default();
    for (revision, at, text, chain) in rows {
        if chain.is_some() {
            before = history::head_of(Some(revision), chain)
                .ok_or(StoreError::Conflict)?
                .chain;
            continue;
        }
        before = history::after_revision(&before, revision, At::from_millis(at), &text).chain;
        query("update registry set chain = ?2 where revision = ?1")
            .bind(revision)
            .bind(before.as_slice())
            .execute(&mut *on)
            .await?;
    }
    Ok(())
}

pub(super) async fn since(
    on: impl SqliteExecutor<'_>,
    version: FactVersion,
) -> Result<Vec<StoredFact>, StoreError> {
    let sql = "select version, id, at, body, digest, sealed, chain, chain_before from fact where version > ?1 order by version";
    let rows: Vec<FactColumns> = query_as(sql).bind(version).fetch_all(on).await?;
    deferral::facts(rows)
}

pub(super) async fn about(
    on: impl SqliteExecutor<'_>,
    processor: &ProcessorId,
) -> Result<Vec<StoredFact>, StoreError> {
    let sql = "select version, id, at, body, digest, sealed, chain, chain_before from fact where about = ?1 order by version";
    let rows: Vec<FactColumns> = query_as(sql).bind(processor.as_str()).fetch_all(on).await?;
    deferral::facts(rows)
}

pub(super) async fn at(
    on: impl SqliteExecutor<'_>,
    version: FactVersion,
) -> Result<Option<StoredFact>, StoreError> {
    let sql =
        "select version, id, at, body, digest, sealed, chain, chain_before from fact where version = ?1";
    let row: Option<FactColumns> = query_as(sql).bind(version).fetch_optional(on).await?;
    row.map(FactColumns::into_fact).transpose()
}

pub(super) async fn of_key(on: impl SqliteExecutor<'_>, key: &str) -> Result<Option<StoredFact>, StoreError> {
    let sql = "select version, id, at, body, digest, sealed, chain, chain_before from fact where key = ?1";
    let row: Option<FactColumns> = query_as(sql).bind(key).fetch_optional(on).await?;
    row.map(FactColumns::into_fact).transpose()
}

pub(super) async fn add(on: &mut SqliteConnection, new: &NewFact) -> Result<FactVersion, StoreError> {
    let kind = new.fact.kind().code();
    let key = new.fact.key();
    let head = history::after_fact(heads(on).await?.0, new.id, new.at, &key, &new.digest);
    let sql = "insert into fact (version, kind, id, at, key, about, body, digest, sealed, chain) \
               values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) on conflict do nothing returning version";
    let version: Option<FactVersion> = query_scalar(sql)
        .bind(head.number)
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

pub(super) async fn copies_told(
    on: impl SqliteExecutor<'_>,
    processor: &ProcessorId,
    after: FactVersion,
    told_until: At,
    limit: u32,
) -> Result<Vec<StoredFact>, StoreError> {
    let sql = "select version, id, at, body, digest, sealed, chain, chain_before from fact f \
               where about = ?1 and kind = ?2 and version > ?3 and at <= ?4 \
               and version < (select version from fact where at <= ?4 order by version desc limit 1) \
               and not exists (select 1 from sweep s where s.version = f.version and s.finished_at is null) \
               order by version limit ?5";
    let rows: Vec<FactColumns> = query_as(sql)
        .bind(processor.as_str())
        .bind(FactKind::BackupTaken.code())
        .bind(after)
        .bind(told_until.millis())
        .bind(limit)
        .fetch_all(on)
        .await?;
    deferral::facts(rows)
}

pub(super) async fn compact(
    on: &mut SqliteConnection,
    versions: &[FactVersion],
) -> Result<Vec<FactVersion>, StoreError> {
    let listed = serde_json::json!(versions).to_string();
    let sql = "update fact set chain_before = (select gone.chain from fact gone where gone.version = fact.version - 1) \
               where version in (select value + 1 from json_each(?1)) and version not in (select value from json_each(?1)) \
               and exists (select 1 from fact gone where gone.version = fact.version - 1)";
    query(sql).bind(&listed).execute(&mut *on).await?;
    query("delete from sweep where version in (select value from json_each(?1))")
        .bind(&listed)
        .execute(&mut *on)
        .await?;
    let sql = "delete from fact where version in (select value from json_each(?1)) returning version";
    Ok(query_scalar(sql).bind(&listed).fetch_all(on).await?)
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
    on: &mut SqliteConnection,
    revision: u32,
    text: &str,
    at: At,
) -> Result<(), StoreError> {
    let head = history::after_revision(&heads(on).await?.1.chain, revision, at, text);
    let sql = "insert into registry (revision, text, activated_at, chain) values (?1, ?2, ?3, ?4) \
               on conflict do nothing";
    let done = query(sql)
        .bind(revision)
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
