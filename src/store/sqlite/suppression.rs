//! Who is suppressed: by the vault's digests, and by those of the suppression topic.

use serde_json::json;
use sqlx::{SqliteConnection, SqliteExecutor, query_as};
use uuid::Uuid;

use super::{read::ids_json, write::insert_rows};
use crate::{
    domain::{
        identity::{SubjectDigest, SuppressionDigest},
        ids::RequestId,
        request::Request,
        words::Status,
    },
    store::{
        StoreError, SuppressionRow, codec,
        expiry::{self, SuppressedColumns, SuppressionColumns},
    },
};

/// The status is a column of its own, so that what suppresses nobody is not unpacked.
pub(super) async fn with_subjects(
    on: impl SqliteExecutor<'_>,
    digests: &[SubjectDigest],
    statuses: &[Status],
) -> Result<Vec<(SubjectDigest, Request)>, StoreError> {
    let sql = "select s.digest, t.id, t.revision, t.packed from json_each(?1) v \
               cross join subject s on s.digest = unhex(v.value) cross join state t on t.id = s.request_id \
               where t.status in (select value from json_each(?2))";
    let statuses: Vec<u8> = statuses.iter().map(|status| status.code()).collect();
    let digests: Vec<String> = digests.iter().map(hex::encode).collect();
    let rows: Vec<(Vec<u8>, Uuid, u32, Vec<u8>)> = query_as(sql)
        .bind(json!(digests).to_string())
        .bind(json!(statuses).to_string())
        .fetch_all(on)
        .await?;
    rows.into_iter()
        .map(|(digest, id, revision, packed)| {
            let stored = codec::stored_request(id, revision, &packed, None)?;
            Ok((expiry::subject_digest(digest)?, stored.request))
        })
        .collect()
}

pub(super) async fn suppressed(
    on: impl SqliteExecutor<'_>,
    digests: &[SuppressionDigest],
) -> Result<Vec<(SuppressionRow, Request)>, StoreError> {
    let sql = "select s.digest, s.request_id, s.identity_type, s.recipe, t.revision, t.packed from json_each(?1) v \
               cross join suppression s on s.digest = unhex(v.value) cross join state t on t.id = s.request_id";
    let digests: Vec<String> = digests.iter().map(hex::encode).collect();
    let rows: Vec<SuppressedColumns<u32>> = query_as(sql)
        .bind(json!(digests).to_string())
        .fetch_all(on)
        .await?;
    rows.into_iter()
        .map(|(digest, id, identity_type, recipe, revision, packed)| {
            let stored = codec::stored_request(id, revision, &packed, None)?;
            Ok((
                expiry::suppression_row((digest, id, identity_type, recipe))?,
                stored.request,
            ))
        })
        .collect()
}

pub(super) async fn of_requests(
    on: impl SqliteExecutor<'_>,
    ids: &[RequestId],
) -> Result<Vec<SuppressionRow>, StoreError> {
    let sql = "select digest, request_id, identity_type, recipe from suppression \
               where request_id in (select unhex(value) from json_each(?1))";
    let rows: Vec<SuppressionColumns> = query_as(sql)
        .bind(ids_json(ids.iter().copied()))
        .fetch_all(on)
        .await?;
    rows.into_iter().map(expiry::suppression_row).collect()
}

/// Two identifiers of a request may be one value; and one that was supplied may be there already.
pub(super) async fn insert(on: &mut SqliteConnection, rows: &[SuppressionRow]) -> Result<(), StoreError> {
    let head = "insert into suppression (digest, request_id, identity_type, recipe) ";
    insert_rows(on, head, " on conflict do nothing", rows, |mut values, row| {
        values
            .push_bind(row.digest.to_vec())
            .push_bind(row.request_id.0)
            .push_bind(row.identity_type.as_str())
            .push_bind(row.recipe.number());
        Ok(())
    })
    .await?;
    Ok(())
}
