//! A transaction of SQLite. It is the only writer from its beginning, so no row of it can be changed by anybody else;
//! dropped, it is rolled back.

use async_trait::async_trait;
use sqlx::Sqlite;

use super::{count, positions, requests, write};
use crate::{
    clock::Clock,
    domain::{ids::RequestId, time::At},
    store::{
        changes::Changes,
        ended::Ended,
        error::StoreError,
        facts::Gate,
        history::Passed,
        port::Transaction,
        positions::Advance,
        requests::{Lock, StoredRequest},
        session::Session,
        sql,
        statement::{Rows, Statement},
        sweeps::Concerned,
    },
};

pub(super) struct SqliteTransaction(pub(super) sqlx::Transaction<'static, Sqlite>, pub(super) Clock);

#[async_trait]
impl Session for SqliteTransaction {
    async fn fetch(&mut self, statement: Statement<'_>) -> Result<Rows, StoreError> {
        self.0.fetch(statement).await
    }

    async fn run(&mut self, statement: Statement<'_>) -> Result<u64, StoreError> {
        self.0.run(statement).await
    }
}

#[async_trait]
impl Transaction for SqliteTransaction {
    async fn gate(&mut self, _mode: Gate) -> Result<Passed, StoreError> {
        // One writer: nothing can come between.
        let (facts, registry) = sql::heads(&mut *self.0).await?;
        Ok(Passed {
            facts,
            registry,
            now: self.1.now(),
        })
    }

    async fn load(&mut self, ids: &[RequestId], _lock: Lock) -> Result<Vec<StoredRequest>, StoreError> {
        requests::load(&mut *self.0, ids).await
    }

    async fn due(&mut self, now: At, limit: u32) -> Result<Vec<StoredRequest>, StoreError> {
        requests::due(&mut *self.0, now, limit).await
    }

    async fn advance(&mut self, advances: &[Advance]) -> Result<(), StoreError> {
        positions::advance(&mut self.0, advances).await
    }

    async fn count_concerned(&mut self, of: &Concerned) -> Result<u64, StoreError> {
        count::count(&mut *self.0, of).await
    }

    async fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        write::write(&mut self.0, changes).await
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }

    fn ended(&self) -> Ended {
        // There is one connection that writes: whoever comes next waits for it, and gets it rolled back.
        Ended::unseen()
    }
}
