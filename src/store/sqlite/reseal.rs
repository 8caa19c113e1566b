//! Identifiers that were supplied later: the one case in which what is written once is written anew.

use sqlx::{SqliteConnection, query};

use crate::store::{ResealedRow, StoreError};

/// Row by row: people supply identifiers, not floods of messages.
pub(super) async fn write(on: &mut SqliteConnection, rows: &[ResealedRow]) -> Result<(), StoreError> {
    for row in rows {
        // Joined bytes are a text to SQLite until they are told otherwise.
        let sql =
            "update request set body = ?2, sealed = ?3, lookups = cast(lookups || ?4 as blob) where id = ?1";
        let done = query(sql)
            .bind(row.id.0)
            .bind(&row.body)
            .bind(&row.sealed)
            .bind(row.digests.concat())
            .execute(&mut *on)
            .await?;
        if done.rows_affected() != 1 {
            return Err(StoreError::Conflict);
        }
        for digest in &row.digests {
            query("insert into subject (digest, request_id) values (?1, ?2) on conflict do nothing")
                .bind(digest.as_slice())
                .bind(row.id.0)
                .execute(&mut *on)
                .await?;
        }
    }
    Ok(())
}
