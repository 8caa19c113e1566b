//! Identifiers that were supplied later: the one case in which what is written once is written anew.

use crate::store::{
    error::StoreError,
    requests::ResealedRow,
    session::Session,
    statement::{Insert, Statement, Table, sql},
};

/// Row by row: people supply identifiers, not floods of messages.
pub(super) async fn write(on: &mut impl Session, rows: &[ResealedRow]) -> Result<(), StoreError> {
    for row in rows {
        // Joined bytes are a text to SQLite until they are told otherwise.
        let sql = sql!(
            "update request set body = $2, sealed = $3, lookups = "
            ["lookups || $4" | "cast(lookups || $4 as blob)"] " where id = $1"
        );
        let statement = Statement::new(sql)
            .bind(row.id.0)
            .bind(row.body.as_slice())
            .bind(row.sealed.as_slice())
            .bind(row.digests.concat());
        if on.run(statement).await? != 1 {
            return Err(StoreError::Conflict);
        }
        let table = Table::of(&row.digests)
            .bytes("digest", <[u8; 16]>::as_slice)
            .uuid("request_id", |_| row.id.0);
        let insert = Insert::into("subject", table).on_conflict("do nothing");
        on.run(insert.into()).await?;
    }
    Ok(())
}
