//! What somebody has stopped.

use async_trait::async_trait;

use super::facts::FactColumns;
use crate::{
    domain::{fact::FactKind, ids::ProcessorId},
    store::{
        error::StoreError,
        facts::StoredFact,
        session::Session,
        statement::{Statement, sql},
        stops::StopTransaction,
    },
};

#[async_trait]
impl<S: Session> StopTransaction for S {
    async fn last_stop(&mut self, lane: Option<&ProcessorId>) -> Result<Option<StoredFact>, StoreError> {
        let kinds = |stop: FactKind, end: FactKind| (i16::from(stop.code()), i16::from(end.code()));
        let statement = match lane {
            Some(processor) => {
                let (stop, end) = kinds(FactKind::Paused, FactKind::Resumed);
                Statement::new(sql!(
                    "select version, id, at, body, digest, sealed, chain, chain_before from fact \
                     where about = $1 and kind in ($2, $3) order by version desc limit 1"
                ))
                .bind(processor.as_str())
                .bind(stop)
                .bind(end)
            }
            None => {
                let (stop, end) = kinds(FactKind::Braked, FactKind::Unbraked);
                Statement::new(sql!(
                    "select version, id, at, body, digest, sealed, chain, chain_before from fact \
                     where kind in ($1, $2) order by version desc limit 1"
                ))
                .bind(stop)
                .bind(end)
            }
        };
        let row = self.fetch(statement).await?.first()?;
        row.map(FactColumns::into_fact).transpose()
    }

    async fn tasks_out(&mut self, lane: Option<&ProcessorId>) -> Result<u64, StoreError> {
        let statement = match lane {
            Some(processor) => Statement::new(sql!(
                "select " ["coalesce(sum(n), 0)::int8" | "coalesce(sum(n), 0)"] " from counter \
                 where kind = 'tasks' and a = $1 and b in ('dispatched', 'accepted')"
            ))
            .bind(processor.as_str()),
            None => Statement::new(sql!(
                "select " ["coalesce(sum(n), 0)::int8" | "coalesce(sum(n), 0)"] " from counter \
                 where kind = 'tasks' and b in ('dispatched', 'accepted')"
            )),
        };
        let (out,): (i64,) = self.fetch(statement).await?.one()?;
        // Differences that other workers write are summed: no single one of them is a number of tasks.
        Ok(u64::try_from(out).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::words::TaskStateName;

    #[test]
    fn the_words_of_tasks_that_are_out() {
        // The statements say them.
        let words = [TaskStateName::Dispatched, TaskStateName::Accepted].map(TaskStateName::as_str);
        assert_eq!(words, ["dispatched", "accepted"]);
    }
}
