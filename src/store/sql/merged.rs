//! Requests of the same person that were merged into another one.

use crate::{
    domain::{identity::SubjectDigest, ids::RequestId},
    store::{
        changes::Changes,
        error::StoreError,
        in_order::by_request,
        session::Session,
        statement::{Delete, Insert, Statement, Table, sql},
    },
};

/// After the agenda's rows are written, which it pulls forward.
pub(super) async fn write(on: &mut impl Session, changes: &Changes) -> Result<(), StoreError> {
    if !changes.merged.is_empty() {
        on.run(Insert::into("merged", pairs(&changes.merged)).into())
            .await?;
    }
    if !changes.separated.is_empty() {
        on.run(Delete::from("merged", pairs(&changes.separated)).into())
            .await?;
    }
    if !changes.found_by.is_empty() {
        find_by(on, &changes.found_by).await?;
    }
    if !changes.roused.is_empty() {
        rouse(on, changes).await?;
    }
    Ok(())
}

/// Leaders, and who follows them.
fn pairs(pairs: &[(RequestId, RequestId)]) -> Table<'_, (RequestId, RequestId)> {
    Table::of(pairs)
        .uuid("leader", |(leader, _)| leader.0)
        .uuid("request_id", |(_, id)| id.0)
}

/// What finds a request has to go with it, so that its row knows of it.
async fn find_by(on: &mut impl Session, found_by: &[(SubjectDigest, RequestId)]) -> Result<(), StoreError> {
    let table = Table::of(found_by)
        .bytes("digest", |(digest, _)| digest.as_slice())
        .uuid("request_id", |(_, id)| id.0);
    let insert = Insert::into("subject", table).on_conflict("do nothing");
    on.run(insert.into()).await?;
    for (id, digests) in by_request(found_by) {
        // Joined bytes are a text to SQLite until they are told otherwise.
        let sql = sql!(
            "update request set lookups = " ["lookups || $2" | "cast(lookups || $2 as blob)"] " where id = $1"
        );
        on.run(Statement::new(sql).bind(id.0).bind(digests)).await?;
    }
    Ok(())
}

/// The lock waits for whoever purges one of them, and finds it gone; or keeps it until this wake-up can be seen and goes
/// with the rest. Without it a wake-up could be left that belongs to nobody.
async fn rouse(on: &mut impl Session, changes: &Changes) -> Result<(), StoreError> {
    let sql = sql!(["insert into agenda (request_id, wake_at, received_at) \
          select m.request_id, $2, r.received_at from merged m join state s on s.id = m.request_id \
          join request r on r.id = m.request_id \
          where m.leader = any($1) order by m.request_id for key share of s \
          on conflict (request_id) do update set wake_at = least(agenda.wake_at, excluded.wake_at)"
        | "insert into agenda (request_id, wake_at, received_at) \
            select m.request_id, $2, r.received_at from merged m cross join request r on r.id = m.request_id \
            where m.leader in (select unhex(value) from json_each($1)) \
            on conflict (request_id) do update set wake_at = min(agenda.wake_at, excluded.wake_at)"]);
    let statement = Statement::new(sql)
        .bind(changes.roused.as_slice())
        .bind(changes.at.millis());
    on.run(statement).await?;
    Ok(())
}
