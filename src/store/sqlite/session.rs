//! How statements are run on a connection.

use async_trait::async_trait;
use sqlx::{SqliteConnection, query_with};

use crate::store::{
    error::StoreError,
    session::Session,
    statement::{Rows, SqliteStatement, Statement},
};

#[async_trait]
impl Session for SqliteConnection {
    async fn fetch(&mut self, statement: Statement<'_>) -> Result<Rows, StoreError> {
        let mut rows = Vec::new();
        for SqliteStatement {
            text,
            arguments,
            is_lasting,
        } in statement.sqlite()?
        {
            let query = query_with(text, arguments).persistent(is_lasting);
            rows.extend(query.fetch_all(&mut *self).await?);
        }
        Ok(Rows::Sqlite(rows))
    }

    async fn run(&mut self, statement: Statement<'_>) -> Result<u64, StoreError> {
        let mut changed = 0;
        for SqliteStatement {
            text,
            arguments,
            is_lasting,
        } in statement.sqlite()?
        {
            let query = query_with(text, arguments).persistent(is_lasting);
            changed += query.execute(&mut *self).await?.rows_affected();
        }
        Ok(changed)
    }
}
