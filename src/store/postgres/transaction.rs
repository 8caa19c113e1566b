//! A transaction of PostgreSQL. Dropped, it is rolled back.

use std::time::Duration;

use async_trait::async_trait;

use super::{count, gate, held::Held, positions, requests, write};
use crate::{
    domain::{ids::RequestId, time::At},
    store::{
        changes::Changes,
        classify::bounded,
        ended::Ended,
        error::StoreError,
        facts::Gate,
        history::Passed,
        port::Transaction,
        positions::Advance,
        requests::{Lock, StoredRequest},
        session::Session,
        statement::{Rows, Statement},
        sweeps::Concerned,
    },
};

pub(super) struct PostgresTransaction {
    inner: Held,
    patience: Duration,
}

impl PostgresTransaction {
    pub(super) fn new(inner: Held, patience: Duration) -> Self {
        Self { inner, patience }
    }
}

#[async_trait]
impl Session for PostgresTransaction {
    async fn fetch(&mut self, statement: Statement<'_>) -> Result<Rows, StoreError> {
        bounded(self.patience, self.inner.fetch(statement)).await
    }

    async fn run(&mut self, statement: Statement<'_>) -> Result<u64, StoreError> {
        bounded(self.patience, self.inner.run(statement)).await
    }
}

#[async_trait]
impl Transaction for PostgresTransaction {
    async fn gate(&mut self, mode: Gate) -> Result<Passed, StoreError> {
        bounded(self.patience, gate::gate(&mut self.inner, mode)).await
    }

    async fn load(&mut self, ids: &[RequestId], lock: Lock) -> Result<Vec<StoredRequest>, StoreError> {
        bounded(self.patience, requests::load(&mut *self.inner, ids, lock)).await
    }

    async fn due(&mut self, now: At, limit: u32) -> Result<Vec<StoredRequest>, StoreError> {
        bounded(self.patience, requests::due(&mut *self.inner, now, limit)).await
    }

    async fn advance(&mut self, advances: &[Advance]) -> Result<(), StoreError> {
        if advances.is_empty() {
            return Ok(());
        }
        bounded(self.patience, positions::advance(&mut self.inner, advances)).await
    }

    async fn count_concerned(&mut self, of: &Concerned) -> Result<u64, StoreError> {
        bounded(self.patience, count::count(&mut self.inner, of)).await
    }

    async fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        bounded(self.patience, write::write(&mut self.inner, changes)).await
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { inner, patience } = *self;
        bounded(patience, inner.commit()).await
    }

    fn ended(&self) -> Ended {
        self.inner.ended()
    }
}
