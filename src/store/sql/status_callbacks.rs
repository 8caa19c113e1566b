//! Where controllers that speak OpenDSR to us want to be told how their requests stand.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::{ids::RequestId, registry::RequestState, time::At},
    store::{
        changes::Changes,
        error::StoreError,
        in_order::keys_in_order,
        session::{Pool, Session},
        statement::{Delete, Insert, Statement, Table, sql},
        status_callbacks::{StatusCallback, StatusCallbackStore},
    },
};

#[async_trait]
impl<S: Pool> StatusCallbackStore for S {
    async fn add_status_callbacks(&self, rows: &[StatusCallback]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let table = Table::of(rows)
            .uuid("request_id", |row| row.request_id.0)
            .bigint("due", |row| row.due.millis())
            .integer("tries", |row| row.tries.cast_signed())
            .smallint("n", |row| row.n.cast_signed())
            .smallint("told", |row| i16::from(row.told.code()))
            .text("controller", |row| row.controller.as_str())
            .text("url", |row| row.url.as_str());
        let insert = Insert::into("status_callback", table).on_conflict("do nothing");
        self.run(insert.into()).await?;
        Ok(())
    }

    async fn take_status_callbacks(
        &self,
        now: At,
        until: At,
        limit: u32,
    ) -> Result<Vec<StatusCallback>, StoreError> {
        // What another worker is just taking is passed over.
        let sql = sql!(
            "update status_callback as c set due = $2 from (select request_id as id, n as place from status_callback \
             where due <= $1 order by due limit $3" lock " for update skip locked" ") as v \
             where c.request_id = v.id and c.n = v.place \
             returning request_id, n, controller, url, told, tries, due"
        );
        let statement = Statement::new(sql)
            .bind(now.millis())
            .bind(until.millis())
            .bind(i64::from(limit));
        self.change(statement).await?.try_map(Columns::into_row)
    }

    async fn keep_status_callback(&self, row: &StatusCallback, due: Option<At>) -> Result<(), StoreError> {
        let sql = sql!(
            "update status_callback set told = $4, tries = $5, due = $6 where request_id = $1 and n = $2 and due = $3"
        );
        let statement = Statement::new(sql)
            .bind(row.request_id.0)
            .bind(row.n.cast_signed())
            .bind(row.due.millis())
            .bind(i16::from(row.told.code()))
            .bind(row.tries.cast_signed())
            .bind(due.unwrap_or(StatusCallback::NOTHING).millis());
        if self.run(statement).await? == 1 {
            return Ok(());
        }
        // It is due once more. What was told is so all the same.
        let sql = sql!("update status_callback set told = $3, tries = $4 where request_id = $1 and n = $2");
        let statement = Statement::new(sql)
            .bind(row.request_id.0)
            .bind(row.n.cast_signed())
            .bind(i16::from(row.told.code()))
            .bind(row.tries.cast_signed());
        self.run(statement).await?;
        Ok(())
    }

    async fn drop_status_callbacks(&self, rows: &[(RequestId, u16)]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let keys = keys_in_order(rows);
        let keys = Table::of(&keys)
            .uuid("request_id", |(id, _)| id.0)
            .smallint("n", |(_, n)| n.cast_signed());
        self.run(Delete::from("status_callback", keys).into()).await?;
        Ok(())
    }
}

/// The controllers of these requests may have to be told.
pub(super) async fn write(on: &mut impl Session, changes: &Changes) -> Result<(), StoreError> {
    if changes.told.is_empty() {
        return Ok(());
    }
    let sql = sql!("update status_callback set due = $2 where due > $2 and request_id " ids "$1");
    let statement = Statement::new(sql)
        .bind(changes.told.as_slice())
        .bind(changes.at.millis());
    on.run(statement).await?;
    Ok(())
}

columns! {
    /// A row of `status_callback`.
    struct Columns {
        request_id: Uuid,
        n: i16,
        controller: String,
        url: String,
        told: i16,
        tries: i32,
        due: i64,
    }
}

impl Columns {
    fn into_row(self) -> Result<StatusCallback, StoreError> {
        let told = u8::try_from(self.told).ok().and_then(RequestState::from_code);
        Ok(StatusCallback {
            request_id: RequestId(self.request_id),
            n: self.n.cast_unsigned(),
            controller: self.controller,
            url: self.url,
            told: told.ok_or_else(|| StoreError::Unreadable {
                table: "status_callback",
                detail: format!("request {}: told {}", self.request_id, self.told),
            })?,
            tries: self.tries.cast_unsigned(),
            due: At::from_millis(self.due),
        })
    }
}
