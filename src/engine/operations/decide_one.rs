//! A decision about one request, which a call may repeat.

use std::collections::HashMap;

use async_trait::async_trait;

use super::Once;
use crate::{
    domain::{
        ids::RequestId,
        request::{Context, Request, Trail, merged::Leader, operate::DecisionError},
    },
    engine::{
        Engine, EngineError, OperateError,
        agenda::{followed, leaders_of},
        batch::Batch,
        decision_inputs::DecisionInputs,
        unit_of_work::{Decision, Load, UnitOfWork},
    },
    store::{Lock, StoredRequest, Transaction},
};

/// How the domain takes a decision about one request.
pub(super) type Decide<'e> = &'e (dyn Fn(&mut Request, &Context<'_>) -> Result<Trail, DecisionError> + Sync);

/// Carries out a decision about one request, and answers how the request stands then.
pub(super) struct DecideOne<'e> {
    pub(super) engine: &'e Engine,
    pub(super) name: &'static str,
    pub(super) id: RequestId,
    pub(super) note: &'e str,
    pub(super) once: Option<&'e Once>,
    pub(super) decision: Decide<'e>,
}

#[async_trait]
impl UnitOfWork<'static> for DecideOne<'_> {
    type Loaded = HashMap<RequestId, Leader>;
    type Output = Request;
    type Error = OperateError;

    fn name(&self) -> &'static str {
        self.name
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        inputs: &mut DecisionInputs,
        _: Lock,
    ) -> Result<Load<HashMap<RequestId, Leader>, Request>, OperateError> {
        let rows = tx.load(&[self.id], Lock::Rows).await?;
        if let Some(before) = self.said_before(&rows, tx).await? {
            return Ok(Load::Nothing(before));
        }
        let followed = followed(rows.iter().map(|row| &row.request));
        let leaders = leaders_of(&followed, tx, inputs.now).await?;
        Ok(Load::Ready(rows, leaders))
    }

    fn decide(
        &self,
        leaders: &mut HashMap<RequestId, Leader>,
        inputs: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<Decision<Request>, OperateError> {
        let context = self.engine.context(inputs);
        let touched = batch.get_mut(self.id).ok_or(OperateError::Unknown("request"))?;
        touched.catch_up(leaders, &context).map_err(EngineError::from)?;
        touched
            .trail
            .append((self.decision)(&mut touched.request, &context)?);
        touched.notes.add_said(self.note);
        let request = touched.request.clone();
        batch
            .changes
            .inbox
            .extend(self.once.map(|once| once.row(self.id)));
        Ok(Decision::Write(request))
    }
}

impl DecideOne<'_> {
    /// The request, where the same call has been carried out before. Its row is locked, so no other one is under way.
    async fn said_before(
        &self,
        rows: &[StoredRequest],
        tx: &mut dyn Transaction,
    ) -> Result<Option<Request>, OperateError> {
        let (Some(once), Some(stored)) = (self.once, rows.first()) else {
            return Ok(None);
        };
        let seen = tx.inbox(&[(&once.tenant, once.command_id)]).await?;
        match seen.first() {
            None => Ok(None),
            Some(row) if row.digest == once.digest => Ok(Some(stored.request.clone())),
            Some(_) => Err(OperateError::Conflicting),
        }
    }
}
