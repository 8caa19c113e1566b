//! When California's deletion lists were taken in.

use async_trait::async_trait;

use crate::{
    domain::time::At,
    store::{
        drop_fetch::{DropFetchStore, FetchedList},
        error::StoreError,
        session::Pool,
        statement::{Statement, sql},
    },
};

#[async_trait]
impl<S: Pool> DropFetchStore for S {
    async fn drop_fetched(&self, list: &FetchedList, at: At) -> Result<(), StoreError> {
        let sql = sql!(
            "insert into drop_fetch (broker, day, kind, n, at) values ($1, $2, $3, $4, $5) on conflict do nothing"
        );
        let statement = Statement::new(sql)
            .bind(list.broker.as_str())
            .bind(list.day.as_str())
            .bind(list.kind.as_str())
            .bind(i64::try_from(list.count).unwrap_or(i64::MAX))
            .bind(at.millis());
        self.run(statement).await?;
        Ok(())
    }

    async fn drop_fetches(&self) -> Result<Vec<(String, At)>, StoreError> {
        // The newest batch counts, however often an older one is taken in again.
        let sql = sql!(
            "select f.broker, min(f.at) from drop_fetch f where f.day = (select max(l.day) from drop_fetch l \
             where l.broker = f.broker) group by f.broker order by f.broker"
        );
        let rows = self.glance(Statement::new(sql)).await?;
        rows.map(|(broker, at): (String, i64)| (broker, At::from_millis(at)))
    }
}
