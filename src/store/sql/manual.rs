//! What people do about the tasks that they do.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::{
        ids::{ProcessorId, RequestId},
        time::At,
    },
    store::{
        error::StoreError,
        manual::{ManualRow, ManualStore, ManualTransaction},
        session::{Pool, Session},
        statement::{Column, Statement, sql},
    },
};

#[async_trait]
impl<S: Pool> ManualStore for S {
    async fn manual_places(
        &self,
        lanes: &[ProcessorId],
        after: Option<(RequestId, u16)>,
        limit: u32,
    ) -> Result<Vec<(RequestId, u16)>, StoreError> {
        let sql = sql!(
            "select request_id, " ["ordinal::int4" | "ordinal"] " from (select request_id, ordinal from queued where processor "
            ["= any($1::text[])" | "in (select value from json_each($1))"]
            " union select request_id, ordinal from manual where claimed_by is not null) as place \
             where (request_id, ordinal) > ($2, $3) order by request_id, ordinal limit $4"
        );
        let (id, ordinal) = after.map_or((Uuid::nil(), -1), |(id, ordinal)| (id.0, i32::from(ordinal)));
        let statement = Statement::new(sql)
            .bind(Column::texts(lanes.iter().map(ProcessorId::as_str)))
            .bind(id)
            .bind(ordinal)
            .bind(i64::from(limit));
        self.read(statement)
            .await?
            .try_map(|(id, ordinal): (Uuid, i32)| Ok((RequestId(id), place_of(ordinal)?)))
    }

    async fn manual_rows(&self, ids: &[RequestId]) -> Result<Vec<ManualRow>, StoreError> {
        let sql = sql!(
            "select request_id, ordinal, processor, generation, attempt, assignee, claimed_by, claimed_at, confirmed_by, \
             confirmed from manual where request_id " ids "$1"
        );
        self.read(Statement::new(sql).bind(ids))
            .await?
            .try_map(ManualColumns::into_row)
    }
}

#[async_trait]
impl<S: Session> ManualTransaction for S {
    async fn manual_row(&mut self, id: RequestId, ordinal: u16) -> Result<Option<ManualRow>, StoreError> {
        let sql = sql!(
            "select request_id, ordinal, processor, generation, attempt, assignee, claimed_by, claimed_at, confirmed_by, \
             confirmed from manual where request_id = $1 and ordinal = $2"
        );
        let statement = Statement::new(sql).bind(id.0).bind(ordinal.cast_signed());
        let row = self.fetch(statement).await?.first()?;
        row.map(ManualColumns::into_row).transpose()
    }

    async fn put_manual(&mut self, row: &ManualRow) -> Result<(), StoreError> {
        let sql = sql!(
            "insert into manual (request_id, ordinal, processor, generation, attempt, assignee, claimed_by, claimed_at, \
             confirmed_by, confirmed) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             on conflict (request_id, ordinal) do update set processor = excluded.processor, generation = excluded.generation, \
             attempt = excluded.attempt, assignee = excluded.assignee, claimed_by = excluded.claimed_by, \
             claimed_at = excluded.claimed_at, confirmed_by = excluded.confirmed_by, confirmed = excluded.confirmed"
        );
        let statement = Statement::new(sql)
            .bind(row.request_id.0)
            .bind(row.ordinal.cast_signed())
            .bind(row.processor.as_str())
            .bind(row.generation.cast_signed())
            .bind(row.attempt.cast_signed())
            .bind(row.assignee.as_deref())
            .bind(row.claimed_by.as_deref())
            .bind(row.claimed_at.map(At::millis))
            .bind(row.confirmed_by.as_deref())
            .bind(row.confirmed.as_deref());
        self.run(statement).await?;
        Ok(())
    }

    async fn drop_manual(&mut self, id: RequestId, ordinal: u16) -> Result<(), StoreError> {
        let sql = sql!("delete from manual where request_id = $1 and ordinal = $2");
        let statement = Statement::new(sql).bind(id.0).bind(ordinal.cast_signed());
        self.run(statement).await?;
        Ok(())
    }
}

fn place_of(ordinal: i32) -> Result<u16, StoreError> {
    u16::try_from(ordinal).map_err(|error| unreadable(&error))
}

fn unreadable(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unreadable {
        table: "manual",
        detail: error.to_string(),
    }
}

columns! {
    /// A row of `manual`.
    struct ManualColumns {
        request_id: Uuid,
        ordinal: i16,
        processor: String,
        generation: i32,
        attempt: i32,
        assignee: Option<String>,
        claimed_by: Option<String>,
        claimed_at: Option<i64>,
        confirmed_by: Option<String>,
        confirmed: Option<Vec<u8>>,
    }
}

impl ManualColumns {
    fn into_row(self) -> Result<ManualRow, StoreError> {
        Ok(ManualRow {
            request_id: RequestId(self.request_id),
            ordinal: self.ordinal.cast_unsigned(),
            processor: ProcessorId::new(&self.processor).map_err(|error| unreadable(&error))?,
            generation: self.generation.cast_unsigned(),
            attempt: self.attempt.cast_unsigned(),
            assignee: self.assignee,
            claimed_by: self.claimed_by,
            claimed_at: self.claimed_at.map(At::from_millis),
            confirmed_by: self.confirmed_by,
            confirmed: self.confirmed,
        })
    }
}
