//! The queues of lanes, and which worker runs which lane.

use async_trait::async_trait;
use uuid::Uuid;

use super::deferred::delete_tasks;
use crate::{
    domain::{
        ids::{ProcessorId, RequestId, Tenant},
        time::At,
    },
    store::{
        changes::Changes,
        error::StoreError,
        in_order::last_of_each,
        queues::{HEADS, LaneRow, QueueHead, QueueStore, QueuedRow, QueuedTask, Wanted},
        session::{Dialect, Pool, Session},
        statement::{Column, Insert, Rows, Statement, Table, sql},
    },
};

#[async_trait]
impl<S: Pool> QueueStore for S {
    /// From lane to lane and from tenant to tenant the index is leapt through, so that it costs the same however many tasks each
    /// of them has, and nothing for a lane that has none.
    async fn queue_heads(
        &self,
        lanes: &[(ProcessorId, Option<Tenant>)],
    ) -> Result<Vec<QueueHead>, StoreError> {
        let sql = sql!([
            "with recursive busy(id) as (select min(processor) from queued union all \
              select (select min(q.processor) from queued q where q.processor > b.id) from busy b where b.id is not null), \
              head(processor, tenant, n) as ( \
              select v.id, (select min(q.tenant) from queued q where q.processor = v.id and q.tenant > v.past), 1 \
              from busy b join unnest($1::text[], $2::text[]) as v(id, past) on v.id = b.id \
              union all \
              select h.processor, (select min(q.tenant) from queued q where q.processor = h.processor \
                and q.tenant > h.tenant), h.n + 1 from head h where h.tenant is not null and h.n < $3) \
            select h.processor, h.tenant, (select min(q.due) from queued q where q.processor = h.processor \
              and q.tenant = h.tenant) as due from head h where h.tenant is not null"
                | "with recursive busy(id) as (select min(processor) from queued union all \
              select (select min(q.processor) from queued q where q.processor > b.id) from busy b where b.id is not null), \
              head(processor, tenant, n) as ( \
              select v.value ->> 0, (select min(q.tenant) from queued q where q.processor = v.value ->> 0 \
                and q.tenant > v.value ->> 1), 1 from busy b join json_each($1) v on v.value ->> 0 = b.id \
              union all \
              select h.processor, (select min(q.tenant) from queued q where q.processor = h.processor \
                and q.tenant > h.tenant), h.n + 1 from head h where h.tenant is not null and h.n < $2) \
            select h.processor, h.tenant, (select min(q.due) from queued q where q.processor = h.processor \
              and q.tenant = h.tenant) as due from head h where h.tenant is not null"
        ]);
        let past = |(_, tenant): &(ProcessorId, Option<Tenant>)| {
            tenant.as_ref().map_or("", Tenant::as_str).to_owned()
        };
        let pasts: Vec<String> = lanes.iter().map(past).collect();
        let lanes: Vec<(&ProcessorId, &str)> = lanes
            .iter()
            .map(|(id, _)| id)
            .zip(pasts.iter().map(String::as_str))
            .collect();
        let table = Table::of(&lanes)
            .text("id", |(id, _)| id.as_str())
            .text("past", |(_, past)| *past);
        let most = i32::try_from(HEADS).unwrap_or(i32::MAX);
        let statement = Statement::new(sql).bind(table).bind(most);
        self.read(statement)
            .await?
            .try_map(|(processor, tenant, due): (String, String, i64)| {
                Ok(QueueHead {
                    processor: processor_of("queued", &processor)?,
                    tenant: Tenant::new(&tenant).map_err(|error| unreadable("queued", &error))?,
                    due: At::from_millis(due),
                })
            })
    }

    async fn claimable(&self, wanted: &[Wanted], now: At) -> Result<Vec<QueuedTask>, StoreError> {
        if self.dialect() == Dialect::Postgres {
            let sql = sql!(
                "select q.request_id, q.ordinal from unnest($1::text[], $2::text[], $3::int8[]) as w(processor, tenant, most) \
                 cross join lateral (select request_id, ordinal from queued q where q.processor = w.processor \
                 and q.tenant = w.tenant and q.due <= $4 order by q.due, q.request_id, q.ordinal limit w.most) q"
            );
            let table = Table::of(wanted)
                .text("processor", |one| one.processor.as_str())
                .text("tenant", |one| one.tenant.as_str())
                .bigint("most", |one| i64::from(one.most));
            let statement = Statement::new(sql).bind(table).bind(now.millis());
            return tasks(self.read(statement).await?);
        }
        // SQLite has no lateral joins, and a question costs it next to nothing.
        let mut found = Vec::new();
        for one in wanted {
            let sql = sql!(
                "select request_id, ordinal from queued where processor = $1 and tenant = $2 and due <= $3 \
                 order by due, request_id, ordinal limit $4"
            );
            let statement = Statement::new(sql)
                .bind(one.processor.as_str())
                .bind(one.tenant.as_str())
                .bind(now.millis())
                .bind(i64::from(one.most));
            found.extend(tasks(self.read(statement).await?)?);
        }
        Ok(found)
    }

    async fn due_in_queue(&self, wanted: &[Wanted], now: At) -> Result<Vec<(ProcessorId, u64)>, StoreError> {
        // Of each tenant a range of the index, up to what is wanted of it.
        let sql = sql!([
            "select w.processor, (select count(*) from (select from queued q where q.processor = w.processor \
              and q.tenant = w.tenant and q.due <= $4 limit w.most) as due) \
              from unnest($1::text[], $2::text[], $3::int8[]) as w(processor, tenant, most)"
                | "select w.value ->> 0, (select count(*) from (select 1 from queued q where q.processor = w.value ->> 0 \
              and q.tenant = w.value ->> 1 and q.due <= $2 limit 10000) as due) from json_each($1) w"
        ]);
        let table = Table::of(wanted)
            .text("processor", |one| one.processor.as_str())
            .text("tenant", |one| one.tenant.as_str())
            .bigint("most", |one| i64::from(one.most));
        let statement = Statement::new(sql).bind(table).bind(now.millis());
        self.glance(statement)
            .await?
            .try_map(|(processor, n): (String, i64)| {
                Ok((processor_of("queued", &processor)?, n.cast_unsigned()))
            })
    }

    async fn oldest_queued(&self, lanes: &[ProcessorId]) -> Result<Vec<(ProcessorId, At)>, StoreError> {
        let lanes: Vec<_> = lanes.iter().map(|lane| (lane.clone(), None)).collect();
        let mut oldest: Vec<(ProcessorId, At)> = Vec::new();
        for head in self.queue_heads(&lanes).await? {
            match oldest.iter_mut().find(|(lane, _)| *lane == head.processor) {
                Some((_, due)) => *due = head.due.min(*due),
                None => oldest.push((head.processor, head.due)),
            }
        }
        Ok(oldest)
    }

    async fn requests_queued(
        &self,
        lanes: &[ProcessorId],
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<RequestId>, StoreError> {
        let sql = sql!([
            "select distinct request_id from queued where request_id > $2 and processor = any($1::text[]) \
             order by request_id limit $3"
                | "select distinct request_id from queued where request_id > $2 \
             and processor in (select value from json_each($1)) order by request_id limit $3"
        ]);
        let statement = Statement::new(sql)
            .bind(Column::texts(lanes.iter().map(ProcessorId::as_str)))
            .bind(after.map_or(Uuid::nil(), |id| id.0))
            .bind(i64::from(limit));
        self.read(statement).await?.map(|(id,)| RequestId(id))
    }

    async fn lanes(&self) -> Result<Vec<LaneRow>, StoreError> {
        let sql = sql!("select processor, owner, owned_until, circuit, pace from lane");
        self.read(Statement::new(sql)).await?.try_map(lane)
    }

    async fn take_lanes(
        &self,
        owner: Uuid,
        lanes: &[ProcessorId],
        now: At,
        until: At,
    ) -> Result<Vec<LaneRow>, StoreError> {
        // In order, so that two workers that take the same lanes do not wait for each other in a circle.
        let mut lanes: Vec<&str> = lanes.iter().map(ProcessorId::as_str).collect();
        lanes.sort_unstable();
        let sql = sql!([
            "insert into lane (processor, owner, owned_until) select v.id, $2, $4 from unnest($1::text[]) as v(id) \
             on conflict (processor) do update set owner = excluded.owner, owned_until = excluded.owned_until \
             where lane.owner is null or lane.owner = excluded.owner or lane.owned_until < $3 \
             returning processor, owner, owned_until, circuit, pace"
                | "insert into lane (processor, owner, owned_until) select v.value, $2, $4 from json_each($1) v where true \
             on conflict (processor) do update set owner = excluded.owner, owned_until = excluded.owned_until \
             where lane.owner is null or lane.owner = excluded.owner or lane.owned_until < $3 \
             returning processor, owner, owned_until, circuit, pace"
        ]);
        let statement = Statement::new(sql)
            .bind(Column::texts(lanes))
            .bind(owner)
            .bind(now.millis())
            .bind(until.millis());
        self.change(statement).await?.try_map(lane)
    }

    async fn leave_lanes(&self, owner: Uuid) -> Result<(), StoreError> {
        let sql = sql!("update lane set owner = null, owned_until = 0 where owner = $1");
        self.run(Statement::new(sql).bind(owner)).await?;
        Ok(())
    }

    async fn set_circuit(
        &self,
        owner: Uuid,
        lane: &ProcessorId,
        circuit: Option<&str>,
    ) -> Result<bool, StoreError> {
        let sql = sql!("update lane set circuit = $3 where processor = $1 and owner = $2");
        let statement = Statement::new(sql).bind(lane.as_str()).bind(owner).bind(circuit);
        Ok(self.run(statement).await? > 0)
    }

    async fn replace_circuit(
        &self,
        lane: &ProcessorId,
        before: Option<&str>,
        circuit: Option<&str>,
    ) -> Result<bool, StoreError> {
        let sql = sql!(
            "insert into lane (processor, owned_until, circuit) values ($1, 0, $3) \
             on conflict (processor) do update set circuit = excluded.circuit \
             where lane.circuit is not distinct from $2"
        );
        let statement = Statement::new(sql).bind(lane.as_str()).bind(before).bind(circuit);
        Ok(self.run(statement).await? > 0)
    }

    async fn replace_pace(&self, lane: &ProcessorId, before: i64, pace: i64) -> Result<bool, StoreError> {
        let sql = sql!(
            "insert into lane (processor, owned_until, pace) values ($1, 0, $3) \
             on conflict (processor) do update set pace = excluded.pace where lane.pace = $2"
        );
        let statement = Statement::new(sql).bind(lane.as_str()).bind(before).bind(pace);
        Ok(self.run(statement).await? > 0)
    }

    async fn return_pace(&self, lane: &ProcessorId, micros: i64) -> Result<(), StoreError> {
        let sql = sql!("update lane set pace = pace - $2 where processor = $1");
        self.run(Statement::new(sql).bind(lane.as_str()).bind(micros))
            .await?;
        Ok(())
    }
}

fn tasks(rows: Rows) -> Result<Vec<QueuedTask>, StoreError> {
    rows.map(|(id, ordinal): (Uuid, i16)| QueuedTask {
        request_id: RequestId(id),
        ordinal: ordinal.cast_unsigned(),
    })
}

fn processor_of(table: &'static str, name: &str) -> Result<ProcessorId, StoreError> {
    ProcessorId::new(name).map_err(|error| unreadable(table, &error))
}

fn unreadable(table: &'static str, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unreadable {
        table,
        detail: error.to_string(),
    }
}

type LaneColumns = (String, Option<Uuid>, i64, Option<String>, i64);

fn lane((processor, owner, owned_until, circuit, pace): LaneColumns) -> Result<LaneRow, StoreError> {
    Ok(LaneRow {
        processor: processor_of("lane", &processor)?,
        owner,
        owned_until: At::from_millis(owned_until),
        circuit,
        pace,
    })
}

/// What has left its queue goes first: a task that a batch has claimed and put back is in it.
pub(super) async fn write(on: &mut impl Session, changes: &Changes) -> Result<(), StoreError> {
    delete_tasks(on, "queued", &changes.unqueued).await?;
    if changes.queued.is_empty() {
        return Ok(());
    }
    let rows = last_of_each(&changes.queued, |row: &QueuedRow| (row.request_id, row.ordinal));
    let table = Table::of(&rows)
        .uuid("request_id", |row| row.request_id.0)
        .bigint("due", |row| row.due.millis())
        .smallint("ordinal", |row| row.ordinal.cast_signed())
        .text("processor", |row| row.processor.as_str())
        .text("tenant", |row| row.tenant.as_str());
    let insert = Insert::into("queued", table).on_conflict(
        "(request_id, ordinal) do update set due = excluded.due, processor = excluded.processor",
    );
    on.run(insert.into()).await?;
    Ok(())
}
