//! Tasks that a processor has accepted and that it has to be asked about.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::{
        ids::{ProcessorId, RequestId},
        time::At,
    },
    store::{
        changes::Changes,
        error::StoreError,
        in_order::{keys_in_order, last_of_each},
        polls::{PollRow, PollStore},
        session::{Pool, Session},
        statement::{Column, Delete, Insert, Statement, Table, sql},
    },
};

#[async_trait]
impl<S: Pool> PollStore for S {
    async fn due_pollers(&self, processors: &[ProcessorId], now: At) -> Result<Vec<ProcessorId>, StoreError> {
        if processors.is_empty() {
            return Ok(Vec::new());
        }
        let sql = sql!([
            "select v.id from unnest($1::text[]) as v(id) where exists (select from poll p \
              where p.processor = v.id and p.due <= $2)"
                | "select v.value from json_each($1) as v where exists (select 1 from poll p \
                where p.processor = v.value and p.due <= $2)"
        ]);
        let statement = Statement::new(sql)
            .bind(Column::texts(processors.iter().map(ProcessorId::as_str)))
            .bind(now.millis());
        let names: Vec<(String,)> = self.read(statement).await?.all()?;
        let due = processors
            .iter()
            .filter(|id| names.iter().any(|(name,)| name == id.as_str()));
        Ok(due.cloned().collect())
    }

    async fn take_polls(
        &self,
        processor: &ProcessorId,
        now: At,
        next: At,
        limit: u32,
    ) -> Result<Vec<(RequestId, u16)>, StoreError> {
        // What another worker is just taking is passed over.
        let sql = sql!(
            "update poll as p set due = $3 from (select request_id as id, ordinal as place from poll \
             where processor = $1 and due <= $2 order by due limit $4" lock " for update skip locked" ") as v \
             where p.request_id = v.id and p.ordinal = v.place returning request_id, ordinal"
        );
        let statement = Statement::new(sql)
            .bind(processor.as_str())
            .bind(now.millis())
            .bind(next.millis())
            .bind(i64::from(limit));
        let taken = self.change(statement).await?;
        taken.map(|(id, ordinal): (Uuid, i16)| (RequestId(id), ordinal.cast_unsigned()))
    }

    async fn drop_polls(&self, tasks: &[(RequestId, u16)]) -> Result<(), StoreError> {
        if tasks.is_empty() {
            return Ok(());
        }
        let keys = keys_in_order(tasks);
        let keys = Table::of(&keys)
            .uuid("request_id", |(id, _)| id.0)
            .smallint("ordinal", |(_, ordinal)| ordinal.cast_signed());
        self.run(Delete::from("poll", keys).into()).await?;
        Ok(())
    }
}

/// What was accepted.
pub(super) async fn write(on: &mut impl Session, changes: &Changes) -> Result<(), StoreError> {
    if changes.polled.is_empty() {
        return Ok(());
    }
    let rows = last_of_each(&changes.polled, |row: &PollRow| (row.request_id, row.ordinal));
    let table = Table::of(&rows)
        .uuid("request_id", |row| row.request_id.0)
        .bigint("due", |row| row.due.millis())
        .smallint("ordinal", |row| row.ordinal.cast_signed())
        .text("processor", |row| row.processor.as_str());
    let insert = Insert::into("poll", table).on_conflict(
        "(request_id, ordinal) do update set due = excluded.due, processor = excluded.processor",
    );
    on.run(insert.into()).await?;
    Ok(())
}
