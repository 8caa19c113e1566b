//! What is counted, in slots.

use async_trait::async_trait;

use crate::store::{
    counters::{CounterKey, CounterStore},
    error::StoreError,
    session::Pool,
    statement::{Statement, sql},
};

#[async_trait]
impl<S: Pool> CounterStore for S {
    async fn counters(&self) -> Result<Vec<(CounterKey, i64)>, StoreError> {
        let sql = sql!("select kind, a, b, " ["sum(n)::int8" | "sum(n)"] " from counter group by kind, a, b order by kind, a, b");
        let rows: Vec<CounterColumns> = self.glance(Statement::new(sql)).await?.all()?;
        Ok(rows.into_iter().filter_map(counter).collect())
    }
}

/// Columns: kind, a, b, n.
type CounterColumns = (String, String, String, i64);

/// A counter of a kind that this version knows.
fn counter((kind, a, b, n): CounterColumns) -> Option<(CounterKey, i64)> {
    let kind = CounterKey::KINDS.iter().find(|known| **known == kind)?;
    Some((CounterKey { kind, a, b }, n))
}
