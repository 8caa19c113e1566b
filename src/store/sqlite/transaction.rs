//! A transaction of SQLite. It is the only writer from its beginning, so no row of it can be changed by anybody else;
//! dropped, it is rolled back.

use async_trait::async_trait;
use sqlx::Sqlite;

use super::{dead_letters, positions, read, write};
use crate::{
    domain::{
        ids::{CommandId, RequestId, Tenant},
        time::At,
    },
    store::{
        Advance, Changes, DeadLetter, Gate, InboxRow, Lock, Origin, StoreError, StoredBody, StoredRequest,
        Transaction,
    },
};

pub(super) struct SqliteTransaction(pub(super) sqlx::Transaction<'static, Sqlite>);

#[async_trait]
impl Transaction for SqliteTransaction {
    async fn gate(&mut self, _mode: Gate) -> Result<(), StoreError> {
        // One writer: nothing can come between.
        Ok(())
    }

    async fn advance(&mut self, advances: &[Advance]) -> Result<(), StoreError> {
        positions::advance(&mut self.0, advances).await
    }

    async fn inbox(&mut self, keys: &[(&Tenant, CommandId)]) -> Result<Vec<InboxRow>, StoreError> {
        read::inbox(&mut *self.0, keys).await
    }

    async fn load(&mut self, ids: &[RequestId], _lock: Lock) -> Result<Vec<StoredRequest>, StoreError> {
        read::requests(&mut *self.0, ids).await
    }

    async fn bodies(&mut self, ids: &[RequestId]) -> Result<Vec<StoredBody>, StoreError> {
        read::bodies(&mut *self.0, ids).await
    }

    async fn due(&mut self, now: At, limit: u32) -> Result<Vec<StoredRequest>, StoreError> {
        read::due(&mut *self.0, now, limit).await
    }

    async fn dead_letters_of(&mut self, origins: &[Origin]) -> Result<Vec<DeadLetter>, StoreError> {
        dead_letters::of_origins(&mut *self.0, origins).await
    }

    async fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        write::write(&mut self.0, changes).await
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }
}
