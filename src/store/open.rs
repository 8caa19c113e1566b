//! Which adapter serves a URL.

use std::{sync::Arc, time::Duration};

use super::{error::StoreError, port::Store, postgres::PostgresStore, sqlite::SqliteStore};
use crate::clock::Clock;

/// Whether a store that only one `serve` may work on is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusive {
    /// By `serve`: a second one on the same SQLite file is refused. PostgreSQL takes any number of workers.
    Yes,
    /// By commands that look or decide beside it.
    No,
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Whether the caller is `serve`.
    pub exclusive: Exclusive,
    /// How many connections at the most. SQLite has one that writes and these for reading.
    pub connections: u32,
    /// How long opening may wait for a server.
    pub connect_timeout: Duration,
    /// How long to wait for a free connection.
    pub acquire_timeout: Duration,
    /// How long to wait for a lock. A deadlock is found after a second, so longer waits are for somebody's commit.
    pub lock_timeout: Duration,
    /// How long a statement may take.
    pub statement_timeout: Duration,
    /// SQLite's clock; PostgreSQL has its own.
    pub clock: Clock,
}

impl StoreOptions {
    /// The usual limits.
    pub const fn new(clock: Clock, exclusive: Exclusive) -> Self {
        Self {
            exclusive,
            // Two stages, the agenda and the API write at a time; the rest reads.
            connections: 8,
            connect_timeout: Duration::from_secs(20),
            acquire_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            clock,
        }
    }
}

/// Opens the store that the URL's scheme names.
pub async fn open(url: &str, options: &StoreOptions) -> Result<Arc<dyn Store>, StoreError> {
    match url.split_once(':') {
        Some(("postgres" | "postgresql", _)) => Ok(Arc::new(PostgresStore::open(url, options).await?)),
        Some(("sqlite", path)) => {
            let path = path.strip_prefix("//").unwrap_or(path);
            Ok(Arc::new(SqliteStore::open(path.as_ref(), options).await?))
        }
        // The URL is not repeated: it may hold a password.
        _ => Err(StoreError::Address(
            "the store's URL must begin with postgres:, postgresql: or sqlite:".into(),
        )),
    }
}
