//! Requests whose outputs no Kafka input caused.

use async_trait::async_trait;

use crate::{
    domain::{ids::RequestId, time::At},
    store::{
        error::StoreError,
        in_order::highest,
        outbox::OutboxStore,
        session::{Pool, Session},
        statement::{Insert, Statement, Table, sql},
    },
};

#[async_trait]
impl<S: Pool> OutboxStore for S {
    async fn outbox(&self, before: At, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        let sql = sql!("select request_id from outbox where at < $1 order by at, request_id limit $2");
        let statement = Statement::new(sql).bind(before.millis()).bind(i64::from(limit));
        self.read(statement).await?.map(|(id,)| RequestId(id))
    }

    async fn take_outbox(&self, before: At, now: At, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        // What another worker is just taking is passed over.
        let sql = sql!(
            "update outbox as o set at = $2 from (select request_id as taken from outbox where at < $1 \
             order by at, request_id limit $3" lock " for update skip locked" ") as v \
             where o.request_id = v.taken returning request_id"
        );
        let statement = Statement::new(sql)
            .bind(before.millis())
            .bind(now.millis())
            .bind(i64::from(limit));
        let mut ids = self.change(statement).await?.map(|(id,)| RequestId(id))?;
        ids.sort_unstable();
        Ok(ids)
    }

    async fn keep_outbox(&self, ids: &[RequestId], now: At) -> Result<(), StoreError> {
        let sql = sql!([
            "update outbox o set at = $2 from unnest($1::uuid[]) as v(id) where o.request_id = v.id and o.at < $2"
                | "update outbox set at = $2 where at < $2 and request_id in (select unhex(value) from json_each($1))"
        ]);
        let statement = Statement::new(sql).bind(ids).bind(now.millis());
        self.run(statement).await?;
        Ok(())
    }

    async fn outbox_done(&self, done: &[(RequestId, u32)]) -> Result<(), StoreError> {
        // What has moved on since it was produced stays.
        let sql = sql!([
            "delete from outbox o using unnest($1::uuid[], $2::int4[]) as v(id, revision) \
              where o.request_id = v.id and o.revision <= v.revision"
                | "delete from outbox where request_id in (select o.request_id from json_each($1) v \
                cross join outbox o on o.request_id = unhex(v.value ->> 0) where o.revision <= v.value ->> 1)"
        ]);
        let done: Vec<_> = highest(done).into_iter().collect();
        let keys = Table::of(&done)
            .uuid("id", |(id, _)| id.0)
            .integer("revision", |(_, revision)| revision.cast_signed());
        self.run(Statement::new(sql).bind(keys)).await?;
        Ok(())
    }
}

/// The highest revision of each request.
pub(super) async fn upsert(
    on: &mut impl Session,
    rows: &[(RequestId, u32)],
    at: At,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = highest(rows).into_iter().collect();
    let table = Table::of(&rows)
        .uuid("request_id", |(id, _)| id.0)
        .integer("revision", |(_, revision)| revision.cast_signed())
        .bigint("at", |_| at.millis());
    let insert = Insert::into("outbox", table).on_conflict(
        "(request_id) do update set revision = excluded.revision, at = excluded.at \
             where outbox.revision < excluded.revision",
    );
    on.run(insert.into()).await?;
    Ok(())
}
