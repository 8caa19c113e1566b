//! Panics are contained: a row at which the program fails is set aside, loudly, and its neighbours go on.
//!
//! A batch that panics is taken once more, and each of its rows is tried alone first, in memory. Those that fail are not
//! decided about: they need attention from then on, and are woken again after a while, when somebody may have mended the
//! program. Nothing of this ends the worker, so a restart finds nothing that it would fail at anew.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    Engine, EngineError,
    batch::{Finished, UseCase, Work},
};
use crate::{
    domain::{ids::RequestId, time::At},
    store::{Attempts, Gate, Lock, StoredRequest, Transaction},
};

/// Runs something that decides. What it leaves behind when it panics must be thrown away.
pub(super) fn contained<T>(decide: impl FnOnce() -> T) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(decide)).map_err(|_| EngineError::Panicked)
}

impl Engine {
    /// Decides about the rows of a batch, and sets those aside at which the program fails. They are read once more then, in
    /// the same transaction: another one would find them locked, and pass them over, until this one is rolled back.
    pub(super) async fn decide_rows(
        &self,
        stored: Vec<StoredRequest>,
        tx: &mut dyn Transaction,
        use_case: &'static str,
        now: At,
        step: impl Fn(&mut Work<'static>) + Send + Sync,
    ) -> Result<Finished<'static>, EngineError> {
        let decide = |rows: Vec<StoredRequest>, aside: Vec<StoredRequest>| {
            contained(|| {
                let mut work = Work::with_loaded(rows, self.clock_skew);
                step(&mut work);
                for row in aside {
                    work.set_aside(row, now);
                }
                work.finish(self, UseCase::Other, now, true)
            })
        };
        let ids: Vec<RequestId> = stored.iter().map(|row| row.request.id).collect();
        if let Ok(done) = decide(stored, Vec::new()) {
            return done;
        }
        let is_fit = |row: &StoredRequest| decide(vec![row.clone()], Vec::new()).is_ok();
        let stored = tx.load(&ids, Lock::Rows).await?;
        let (fit, aside): (Vec<_>, Vec<_>) = stored.into_iter().partition(is_fit);
        for row in &aside {
            self.say_set_aside(row.request.id, use_case);
        }
        decide(fit, aside)?
    }

    /// Says that the program has failed at a request.
    pub(super) fn say_set_aside(&self, request: RequestId, use_case: &'static str) {
        tracing::error!(%request, use_case, "the program failed at a request: it is set aside");
        self.metrics.set_aside(use_case);
    }

    /// Sets requests aside that the program fails at although all is decided about them.
    pub(super) async fn set_aside(&self, ids: &[RequestId]) -> Result<(), EngineError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut attempts = Attempts::new(self.store.as_ref(), &*self.metrics, "set_aside");
        loop {
            let done = self.set_aside_once(ids, &mut attempts).await;
            if let Some(done) = attempts.conclude(done).await {
                return done;
            }
        }
    }

    async fn set_aside_once(
        &self,
        ids: &[RequestId],
        attempts: &mut Attempts<'_>,
    ) -> Result<(), EngineError> {
        let mut tx = attempts.begin().await?;
        let now = self.pass_gate(&mut *tx, Gate::Shared).await?.now;
        let mut work = Work::default();
        for row in tx.load(ids, Lock::Rows).await? {
            work.set_aside(row, now);
        }
        // What it would say is what the program fails at.
        let finished = work.finish(self, UseCase::Other, now, false)?;
        tx.write(&finished.changes).await?;
        Ok(tx.commit().await?)
    }
}
