//! What a statement has found.

use sqlx::{FromRow, postgres::PgRow, sqlite::SqliteRow};

use crate::store::error::StoreError;

/// Rows, as their database gave them.
#[derive(Debug)]
pub enum Rows {
    /// Of PostgreSQL.
    Postgres(Vec<PgRow>),
    /// Of SQLite.
    Sqlite(Vec<SqliteRow>),
}

/// What is read from a row of either database.
pub(in crate::store) trait Columns:
    for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow>
{
}

impl<T> Columns for T where T: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> {}

impl Rows {
    /// Each row.
    pub(in crate::store) fn all<T: Columns>(&self) -> Result<Vec<T>, StoreError> {
        let rows: Result<_, sqlx::Error> = match self {
            Self::Postgres(rows) => rows.iter().map(<T as FromRow<'_, PgRow>>::from_row).collect(),
            Self::Sqlite(rows) => rows.iter().map(<T as FromRow<'_, SqliteRow>>::from_row).collect(),
        };
        Ok(rows?)
    }

    /// Each row as what it means.
    pub(in crate::store) fn map<T: Columns, U>(&self, of: impl FnMut(T) -> U) -> Result<Vec<U>, StoreError> {
        Ok(self.all()?.into_iter().map(of).collect())
    }

    /// Each row as what it means, where it can be read.
    pub(in crate::store) fn try_map<T: Columns, U>(
        &self,
        of: impl FnMut(T) -> Result<U, StoreError>,
    ) -> Result<Vec<U>, StoreError> {
        self.all()?.into_iter().map(of).collect()
    }

    /// The first row, where there is one.
    pub(in crate::store) fn first<T: Columns>(&self) -> Result<Option<T>, StoreError> {
        let row = match self {
            Self::Postgres(rows) => rows.first().map(<T as FromRow<'_, PgRow>>::from_row).transpose(),
            Self::Sqlite(rows) => rows
                .first()
                .map(<T as FromRow<'_, SqliteRow>>::from_row)
                .transpose(),
        };
        Ok(row?)
    }

    /// The one row that there is.
    pub(in crate::store) fn one<T: Columns>(&self) -> Result<T, StoreError> {
        self.first()?.ok_or_else(|| sqlx::Error::RowNotFound.into())
    }
}
