//! What a report reads, and what is kept for it of requests that are forgotten.

use std::collections::BTreeMap;

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::{
        ids::{RequestId, Tenant},
        time::At,
        words::Status,
    },
    store::{
        error::StoreError,
        report::{FORGOTTEN_HOUR, ReportStore, Stretch},
        retention::PurgedRow,
        session::{Pool, Session},
        statement::{Insert, Statement, Table, sql},
    },
};

#[async_trait]
impl<S: Pool> ReportStore for S {
    /// PostgreSQL finds them in the ranges of blocks that may have them, and SQLite in its index: neither has to look at what
    /// was received at another time, and intake keeps no further index.
    async fn received_between(
        &self,
        tenant: Option<&Tenant>,
        stretch: Stretch,
        limit: u32,
    ) -> Result<Vec<(At, RequestId)>, StoreError> {
        let sql = sql!(
            "select received_at, id from request where received_at >= $1 and received_at < $2 \
             and (received_at > $1 or id > $3) and ($4 = '' or tenant = $4) order by received_at, id limit $5"
        );
        let statement = Statement::new(sql)
            .bind(stretch.from.millis())
            .bind(stretch.to.millis())
            .bind(stretch.after.0)
            .bind(tenant.map_or("", Tenant::as_str))
            .bind(i64::from(limit));
        let rows = self.read(statement).await?;
        rows.map(|(at, id): (i64, Uuid)| (At::from_millis(at), RequestId(id)))
    }

    async fn leaves_of(&self, ids: &[RequestId]) -> Result<Vec<(RequestId, u32, Vec<u8>)>, StoreError> {
        let sql = sql!("select request_id, n, leaf from ledger where request_id " ids "$1" " order by request_id, n");
        let rows = self.read(Statement::new(sql).bind(ids)).await?;
        rows.map(|(id, n, leaf): (Uuid, i32, Vec<u8>)| (RequestId(id), n.cast_unsigned(), leaf))
    }

    async fn forgotten(
        &self,
        tenant: Option<&Tenant>,
        regime: Option<&str>,
        from: At,
        to: At,
    ) -> Result<Vec<(Status, u64)>, StoreError> {
        let sql = sql!(
            "select " ["status::int4" | "status"] ", " ["sum(n)::int8" | "sum(n)"] " from forgotten \
             where hour >= $1 and hour < $2 and ($3 = '' or tenant = $3) and ($4 = '' or regime = $4) group by status"
        );
        let statement = Statement::new(sql)
            .bind(hour_of(from))
            .bind(to.millis())
            .bind(tenant.map_or("", Tenant::as_str))
            .bind(regime.unwrap_or(""));
        let rows = self.read(statement).await?;
        rows.try_map(|(code, n): (i32, i64)| {
            let status = u8::try_from(code).ok().and_then(Status::from_code);
            let status = status.ok_or_else(|| StoreError::Unreadable {
                table: "forgotten",
                detail: format!("no status of code {code}"),
            })?;
            Ok((status, n.cast_unsigned()))
        })
    }
}

/// Writes down that these go, in the order of the keys, so that two workers wait for each other and never in a circle.
pub(super) async fn count_forgotten(on: &mut impl Session, rows: &[PurgedRow]) -> Result<(), StoreError> {
    let mut sums: BTreeMap<(i64, &str, &str, i16), i64> = BTreeMap::new();
    for row in rows {
        let status = i16::from(row.status.code());
        let key = (
            hour_of(row.received_at),
            row.tenant.as_str(),
            row.regime.as_str(),
            status,
        );
        *sums.entry(key).or_default() += 1;
    }
    let rows: Vec<_> = sums.into_iter().collect();
    let table = Table::of(&rows)
        .bigint("hour", |((hour, ..), _)| *hour)
        .text("tenant", |((_, tenant, ..), _)| *tenant)
        .text("regime", |((_, _, regime, _), _)| *regime)
        .smallint("status", |((.., status), _)| *status)
        .bigint("n", |(_, n)| *n);
    let insert = Insert::into("forgotten as f", table)
        .on_conflict("(hour, tenant, regime, status) do update set n = f.n + excluded.n");
    on.run(insert.into()).await?;
    Ok(())
}

const fn hour_of(at: At) -> i64 {
    at.millis() - at.millis().rem_euclid(FORGOTTEN_HOUR)
}
