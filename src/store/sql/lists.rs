//! Lists of requests, and the filters that people keep.

mod walks;

use async_trait::async_trait;
use uuid::Uuid;

use self::walks::{statement_of, stride_of};
use super::requests::stored_request;
use crate::{
    domain::{
        ids::RequestId,
        time::At,
        words::{Mark, Status, Why},
    },
    store::{
        changes::Changes,
        error::StoreError,
        in_order::last_of_each,
        lists::{ListPlace, ListStore, ListTransaction, Listed, MarkedRow, SavedView, ViewStore, Walk},
        requests::StoredRequest,
        session::{Pool, Session},
        statement::{Column, Delete, Insert, Rows, Statement, Table, sql},
    },
};

/// The reasons for which a task has a row among those that are deferred.
const DEFERRED_FOR: [Why; 4] = [Why::Hold, Why::BackupRotation, Why::Retention, Why::Verification];

/// Columns: deadline, id, revision, packed, wrapped key.
type WalkColumns = (i64, Uuid, i32, Vec<u8>, Option<Vec<u8>>);

#[async_trait]
impl<S: Pool> ListStore for S {
    async fn walk(&self, walk: &Walk) -> Result<Vec<(ListPlace, StoredRequest)>, StoreError> {
        let rows = self.read(statement_of(walk)).await?;
        rows.try_map(|(deadline, id, revision, packed, key): WalkColumns| {
            let place = (At::from_millis(deadline), RequestId(id));
            Ok((place, stored_request((id, revision, packed, key))?))
        })
    }

    async fn stride(&self, walk: &Walk) -> Result<Option<ListPlace>, StoreError> {
        let place = self.read(stride_of(walk)).await?.first()?;
        Ok(place.map(|(deadline, id): (i64, Uuid)| (At::from_millis(deadline), RequestId(id))))
    }

    async fn count_marked(&self, mark: Mark, limit: u32) -> Result<u64, StoreError> {
        let sql = sql!(
            "select count(*) from (select" ["" | " 1"] " from marked where mark = $1 order by request_id limit $2) as part"
        );
        let statement = Statement::new(sql)
            .bind(i16::from(mark.code()))
            .bind(i64::from(limit));
        let (n,): (i64,) = self.read(statement).await?.one()?;
        Ok(n.cast_unsigned())
    }

    async fn count_deferred(&self, from: At, until: At, limit: u32) -> Result<u64, StoreError> {
        // The index has the dates of each pair of a reason and a processor; there are few of those.
        let sql = sql!([
            "select coalesce(sum(n), 0)::int8 from (select r.reason, p.number from \
              unnest($4::int2[]) as r(reason), processor_number p) as pair cross join lateral \
              (select count(*) as n from (select from deferred d where d.reason = pair.reason and d.processor = pair.number \
                and d.until >= $1 and d.until < $2 limit $3) as part) as counted"
                | "select count(*) from (select 1 from deferred where until >= $1 and until < $2 limit $3) as part"
        ]);
        let statement = Statement::new(sql)
            .bind(from.millis())
            .bind(until.millis())
            .bind(i64::from(limit))
            .bind(Column::Smallint(
                DEFERRED_FOR.map(|reason| i16::from(reason.code())).to_vec(),
            ));
        let (n,): (i64,) = self.read(statement).await?.one()?;
        Ok(n.cast_unsigned())
    }

    async fn count_received(&self, after: At, until: At, limit: u32) -> Result<u64, StoreError> {
        let sql = sql!(
            "select count(*) from (select" ["" | " 1"] " from request where received_at >= $1 and received_at <= $2 limit $3) as part"
        );
        let statement = Statement::new(sql)
            .bind(after.millis())
            .bind(until.millis())
            .bind(i64::from(limit));
        let (n,): (i64,) = self.read(statement).await?.one()?;
        Ok(n.cast_unsigned())
    }

    async fn how(&self, walk: &Walk) -> Result<Vec<String>, StoreError> {
        let rows = self.read(statement_of(walk).explained()).await?;
        match &rows {
            Rows::Postgres(_) => rows.map(|(line,): (String,)| line),
            Rows::Sqlite(_) => rows.map(|(_, _, _, line): (i64, i64, i64, String)| line),
        }
    }

    async fn listed(&self) -> Result<Listed, StoreError> {
        let sql = sql!("select after_id, " ["done::int4" | "done"] " from listed");
        let (after, done): (Option<Uuid>, i32) = self.read(Statement::new(sql)).await?.one()?;
        Ok(match done {
            0 => Listed::UpTo(after.map(RequestId)),
            _ => Listed::All,
        })
    }
}

/// What has no mark any more goes first: one that a batch has taken and given again is there.
pub(super) async fn write(on: &mut impl Session, changes: &Changes) -> Result<(), StoreError> {
    if !changes.unmarked.is_empty() {
        let mut gone = changes.unmarked.clone();
        gone.sort_unstable();
        let keys = Table::of(&gone)
            .smallint("mark", |(mark, _)| i16::from(mark.code()))
            .uuid("request_id", |(_, id)| id.0);
        on.run(Delete::from("marked", keys).into()).await?;
    }
    upsert(on, &changes.marked).await
}

async fn upsert(on: &mut impl Session, marks: &[MarkedRow]) -> Result<(), StoreError> {
    if marks.is_empty() {
        return Ok(());
    }
    let rows = last_of_each(marks, |row| (row.mark, row.request_id));
    let table = Table::of(&rows)
        .uuid("request_id", |row| row.request_id.0)
        .bigint("deadline", |row| row.deadline.millis())
        .smallint("mark", |row| i16::from(row.mark.code()));
    let insert = Insert::into("marked", table)
        .on_conflict("(mark, request_id) do update set deadline = excluded.deadline");
    on.run(insert.into()).await?;
    Ok(())
}

#[async_trait]
impl<S: Session> ListTransaction for S {
    async fn fill_in(
        &mut self,
        marks: &[MarkedRow],
        deadlines: &[(RequestId, At)],
        listed: Listed,
    ) -> Result<(), StoreError> {
        upsert(self, marks).await?;
        if !deadlines.is_empty() {
            let sql = sql!([
                "update agenda a set deadline = v.deadline from unnest($1::uuid[], $2::int8[]) as v(id, deadline) \
                  where a.request_id = v.id and a.deadline is null"
                    | "update agenda set deadline = v.value ->> 1 from json_each($1) v \
                    where request_id = unhex(v.value ->> 0) and deadline is null"
            ]);
            let table = Table::of(deadlines)
                .uuid("id", |(id, _)| id.0)
                .bigint("deadline", |(_, at)| at.millis());
            self.run(Statement::new(sql).bind(table)).await?;
        }
        if !deadlines.is_empty() {
            let sql = sql!([
                "update agenda a set parked = (s.status = $2) from state s where s.id = a.request_id \
                 and a.request_id = any($1) and a.parked <> (s.status = $2)"
                    | "update agenda set parked = (s.status = $2) from state s where s.id = agenda.request_id \
                       and agenda.request_id in (select unhex(value) from json_each($1)) and parked <> (s.status = $2)"
            ]);
            let ids: Vec<RequestId> = deadlines.iter().map(|(id, _)| *id).collect();
            let deferred = i16::from(Status::Deferred.code());
            self.run(Statement::new(sql).bind(ids.as_slice()).bind(deferred))
                .await?;
        }
        let sql = sql!("update listed set after_id = $1, done = $2");
        let (after, done) = match listed {
            Listed::UpTo(after) => (after.map(|id| id.0), false),
            Listed::All => (None, true),
        };
        self.run(Statement::new(sql).bind(after).bind(done)).await?;
        Ok(())
    }
}

#[async_trait]
impl<S: Pool> ViewStore for S {
    async fn saved_views(&self, owner: &str, page: &str) -> Result<Vec<SavedView>, StoreError> {
        let sql = sql!(
            "select name, page, query from saved_view where owner = $1 and page = $2 order by name limit 100"
        );
        let rows = self.read(Statement::new(sql).bind(owner).bind(page)).await?;
        rows.map(|(name, page, query)| SavedView { name, page, query })
    }

    async fn save_view(&self, owner: &str, view: &SavedView, at: At) -> Result<(), StoreError> {
        let sql = sql!(
            "insert into saved_view (owner, name, page, query, saved_at) values ($1, $2, $3, $4, $5) \
             on conflict (owner, page, name) do update set query = excluded.query, saved_at = excluded.saved_at"
        );
        let statement = Statement::new(sql)
            .bind(owner)
            .bind(view.name.as_str())
            .bind(view.page.as_str())
            .bind(view.query.as_str())
            .bind(at.millis());
        self.run(statement).await?;
        Ok(())
    }

    async fn forget_view(&self, owner: &str, page: &str, name: &str) -> Result<(), StoreError> {
        let sql = sql!("delete from saved_view where owner = $1 and page = $2 and name = $3");
        let statement = Statement::new(sql).bind(owner).bind(page).bind(name);
        self.run(statement).await?;
        Ok(())
    }
}
