//! Rows read by the names of their columns.

/// A struct whose fields are the columns of a row. sqlx derives the same, but its macros bring the whole of sqlx, and SQLite,
/// a second time, compiled for the compiler: a minute of every first build.
macro_rules! columns {
    ($(#[$meta:meta])* $visibility:vis struct $name:ident { $($column:ident: $type:ty,)+ }) => {
        $(#[$meta])*
        $visibility struct $name {
            $($column: $type,)+
        }

        impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for $name
        where
            &'static str: sqlx::ColumnIndex<R>,
            $($type: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,)+
        {
            fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
                Ok(Self { $($column: row.try_get(stringify!($column))?,)+ })
            }
        }
    };
}
