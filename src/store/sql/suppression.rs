//! Who is suppressed: by the vault's digests, and by those of the suppression topic.

use async_trait::async_trait;
use uuid::Uuid;

use super::requests::stored_request;
use crate::{
    domain::{
        identity::{Recipe, SubjectDigest, SuppressionDigest},
        ids::{IdentityType, RequestId},
        request::Request,
        words::Status,
    },
    store::{
        error::StoreError,
        session::{Pool, Session},
        statement::{Column, Insert, Statement, Table, sql},
        suppression::{SuppressionRow, SuppressionStore, SuppressionTransaction},
    },
};

/// What requests have in the suppression topic.
fn of_requests(ids: &[RequestId]) -> Statement<'_> {
    let sql = sql!([
        "select s.digest, s.request_id, s.identity_type, s.recipe from unnest($1::uuid[]) as v(id) \
          join suppression s on s.request_id = v.id"
            | "select digest, request_id, identity_type, recipe from suppression \
            where request_id in (select unhex(value) from json_each($1))"
    ]);
    Statement::new(sql).bind(ids)
}

#[async_trait]
impl<S: Pool> SuppressionStore for S {
    /// The status is a column of its own, so that what suppresses nobody is not unpacked.
    async fn with_subjects(
        &self,
        digests: &[SubjectDigest],
        statuses: &[Status],
    ) -> Result<Vec<(SubjectDigest, Request)>, StoreError> {
        let sql = sql!([
            "select s.digest, t.id, t.revision, t.packed from unnest($1::bytea[]) as v(digest) \
              join subject s on s.digest = v.digest join state t on t.id = s.request_id where t.status = any($2)"
                | "select s.digest, t.id, t.revision, t.packed from json_each($1) v \
                cross join subject s on s.digest = unhex(v.value) cross join state t on t.id = s.request_id \
                where t.status in (select value from json_each($2))"
        ]);
        let statuses = statuses.iter().map(|status| i16::from(status.code()));
        let statement = Statement::new(sql)
            .bind(digests)
            .bind(Column::Smallint(statuses.collect()));
        let rows = self.read(statement).await?;
        rows.try_map(|(digest, id, revision, packed): (Vec<u8>, Uuid, i32, Vec<u8>)| {
            let stored = stored_request((id, revision, packed, None))?;
            Ok((subject_digest(digest)?, stored.request))
        })
    }

    async fn suppressed(
        &self,
        digests: &[SuppressionDigest],
    ) -> Result<Vec<(SuppressionRow, Request)>, StoreError> {
        let sql = sql!(
            "select s.digest, s.request_id, s.identity_type, s.recipe, t.revision, t.packed from "
            ["unnest($1::bytea[]) as v(digest) join suppression s on s.digest = v.digest"
             | "json_each($1) v cross join suppression s on s.digest = unhex(v.value)"]
            " " join " state t on t.id = s.request_id"
        );
        let rows = self.read(Statement::new(sql).bind(digests)).await?;
        rows.try_map(
            |(digest, id, identity_type, recipe, revision, packed): SuppressedColumns| {
                let stored = stored_request((id, revision, packed, None))?;
                Ok((
                    suppression_row((digest, id, identity_type, recipe))?,
                    stored.request,
                ))
            },
        )
    }

    async fn suppression_of(&self, ids: &[RequestId]) -> Result<Vec<SuppressionRow>, StoreError> {
        self.read(of_requests(ids)).await?.try_map(suppression_row)
    }
}

#[async_trait]
impl<S: Session> SuppressionTransaction for S {
    async fn suppression_of(&mut self, ids: &[RequestId]) -> Result<Vec<SuppressionRow>, StoreError> {
        self.fetch(of_requests(ids)).await?.try_map(suppression_row)
    }
}

/// Two identifiers of a request may be one value; and one that was supplied may be there already.
pub(super) async fn insert(on: &mut impl Session, rows: &[SuppressionRow]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<&SuppressionRow> = rows.iter().collect();
    rows.sort_unstable();
    let table = Table::of(&rows)
        .bytes("digest", |row| row.digest.as_slice())
        .uuid("request_id", |row| row.request_id.0)
        .text("identity_type", |row| row.identity_type.as_str())
        .smallint("recipe", |row| row.recipe.number());
    let insert = Insert::into("suppression", table).on_conflict("do nothing");
    on.run(insert.into()).await?;
    Ok(())
}

/// Columns: digest, request id, type, recipe.
type SuppressionColumns = (Vec<u8>, Uuid, String, i16);

/// Columns: digest, request id, type, recipe, and the request's revision and packed state.
type SuppressedColumns = (Vec<u8>, Uuid, String, i16, i32, Vec<u8>);

fn suppression_row(
    (digest, id, identity_type, recipe): SuppressionColumns,
) -> Result<SuppressionRow, StoreError> {
    let unreadable = |detail| StoreError::Unreadable {
        table: "suppression",
        detail: format!("request {id}: {detail}"),
    };
    Ok(SuppressionRow {
        digest: digest
            .try_into()
            .map_err(|_| unreadable("a digest of another length".into()))?,
        request_id: RequestId(id),
        identity_type: IdentityType::new(&identity_type).map_err(|error| unreadable(error.to_string()))?,
        recipe: Recipe::numbered(recipe)
            .ok_or_else(|| unreadable(format!("recipe {recipe} is not known here")))?,
    })
}

/// The digest of a row of `subject`.
fn subject_digest(bytes: Vec<u8>) -> Result<SubjectDigest, StoreError> {
    bytes.try_into().map_err(|_| StoreError::Unreadable {
        table: "subject",
        detail: "a digest of another length".into(),
    })
}
