//! Requests that a transaction changes. It is the only writer, and locks nothing.

use serde_json::json;
use sqlx::{SqliteExecutor, query_as};

use crate::{
    domain::{ids::RequestId, time::At},
    store::{
        error::StoreError,
        requests::StoredRequest,
        sql::{StateColumns, stored_request},
    },
};

/// A list of ids for `json_each`, in hexadecimal digits, because JSON has no bytes.
pub(super) fn ids_json(ids: impl IntoIterator<Item = RequestId>) -> String {
    let ids: Vec<String> = ids.into_iter().map(|id| id.0.simple().to_string()).collect();
    json!(ids).to_string()
}

pub(super) async fn load(
    on: impl SqliteExecutor<'_>,
    ids: &[RequestId],
) -> Result<Vec<StoredRequest>, StoreError> {
    let sql = "select id, revision, packed, wrapped_key from state \
               where id in (select unhex(value) from json_each(?1))";
    let rows: Vec<StateColumns> = query_as(sql)
        .bind(ids_json(ids.iter().copied()))
        .fetch_all(on)
        .await?;
    rows.into_iter().map(stored_request).collect()
}

pub(super) async fn due(
    on: impl SqliteExecutor<'_>,
    now: At,
    limit: u32,
) -> Result<Vec<StoredRequest>, StoreError> {
    let sql = "select s.id, s.revision, s.packed, s.wrapped_key from agenda a cross join state s on s.id = a.request_id \
               where a.wake_at <= ?1 order by a.wake_at limit ?2";
    let rows: Vec<StateColumns> = query_as(sql).bind(now.millis()).bind(limit).fetch_all(on).await?;
    rows.into_iter().map(stored_request).collect()
}
