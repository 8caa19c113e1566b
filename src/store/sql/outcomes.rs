//! What processors have answered over time.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::{
    domain::{ids::ProcessorId, time::At},
    store::{
        counters::{GATE, OUT},
        error::StoreError,
        outcomes::{HOUR, OutcomeStore, RECENT, Tally, beginning},
        session::Pool,
        statement::{Insert, Rows, Statement, Table, sql},
    },
};

#[async_trait]
impl<S: Pool> OutcomeStore for S {
    /// Rows are given in the order of their keys, so that two workers wait for each other and never in a circle.
    async fn add_outcomes(&self, tallies: &[Tally]) -> Result<(), StoreError> {
        if tallies.is_empty() {
            return Ok(());
        }
        let recent = summed(tallies, RECENT, |tally| tally.bucket);
        let table = Table::of(&recent)
            .bigint("since", |row| row.since.millis())
            .text("processor", |row| row.processor.as_str())
            .smallint("outcome", |row| i16::from(row.outcome))
            .smallint("bucket", |row| row.bucket)
            .bigint("n", |row| row.n);
        let insert = Insert::into("outcome_recent as o", table)
            .on_conflict("(since, processor, outcome, bucket) do update set n = o.n + excluded.n");
        self.run(insert.into()).await?;
        let hours = summed(tallies, HOUR, |_| 0);
        let table = Table::of(&hours)
            .bigint("since", |row| row.since.millis())
            .text("processor", |row| row.processor.as_str())
            .smallint("outcome", |row| i16::from(row.outcome))
            .bigint("n", |row| row.n);
        let insert = Insert::into("outcome_hour as o", table)
            .on_conflict("(since, processor, outcome) do update set n = o.n + excluded.n");
        self.run(insert.into()).await?;
        Ok(())
    }

    async fn recent_outcomes(&self, since: At) -> Result<Vec<Tally>, StoreError> {
        let sql = sql!(
            "select processor, " ["outcome::int4" | "outcome"] ", " ["bucket::int4" | "bucket"] ", "
            ["sum(n)::int8" | "sum(n)"] " from outcome_recent where since >= $1 group by processor, outcome, bucket"
        );
        let since = beginning(since, RECENT);
        tallies(
            self.glance(Statement::new(sql).bind(since.millis())).await?,
            since,
        )
    }

    async fn outcomes_between(&self, from: At, until: At) -> Result<Vec<Tally>, StoreError> {
        let sql = sql!(
            "select processor, " ["outcome::int4" | "outcome"] ", " ["0::int4" | "0"] ", " ["sum(n)::int8" | "sum(n)"]
            " from outcome_hour where since >= $1 and since < $2 group by processor, outcome"
        );
        let (from, until) = (beginning(from, HOUR), beginning(until, HOUR));
        let statement = Statement::new(sql).bind(from.millis()).bind(until.millis());
        tallies(self.glance(statement).await?, from)
    }

    /// Whoever has sent a task and whoever settles it count in slots of their own: a minute is over when they come to nothing
    /// together (or to less, where a task had been out before this was counted). No task is sent in a minute that has passed, so nobody counts in it again.
    async fn forget_out(&self, minute: i64) -> Result<(), StoreError> {
        let sql = sql!(
            "delete from counter where kind = $2 and b < $1 and (a, b) in \
             (select a, b from counter where kind = $2 and b < $1 group by a, b having sum(n) <= 0)"
        );
        for kind in [OUT, GATE] {
            let statement = Statement::new(sql).bind(minute.to_string()).bind(kind);
            self.run(statement).await?;
        }
        Ok(())
    }

    async fn forget_outcomes(&self, recent_until: At, hours_until: At) -> Result<(), StoreError> {
        let recent = Statement::new(sql!("delete from outcome_recent where since < $1"));
        self.run(recent.bind(recent_until.millis())).await?;
        let hours = Statement::new(sql!("delete from outcome_hour where since < $1"));
        self.run(hours.bind(hours_until.millis())).await?;
        Ok(())
    }
}

/// Sums what falls into one time of this length.
fn summed(tallies: &[Tally], length: i64, bucket: impl Fn(&Tally) -> i16) -> Vec<Tally> {
    let mut sums: BTreeMap<(At, &ProcessorId, u8, i16), i64> = BTreeMap::new();
    for tally in tallies {
        let since = beginning(tally.since, length);
        let key = (since, &tally.processor, tally.outcome, bucket(tally));
        *sums.entry(key).or_default() += tally.n;
    }
    let rows = sums
        .into_iter()
        .map(|((since, processor, outcome, bucket), n)| Tally {
            since,
            processor: processor.clone(),
            outcome,
            bucket,
            n,
        });
    rows.collect()
}

fn tallies(rows: Rows, since: At) -> Result<Vec<Tally>, StoreError> {
    rows.try_map(|(processor, outcome, bucket, n): (String, i32, i32, i64)| {
        let unreadable = |detail: String| StoreError::Unreadable {
            table: "outcome",
            detail,
        };
        Ok(Tally {
            since,
            processor: ProcessorId::new(&processor).map_err(|error| unreadable(error.to_string()))?,
            outcome: u8::try_from(outcome).map_err(|error| unreadable(error.to_string()))?,
            bucket: i16::try_from(bucket).map_err(|error| unreadable(error.to_string()))?,
            n,
        })
    })
}
