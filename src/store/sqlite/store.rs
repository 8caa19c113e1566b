//! The store, its connections, and how single statements are run on them.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use sqlx::{
    Sqlite, SqliteConnection, SqlitePool,
    pool::PoolConnection,
    query_as, query_scalar,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    file::{self, LockFile},
    transaction::SqliteTransaction,
};
use crate::{
    clock::Clock,
    domain::time::At,
    store::{
        error::StoreError,
        open::{Exclusive, StoreOptions},
        port::{Flaw, Store, Transaction, Transactions},
        schema::{self, Applied},
        session::{Dialect, Pool, Session as _},
        statement::{Rows, Statement},
    },
};

/// A store in a file of SQLite.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    /// One connection: whoever has it is the only writer in this process.
    writer: SqlitePool,
    readers: SqlitePool,
    path: Arc<Path>,
    clock: Clock,
    /// Held as long as the store is open, where it was opened exclusively.
    _lock: Option<Arc<LockFile>>,
}

impl SqliteStore {
    /// Opens the file, and creates it where there is none.
    pub async fn open(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let lock = match options.exclusive {
            Exclusive::Yes => Some(Arc::new(LockFile::take(path)?)),
            Exclusive::No => None,
        };
        file::create_private(path)?;
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            // Each commit is on disk before it is acknowledged.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(options.lock_timeout)
            // What is deleted is overwritten where its page is written anyway: a shredded key must not linger.
            .pragma("secure_delete", "fast")
            // 64 MiB; batches touch recent pages, which should not be read again.
            .pragma("cache_size", "-65536")
            // 64 MiB: a checkpoint writes a page once however often it changed, so fewer of them write less.
            .pragma("wal_autocheckpoint", "16384");
        let pool = SqlitePoolOptions::new()
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None);
        let writer = pool
            .clone()
            .max_connections(1)
            .connect_with(connect.clone())
            .await?;
        let readers = pool
            .max_connections(options.connections)
            .connect_with(connect.pragma("query_only", "on"))
            .await?;
        Ok(Self {
            writer,
            readers,
            path: path.into(),
            clock: options.clock.clone(),
            _lock: lock,
        })
    }

    /// Closes its connections, which leaves one file without a write-ahead log beside it.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        Ok(self.readers.acquire().await?)
    }

    async fn writer(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        Ok(self.writer.acquire().await?)
    }
}

#[async_trait]
impl Pool for SqliteStore {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn read(&self, statement: Statement<'_>) -> Result<Rows, StoreError> {
        self.reader().await?.fetch(statement).await
    }

    async fn glance(&self, statement: Statement<'_>) -> Result<Rows, StoreError> {
        self.read(statement).await
    }

    async fn change(&self, statement: Statement<'_>) -> Result<Rows, StoreError> {
        self.writer().await?.fetch(statement).await
    }

    async fn run(&self, statement: Statement<'_>) -> Result<u64, StoreError> {
        // Many rows are several statements.
        let mut transaction = self.writer.begin_with("begin immediate").await?;
        let changed = transaction.run(statement).await?;
        transaction.commit().await?;
        Ok(changed)
    }
}

#[async_trait]
impl Transactions for SqliteStore {
    async fn begin(&self, _name: &'static str) -> Result<Box<dyn Transaction>, StoreError> {
        // A transaction that became a writer only later could find that its snapshot is too old for it.
        Ok(Box::new(SqliteTransaction(
            self.writer.begin_with("begin immediate").await?,
            self.clock.clone(),
        )))
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        Ok(schema::SQLITE
            .run_direct(None, &mut *self.writer().await?, false)
            .await?)
    }

    async fn check_schema(&self) -> Result<(), StoreError> {
        let applied = applied_migrations(&mut *self.reader().await?).await?;
        schema::check(&schema::SQLITE, &applied)
    }

    async fn now(&self) -> Result<At, StoreError> {
        Ok(self.clock.now())
    }

    async fn flaws(&self) -> Result<Vec<Flaw>, StoreError> {
        let sql = "select name from sqlite_master where type = 'index'";
        let mut on = self.reader().await?;
        let there: Vec<String> = query_scalar(sql).fetch_all(&mut *on).await?;
        let missing = schema::indexes(&schema::SQLITE).into_iter();
        Ok(missing
            .filter(|name| !there.contains(name))
            .map(|name| schema::missing_index(&name))
            .collect())
    }

    async fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        file::bytes(&self.path)
    }
}

/// The migrations that the file says it has; none where it never had any.
async fn applied_migrations(on: &mut SqliteConnection) -> Result<Vec<Applied>, StoreError> {
    let sql = "select count(*) from sqlite_master where type = 'table' and name = '_sqlx_migrations'";
    let tables: i64 = query_scalar(sql).fetch_one(&mut *on).await?;
    if tables == 0 {
        return Ok(Vec::new());
    }
    let sql = "select version, success, checksum from _sqlx_migrations order by version";
    Ok(query_as(sql).fetch_all(on).await?)
}
