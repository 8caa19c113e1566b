//! A connection with a transaction on it. It goes back to the pool without one, or not at all.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{AssertSqlSafe, Executor, PgConnection, Postgres, pool::PoolConnection};
use tokio::runtime::Handle;
use tokio_util::sync::DropGuard;

use crate::store::{classify::bounded, ended::Ended, error::StoreError};

/// How long a rollback may take: it only says so to a server that is there. Where it takes longer the connection is
/// closed, upon which the server rolls back by itself.
const ROLLBACK_PATIENCE: Duration = Duration::from_secs(5);

/// How long a begin may take: it costs a server nothing. A machine that vanished without a word never answers it, and the
/// next connection may lead to the one that took its place.
const BEGIN_PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Held {
    /// `None` only while it comes to its end.
    connection: Option<PoolConnection<Postgres>>,
    ended: Ended,
    /// Dropped when the server holds no locks of this transaction any more.
    end: Option<DropGuard>,
}

impl Held {
    /// Begins with this statement. A server that does not even begin a transaction says nothing about what was to be done
    /// in it, so it counts as away: one that stops, one that became a standby, one that is out of memory. The connection
    /// is thrown away.
    pub(super) async fn begin(
        connection: PoolConnection<Postgres>,
        statement: &str,
    ) -> Result<Self, StoreError> {
        let (ended, end) = Ended::kept();
        // Held before the first word, so that whoever gives up waiting for the answer leaves no open transaction behind.
        let mut held = Self {
            connection: Some(connection),
            ended,
            end: Some(end),
        };
        let begun = bounded(BEGIN_PATIENCE, async {
            let begun = held.execute(AssertSqlSafe(statement.to_owned())).await;
            begun.map_err(StoreError::Unreachable)
        });
        match begun.await {
            Ok(_) => Ok(held),
            Err(error) => {
                held.throw_away();
                Err(error)
            }
        }
    }

    /// Commits. Where that fails nobody knows what became of it, and the connection is thrown away.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        match self.execute("commit").await {
            Ok(_) => {
                drop(self.connection.take());
                Ok(())
            }
            Err(error) => {
                self.throw_away();
                Err(error.into())
            }
        }
    }

    pub(super) fn ended(&self) -> Ended {
        self.ended.clone()
    }

    fn throw_away(&mut self) {
        // Without a farewell: the server may be the last one to take it.
        drop(self.connection.take().map(PoolConnection::detach));
    }
}

/// What it is used for: statements. Nobody has it once its end has begun.
impl Deref for Held {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect("it is there until its end")
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("it is there until its end")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let (Some(mut connection), end) = (self.connection.take(), self.end.take()) else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else {
            // The worker has ended: nobody waits for it.
            drop(connection.detach());
            return;
        };
        runtime.spawn(async move {
            let rolled_back = tokio::time::timeout(ROLLBACK_PATIENCE, connection.execute("rollback")).await;
            if !matches!(rolled_back, Ok(Ok(_))) {
                drop(connection.detach());
            }
            drop(end);
        });
    }
}
