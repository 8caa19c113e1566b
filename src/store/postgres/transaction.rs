//! A transaction of PostgreSQL. Dropped, it is rolled back.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Postgres, query};

use super::{dead_letters, positions, read, write};
use crate::{
    domain::{
        ids::{CommandId, RequestId, Tenant},
        time::At,
    },
    store::{
        Advance, Changes, DeadLetter, Gate, InboxRow, Lock, Origin, StoreError, StoredBody, StoredRequest,
        Transaction, classify::bounded,
    },
};

/// Tells the gate lock from whatever else takes advisory locks in the same database.
const GATE_SEED: i64 = 0x6c61_6375_6e61;

pub(super) struct PostgresTransaction {
    inner: sqlx::Transaction<'static, Postgres>,
    patience: Duration,
}

impl PostgresTransaction {
    pub(super) fn new(inner: sqlx::Transaction<'static, Postgres>, patience: Duration) -> Self {
        Self { inner, patience }
    }
}

#[async_trait]
impl Transaction for PostgresTransaction {
    async fn gate(&mut self, mode: Gate) -> Result<(), StoreError> {
        // Advisory locks count for a whole database, hence the schema in the key.
        let sql = match mode {
            Gate::Shared => {
                "select pg_advisory_xact_lock_shared(hashtextextended(coalesce(current_schema(), ''), $1))"
            }
            Gate::Exclusive => {
                "select pg_advisory_xact_lock(hashtextextended(coalesce(current_schema(), ''), $1))"
            }
        };
        let lock = async {
            query(sql).bind(GATE_SEED).execute(&mut *self.inner).await?;
            Ok(())
        };
        bounded(self.patience, lock).await
    }

    async fn advance(&mut self, advances: &[Advance]) -> Result<(), StoreError> {
        if advances.is_empty() {
            return Ok(());
        }
        bounded(self.patience, positions::advance(&mut self.inner, advances)).await
    }

    async fn inbox(&mut self, keys: &[(&Tenant, CommandId)]) -> Result<Vec<InboxRow>, StoreError> {
        bounded(self.patience, read::inbox(&mut *self.inner, keys)).await
    }

    async fn load(&mut self, ids: &[RequestId], lock: Lock) -> Result<Vec<StoredRequest>, StoreError> {
        bounded(self.patience, read::load(&mut *self.inner, ids, lock)).await
    }

    async fn bodies(&mut self, ids: &[RequestId]) -> Result<Vec<StoredBody>, StoreError> {
        bounded(self.patience, read::bodies(&mut *self.inner, ids)).await
    }

    async fn due(&mut self, now: At, limit: u32) -> Result<Vec<StoredRequest>, StoreError> {
        bounded(self.patience, read::due(&mut *self.inner, now, limit)).await
    }

    async fn dead_letters_of(&mut self, origins: &[Origin]) -> Result<Vec<DeadLetter>, StoreError> {
        bounded(self.patience, dead_letters::of_origins(&mut *self.inner, origins)).await
    }

    async fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        bounded(self.patience, write::write(&mut self.inner, changes)).await
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { inner, patience } = *self;
        bounded(patience, async { Ok(inner.commit().await?) }).await
    }
}
