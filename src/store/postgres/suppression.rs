//! Who is suppressed: by the vault's digests, and by those of the suppression topic.

use sqlx::{PgConnection, PgExecutor, query, query_as};
use uuid::Uuid;

use super::read::uuids;
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
    on: impl PgExecutor<'_>,
    digests: &[SubjectDigest],
    statuses: &[Status],
) -> Result<Vec<(SubjectDigest, Request)>, StoreError> {
    let sql = "select s.digest, t.id, t.revision, t.packed from unnest($1::bytea[]) as v(digest) \
               join subject s on s.digest = v.digest join state t on t.id = s.request_id where t.status = any($2)";
    let statuses: Vec<i16> = statuses.iter().map(|status| i16::from(status.code())).collect();
    let digests: Vec<&[u8]> = digests.iter().map(<[u8; 16]>::as_slice).collect();
    let rows: Vec<(Vec<u8>, Uuid, i32, Vec<u8>)> =
        query_as(sql).bind(digests).bind(statuses).fetch_all(on).await?;
    rows.into_iter()
        .map(|(digest, id, revision, packed)| {
            let stored = codec::stored_request(id, revision.cast_unsigned(), &packed, None)?;
            Ok((expiry::subject_digest(digest)?, stored.request))
        })
        .collect()
}

pub(super) async fn suppressed(
    on: impl PgExecutor<'_>,
    digests: &[SuppressionDigest],
) -> Result<Vec<(SuppressionRow, Request)>, StoreError> {
    let sql = "select s.digest, s.request_id, s.identity_type, s.recipe, t.revision, t.packed \
               from unnest($1::bytea[]) as v(digest) join suppression s on s.digest = v.digest \
               join state t on t.id = s.request_id";
    let digests: Vec<&[u8]> = digests.iter().map(<[u8; 32]>::as_slice).collect();
    let rows: Vec<SuppressedColumns<i32>> = query_as(sql).bind(digests).fetch_all(on).await?;
    rows.into_iter()
        .map(|(digest, id, identity_type, recipe, revision, packed)| {
            let stored = codec::stored_request(id, revision.cast_unsigned(), &packed, None)?;
            Ok((
                expiry::suppression_row((digest, id, identity_type, recipe))?,
                stored.request,
            ))
        })
        .collect()
}

pub(super) async fn of_requests(
    on: impl PgExecutor<'_>,
    ids: &[RequestId],
) -> Result<Vec<SuppressionRow>, StoreError> {
    let sql = "select s.digest, s.request_id, s.identity_type, s.recipe from unnest($1::uuid[]) as v(id) \
               join suppression s on s.request_id = v.id";
    let rows: Vec<SuppressionColumns> = query_as(sql).bind(uuids(ids)).fetch_all(on).await?;
    rows.into_iter().map(expiry::suppression_row).collect()
}

/// Two identifiers of a request may be one value; and one that was supplied may be there already.
pub(super) async fn insert(on: &mut PgConnection, rows: &[SuppressionRow]) -> Result<(), StoreError> {
    let mut rows: Vec<&SuppressionRow> = rows.iter().collect();
    rows.sort_unstable();
    let sql = "insert into suppression (digest, request_id, identity_type, recipe) \
               select * from unnest($1::bytea[], $2::uuid[], $3::text[], $4::int2[]) on conflict do nothing";
    query(sql)
        .bind(rows.iter().map(|row| row.digest.as_slice()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.request_id.0).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|row| row.identity_type.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(rows.iter().map(|row| row.recipe.number()).collect::<Vec<_>>())
        .execute(on)
        .await?;
    Ok(())
}
