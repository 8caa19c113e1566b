//! Tasks that their topics do not take.

use async_trait::async_trait;
use uuid::Uuid;

use super::deferred::delete_tasks;
use crate::{
    domain::{
        ids::{ProcessorId, RequestId},
        time::At,
    },
    store::{
        changes::Changes,
        deferred::{UndeliverableRow, UndeliverableStore},
        error::StoreError,
        in_order::last_of_each,
        session::{Pool, Session},
        statement::{Column, Insert, Statement, Table, sql},
    },
};

#[async_trait]
impl<S: Pool> UndeliverableStore for S {
    async fn undeliverable_lanes(
        &self,
        processors: &[ProcessorId],
        now: At,
        too_large: bool,
    ) -> Result<Vec<ProcessorId>, StoreError> {
        let sql = sql!([
            "select v.id from unnest($1::text[]) as v(id) where exists (select from undeliverable u \
              where u.processor = v.id and u.due <= $2 and u.too_large = $3)"
                | "select v.value from json_each($1) as v where exists (select 1 from undeliverable u \
                where u.processor = v.value and u.due <= $2 and u.too_large = $3)"
        ]);
        let statement = Statement::new(sql)
            .bind(Column::texts(processors.iter().map(ProcessorId::as_str)))
            .bind(now.millis())
            .bind(too_large);
        let names: Vec<(String,)> = self.read(statement).await?.all()?;
        let found = processors
            .iter()
            .filter(|id| names.iter().any(|(name,)| name == id.as_str()));
        Ok(found.cloned().collect())
    }

    async fn undeliverable(
        &self,
        processor: &ProcessorId,
        too_large: bool,
        now: At,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<RequestId>, StoreError> {
        let sql = sql!(
            "select distinct request_id from undeliverable where processor = $1 and due <= $2 and request_id > $3 \
             and too_large = $5 order by request_id limit $4"
        );
        let statement = Statement::new(sql)
            .bind(processor.as_str())
            .bind(now.millis())
            .bind(after.map_or(Uuid::nil(), |id| id.0))
            .bind(i64::from(limit))
            .bind(too_large);
        self.read(statement).await?.map(|(id,)| RequestId(id))
    }
}

/// What is delivered goes first: a task that a batch has sent and got back is undeliverable.
pub(super) async fn write(on: &mut impl Session, changes: &Changes) -> Result<(), StoreError> {
    delete_tasks(on, "undeliverable", &changes.delivered).await?;
    if changes.undeliverable.is_empty() {
        return Ok(());
    }
    let rows = last_of_each(&changes.undeliverable, |row: &UndeliverableRow| {
        (row.request_id, row.ordinal)
    });
    let table = Table::of(&rows)
        .uuid("request_id", |row| row.request_id.0)
        .bigint("due", |row| row.due.millis())
        .smallint("ordinal", |row| row.ordinal.cast_signed())
        .bool("too_large", |row| row.too_large)
        .text("processor", |row| row.processor.as_str());
    let insert = Insert::into("undeliverable", table).on_conflict(
        "(request_id, ordinal) do update set due = excluded.due, too_large = excluded.too_large, \
             processor = excluded.processor",
    );
    on.run(insert.into()).await?;
    Ok(())
}
