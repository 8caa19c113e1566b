//! What is read of requests, and of the commands that were taken in.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::{
        identity::SubjectDigest,
        ids::{CommandId, RequestId, Tenant},
        request::Request,
        time::At,
        words::Status,
    },
    store::{
        error::StoreError,
        requests::{InboxRow, RequestStore, RequestTransaction, StoredBody, StoredRequest},
        session::{Pool, Session},
        statement::{Statement, Table, sql},
    },
};

/// Columns: id, revision, packed, wrapped key.
pub(in crate::store) type StateColumns = (Uuid, i32, Vec<u8>, Option<Vec<u8>>);
/// Columns: id, body, sealed.
type BodyColumns = (Uuid, Vec<u8>, Vec<u8>);
/// Columns: tenant, command id, digest, request id.
type InboxColumns = (String, Uuid, Vec<u8>, Uuid);

/// The bodies of requests.
fn bodies(ids: &[RequestId]) -> Statement<'_> {
    let sql = sql!("select id, body, sealed from request where id " ids "$1");
    Statement::new(sql).bind(ids)
}

/// What the inbox holds of commands.
fn inbox<'a>(keys: &'a [(&'a Tenant, CommandId)]) -> Statement<'a> {
    let sql = sql!(["select i.tenant, i.command_id, i.digest, i.request_id \
          from unnest($1::text[], $2::uuid[]) as k(tenant, command_id) \
          join inbox i on i.tenant = k.tenant and i.command_id = k.command_id"
        | "select i.tenant, i.command_id, i.digest, i.request_id from json_each($1) k \
            cross join inbox i on i.tenant = k.value ->> 0 and i.command_id = unhex(k.value ->> 1)"]);
    Statement::new(sql).bind(
        Table::of(keys)
            .text("tenant", |(tenant, _)| tenant.as_str())
            .uuid("command_id", |(_, command)| command.0),
    )
}

#[async_trait]
impl<S: Pool> RequestStore for S {
    async fn requests(&self, ids: &[RequestId]) -> Result<Vec<StoredRequest>, StoreError> {
        let sql = sql!("select id, revision, packed, wrapped_key from state where id " ids "$1");
        let statement = Statement::new(sql).bind(ids);
        self.read(statement).await?.try_map(stored_request)
    }

    async fn bodies(&self, ids: &[RequestId]) -> Result<Vec<StoredBody>, StoreError> {
        self.read(bodies(ids)).await?.map(stored_body)
    }

    async fn revisions(&self, ids: &[RequestId]) -> Result<Vec<(RequestId, u32)>, StoreError> {
        let sql = sql!("select id, revision from state where id " ids "$1");
        let statement = Statement::new(sql).bind(ids);
        let rows = self.read(statement).await?;
        rows.map(|(id, revision): (Uuid, i32)| (RequestId(id), revision.cast_unsigned()))
    }

    async fn page(&self, after: Option<RequestId>, limit: u32) -> Result<Vec<StoredRequest>, StoreError> {
        let sql =
            sql!("select id, revision, packed, wrapped_key from state where id > $1 order by id limit $2");
        let statement = Statement::new(sql).bind(start(after)).bind(i64::from(limit));
        self.read(statement).await?.try_map(stored_request)
    }

    async fn open_page(
        &self,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<StoredRequest>, StoreError> {
        let sql = sql!(
            "select s.id, s.revision, s.packed, s.wrapped_key from agenda a " join " state s on s.id = a.request_id \
             where a.request_id > $1 order by a.request_id limit $2"
        );
        let statement = Statement::new(sql).bind(start(after)).bind(i64::from(limit));
        self.read(statement).await?.try_map(stored_request)
    }

    async fn inbox(&self, keys: &[(&Tenant, CommandId)]) -> Result<Vec<InboxRow>, StoreError> {
        self.read(inbox(keys)).await?.try_map(inbox_row)
    }

    async fn of_subject(&self, digests: &[SubjectDigest], limit: u32) -> Result<Vec<RequestId>, StoreError> {
        // Upstream chooses the ids, so they may not be in order of time.
        let sql = sql!(
            "with own as (select request_id from subject where digest " ids "$1" "), \
             found as (select request_id from own union \
             select m.request_id from own " join " merged m on m.leader = own.request_id) \
             select f.request_id from found f " join " request r on r.id = f.request_id \
             order by r.received_at desc, r.id desc limit $2"
        );
        let statement = Statement::new(sql).bind(digests).bind(i64::from(limit));
        self.read(statement).await?.map(|(id,)| RequestId(id))
    }

    async fn of_ticket(&self, digests: &[SubjectDigest], limit: u32) -> Result<Vec<RequestId>, StoreError> {
        let sql = sql!(
            "select id from request where ticket " ids "$1" " order by received_at desc, id desc limit $2"
        );
        let statement = Statement::new(sql).bind(digests).bind(i64::from(limit));
        self.read(statement).await?.map(|(id,)| RequestId(id))
    }

    /// One look at the index a tenant, however many rows it has.
    async fn tenants(&self, limit: u32) -> Result<Vec<Tenant>, StoreError> {
        let sql = sql!(
            "with recursive one(tenant) as (select min(tenant) from inbox union all \
             select (select min(i.tenant) from inbox i where i.tenant > one.tenant) from one \
             where one.tenant is not null) select tenant from one where tenant is not null limit $1"
        );
        let rows = self.read(Statement::new(sql).bind(i64::from(limit))).await?;
        rows.try_map(tenant)
    }

    async fn oldest_open(&self) -> Result<Option<At>, StoreError> {
        let sql = sql!(
            "select min(oldest) from (select min(received_at) as oldest from agenda" ["" | " indexed by agenda_parked"]
            " where parked = " ["true" | "1"] " union all select min(received_at) from agenda"
            ["" | " indexed by agenda_parked"] " where parked = " ["false" | "0"] ") as either"
        );
        let (oldest,): (Option<i64>,) = self.glance(Statement::new(sql)).await?.one()?;
        Ok(oldest.map(At::from_millis))
    }

    /// Reads the first entry of the index of dates and no row. Most of the time that is all that a turn of the agenda does.
    async fn is_due(&self, now: At) -> Result<bool, StoreError> {
        let sql = sql!("select exists(select" ["" | " 1"] " from agenda where wake_at <= $1)");
        let (is_due,) = self.read(Statement::new(sql).bind(now.millis())).await?.one()?;
        Ok(is_due)
    }

    async fn due(&self, now: At, limit: u32) -> Result<u64, StoreError> {
        let sql = sql!("select count(*) from (select" ["" | " 1"] " from agenda where wake_at <= $1 limit $2) as due");
        let statement = Statement::new(sql).bind(now.millis()).bind(i64::from(limit));
        let (n,): (i64,) = self.glance(statement).await?.one()?;
        Ok(n.cast_unsigned())
    }
}

#[async_trait]
impl<S: Session> RequestTransaction for S {
    async fn bodies(&mut self, ids: &[RequestId]) -> Result<Vec<StoredBody>, StoreError> {
        self.fetch(bodies(ids)).await?.map(stored_body)
    }

    async fn inbox(&mut self, keys: &[(&Tenant, CommandId)]) -> Result<Vec<InboxRow>, StoreError> {
        self.fetch(inbox(keys)).await?.try_map(inbox_row)
    }

    async fn received_since(
        &mut self,
        since: At,
        tenant: Option<&Tenant>,
        limit: u32,
    ) -> Result<u64, StoreError> {
        // Lets one transaction at a time count requests and open more: two that counted at once would each let the whole
        // rest of the hour's volume through. The number beside the schema follows those of the gate and of early commands.
        let sql = sql!([
            "select pg_advisory_xact_lock(hashtextextended(coalesce(current_schema(), ''), 119165536267875))"
                | "select 0"
        ]);
        self.run(Statement::new(sql)).await?;
        // A statement of its own: its snapshot is of a time when the lock was held.
        let sql = sql!(
            "select count(*) from (select" ["" | " 1"] " from request r " join " state s on s.id = r.id \
             where r.received_at > $1 and s.status <> $3 and ($4 = '' or r.tenant = $4) limit $2) as lately"
        );
        let statement = Statement::new(sql)
            .bind(since.millis())
            .bind(i64::from(limit))
            .bind(i16::from(Status::Merged.code()))
            .bind(tenant.map_or("", Tenant::as_str));
        let (n,): (i64,) = self.fetch(statement).await?.one()?;
        Ok(n.cast_unsigned())
    }

    async fn of_subjects(&mut self, digests: &[SubjectDigest]) -> Result<Vec<RequestId>, StoreError> {
        let sql = sql!(
            "with own as (select request_id from subject where digest " ids "$1" ") \
             select request_id from own union \
             select m.request_id from own " join " merged m on m.leader = own.request_id order by request_id"
        );
        let rows = self.fetch(Statement::new(sql).bind(digests)).await?;
        rows.map(|(id,)| RequestId(id))
    }

    /// A range of the index for each digest, so that no flood of one person's requests is read as a whole.
    async fn alike(
        &mut self,
        digests: &[SubjectDigest],
        each: u32,
    ) -> Result<Vec<(SubjectDigest, RequestId)>, StoreError> {
        let sql = sql!([
            "select d.digest, s.request_id from unnest($1::bytea[]) as d(digest) cross join lateral \
              (select request_id from subject where digest = d.digest order by request_id desc limit $2) s"
                | "select d.digest, s.request_id from (select unhex(value) as digest from json_each($1)) d \
                cross join subject s on s.digest = d.digest and s.request_id in \
                (select request_id from subject where digest = d.digest order by request_id desc limit $2)"
        ]);
        let statement = Statement::new(sql).bind(digests).bind(i64::from(each));
        self.fetch(statement).await?.try_map(alike)
    }
}

/// No request has the nil id: it is no version of a UUID that a command may bring.
fn start(after: Option<RequestId>) -> Uuid {
    after.map_or(Uuid::nil(), |id| id.0)
}

/// Revisions and counts are unsigned here and signed there; none comes near the sign.
pub(in crate::store) fn stored_request(
    (id, revision, packed, wrapped_key): StateColumns,
) -> Result<StoredRequest, StoreError> {
    let request = Request::unpack(RequestId(id), revision.cast_unsigned(), &packed).map_err(|error| {
        StoreError::Unreadable {
            table: "state",
            detail: format!("request {id}: {error}"),
        }
    })?;
    Ok(StoredRequest { request, wrapped_key })
}

/// A tenant of a row that says nothing else.
fn tenant((name,): (String,)) -> Result<Tenant, StoreError> {
    Tenant::new(&name).map_err(|error| StoreError::Unreadable {
        table: "inbox",
        detail: error.to_string(),
    })
}

fn alike((digest, id): (Vec<u8>, Uuid)) -> Result<(SubjectDigest, RequestId), StoreError> {
    let digest = digest.try_into().map_err(|_| StoreError::Unreadable {
        table: "subject",
        detail: format!("request {id}: a digest of another length"),
    })?;
    Ok((digest, RequestId(id)))
}

fn stored_body((id, body, sealed): BodyColumns) -> StoredBody {
    StoredBody {
        id: RequestId(id),
        body,
        sealed,
    }
}

fn inbox_row((tenant, command_id, digest, request_id): InboxColumns) -> Result<InboxRow, StoreError> {
    let unreadable = |detail| StoreError::Unreadable {
        table: "inbox",
        detail: format!("{command_id}: {detail}"),
    };
    Ok(InboxRow {
        tenant: Tenant::new(&tenant).map_err(|error| unreadable(error.to_string()))?,
        command_id: CommandId(command_id),
        digest: digest
            .try_into()
            .map_err(|_| unreadable("a digest of another length".into()))?,
        request_id: RequestId(request_id),
    })
}
