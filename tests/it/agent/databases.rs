//! A database of its own for each test, of each kind.

use std::path::Path;

use lacuna::{
    agent::{Answer, Place as _, Task, Turn, sql::Database},
    config::{Agent, AgentPlace, Sql},
};
use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection, PgConnection, SqliteConnection};

use crate::support::{service, unique};

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Postgres,
    MariaDb,
    Sqlite,
}

/// A database of a test's own.
pub struct Shop {
    pub kind: Kind,
    pub url: String,
    pub _folder: tempfile::TempDir,
}

/// Makes a test of each case on each kind of database.
macro_rules! on_all_databases {
    ($($case:ident),+ $(,)?) => {
        on_all_databases!(@ on_postgres Postgres $($case)+);
        on_all_databases!(@ on_mariadb MariaDb $($case)+);
        on_all_databases!(@ on_sqlite Sqlite $($case)+);
    };
    (@ $module:ident $kind:ident $($case:ident)+) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(super::Shop::open(super::Kind::$kind).await).await;
            })+
        }
    };
}
pub(super) use on_all_databases;

impl Shop {
    /// An empty one.
    pub async fn open(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = unique("a");
        let url = match kind {
            Kind::Postgres => {
                let server = service("LACUNA_TEST_POSTGRES");
                run_at(kind, &server, &format!("create database {name}")).await;
                format!("{}/{name}", server.rsplit_once('/').unwrap().0)
            }
            Kind::MariaDb => {
                let server = service("LACUNA_TEST_MARIADB");
                // As most installations have it: it takes José for Jose.
                let make = format!("create database {name} character set utf8mb4 collate utf8mb4_general_ci");
                run_at(kind, &server, &make).await;
                format!("{}/{name}", server.rsplit_once('/').unwrap().0)
            }
            Kind::Sqlite => format!("sqlite:{}?mode=rwc", folder.path().join("shop.db").display()),
        };
        Self {
            kind,
            url,
            _folder: folder,
        }
    }

    /// Runs statements.
    pub async fn run(&self, statements: &str) {
        run_at(self.kind, &self.url, statements).await;
    }

    /// Asks for a number.
    pub async fn number(&self, question: &str) -> i64 {
        let question = AssertSqlSafe(question.to_owned());
        match self.kind {
            Kind::Postgres => {
                let mut to = PgConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(question).fetch_one(&mut to).await.unwrap()
            }
            Kind::MariaDb => {
                let mut to = MySqlConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(question).fetch_one(&mut to).await.unwrap()
            }
            Kind::Sqlite => {
                let mut to = SqliteConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(question).fetch_one(&mut to).await.unwrap()
            }
        }
    }

    pub async fn rows(&self, table: &str) -> i64 {
        self.number(&format!("select count(*) from {table}")).await
    }

    /// The agent's configuration, with these tables.
    pub fn config(&self, tables: &str) -> Sql {
        let text = format!(
            "processor = 'shop-db'\n[source]\nhttp = {{ url = 'http://127.0.0.1:1' }}\n[sql]\nurl = '{}'\n{tables}",
            self.url
        );
        let key = |name: &str| (name == "KEY").then(|| "0123456789abcdef0123456789abcdef".into());
        let agent = Agent::read_text("agent.toml", Path::new(""), &text, &key)
            .unwrap_or_else(|problems| panic!("{problems}"));
        match agent.place {
            AgentPlace::Sql(sql) => sql,
            other => panic!("{other:?}"),
        }
    }

    /// The agent's view of it.
    pub async fn agent(&self, tables: &str) -> Database {
        let database = Database::open(&self.config(tables)).await.unwrap();
        database.checked().unwrap_or_else(|error| panic!("{error}"))
    }

    /// What the catalogue says about a configuration: errors, warnings.
    pub async fn findings(&self, tables: &str) -> (Vec<String>, Vec<String>) {
        let findings = Database::open(&self.config(tables)).await.unwrap().findings();
        (findings.errors, findings.warnings)
    }
}

/// Carries one task out.
pub async fn carry_out(agent: &Database, task: Task) -> Answer {
    let mut answers = agent.carry_out(&[task], &Turn::default()).await;
    answers.remove(0)
}

async fn run_at(kind: Kind, url: &str, statements: &str) {
    let statements = AssertSqlSafe(statements.to_owned());
    match kind {
        Kind::Postgres => {
            let mut to = PgConnection::connect(url).await.unwrap();
            sqlx::raw_sql(statements).execute(&mut to).await.map(drop)
        }
        Kind::MariaDb => {
            let mut to = MySqlConnection::connect(url).await.unwrap();
            sqlx::raw_sql(statements).execute(&mut to).await.map(drop)
        }
        Kind::Sqlite => {
            let mut to = SqliteConnection::connect(url).await.unwrap();
            sqlx::raw_sql(statements).execute(&mut to).await.map(drop)
        }
    }
    .unwrap();
}
