//! What topics did not take: it goes back to ready in a transaction of its own, and is let go when they take it again.
//!
//! Both pass the gate like every decision: what a hold or a cancellation has come to meanwhile is not sent.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{
    Engine, EngineError,
    batch::Batch,
    decision_inputs::DecisionInputs,
    effects::{Effects, SentTask},
    unit_of_work::{Decision, Load, UnitOfWork, run},
};
use crate::{
    domain::{
        ids::{ProcessorId, RequestId},
        request::undeliverable::NotTaken,
        task::Undelivered,
    },
    store::{Lock, Transaction},
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
    pub emission: Effects,
    /// The last request that was looked at; `None`: there was none.
    pub last: Option<RequestId>,
}

impl Engine {
    /// Puts back what topics did not take.
    pub async fn put_back(&self, bounced: &[Bounced]) -> Result<Effects, EngineError> {
        let mut by_request: BTreeMap<RequestId, Vec<Bounced>> = BTreeMap::new();
        for one in bounced {
            by_request.entry(one.sent.request).or_default().push(*one);
        }
        let requests: Vec<(RequestId, Vec<Bounced>)> = by_request.into_iter().collect();
        let mut emission = Effects::default();
        for batch in requests.chunks(BATCH) {
            let done = run(self, &PutBack { engine: self, batch }).await?;
            // Remembered, so that no status is lost where the next batch fails.
            emission.append(done.finished.emit(self, true).await?);
        }
        Ok(emission)
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
            let emission = Effects::default();
            return Ok(Released { emission, last });
        }
        let unit = ReleaseTasks {
            engine: self,
            processor,
            ids: &ids,
            what,
        };
        let done = run(self, &unit).await?;
        let emission = done.finished.emit(self, true).await?;
        Ok(Released { emission, last })
    }
}

/// Puts back what topics did not take of these requests.
struct PutBack<'e> {
    engine: &'e Engine,
    batch: &'e [(RequestId, Vec<Bounced>)],
}

#[async_trait]
impl UnitOfWork<'static> for PutBack<'_> {
    type Loaded = ();
    type Output = ();
    type Error = EngineError;

    const SETS_ASIDE: Option<&'static str> = Some("put_back");

    fn name(&self) -> &'static str {
        "put_back"
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        _: &mut DecisionInputs,
        _: Lock,
    ) -> Result<Load<(), ()>, EngineError> {
        let ids: Vec<RequestId> = self.batch.iter().map(|(id, _)| *id).collect();
        Ok(Load::Ready(tx.load(&ids, Lock::Rows).await?, ()))
    }

    fn decide(
        &self,
        (): &mut (),
        inputs: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<Decision<()>, EngineError> {
        let context = self.engine.context(inputs);
        for (id, bounced) in self.batch {
            let Some(touched) = batch.get_mut(*id) else {
                continue;
            };
            let not_taken: Vec<NotTaken> = bounced
                .iter()
                .filter_map(|one| {
                    Some(NotTaken {
                        ordinal: touched.request.find_task(one.sent.task)?,
                        generation: one.sent.generation,
                        attempt: one.sent.attempt,
                        why: one.why,
                        certain: one.certain,
                    })
                })
                .collect();
            if let Err(error) = touched.attempt(|request| request.put_back(&not_taken, &context)) {
                // It goes unanswered, and what goes unanswered is asked again.
                tracing::error!(request = %id, %error, "a task cannot be put back");
            }
        }
        Ok(Decision::Write(()))
    }
}

/// Lets tasks of a lane go, of these requests.
struct ReleaseTasks<'e> {
    engine: &'e Engine,
    processor: &'e ProcessorId,
    ids: &'e [RequestId],
    what: Release,
}

#[async_trait]
impl UnitOfWork<'static> for ReleaseTasks<'_> {
    type Loaded = ();
    type Output = ();
    type Error = EngineError;

    const SETS_ASIDE: Option<&'static str> = Some("release");

    fn name(&self) -> &'static str {
        "release"
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        inputs: &mut DecisionInputs,
        _: Lock,
    ) -> Result<Load<(), ()>, EngineError> {
        if self.what == Release::Probe {
            inputs.let_probe(self.processor);
        }
        Ok(Load::Ready(tx.load(self.ids, Lock::Rows).await?, ()))
    }

    fn decide(
        &self,
        (): &mut (),
        inputs: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<Decision<()>, EngineError> {
        batch.review(&self.engine.context(inputs));
        Ok(Decision::Write(()))
    }
}
