//! What topics did not take: it goes back to ready in a transaction of its own, and is let go when they take it again.
//!
//! Both pass the gate like every decision: what a hold or a cancellation has come to meanwhile is not sent.

use std::collections::BTreeMap;

use super::{
    Engine, EngineError,
    effects::{Emission, SentTask},
    work::{Finished, UseCase, Work},
};
use crate::{
    domain::{
        ids::{ProcessorId, RequestId},
        request::undeliverable::NotTaken,
        task::Undelivered,
    },
    store::{Attempts, Gate, Lock},
};

/// How many requests one transaction puts back.
const BATCH: usize = 500;

/// A task that its topic did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounced {
    /// Which.
    pub sent: SentTask,
    /// Why.
    pub why: Undelivered,
    /// Whether it is certain that it did not leave.
    pub certain: bool,
}

/// Which tasks are let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Those of a lane that is open again.
    Open,
    /// One of a lane that is shut, to see whether it is open again.
    Probe,
    /// Those that were too large for their topic, as far as it takes more now.
    TooLarge,
}

/// What was let go.
#[derive(Debug)]
pub struct Released {
    /// What has to be produced.
    pub emission: Emission,
    /// The last request that was looked at; `None`: there was none.
    pub last: Option<RequestId>,
}

impl Engine {
    /// Puts back what topics did not take.
    pub async fn put_back(&self, bounced: &[Bounced]) -> Result<Emission, EngineError> {
        let mut by_request: BTreeMap<RequestId, Vec<Bounced>> = BTreeMap::new();
        for one in bounced {
            by_request.entry(one.sent.request).or_default().push(*one);
        }
        let requests: Vec<(RequestId, Vec<Bounced>)> = by_request.into_iter().collect();
        let mut emission = Emission::default();
        for batch in requests.chunks(BATCH) {
            let mut attempts = Attempts::new(self.store.as_ref(), &*self.metrics, "put_back");
            let finished = loop {
                let done = self.put_back_once(batch, &mut attempts).await;
                if let Some(done) = attempts.conclude(done).await {
                    break done?;
                }
            };
            // Remembered, so that no status is lost where the next batch fails.
            emission.append(finished.emit(self, true).await?);
        }
        Ok(emission)
    }

    async fn put_back_once(
        &self,
        batch: &[(RequestId, Vec<Bounced>)],
        attempts: &mut Attempts<'_>,
    ) -> Result<Finished<'static>, EngineError> {
        let mut tx = attempts.begin().await?;
        let known = self.pass_gate(&mut *tx, Gate::Shared).await?;
        let now = known.now;
        let ids: Vec<RequestId> = batch.iter().map(|(id, _)| *id).collect();
        let mut work = Work::with_loaded(tx.load(&ids, Lock::Rows).await?, self.clock_skew);
        let context = self.context(&known, now);
        for (id, bounced) in batch {
            let Some(touched) = work.get_mut(*id) else {
                continue;
            };
            let mut request = touched.request.clone();
            let not_taken: Vec<NotTaken> = bounced
                .iter()
                .filter_map(|one| {
                    Some(NotTaken {
                        ordinal: request.find_task(one.sent.task)?,
                        generation: one.sent.generation,
                        attempt: one.sent.attempt,
                        why: one.why,
                        certain: one.certain,
                    })
                })
                .collect();
            match request.put_back(&not_taken, &context) {
                Ok(trail) => {
                    touched.request = request;
                    touched.trail.append(trail);
                }
                // It goes unanswered, and what goes unanswered is asked again.
                Err(error) => tracing::error!(request = %id, %error, "a task cannot be put back"),
            }
        }
        let mut finished = work.finish(self, UseCase::Other, now, true)?;
        self.seal_capsules(&mut finished, &mut *tx).await?;
        tx.write(&finished.changes).await?;
        tx.commit().await?;
        Ok(finished)
    }

    /// The lanes with tasks that their topics did not take and that may be tried again: `too_large`, those that are too
    /// large for them, else all others.
    pub async fn waiting_lanes(&self, too_large: bool) -> Result<Vec<ProcessorId>, EngineError> {
        let active = self.active()?;
        let all: Vec<ProcessorId> = active.registry.processors.iter().map(|p| p.id.clone()).collect();
        Ok(self
            .store
            .undeliverable_lanes(&all, self.clock.now(), too_large)
            .await?)
    }

    /// Lets tasks of a lane go that its topic did not take: those of the next requests after this one.
    pub async fn release(
        &self,
        processor: &ProcessorId,
        what: Release,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Released, EngineError> {
        let ids = self
            .store
            .undeliverable(
                processor,
                what == Release::TooLarge,
                self.clock.now(),
                after,
                limit,
            )
            .await?;
        let last = ids.last().copied();
        if last.is_none() {
            let emission = Emission::default();
            return Ok(Released { emission, last });
        }
        let mut attempts = Attempts::new(self.store.as_ref(), &*self.metrics, "release");
        let finished = loop {
            let done = self.release_once(processor, &ids, what, &mut attempts).await;
            if let Some(done) = attempts.conclude(done).await {
                break done?;
            }
        };
        let emission = finished.emit(self, true).await?;
        Ok(Released { emission, last })
    }

    async fn release_once(
        &self,
        processor: &ProcessorId,
        ids: &[RequestId],
        what: Release,
        attempts: &mut Attempts<'_>,
    ) -> Result<Finished<'static>, EngineError> {
        let mut tx = attempts.begin().await?;
        let mut known = self.pass_gate(&mut *tx, Gate::Shared).await?;
        if what == Release::Probe {
            known.let_probe(processor);
        }
        let now = known.now;
        let mut work = Work::with_loaded(tx.load(ids, Lock::Rows).await?, self.clock_skew);
        work.review(&self.context(&known, now));
        let mut finished = work.finish(self, UseCase::Other, now, true)?;
        self.seal_capsules(&mut finished, &mut *tx).await?;
        tx.write(&finished.changes).await?;
        tx.commit().await?;
        Ok(finished)
    }
}
