//! The connections: to a server that takes writes, or none.
//!
//! An address may lead to another server at any time: to a standby while a cluster changes its primary, to a machine
//! that is gone. A connection that reads what is old, or that cannot write, is worse than none, so each is asked once
//! when it is made, and again after it has idled.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{
    PgConnection, PgPool,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::store::{classify::is_unfit, error::StoreError, open::StoreOptions};

/// A connection that idled for longer is asked for a sign of life before it is used: a database that was restarted
/// meanwhile must not cost a batch. A busy connection is spared the round trip.
const TRUSTED_IDLE: Duration = Duration::from_secs(5);

/// How long that sign may take. A machine that vanished without a word never gives one, and the time is taken from what
/// the caller has for getting a connection at all.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// The pool, and what is known of the server behind it.
#[derive(Debug, Clone)]
pub(super) struct Servers {
    pub(super) pool: PgPool,
    standby: Standby,
    connections: u32,
}

/// Whether the server that answered last was a standby.
#[derive(Debug, Clone, Default)]
struct Standby(Arc<AtomicBool>);

impl Standby {
    /// Takes note of how it is now, and says so when it has changed.
    fn is(&self, now: bool) {
        let before = self.0.swap(now, Ordering::Relaxed);
        if now && !before {
            tracing::warn!(
                "the store's address leads to a standby, which takes no writes: waiting for a primary"
            );
        } else if before && !now {
            tracing::info!("the store's address leads to a primary again");
        }
    }

    fn error() -> sqlx::Error {
        sqlx::Error::Io(io::Error::other(
            "its address leads to a standby (a server in recovery), which takes no writes",
        ))
    }
}

impl Servers {
    /// Connects once, so that what is wrong shows at once.
    pub(super) async fn connect(
        connect: PgConnectOptions,
        options: &StoreOptions,
        patience: Duration,
    ) -> Result<Self, sqlx::Error> {
        let standby = Standby::default();
        let noted = standby.clone();
        let connecting = PgPoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let noted = noted.clone();
                Box::pin(async move {
                    let is_standby = is_standby(connection).await.inspect_err(|error| {
                        tracing::warn!(%error, "a new connection to the store is of no use");
                    })?;
                    noted.is(is_standby);
                    // The pool tries again, with growing pauses, until the caller's time is up.
                    if is_standby { Err(Standby::error()) } else { Ok(()) }
                })
            })
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if is_unfit(meta.age) {
                        return Ok(false);
                    }
                    if meta.idle_for <= TRUSTED_IDLE {
                        return Ok(true);
                    }
                    let sign = tokio::time::timeout(SIGN_OF_LIFE, is_standby(connection)).await;
                    Ok(!sign.map_err(|_| sqlx::Error::Io(io::ErrorKind::TimedOut.into()))??)
                })
            })
            .connect_with(connect);
        let pool = match tokio::time::timeout(patience, connecting).await {
            Err(_) | Ok(Err(sqlx::Error::PoolTimedOut)) if standby.0.load(Ordering::Relaxed) => {
                return Err(Standby::error());
            }
            Err(_) => return Err(sqlx::Error::PoolTimedOut),
            Ok(connected) => connected?,
        };
        Ok(Self {
            pool,
            standby,
            connections: options.connections,
        })
    }

    /// A connection that nobody else has.
    pub(super) async fn connection(&self) -> Result<PoolConnection<sqlx::Postgres>, StoreError> {
        self.pool
            .acquire()
            .await
            .map_err(|error| self.explained(error.into()))
    }

    /// How many connections may break one after the other before the server itself is to blame.
    pub(super) const fn tries(&self) -> u32 {
        self.connections + 1
    }

    /// The same error, with what the pool does not say of it.
    pub(super) fn explained(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Unreachable(sqlx::Error::PoolTimedOut) if self.standby.0.load(Ordering::Relaxed) => {
                StoreError::Unreachable(Standby::error())
            }
            other => other,
        }
    }
}

/// Whether the server at the other end is in recovery: it follows another one, and what it has may be old.
async fn is_standby(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    use sqlx::{Executor as _, Row as _};
    connection
        .fetch_one(sqlx::raw_sql("select pg_is_in_recovery()"))
        .await?
        .try_get(0)
}
