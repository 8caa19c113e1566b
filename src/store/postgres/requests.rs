//! Requests that a transaction locks.

use sqlx::{PgExecutor, query_as};
use uuid::Uuid;

use crate::{
    domain::{ids::RequestId, time::At},
    store::{
        error::StoreError,
        requests::{Lock, StoredRequest},
        sql::{StateColumns, stored_request},
    },
};

pub(super) async fn load(
    on: impl PgExecutor<'_>,
    ids: &[RequestId],
    lock: Lock,
) -> Result<Vec<StoredRequest>, StoreError> {
    let sql = match lock {
        Lock::None => "select id, revision, packed, wrapped_key from state where id = any($1)",
        Lock::Rows => {
            "select id, revision, packed, wrapped_key from state where id = any($1) \
             order by id for no key update"
        }
    };
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<StateColumns> = query_as(sql).bind(ids).fetch_all(on).await?;
    rows.into_iter().map(stored_request).collect()
}

pub(super) async fn due(
    on: impl PgExecutor<'_>,
    now: At,
    limit: u32,
) -> Result<Vec<StoredRequest>, StoreError> {
    let sql = "select s.id, s.revision, s.packed, s.wrapped_key from agenda a join state s on s.id = a.request_id \
               where a.wake_at <= $1 order by a.wake_at limit $2 for no key update of s skip locked";
    let rows: Vec<StateColumns> = query_as(sql)
        .bind(now.millis())
        .bind(i64::from(limit))
        .fetch_all(on)
        .await?;
    rows.into_iter().map(stored_request).collect()
}
