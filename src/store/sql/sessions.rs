//! Who is signed in to the console.

use async_trait::async_trait;

use crate::{
    domain::time::At,
    store::{
        error::StoreError,
        session::Pool,
        sessions::{ConsoleSession, SessionStore},
        statement::{Statement, sql},
    },
};

#[async_trait]
impl<S: Pool> SessionStore for S {
    async fn add_session(&self, session: &ConsoleSession) -> Result<(), StoreError> {
        let sql = sql!(
            "insert into console_session (digest, started, seen, ends, holder) values ($1, $2, $3, $4, $5)"
        );
        let statement = Statement::new(sql)
            .bind(session.digest.as_slice())
            .bind(session.started.millis())
            .bind(session.seen.millis())
            .bind(session.ends.millis())
            .bind(session.holder.as_str());
        self.run(statement).await?;
        Ok(())
    }

    async fn session(&self, digest: &[u8; 32]) -> Result<Option<ConsoleSession>, StoreError> {
        let sql = sql!("select started, seen, ends, holder from console_session where digest = $1");
        let rows = self.read(Statement::new(sql).bind(digest.as_slice())).await?;
        let row: Option<(i64, i64, i64, String)> = rows.first()?;
        Ok(row.map(|(started, seen, ends, holder)| ConsoleSession {
            digest: *digest,
            started: At::from_millis(started),
            seen: At::from_millis(seen),
            ends: At::from_millis(ends),
            holder,
        }))
    }

    async fn session_seen(&self, digest: &[u8; 32], at: At) -> Result<(), StoreError> {
        let sql = sql!("update console_session set seen = $2 where digest = $1 and seen < $2");
        let statement = Statement::new(sql).bind(digest.as_slice()).bind(at.millis());
        // None where somebody has signed out meanwhile, or another page of the same session was quicker.
        self.run(statement).await?;
        Ok(())
    }

    async fn end_session(&self, digest: &[u8; 32]) -> Result<bool, StoreError> {
        let sql = sql!("delete from console_session where digest = $1");
        let ended = self.run(Statement::new(sql).bind(digest.as_slice())).await?;
        Ok(ended > 0)
    }

    async fn forget_sessions(&self, now: At, seen_before: At) -> Result<u64, StoreError> {
        let sql = sql!("delete from console_session where ends <= $1 or seen <= $2");
        let statement = Statement::new(sql).bind(now.millis()).bind(seen_before.millis());
        self.run(statement).await
    }
}
