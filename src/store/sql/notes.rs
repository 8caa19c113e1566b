//! What a connector has to remember of a task.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::ids::{RequestId, TaskId},
    store::{
        error::StoreError,
        in_order::last_of_each,
        notes::{NoteRow, NoteStore},
        session::Pool,
        statement::{Insert, Statement, Table, sql},
    },
};

#[async_trait]
impl<S: Pool> NoteStore for S {
    async fn notes(&self, requests: &[RequestId]) -> Result<Vec<NoteRow>, StoreError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let sql = sql!("select n.request_id, n.task_id, n.sealed from note n where n.request_id " ids "$1");
        let rows = self.read(Statement::new(sql).bind(requests)).await?;
        rows.map(|(request, task, sealed): (Uuid, Uuid, Vec<u8>)| NoteRow {
            request_id: RequestId(request),
            task_id: TaskId(task),
            sealed,
        })
    }

    async fn put_notes(&self, rows: &[NoteRow]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let rows = last_of_each(rows, |row: &NoteRow| (row.request_id, row.task_id));
        let table = Table::of(&rows)
            .uuid("request_id", |row| row.request_id.0)
            .uuid("task_id", |row| row.task_id.0)
            .bytes("sealed", |row| row.sealed.as_slice());
        let insert = Insert::into("note", table)
            .on_conflict("(request_id, task_id) do update set sealed = excluded.sealed");
        self.run(insert.into()).await?;
        Ok(())
    }
}
