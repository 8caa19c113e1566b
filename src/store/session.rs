//! What an adapter brings: how statements are run.

use async_trait::async_trait;

use super::{
    error::StoreError,
    statement::{Rows, Statement},
};

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

/// Runs single statements, each on any connection. They see what is committed.
#[async_trait]
pub trait Pool: Send + Sync {
    /// Which database it is.
    fn dialect(&self) -> Dialect;
    /// Reads.
    async fn read(&self, statement: Statement<'_>) -> Result<Rows, StoreError>;
    /// Reads what only a gauge shows: the server ends it soon, so that it never holds a connection for long.
    async fn glance(&self, statement: Statement<'_>) -> Result<Rows, StoreError>;
    /// Changes, and says what it says of it.
    async fn change(&self, statement: Statement<'_>) -> Result<Rows, StoreError>;
    /// Changes, and says how many rows it changed.
    async fn run(&self, statement: Statement<'_>) -> Result<u64, StoreError>;
}

/// Runs statements one after the other on one connection, most often within a transaction.
#[async_trait]
pub trait Session: Send {
    /// Reads, or changes and says what it says of it.
    async fn fetch(&mut self, statement: Statement<'_>) -> Result<Rows, StoreError>;
    /// Changes, and says how many rows it changed.
    async fn run(&mut self, statement: Statement<'_>) -> Result<u64, StoreError>;
}
