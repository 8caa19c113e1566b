//! Identifiers that were supplied later: the one case in which what is written once is written anew.

use sqlx::{PgConnection, query};

use crate::store::{ResealedRow, StoreError};

/// Row by row: people supply identifiers, not floods of messages.
pub(super) async fn write(on: &mut PgConnection, rows: &[ResealedRow]) -> Result<(), StoreError> {
    for row in rows {
        let done = query("update request set body = $2, sealed = $3, lookups = lookups || $4 where id = $1")
            .bind(row.id.0)
            .bind(&row.body)
            .bind(&row.sealed)
            .bind(row.digests.concat())
            .execute(&mut *on)
            .await?;
        if done.rows_affected() != 1 {
            return Err(StoreError::Conflict);
        }
        let digests: Vec<&[u8]> = row.digests.iter().map(<[u8; 16]>::as_slice).collect();
        query("insert into subject (digest, request_id) select d, $2 from unnest($1::bytea[]) d on conflict do nothing")
            .bind(digests)
            .bind(row.id.0)
            .execute(&mut *on)
            .await?;
    }
    Ok(())
}
