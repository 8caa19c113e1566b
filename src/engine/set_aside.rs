//! Requests are set aside that the program fails at: loudly, and as they are.
//!
//! They are not decided about: they need attention from then on, and are woken again after a while, when somebody may have
//! mended the program. Nothing of this ends the worker, so a restart finds nothing that it would fail at anew. How those are
//! found among the rows of a batch is in [`super::unit_of_work`].

use async_trait::async_trait;

use super::{
    Engine, EngineError,
    batch::Batch,
    decision_inputs::DecisionInputs,
    unit_of_work::{Decision, Load, UnitOfWork, run},
};
use crate::{
    domain::ids::RequestId,
    store::{Lock, StoredRequest, Transaction},
};

/// Sets requests aside, as they are stored.
struct SetAside<'e>(&'e [RequestId]);

#[async_trait]
impl UnitOfWork<'static> for SetAside<'_> {
    type Loaded = Vec<StoredRequest>;
    type Output = ();
    type Error = EngineError;

    fn name(&self) -> &'static str {
        "set_aside"
    }

    /// What it would say is what the program fails at.
    fn is_outboxed(&self) -> bool {
        false
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        _: &mut DecisionInputs,
        _: Lock,
    ) -> Result<Load<Vec<StoredRequest>, ()>, EngineError> {
        Ok(Load::Ready(Vec::new(), tx.load(self.0, Lock::Rows).await?))
    }

    fn decide(
        &self,
        rows: &mut Vec<StoredRequest>,
        inputs: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<Decision<()>, EngineError> {
        for row in rows.drain(..) {
            batch.set_aside(row, inputs.now);
        }
        Ok(Decision::Write(()))
    }
}

impl Engine {
    /// Says that the program has failed at a request.
    pub(super) fn report_set_aside(&self, request: RequestId, use_case: &'static str) {
        tracing::error!(%request, use_case, "the program failed at a request: it is set aside");
        self.metrics.set_aside(use_case);
    }

    /// Sets requests aside that the program fails at although all is decided about them.
    pub(super) async fn set_aside(&self, ids: &[RequestId]) -> Result<(), EngineError> {
        if !ids.is_empty() {
            run(self, &SetAside(ids)).await?;
        }
        Ok(())
    }
}
