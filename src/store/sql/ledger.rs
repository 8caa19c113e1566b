//! The leaves of the ledger.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::ids::RequestId,
    store::{
        error::StoreError,
        in_order::LEDGER_LEAVES,
        ledger::{LedgerStore, LedgerTransaction, StoredLeaf},
        session::{Pool, Session},
        statement::{Statement, sql},
    },
};

#[async_trait]
impl<S: Pool> LedgerStore for S {
    async fn leaves(&self, id: RequestId) -> Result<Vec<StoredLeaf>, StoreError> {
        let sql = sql!("select n, leaf, sealed from ledger where request_id = $1 order by n");
        let rows = self.read(Statement::new(sql).bind(id.0)).await?;
        rows.map(|(n, leaf, sealed): (i32, Vec<u8>, Option<Vec<u8>>)| StoredLeaf {
            n: n.cast_unsigned(),
            leaf,
            sealed,
        })
    }

    async fn recorded(&self, ids: &[RequestId]) -> Result<Vec<RequestId>, StoreError> {
        // Every request has a first entry, so that its key is looked up and nothing is counted.
        let sql = sql!([
            "select request_id from ledger where request_id = any($1) and n = 0"
                | "select l.request_id from json_each($1) k cross join ledger l on l.request_id = unhex(k.value) and l.n = 0"
        ]);
        let statement = Statement::new(sql).bind(ids);
        self.read(statement).await?.map(|(id,)| RequestId(id))
    }

    async fn ledger_size(&self) -> Result<u64, StoreError> {
        let sql = sql!("select coalesce(sum(n), 0)" ["::int8" | ""] " from counter where kind = $1");
        let (n,): (i64,) = self
            .glance(Statement::new(sql).bind(LEDGER_LEAVES))
            .await?
            .one()?;
        Ok(u64::try_from(n).unwrap_or(0))
    }
}

#[async_trait]
impl<S: Session> LedgerTransaction for S {
    async fn leaf_counts(&mut self, ids: &[RequestId]) -> Result<Vec<(RequestId, u32)>, StoreError> {
        let sql = sql!([
            "select l.request_id, max(l.n) + 1 from unnest($1::uuid[]) as v(id) \
              join ledger l on l.request_id = v.id group by l.request_id"
                | "select request_id, max(n) + 1 from ledger \
                where request_id in (select unhex(value) from json_each($1)) group by request_id"
        ]);
        let statement = Statement::new(sql).bind(ids);
        let rows = self.fetch(statement).await?;
        rows.map(|(id, n): (Uuid, i32)| (RequestId(id), n.cast_unsigned()))
    }
}
