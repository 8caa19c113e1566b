//! Commands that wait for the request that they name.

use async_trait::async_trait;
use uuid::Uuid;

use super::dead_letters::origins;
use crate::{
    domain::{
        ids::{CommandId, RequestId, Tenant},
        time::At,
    },
    store::{
        early::{EarlyChanges, EarlyRow, EarlyStore, EarlyTransaction},
        error::StoreError,
        origin::Origin,
        session::{Pool, Session},
        statement::{Delete, Insert, Statement, Table, sql},
    },
};

#[async_trait]
impl<S: Pool> EarlyStore for S {
    async fn take_early_unproduced(
        &self,
        before: At,
        now: At,
        limit: u32,
    ) -> Result<Vec<Origin>, StoreError> {
        let sql = sql!([
            "update early_command e set buried_at = $2 from (select cluster, topic, part, off, incarnation \
              from early_command where buried_at <= $1 limit $3 for update skip locked) as v \
              where (e.cluster, e.topic, e.part, e.off, e.incarnation) = \
              (v.cluster, v.topic, v.part, v.off, v.incarnation) \
              returning e.cluster, e.topic, e.part, e.off, e.incarnation"
                | "update early_command set buried_at = $2 where (cluster, topic, part, off, incarnation) in \
                (select cluster, topic, part, off, incarnation from early_command where buried_at <= $1 limit $3) \
                returning cluster, topic, part, off, incarnation"
        ]);
        let statement = Statement::new(sql)
            .bind(before.millis())
            .bind(now.millis())
            .bind(i64::from(limit));
        self.change(statement).await?.map(origin)
    }

    async fn early_produced(&self, origins: &[Origin]) -> Result<(), StoreError> {
        self.run(deletion(origins).into()).await?;
        Ok(())
    }
}

#[async_trait]
impl<S: Session> EarlyTransaction for S {
    async fn early_of(&mut self, ids: &[RequestId]) -> Result<Vec<EarlyRow>, StoreError> {
        let sql = sql!(
            "select cluster, topic, part, off, incarnation, request_id, tenant, command_id, arrived_at, expires_at, command, raw, headers \
             from early_command where request_id " ids "$1" " and buried_at is null \
             order by arrived_at, topic, part, off" lock " for update"
        );
        let rows = self.fetch(Statement::new(sql).bind(ids)).await?;
        rows.try_map(EarlyColumns::into_row)
    }

    async fn early_expired(&mut self, now: At, limit: u32) -> Result<Vec<EarlyRow>, StoreError> {
        let sql = sql!(
            "select cluster, topic, part, off, incarnation, request_id, tenant, command_id, arrived_at, expires_at, command, raw, headers \
             from early_command where expires_at <= $1 and buried_at is null \
             order by expires_at limit $2" lock " for update skip locked"
        );
        let statement = Statement::new(sql).bind(now.millis()).bind(i64::from(limit));
        self.fetch(statement).await?.try_map(EarlyColumns::into_row)
    }

    async fn early_count(&mut self) -> Result<u64, StoreError> {
        let sql = sql!("select count(*) from early_command");
        let (count,): (i64,) = self.fetch(Statement::new(sql)).await?.one()?;
        Ok(count.cast_unsigned())
    }
}

pub(super) async fn write(on: &mut impl Session, changes: &EarlyChanges, at: At) -> Result<(), StoreError> {
    insert(on, &changes.waiting).await?;
    if !changes.taken.is_empty() {
        on.run(deletion(&changes.taken).into()).await?;
    }
    bury(on, &changes.buried, at).await?;
    // Due at once.
    bury(on, &changes.refused, At::from_millis(0)).await?;
    if !changes.forgotten.is_empty() {
        let keys = Table::of(&changes.forgotten)
            .text("tenant", |(tenant, _)| tenant.as_str())
            .uuid("command_id", |(_, command)| command.0);
        on.run(Delete::from("inbox", keys).into()).await?;
    }
    Ok(())
}

/// Their dead letters are written; from this time on the production of those is waited for.
async fn bury(on: &mut impl Session, from: &[Origin], at: At) -> Result<(), StoreError> {
    if from.is_empty() {
        return Ok(());
    }
    let sql = sql!(["update early_command e set buried_at = $6 \
          from unnest($1::text[], $2::text[], $3::int4[], $4::int8[], $5::int4[]) as o(cluster, topic, part, off, incarnation) \
          where e.cluster = o.cluster and e.topic = o.topic and e.part = o.part and e.off = o.off \
          and e.incarnation = o.incarnation"
        | "update early_command set buried_at = $2 from json_each($1) o where cluster = o.value ->> 0 \
            and topic = o.value ->> 1 and part = o.value ->> 2 and off = o.value ->> 3 \
            and incarnation = o.value ->> 4"]);
    let statement = Statement::new(sql)
        .bind(origins(Table::of(from), |origin| origin))
        .bind(at.millis());
    on.run(statement).await?;
    Ok(())
}

async fn insert(on: &mut impl Session, waiting: &[EarlyRow]) -> Result<(), StoreError> {
    if waiting.is_empty() {
        return Ok(());
    }
    let table = origins(Table::of(waiting), |row| &row.origin)
        .uuid("request_id", |row| row.request_id.0)
        .text("tenant", |row| row.tenant.as_str())
        .uuid("command_id", |row| row.command_id.0)
        .bigint("arrived_at", |row| row.arrived_at.millis())
        .bigint("expires_at", |row| row.expires_at.millis())
        .bytes("command", |row| row.command.as_slice())
        .bytes("raw", |row| row.raw.as_slice())
        .maybe_bytes("headers", |row| row.headers.as_deref());
    let insert = Insert::into("early_command", table);
    on.run(insert.into()).await?;
    Ok(())
}

fn deletion(from: &[Origin]) -> Delete<'_> {
    Delete::from("early_command", origins(Table::of(from), |origin| origin))
}

columns! {
    struct EarlyColumns {
        cluster: String,
        topic: String,
        part: i32,
        off: i64,
        incarnation: i32,
        request_id: Uuid,
        tenant: String,
        command_id: Uuid,
        arrived_at: i64,
        expires_at: i64,
        command: Vec<u8>,
        raw: Vec<u8>,
        headers: Option<Vec<u8>>,
    }
}

impl EarlyColumns {
    fn into_row(self) -> Result<EarlyRow, StoreError> {
        let tenant = Tenant::new(&self.tenant).map_err(|error| StoreError::Unreadable {
            table: "early_command",
            detail: format!("{}: {error}", self.command_id),
        })?;
        Ok(EarlyRow {
            origin: origin((self.cluster, self.topic, self.part, self.off, self.incarnation)),
            request_id: RequestId(self.request_id),
            tenant,
            command_id: CommandId(self.command_id),
            arrived_at: At::from_millis(self.arrived_at),
            expires_at: At::from_millis(self.expires_at),
            command: self.command,
            raw: self.raw,
            headers: self.headers,
        })
    }
}

/// Columns: cluster, topic, partition, offset, incarnation.
type OriginColumns = (String, String, i32, i64, i32);

fn origin((cluster, topic, partition, offset, incarnation): OriginColumns) -> Origin {
    Origin {
        cluster: cluster.into(),
        topic: topic.into(),
        partition,
        offset,
        incarnation: incarnation.cast_unsigned(),
    }
}
