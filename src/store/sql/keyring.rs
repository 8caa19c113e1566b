//! Under which keyring the store is sealed.

use async_trait::async_trait;

use crate::store::{
    error::StoreError,
    keyring::KeyringStore,
    session::Pool,
    statement::{Statement, sql},
};

#[async_trait]
impl<S: Pool> KeyringStore for S {
    async fn keyring_mark(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self
            .read(Statement::new(sql!("select mark from keyring")))
            .await?;
        Ok(rows.first()?.map(|(mark,)| mark))
    }

    async fn mark_keyring(&self, mark: &[u8]) -> Result<(), StoreError> {
        let sql = sql!(["insert into keyring (mark) values ($1) on conflict do nothing"
            | "insert into keyring (one, mark) values (1, $1) on conflict do nothing"]);
        self.run(Statement::new(sql).bind(mark)).await?;
        Ok(())
    }
}
