//! Rows of the hot tables, in chunks.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection, query_builder::Separated};

use crate::store::{error::StoreError, statement::CHUNK};

/// The values of one row.
pub(super) type Row<'a> = Separated<'a, Sqlite, &'static str>;

/// Inserts rows in chunks; tells how many were written.
pub(super) async fn insert_rows<T>(
    on: &mut SqliteConnection,
    head: &'static str,
    tail: &'static str,
    rows: &[T],
    push: impl Fn(Row<'_>, &T) -> Result<(), StoreError>,
) -> Result<u64, StoreError> {
    let mut written = 0;
    for chunk in rows.chunks(CHUNK) {
        let mut builder = QueryBuilder::<Sqlite>::new(head);
        let mut pushed = Ok(());
        builder.push_values(chunk, |row, item| {
            if pushed.is_ok() {
                pushed = push(row, item);
            }
        });
        pushed?;
        builder.push(tail);
        let query = builder.build().persistent(chunk.len() == CHUNK);
        written += query.execute(&mut *on).await?.rows_affected();
    }
    Ok(written)
}
