//! The store, its connections, and how single statements are run on them.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Connection, PgConnection, PgPool, postgres::PgConnectOptions};

use super::{flaws, held::Held, pool::Servers, settings, transaction::PostgresTransaction, upkeep};
use crate::{
    domain::time::At,
    store::{
        classify::bounded,
        error::StoreError,
        open::StoreOptions,
        port::{Flaw, Store, Transaction, Transactions},
        schema,
        session::{Dialect, Pool, Session as _},
        statement::{Rows, Statement},
    },
};

/// Every kind of statement has one constant text, so that this many prepared statements are enough for all of them.
const STATEMENT_CACHE: usize = 256;

/// What is read of the store all the time is found within milliseconds, or something is wrong with the way it is looked for.
const GLANCE: &str = "begin isolation level read committed read only; \
                      set local statement_timeout = 2000; set local application_name = 'lacuna gauges'";

/// A store in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    servers: Servers,
    /// How to connect for migrations, which may take longer than any statement of a worker.
    unhurried: PgConnectOptions,
    patience: Duration,
}

impl PostgresStore {
    /// Connects. The URL's own parameters, `options=-csearch_path=…` among them, stay in force.
    pub async fn open(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        let base: PgConnectOptions = url.parse().map_err(|_| {
            // The parser's own message may repeat parts of the URL, which holds a password.
            StoreError::Address("the store's URL is not one of PostgreSQL".into())
        })?;
        let base = base.statement_cache_capacity(STATEMENT_CACHE);
        let lock_timeout = ("lock_timeout", options.lock_timeout.as_millis().to_string());
        let unhurried = base.clone().options([lock_timeout.clone()]);
        let connect = base.options([
            lock_timeout,
            (
                "statement_timeout",
                options.statement_timeout.as_millis().to_string(),
            ),
            // A worker that hangs between two statements must not keep its locks.
            (
                "idle_in_transaction_session_timeout",
                options.statement_timeout.as_millis().to_string(),
            ),
            // Whatever this program asks of a large table goes by a key. A plan that was made while a table was
            // still small, or before its statistics were taken, must not read all of it for every batch.
            ("enable_seqscan", "off".into()),
            ("enable_hashjoin", "off".into()),
            ("enable_mergejoin", "off".into()),
            // A plan that has to read a whole table counts as enormous then, also where the table is empty, and the server
            // would compile it each time: a fifth of a second for a look that takes none.
            ("jit", "off".into()),
        ]);
        // Half of the time is for connecting, half for asking why that failed.
        let half = options.connect_timeout / 2;
        let servers = match Servers::connect(connect, options, half).await {
            // The pool tries again until its time is up, and then says only that. One more try says why.
            Err(sqlx::Error::PoolTimedOut) => {
                let why = bounded(half, async { Ok(PgConnection::connect_with(&unhurried).await?) });
                return Err(why.await.err().unwrap_or(sqlx::Error::PoolTimedOut.into()));
            }
            connected => connected?,
        };
        // What the server's own limits do not end, because the server is gone, ends a little later on this side.
        let patience = options.statement_timeout + options.acquire_timeout;
        Ok(Self {
            servers,
            unhurried,
            patience,
        })
    }

    /// Closes its connections.
    pub async fn close(&self) {
        self.servers.pool.close().await;
    }

    fn pool(&self) -> &PgPool {
        &self.servers.pool
    }

    async fn ask<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        bounded(self.patience, work)
            .await
            .map_err(|error| self.servers.explained(error))
    }

    /// Begins a transaction. After a failover every connection that idles is broken, and each of them would cost somebody a
    /// pause: as long as others may be whole, or new, the next one is tried.
    async fn begun(&self, statement: &str) -> Result<Held, StoreError> {
        let mut tries = self.servers.tries();
        loop {
            let connection = self.servers.connection().await?;
            match Held::begin(connection, statement).await {
                Err(error) if tries > 1 => {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "a connection is thrown away"
                    );
                    tries -= 1;
                }
                begun => return begun,
            }
        }
    }
}

#[async_trait]
impl Pool for PostgresStore {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn read(&self, statement: Statement<'_>) -> Result<Rows, StoreError> {
        self.change(statement).await
    }

    async fn glance(&self, statement: Statement<'_>) -> Result<Rows, StoreError> {
        self.ask(async {
            let mut on = self.begun(GLANCE).await?;
            let seen = on.fetch(statement).await?;
            on.commit().await?;
            Ok(seen)
        })
        .await
    }

    async fn change(&self, statement: Statement<'_>) -> Result<Rows, StoreError> {
        self.ask(async { self.pool().acquire().await?.fetch(statement).await })
            .await
    }

    async fn run(&self, statement: Statement<'_>) -> Result<u64, StoreError> {
        self.ask(async { self.pool().acquire().await?.run(statement).await })
            .await
    }
}

#[async_trait]
impl Transactions for PostgresStore {
    async fn begin(&self, name: &'static str) -> Result<Box<dyn Transaction>, StoreError> {
        debug_assert!(
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
            "{name}"
        );
        // One round trip begins the transaction and names it: the name shows in pg_stat_activity and, with %a, in the
        // server's log. A comment in each statement would multiply the prepared statements by the names.
        let begin = format!(
            "begin isolation level read committed read write; set local application_name = 'lacuna {name}'"
        );
        let transaction = self.ask(self.begun(&begin)).await?;
        Ok(Box::new(PostgresTransaction::new(transaction, self.patience)))
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = PgConnection::connect_with(&self.unhurried).await?;
        schema::POSTGRES.run_direct(None, &mut connection, false).await?;
        connection.close().await?;
        Ok(())
    }

    async fn check_schema(&self) -> Result<(), StoreError> {
        let applied = self.ask(upkeep::applied_migrations(self.pool())).await?;
        schema::check(&schema::POSTGRES, &applied)
    }

    async fn now(&self) -> Result<At, StoreError> {
        self.ask(upkeep::now(self.pool())).await
    }

    async fn warnings(&self) -> Result<Vec<String>, StoreError> {
        Ok(settings::warnings(&self.ask(settings::read(self.pool())).await?))
    }

    async fn flaws(&self) -> Result<Vec<Flaw>, StoreError> {
        self.ask(flaws::find(self.pool())).await
    }

    async fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        self.ask(upkeep::bytes_on_disk(self.pool())).await
    }
}
