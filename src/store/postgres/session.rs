//! How statements are run on a connection.

use async_trait::async_trait;
use sqlx::{PgConnection, query_with};

use crate::store::{
    error::StoreError,
    session::Session,
    statement::{Rows, Statement},
};

#[async_trait]
impl Session for PgConnection {
    async fn fetch(&mut self, statement: Statement<'_>) -> Result<Rows, StoreError> {
        let (text, arguments) = statement.postgres()?;
        Ok(Rows::Postgres(query_with(text, arguments).fetch_all(self).await?))
    }

    async fn run(&mut self, statement: Statement<'_>) -> Result<u64, StoreError> {
        let (text, arguments) = statement.postgres()?;
        Ok(query_with(text, arguments).execute(self).await?.rows_affected())
    }
}
