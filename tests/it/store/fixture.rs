//! A store of its own for each test.

use std::{path::PathBuf, str::FromStr as _, sync::Arc, time::Duration};

use crate::{
    forwarder::Forwarder,
    support::{service, unique},
};
use lacuna::{
    clock::Clock,
    store::{Exclusive, Store, StoreOptions, open::open},
};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, SqliteConnection,
    postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};

/// A migrated store, and a way around it.
#[derive(Debug, Clone)]
pub struct Fixture {
    pub store: Arc<dyn Store>,
    pub place: Place,
}

/// Where the store is.
#[derive(Debug, Clone)]
pub enum Place {
    /// The URL, with its schema.
    Postgres(String),
    Sqlite(PathBuf),
}

impl Place {
    pub fn url(&self) -> String {
        match self {
            Self::Postgres(url) => url.clone(),
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
        }
    }
}

/// Short waits: what has to wait in a test waits for nothing that takes long.
pub fn options() -> StoreOptions {
    StoreOptions {
        acquire_timeout: Duration::from_secs(20),
        ..StoreOptions::new(Clock::System, Exclusive::No)
    }
}

impl Place {
    /// The same store of PostgreSQL, reached through this forwarder. The port of its server, where it is told to.
    pub fn through(&self, forwarder: &Forwarder) -> String {
        let Self::Postgres(url) = self else {
            panic!("SQLite has no address");
        };
        let (from, to) = (format!(":{}/", self.port()), format!(":{}/", forwarder.port()));
        assert!(url.contains(&from), "the URL has a port");
        url.replacen(&from, &to, 1)
    }

    /// The port of PostgreSQL.
    pub fn port(&self) -> u16 {
        PgConnectOptions::from_str(&self.url()).unwrap().get_port()
    }
}

impl Fixture {
    /// Runs a statement beside the store.
    pub async fn execute(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.place {
            Place::Postgres(url) => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                sqlx::query(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            Place::Sqlite(path) => {
                let mut connection: SqliteConnection = SqliteConnectOptions::new()
                    .filename(path)
                    .connect()
                    .await
                    .unwrap();
                sqlx::query(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    /// Opens the same place once more, as another process would.
    pub async fn reopened(&self) -> Arc<dyn Store> {
        open(&self.place.url(), &options()).await.unwrap()
    }

    async fn at(place: Place) -> Self {
        let store = open(&place.url(), &options()).await.unwrap();
        store.migrate().await.unwrap();
        store.check_schema().await.unwrap();
        Self { store, place }
    }
}

/// Runs a case on a migrated store in a schema of its own.
pub async fn on_postgres<C, F>(case: C)
where
    C: FnOnce(Fixture) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    on_empty_postgres(|place| async move { case(Fixture::at(place).await).await }).await;
}

/// Runs a case in an empty schema of its own, which is dropped whatever comes of the case.
pub async fn on_empty_postgres<C, F>(case: C)
where
    C: FnOnce(Place) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let base = service("LACUNA_TEST_POSTGRES");
    let schema = unique("lacuna_store_");
    administer(&base, format!("create schema {schema}")).await;
    let separator = if base.contains('?') { '&' } else { '?' };
    let url = format!("{base}{separator}options=-csearch_path%3D{schema}%20-csynchronous_commit%3Doff");
    let outcome = tokio::spawn(case(Place::Postgres(url))).await;
    administer(&base, format!("drop schema {schema} cascade")).await;
    outcome.unwrap();
}

/// Runs a case on a migrated store in a file of its own.
pub async fn on_sqlite<C, F>(case: C)
where
    C: FnOnce(Fixture) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    on_empty_sqlite(|place| async move { case(Fixture::at(place).await).await }).await;
}

/// Runs a case in a folder of its own, which has room for the file.
pub async fn on_empty_sqlite<C, F>(case: C)
where
    C: FnOnce(Place) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let directory = tempfile::tempdir().unwrap();
    let place = Place::Sqlite(directory.path().join("lacuna.db"));
    tokio::spawn(case(place)).await.unwrap();
}

async fn administer(base: &str, sql: String) {
    let mut connection = PgConnectOptions::from_str(base).unwrap().connect().await.unwrap();
    sqlx::query(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}
