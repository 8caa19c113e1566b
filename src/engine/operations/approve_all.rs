//! The approval of many requests at once: what somebody has decided about meanwhile is left alone.

use std::collections::HashMap;

use async_trait::async_trait;

use super::Once;
use crate::{
    domain::{
        body::Body,
        command::Decision,
        ids::{RequestId, Tenant},
        request::{Request, operate::DecisionError},
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
    /// The call that is done with them.
    pub(super) once: Option<&'e Once>,
}

/// Who has submitted each request, where its command says so, and whether the call was carried out before.
#[derive(Default)]
pub(super) struct Submitters {
    of: HashMap<RequestId, Option<String>>,
    is_repeat: bool,
}

#[async_trait]
impl UnitOfWork<'static> for ApproveAll<'_> {
    type Loaded = Submitters;
    type Output = Vec<Tenant>;
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
        let of = bodies.into_iter().map(submitter).collect::<Result<_, _>>()?;
        let rows = tx.load(self.ids, Lock::Rows).await?;
        // The rows of these requests are locked, so no other call under this key is under way.
        let is_repeat = match self.once {
            Some(once) => !tx.inbox(&[(&once.tenant, once.command_id)]).await?.is_empty(),
            None => false,
        };
        Ok(Load::Ready(rows, Submitters { of, is_repeat }))
    }

    fn decide(
        &self,
        submitters: &mut Submitters,
        inputs: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<Outcome<Vec<Tenant>>, OperateError> {
        let context = self.engine.context(inputs);
        let note = decision_note(&Decision::Approve, self.actor, None);
        let mut approved = Vec::new();
        for id in self.ids {
            let Some(touched) = batch.get_mut(*id) else {
                continue;
            };
            let submitter = submitters.of.get(id).and_then(Option::as_deref);
            let approve = |request: &mut Request| {
                let rules = self.engine.rules_of(&request.head.tenant).rulebook();
                request.decide(&Decision::Approve, self.actor, submitter, rules, &context)
            };
            match touched.attempt(approve) {
                Ok(()) => {
                    touched.notes.add_said(&note);
                    approved.push(touched.request.head.tenant.clone());
                }
                // Nobody approves what they have submitted, not among others either.
                Err(refused @ DecisionError::Submitter) => return Err(refused.into()),
                Err(_) => {}
            }
        }
        if let (Some(once), Some(last), false) = (self.once, self.ids.last(), submitters.is_repeat) {
            batch.changes.inbox.push(once.row(*last));
        }
        Ok(Outcome::Write(approved))
    }
}
