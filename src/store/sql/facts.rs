//! Facts, and the revisions of the registry, which are facts too.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::{
        fact::{Fact, FactKind, FactVersion},
        ids::ProcessorId,
        time::At,
    },
    store::{
        error::StoreError,
        facts::{FactStore, FactTransaction, NewFact, StoredFact, StoredRegistry},
        history::{self, Chain, Head},
        session::{Pool, Session},
        statement::{Column, Delete, Statement, Table, sql},
    },
};

/// The active revision of the registry.
fn registry() -> Statement<'static> {
    Statement::new(sql!(
        "select revision, text, activated_at, chain from registry order by revision desc limit 1"
    ))
}

/// The facts after this version.
fn since(version: FactVersion) -> Statement<'static> {
    let sql = sql!(
        "select version, id, at, body, digest, sealed, chain, chain_before from fact where version > $1 order by version"
    );
    Statement::new(sql).bind(version.cast_signed())
}

#[async_trait]
impl<S: Pool> FactStore for S {
    async fn registry(&self) -> Result<Option<StoredRegistry>, StoreError> {
        Ok(self.read(registry()).await?.first()?.map(stored_registry))
    }

    async fn facts_since(&self, version: FactVersion) -> Result<Vec<StoredFact>, StoreError> {
        self.read(since(version)).await?.try_map(FactColumns::into_fact)
    }

    async fn backup_facts(&self, processor: &ProcessorId) -> Result<Vec<StoredFact>, StoreError> {
        let sql = sql!(
            "select version, id, at, body, digest, sealed, chain, chain_before from fact where about = $1 order by version"
        );
        let rows = self.read(Statement::new(sql).bind(processor.as_str())).await?;
        let mut facts = rows.try_map(FactColumns::into_fact)?;
        // The same system may have had its lane paused.
        facts.retain(|stored| matches!(stored.fact, Fact::Backup(_)));
        Ok(facts)
    }

    async fn last_told(&self, processor: &ProcessorId) -> Result<Option<At>, StoreError> {
        let sql = sql!(
            "select at from fact where about = $1 and kind in ($2, $3, $4) order by version desc limit 1"
        );
        let kind = |kind: FactKind| i16::from(kind.code());
        let statement = Statement::new(sql)
            .bind(processor.as_str())
            .bind(kind(FactKind::BackupTaken))
            .bind(kind(FactKind::BackupRotated))
            .bind(kind(FactKind::BackupRestored));
        let row: Option<(i64,)> = self.glance(statement).await?.first()?;
        Ok(row.map(|(at,)| At::from_millis(at)))
    }
}

#[async_trait]
impl<S: Session> FactTransaction for S {
    async fn facts_since(&mut self, version: FactVersion) -> Result<Vec<StoredFact>, StoreError> {
        self.fetch(since(version)).await?.try_map(FactColumns::into_fact)
    }

    async fn fact_at(&mut self, version: FactVersion) -> Result<Option<StoredFact>, StoreError> {
        let sql = sql!(
            "select version, id, at, body, digest, sealed, chain, chain_before from fact where version = $1"
        );
        let rows = self
            .fetch(Statement::new(sql).bind(version.cast_signed()))
            .await?;
        rows.first()?.map(FactColumns::into_fact).transpose()
    }

    async fn fact(&mut self, key: &str) -> Result<Option<StoredFact>, StoreError> {
        let sql = sql!(
            "select version, id, at, body, digest, sealed, chain, chain_before from fact where key = $1"
        );
        let rows = self.fetch(Statement::new(sql).bind(key)).await?;
        rows.first()?.map(FactColumns::into_fact).transpose()
    }

    async fn copies_told(
        &mut self,
        processor: &ProcessorId,
        after: FactVersion,
        told_until: At,
        limit: u32,
    ) -> Result<Vec<StoredFact>, StoreError> {
        let sql = sql!(
            "select version, id, at, body, digest, sealed, chain, chain_before from fact f \
             where about = $1 and kind = $2 and version > $3 and at <= $4 \
             and version < (select version from fact where at <= $4 order by version desc limit 1) \
             and not exists (select" ["" | " 1"] " from sweep s where s.version = f.version and s.finished_at is null) \
             order by version limit $5"
        );
        let statement = Statement::new(sql)
            .bind(processor.as_str())
            .bind(i16::from(FactKind::BackupTaken.code()))
            .bind(after.cast_signed())
            .bind(told_until.millis())
            .bind(i64::from(limit));
        self.fetch(statement).await?.try_map(FactColumns::into_fact)
    }

    async fn compact_facts(&mut self, versions: &[FactVersion]) -> Result<Vec<FactVersion>, StoreError> {
        let numbers = versions.iter().map(|version| version.cast_signed());
        // Whoever else compacts the same waits here, and then finds nothing.
        let sql =
            sql!("select version from fact where version " any "$1" " order by version" lock " for update");
        let statement = Statement::new(sql).bind(Column::Integer(numbers.collect()));
        let left: Vec<i32> = self.fetch(statement).await?.map(|(version,)| version)?;
        let sql = sql!(
            "update fact as f set chain_before = gone.chain from fact as gone where gone.version " any "$1"
            " and f.version = gone.version + 1 and f.version " none "$1"
        );
        self.run(Statement::new(sql).bind(Column::Integer(left.clone())))
            .await?;
        for table in ["sweep", "fact"] {
            let keys = Table::of(&left).integer("version", |version| *version);
            self.run(Delete::from(table, keys).into()).await?;
        }
        Ok(left.into_iter().map(i32::cast_unsigned).collect())
    }

    /// Whoever adds one without the exclusive gate lock may lose the race for its version, and inserts nothing.
    async fn add_fact(&mut self, new: &NewFact) -> Result<FactVersion, StoreError> {
        let kind = i16::from(new.fact.kind().code());
        let key = new.fact.key();
        let (facts, _) = heads(self).await?;
        let head = history::after_fact(facts, new.id, new.at, &key, &new.digest);
        let sql = sql!(
            "insert into fact (version, kind, id, at, key, about, body, digest, sealed, chain) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing"
        );
        let statement = Statement::new(sql)
            .bind(head.number.cast_signed())
            .bind(kind)
            .bind(new.id)
            .bind(new.at.millis())
            .bind(key)
            .bind(about(&new.fact).map(ProcessorId::as_str))
            .bind(fact_body(&new.fact)?)
            .bind(new.digest.as_slice())
            .bind(new.sealed.as_deref())
            .bind(head.chain.as_slice());
        one_row(self.run(statement).await?)?;
        if new.sweeps {
            let sql = sql!(
                "insert into sweep (version, kind, started_at, updated_at, done, stage) values ($1, $2, $3, $3, 0, 0)"
            );
            let statement = Statement::new(sql)
                .bind(head.number.cast_signed())
                .bind(kind)
                .bind(new.at.millis());
            self.run(statement).await?;
        }
        Ok(head.number)
    }

    async fn rewrite_fact(&mut self, version: FactVersion, fact: &Fact) -> Result<(), StoreError> {
        let statement = Statement::new(sql!("update fact set body = $2 where version = $1"))
            .bind(version.cast_signed())
            .bind(fact_body(fact)?);
        one_row(self.run(statement).await?)
    }

    async fn add_registry(&mut self, revision: u32, text: &str, at: At) -> Result<(), StoreError> {
        let (_, registry) = heads(self).await?;
        let head = history::after_revision(&registry.chain, revision, at, text);
        let sql = sql!(
            "insert into registry (revision, text, activated_at, chain) values ($1, $2, $3, $4) on conflict do nothing"
        );
        let statement = Statement::new(sql)
            .bind(revision.cast_signed())
            .bind(text)
            .bind(at.millis())
            .bind(head.chain.as_slice());
        one_row(self.run(statement).await?)
    }

    async fn registry(&mut self) -> Result<Option<StoredRegistry>, StoreError> {
        Ok(self.fetch(registry()).await?.first()?.map(stored_registry))
    }
}

/// Another number of rows than one: somebody else was faster.
fn one_row(rows: u64) -> Result<(), StoreError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
}

/// Number and chain of the last fact, and of the last revision of the registry.
type HeadColumns = (Option<i32>, Option<Vec<u8>>, Option<i32>, Option<Vec<u8>>);

/// How far facts and registry have come. What an older version has added without a chain is chained first.
pub(in crate::store) async fn heads(on: &mut impl Session) -> Result<(Head, Head), StoreError> {
    if let Some(heads) = read_heads(on).await? {
        return Ok(heads);
    }
    chain_what_is_not(on).await?;
    read_heads(on).await?.ok_or(StoreError::Conflict)
}

/// `None`: something has no chain yet. The subqueries read one row each, by their keys.
async fn read_heads(on: &mut impl Session) -> Result<Option<(Head, Head)>, StoreError> {
    let sql = sql!(
        "select (select version from fact order by version desc limit 1), \
         (select chain from fact order by version desc limit 1), \
         (select revision from registry order by revision desc limit 1), \
         (select chain from registry order by revision desc limit 1)"
    );
    let (version, fact, revision, registry): HeadColumns = on.fetch(Statement::new(sql)).await?.one()?;
    let head = |number: Option<i32>, chain| history::head_of(number.map(i32::cast_unsigned), chain);
    Ok(head(version, fact).zip(head(revision, registry)))
}

/// Chains what an older version has added without a chain. Whoever does the same at the same time writes the same.
pub(in crate::store) async fn chain_what_is_not(on: &mut impl Session) -> Result<(), StoreError> {
    chain_facts(on).await?;
    chain_revisions(on).await
}

/// Version, id, time, key, digest and chain of a fact.
type ChainColumns = (i32, Uuid, i64, String, Vec<u8>, Option<Vec<u8>>);

async fn chain_facts(on: &mut impl Session) -> Result<(), StoreError> {
    let sql = sql!(
        "select version, id, at, key, digest, chain from fact where version >= \
         coalesce((select max(version) from fact where chain is not null), 0) order by version"
    );
    let rows: Vec<ChainColumns> = on.fetch(Statement::new(sql)).await?.all()?;
    let mut head = Head::default();
    for (version, id, at, key, digest, chain) in rows {
        if chain.is_some() {
            head = history::head_of(Some(version.cast_unsigned()), chain).ok_or(StoreError::Conflict)?;
            continue;
        }
        head = history::after_fact(head, id, At::from_millis(at), &key, &digest);
        let sql = sql!("update fact set chain = $2 where version = $1 and chain is null");
        on.run(Statement::new(sql).bind(version).bind(head.chain.as_slice()))
            .await?;
    }
    Ok(())
}

async fn chain_revisions(on: &mut impl Session) -> Result<(), StoreError> {
    let sql = sql!(
        "select revision, activated_at, text, chain from registry where revision >= \
         coalesce((select max(revision) from registry where chain is not null), 0) order by revision"
    );
    let rows: Vec<(i32, i64, String, Option<Vec<u8>>)> = on.fetch(Statement::new(sql)).await?.all()?;
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
        let sql = sql!("update registry set chain = $2 where revision = $1 and chain is null");
        on.run(Statement::new(sql).bind(revision).bind(before.as_slice()))
            .await?;
    }
    Ok(())
}

fn stored_registry((revision, text, at, chain): (i32, String, i64, Option<Vec<u8>>)) -> StoredRegistry {
    StoredRegistry {
        revision: revision.cast_unsigned(),
        text,
        activated_at: At::from_millis(at),
        chain: chain.and_then(|chain| chain.try_into().ok()),
    }
}

columns! {
    /// A row of `fact`.
    pub(super) struct FactColumns {
        version: i32,
        id: Uuid,
        at: i64,
        body: String,
        digest: Vec<u8>,
        sealed: Option<Vec<u8>>,
        chain: Option<Vec<u8>>,
        chain_before: Option<Vec<u8>>,
    }
}

impl FactColumns {
    pub(super) fn into_fact(self) -> Result<StoredFact, StoreError> {
        let unreadable = |detail| StoreError::Unreadable {
            table: "fact",
            detail: format!("version {}: {detail}", self.version),
        };
        Ok(StoredFact {
            version: self.version.cast_unsigned(),
            id: self.id,
            fact: serde_json::from_str(&self.body).map_err(|error| unreadable(error.to_string()))?,
            digest: self
                .digest
                .try_into()
                .map_err(|_| unreadable("a digest of another length".into()))?,
            sealed: self.sealed,
            at: At::from_millis(self.at),
            chain: self.chain.and_then(|chain| chain.try_into().ok()),
            chain_before: self.chain_before.and_then(|chain| chain.try_into().ok()),
        })
    }
}

/// The fact as JSON. It is written under its key, and read back whole.
fn fact_body(fact: &Fact) -> Result<String, StoreError> {
    serde_json::to_string(fact).map_err(|error| StoreError::Unreadable {
        table: "fact",
        detail: format!("{}: {error}", fact.key()),
    })
}

/// The processor that a fact is about, where it is one of the catalogue of backups, or stops a lane.
const fn about(fact: &Fact) -> Option<&ProcessorId> {
    match fact {
        Fact::Backup(event) => Some(&event.processor),
        Fact::Paused { processor, .. } | Fact::Resumed { processor, .. } => Some(processor),
        Fact::Hold(_)
        | Fact::Release { .. }
        | Fact::Registry { .. }
        | Fact::Forgotten(_)
        | Fact::Braked { .. }
        | Fact::Unbraked { .. } => None,
    }
}
