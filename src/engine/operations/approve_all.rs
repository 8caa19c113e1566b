//! The approval of many requests at once: what somebody has decided about meanwhile is left alone.

use std::collections::HashMap;

use async_trait::async_trait;

use crate::{
    domain::{
        body::Body,
        command::Decision,
        ids::{RequestId, Tenant},
        request::{Request, operate::Refused},
    },
    engine::{
        Engine, EngineError, OperateError,
        batch::Batch,
        decision_inputs::DecisionInputs,
        intake::decision_note,
        unit_of_work::{Decision as Outcome, Load, UnitOfWork},
    },
    store::{Lock, StoredBody, Transaction},
};

/// Approves requests, and answers the tenant of each that was.
pub(super) struct ApproveAll<'e> {
    pub(super) engine: &'e Engine,
    pub(super) ids: &'e [RequestId],
    pub(super) actor: &'e str,
}

/// Who has submitted a request, where its command says so.
type Submitters = HashMap<RequestId, Option<String>>;

#[async_trait]
impl UnitOfWork<'static> for ApproveAll<'_> {
    type Loaded = Submitters;
    type Answer = Vec<Tenant>;
    type Error = OperateError;

    fn name(&self) -> &'static str {
        "approve"
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        _: &mut DecisionInputs,
        _: Lock,
    ) -> Result<Load<Submitters, Vec<Tenant>>, OperateError> {
        let submitter =
            |stored: StoredBody| Ok::<_, EngineError>((stored.id, Body::unpack(&stored.body)?.submitter));
        let bodies = tx.bodies(self.ids).await?;
        let submitters = bodies.into_iter().map(submitter).collect::<Result<_, _>>()?;
        Ok(Load::Ready(tx.load(self.ids, Lock::Rows).await?, submitters))
    }

    fn decide(
        &self,
        submitters: &mut Submitters,
        inputs: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<Outcome<Vec<Tenant>>, OperateError> {
        let (context, rules) = (self.engine.context(inputs), self.engine.rules.rulebook());
        let note = decision_note(&Decision::Approve, self.actor, None);
        let mut approved = Vec::new();
        for id in self.ids {
            let Some(touched) = batch.get_mut(*id) else {
                continue;
            };
            let submitter = submitters.get(id).and_then(Option::as_deref);
            let approve = |request: &mut Request| {
                request.decide(&Decision::Approve, self.actor, submitter, rules, &context)
            };
            match touched.attempt(approve) {
                Ok(()) => {
                    touched.notes.add_said(&note);
                    approved.push(touched.request.head.tenant.clone());
                }
                // Nobody approves what they have submitted, not among others either.
                Err(refused @ Refused::Submitter) => return Err(refused.into()),
                Err(_) => {}
            }
        }
        Ok(Outcome::Write(approved))
    }
}
