//! Three databases behind one small door: a text with values goes in, rows of texts come out. Values are bound, never written into a
//! text; what is written into texts are names that the catalogue knows.

use std::{str::FromStr as _, time::Duration};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, MySqlPool, PgPool, Row as _, SqlitePool,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

use crate::{
    agent::place::PlaceError,
    config::{Sql, SqlDialect},
};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(15);
/// One works, one looks at the catalogue.
const CONNECTIONS: u32 = 2;

/// A value that is bound.
#[derive(Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Int(i64),
    /// PostgreSQL alone has these.
    Texts(Vec<String>),
}

/// A statement, and what is bound to it.
#[derive(Clone, PartialEq)]
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) values: Vec<Value>,
}

/// Columns as text; `None`: NULL.
pub(super) type Row = Vec<Option<String>>;

#[derive(Debug, Clone)]
pub(super) enum Pool {
    Postgres(PgPool),
    MySql(MySqlPool),
    Sqlite(SqlitePool),
}

pub(super) enum Transaction {
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
    MySql(sqlx::Transaction<'static, sqlx::MySql>),
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
}

/// What a database said of a statement. Its own words may repeat values, so only its code is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SqlError {
    #[error("the database refused a statement on {table} (code {code})")]
    Refused {
        table: String,
        code: String,
        is_passing: bool,
    },
    #[error("the database cannot be reached: {0}")]
    Away(&'static str),
}

impl Pool {
    pub(super) async fn open(sql: &Sql) -> Result<Self, PlaceError> {
        let url = sql.url.expose();
        let unreachable = |error: sqlx::Error| PlaceError::Unreachable {
            what: "the database",
            why: words_of(&error),
        };
        // The parser's words may repeat the password.
        let unreadable =
            |_| PlaceError::Mistaken("sql.url: cannot be read as the URL of a database".to_owned());
        Ok(match sql.dialect {
            SqlDialect::Postgres => {
                let options = PgConnectOptions::from_str(url).map_err(unreadable)?;
                let options = options
                    .application_name("lacuna-agent")
                    .disable_statement_logging();
                let pool = PgPoolOptions::new()
                    .max_connections(CONNECTIONS)
                    .acquire_timeout(CONNECT);
                Self::Postgres(pool.connect_with(options).await.map_err(unreachable)?)
            }
            SqlDialect::MySql => {
                let options = MySqlConnectOptions::from_str(url).map_err(unreadable)?;
                let options = options.charset("utf8mb4").disable_statement_logging();
                let pool = MySqlPoolOptions::new()
                    .max_connections(CONNECTIONS)
                    .acquire_timeout(CONNECT);
                Self::MySql(pool.connect_with(options).await.map_err(unreachable)?)
            }
            SqlDialect::Sqlite => {
                let options = SqliteConnectOptions::from_str(url).map_err(unreadable)?;
                let options = options.busy_timeout(CONNECT).disable_statement_logging();
                let pool = SqlitePoolOptions::new()
                    .max_connections(CONNECTIONS)
                    .acquire_timeout(CONNECT);
                Self::Sqlite(pool.connect_with(options).await.map_err(unreachable)?)
            }
        })
    }

    pub(super) async fn begin(&self) -> Result<Transaction, SqlError> {
        let begun = match self {
            Self::Postgres(pool) => pool.begin().await.map(Transaction::Postgres),
            Self::MySql(pool) => pool.begin().await.map(Transaction::MySql),
            // Who reads first and then writes would meet another writer.
            Self::Sqlite(pool) => pool.begin_with("begin immediate").await.map(Transaction::Sqlite),
        };
        begun.map_err(|error| error_of("", &error))
    }

    /// Reads outside of a transaction.
    pub(super) async fn read(&self, table: &str, statement: Statement) -> Result<Vec<Row>, SqlError> {
        let rows = match self {
            Self::Postgres(pool) => fetch_postgres(pool, statement).await,
            Self::MySql(pool) => fetch_mysql(pool, statement).await,
            Self::Sqlite(pool) => fetch_sqlite(pool, statement).await,
        };
        rows.map_err(|error| error_of(table, &error))
    }
}

impl Transaction {
    pub(super) async fn read(&mut self, table: &str, statement: Statement) -> Result<Vec<Row>, SqlError> {
        let rows = match self {
            Self::Postgres(tx) => fetch_postgres(&mut **tx, statement).await,
            Self::MySql(tx) => fetch_mysql(&mut **tx, statement).await,
            Self::Sqlite(tx) => fetch_sqlite(&mut **tx, statement).await,
        };
        rows.map_err(|error| error_of(table, &error))
    }

    pub(super) async fn change(&mut self, table: &str, statement: Statement) -> Result<u64, SqlError> {
        let rows = match self {
            Self::Postgres(tx) => change_postgres(&mut **tx, statement).await,
            Self::MySql(tx) => change_mysql(&mut **tx, statement).await,
            Self::Sqlite(tx) => change_sqlite(&mut **tx, statement).await,
        };
        rows.map_err(|error| error_of(table, &error))
    }

    pub(super) async fn commit(self, table: &str) -> Result<(), SqlError> {
        let done = match self {
            Self::Postgres(tx) => tx.commit().await,
            Self::MySql(tx) => tx.commit().await,
            Self::Sqlite(tx) => tx.commit().await,
        };
        done.map_err(|error| error_of(table, &error))
    }
}

macro_rules! driver {
    ($fetch:ident, $change:ident, $database:ty, $texts:expr) => {
        async fn $fetch<'c>(
            on: impl sqlx::Executor<'c, Database = $database>,
            statement: Statement,
        ) -> Result<Vec<Row>, sqlx::Error> {
            let mut query = sqlx::query::<$database>(AssertSqlSafe(statement.text));
            for value in statement.values {
                query = match value {
                    Value::Text(text) => query.bind(text),
                    Value::Int(number) => query.bind(number),
                    Value::Texts(texts) => $texts(query, texts),
                };
            }
            let rows = query.fetch_all(on).await?;
            rows.iter()
                .map(|row| {
                    (0..row.len())
                        .map(|n| row.try_get::<Option<String>, _>(n))
                        .collect()
                })
                .collect()
        }

        async fn $change<'c>(
            on: impl sqlx::Executor<'c, Database = $database>,
            statement: Statement,
        ) -> Result<u64, sqlx::Error> {
            let mut query = sqlx::query::<$database>(AssertSqlSafe(statement.text));
            for value in statement.values {
                query = match value {
                    Value::Text(text) => query.bind(text),
                    Value::Int(number) => query.bind(number),
                    Value::Texts(texts) => $texts(query, texts),
                };
            }
            Ok(query.execute(on).await?.rows_affected())
        }
    };
}

driver!(
    fetch_postgres,
    change_postgres,
    sqlx::Postgres,
    |query: PgQuery, texts: Vec<String>| query.bind(texts)
);
driver!(
    fetch_mysql,
    change_mysql,
    sqlx::MySql,
    |query: MyQuery, texts: Vec<String>| query.bind(texts.join("\n"))
);
driver!(
    fetch_sqlite,
    change_sqlite,
    sqlx::Sqlite,
    |query: LiteQuery, texts: Vec<String>| query.bind(texts.join("\n"))
);

type PgQuery = sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>;
type MyQuery = sqlx::query::Query<'static, sqlx::MySql, sqlx::mysql::MySqlArguments>;
type LiteQuery = sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

fn error_of(table: &str, error: &sqlx::Error) -> SqlError {
    match error {
        sqlx::Error::Database(said) => {
            let code = said
                .code()
                .map_or_else(|| "unknown".to_owned(), std::borrow::Cow::into_owned);
            SqlError::Refused {
                table: table.to_owned(),
                // A lost race, a lock that was not had in time.
                is_passing: matches!(code.as_str(), "40001" | "40P01" | "55P03" | "HY000" | "5" | "517"),
                code,
            }
        }
        sqlx::Error::Io(_) => SqlError::Away("the connection broke"),
        sqlx::Error::PoolTimedOut => SqlError::Away("no connection came in time"),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => SqlError::Refused {
            table: table.to_owned(),
            code: "a value that is no text".to_owned(),
            is_passing: false,
        },
        _ => SqlError::Away("the driver gave up"),
    }
}

fn words_of(error: &sqlx::Error) -> String {
    match error {
        // What is said before there is a statement is about the connection: a name, a database, a password that is wrong.
        sqlx::Error::Database(said) => said.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::PoolTimedOut => "no answer came in time".to_owned(),
        other => other.to_string(),
    }
}
