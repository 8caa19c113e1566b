//! Changes to many requests at once.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::{
        ids::{RequestId, Tenant},
        time::At,
        words::BulkAction,
    },
    store::{
        bulk::{BulkItem, BulkJob, BulkOutcome, BulkState, BulkStore, BulkTransaction},
        error::StoreError,
        session::{Pool, Session},
        statement::{Column, Insert, Statement, Table, sql},
    },
};

/// No task: the request as a whole.
const WHOLE: i16 = -1;

#[async_trait]
impl<S: Pool> BulkStore for S {
    async fn bulk_job(&self, id: Uuid) -> Result<Option<BulkJob>, StoreError> {
        let sql = sql!(
            "select id, created_at, updated_at, state, action, matched, total, next_n, done, refused, actor, tenant, chosen, \
             digest, sealed from bulk_job where id = $1"
        );
        let row = self.read(Statement::new(sql).bind(id)).await?.first()?;
        row.map(JobColumns::into_job).transpose()
    }

    async fn bulk_jobs(
        &self,
        tenant: Option<&Tenant>,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<BulkJob>, StoreError> {
        let sql = sql!(
            "select id, created_at, updated_at, state, action, matched, total, next_n, done, refused, actor, tenant, chosen, \
             digest, sealed from bulk_job where id < $1 and ($2" ["::text" | ""] " is null or tenant = $2) \
             order by id desc limit $3"
        );
        let statement = Statement::new(sql)
            .bind(before.unwrap_or(Uuid::max()))
            .bind(tenant.map(Tenant::as_str))
            .bind(i64::from(limit));
        self.read(statement).await?.try_map(JobColumns::into_job)
    }

    async fn bulk_items(
        &self,
        job: Uuid,
        from: u32,
        outcome: Option<BulkOutcome>,
        limit: u32,
    ) -> Result<Vec<BulkItem>, StoreError> {
        let sql = sql!(
            "select n, request_id, ordinal, outcome, why from bulk_item where job = $1 and n >= $2 \
             and ($3 < 0 or outcome = $3) order by n limit $4"
        );
        let statement = Statement::new(sql)
            .bind(job)
            .bind(from.cast_signed())
            .bind(outcome.map_or(-1, BulkOutcome::code))
            .bind(i64::from(limit));
        self.read(statement).await?.try_map(ItemColumns::into_item)
    }

    async fn bulk_refusals(&self, job: Uuid) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = sql!(
            "select coalesce(why, ''), count(*) as n from bulk_item where job = $1 and outcome = 2 \
             group by why order by n desc limit 100"
        );
        let rows = self.read(Statement::new(sql).bind(job)).await?;
        rows.map(|(why, n): (String, i64)| (why, n.cast_unsigned()))
    }

    async fn own_bulk_job(&self, owner: Uuid, now: At, until: At) -> Result<Option<BulkJob>, StoreError> {
        let sql = sql!(
            "update bulk_job set owner = $1, owned_until = $3, updated_at = $2 where id = (select id from bulk_job \
             where state = 0 and (owner is null or owner = $1 or owned_until < $2) order by updated_at limit 1"
            lock " for update skip locked"
            ") returning id, created_at, updated_at, state, action, matched, total, next_n, done, refused, actor, tenant, chosen, \
             digest, sealed"
        );
        let statement = Statement::new(sql)
            .bind(owner)
            .bind(now.millis())
            .bind(until.millis());
        let row = self.change(statement).await?.first()?;
        row.map(JobColumns::into_job).transpose()
    }

    async fn leave_bulk_jobs(&self, owner: Uuid) -> Result<(), StoreError> {
        let sql = sql!("update bulk_job set owner = null, owned_until = 0 where state = 0 and owner = $1");
        self.run(Statement::new(sql).bind(owner)).await?;
        Ok(())
    }

    async fn forget_bulk_jobs(&self, before: At) -> Result<u64, StoreError> {
        let items = sql!(
            "delete from bulk_item where job in (select id from bulk_job where state in (2, 3) and updated_at < $1)"
        );
        self.run(Statement::new(items).bind(before.millis())).await?;
        let jobs = sql!("delete from bulk_job where state in (2, 3) and updated_at < $1");
        self.run(Statement::new(jobs).bind(before.millis())).await
    }
}

#[async_trait]
impl<S: Session> BulkTransaction for S {
    async fn add_bulk_job(&mut self, job: &BulkJob, items: &[BulkItem]) -> Result<bool, StoreError> {
        let sql = sql!(
            "insert into bulk_job (id, created_at, updated_at, owned_until, state, action, matched, total, next_n, done, refused, \
             actor, tenant, chosen, digest, sealed) values ($1, $2, $2, 0, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
             on conflict (id) do nothing"
        );
        let statement = Statement::new(sql)
            .bind(job.id)
            .bind(job.created_at.millis())
            .bind(job.state.code())
            .bind(i16::from(job.action.code()))
            .bind(job.matched.cast_signed())
            .bind(job.total.cast_signed())
            .bind(job.next.cast_signed())
            .bind(job.done.cast_signed())
            .bind(job.refused.cast_signed())
            .bind(job.actor.as_str())
            .bind(job.tenant.as_ref().map(Tenant::as_str))
            .bind(job.chosen.as_str())
            .bind(job.digest.as_slice())
            .bind(job.sealed.as_slice());
        if self.run(statement).await? == 0 {
            return Ok(false);
        }
        for some in items.chunks(5_000) {
            let table = Table::of(some)
                .uuid("job", |_| job.id)
                .uuid("request_id", |item| item.request_id.0)
                .integer("n", |item| item.n.cast_signed())
                .smallint("ordinal", |item| item.ordinal.map_or(WHOLE, u16::cast_signed))
                .smallint("outcome", |item| item.outcome.code())
                .maybe_text("why", |item| item.why.as_deref());
            self.run(Insert::into("bulk_item", table).into()).await?;
        }
        Ok(true)
    }

    async fn set_bulk_state(
        &mut self,
        id: Uuid,
        from: &[BulkState],
        to: BulkState,
        at: At,
    ) -> Result<Option<BulkJob>, StoreError> {
        let sql = sql!(
            "update bulk_job set state = $3, updated_at = $4 where id = $1 and state " any "$2"
            " returning id, created_at, updated_at, state, action, matched, total, next_n, done, refused, actor, tenant, chosen, \
             digest, sealed"
        );
        let statement = Statement::new(sql)
            .bind(id)
            .bind(Column::Smallint(from.iter().map(|state| state.code()).collect()))
            .bind(to.code())
            .bind(at.millis());
        let row = self.fetch(statement).await?.first()?;
        row.map(JobColumns::into_job).transpose()
    }

    async fn move_bulk_job(
        &mut self,
        id: Uuid,
        owner: Uuid,
        done: &[BulkItem],
        next: u32,
        at: At,
    ) -> Result<(), StoreError> {
        let count = |outcome| done.iter().filter(|item| item.outcome == outcome).count();
        let number = |count| i32::try_from(count).unwrap_or(i32::MAX);
        // A job that was paused or ended meanwhile has done what it has done, and stays as it was put.
        let sql = sql!(
            "update bulk_job set next_n = $3, done = done + $4, refused = refused + $5, updated_at = $6, \
             state = case when state = 0 and $3 >= total then 3 else state end \
             where id = $1 and owner = $2 and next_n <= $3"
        );
        let statement = Statement::new(sql)
            .bind(id)
            .bind(owner)
            .bind(next.cast_signed())
            .bind(number(count(BulkOutcome::Done)))
            .bind(number(count(BulkOutcome::Refused)))
            .bind(at.millis());
        if self.run(statement).await? == 0 {
            return Err(StoreError::Conflict);
        }
        for item in done {
            let sql =
                sql!("update bulk_item set outcome = $3, why = $4 where job = $1 and n = $2 and outcome = 0");
            let statement = Statement::new(sql)
                .bind(id)
                .bind(item.n.cast_signed())
                .bind(item.outcome.code())
                .bind(item.why.as_deref());
            if self.run(statement).await? == 0 {
                return Err(StoreError::Conflict);
            }
        }
        Ok(())
    }
}

fn unreadable(table: &'static str, detail: impl std::fmt::Display) -> StoreError {
    StoreError::Unreadable {
        table,
        detail: detail.to_string(),
    }
}

columns! {
    /// A row of `bulk_job`.
    struct JobColumns {
        id: Uuid,
        created_at: i64,
        updated_at: i64,
        state: i16,
        action: i16,
        matched: i32,
        total: i32,
        next_n: i32,
        done: i32,
        refused: i32,
        actor: String,
        tenant: Option<String>,
        chosen: String,
        digest: Vec<u8>,
        sealed: Vec<u8>,
    }
}

impl JobColumns {
    fn into_job(self) -> Result<BulkJob, StoreError> {
        let unreadable = |detail: String| unreadable("bulk_job", format!("{}: {detail}", self.id));
        let action = u8::try_from(self.action).ok().and_then(BulkAction::from_code);
        let tenant = self.tenant.as_deref().map(Tenant::new).transpose();
        Ok(BulkJob {
            id: self.id,
            created_at: At::from_millis(self.created_at),
            updated_at: At::from_millis(self.updated_at),
            state: BulkState::from_code(self.state)
                .ok_or_else(|| unreadable(format!("state {}", self.state)))?,
            action: action.ok_or_else(|| unreadable(format!("action {}", self.action)))?,
            tenant: tenant.map_err(|error| unreadable(error.to_string()))?,
            matched: self.matched.cast_unsigned(),
            total: self.total.cast_unsigned(),
            next: self.next_n.cast_unsigned(),
            done: self.done.cast_unsigned(),
            refused: self.refused.cast_unsigned(),
            actor: self.actor,
            chosen: self.chosen,
            digest: self.digest,
            sealed: self.sealed,
        })
    }
}

columns! {
    /// A row of `bulk_item`.
    struct ItemColumns {
        n: i32,
        request_id: Uuid,
        ordinal: i16,
        outcome: i16,
        why: Option<String>,
    }
}

impl ItemColumns {
    fn into_item(self) -> Result<BulkItem, StoreError> {
        let outcome = BulkOutcome::from_code(self.outcome);
        Ok(BulkItem {
            n: self.n.cast_unsigned(),
            request_id: RequestId(self.request_id),
            ordinal: (self.ordinal != WHOLE).then(|| self.ordinal.cast_unsigned()),
            outcome: outcome.ok_or_else(|| unreadable("bulk_item", format!("outcome {}", self.outcome)))?,
            why: self.why,
        })
    }
}
