//! Tasks of processors that have left the registry go to those that replace them, with the sweep of its revision.

use std::collections::HashMap;

use super::{Engine, EngineError, batch::Batch, decision_inputs::DecisionInputs};
use crate::{
    domain::{
        body::Subject,
        fact::Fact,
        ids::{IdentityType, RequestId},
    },
    store::{StoredBody, StoredRequest, Transaction},
};

/// What the requests have kept of their commands that have tasks to be handed over.
pub(super) type Bodies = HashMap<RequestId, StoredBody>;

/// Reads them. Nearly no fact has anything handed over, and then nothing is read.
pub(super) async fn bodies(
    fact: Option<&Fact>,
    rows: &[StoredRequest],
    inputs: &DecisionInputs,
    tx: &mut dyn Transaction,
) -> Result<Bodies, EngineError> {
    if !matches!(fact, Some(Fact::Registry { .. })) {
        return Ok(Bodies::new());
    }
    let registry = &inputs.active.registry;
    let heirs = rows.iter().filter(|row| row.request.has_heirs(registry));
    let ids: Vec<RequestId> = heirs.map(|row| row.request.id).collect();
    if ids.is_empty() {
        return Ok(Bodies::new());
    }
    let bodies = tx.bodies(&ids).await?;
    Ok(bodies.into_iter().map(|stored| (stored.id, stored)).collect())
}

impl Engine {
    /// Hands over what is to be handed over. What cannot be stays where it is, and needs attention there.
    pub(super) fn hand_over(&self, bodies: &mut Bodies, inputs: &DecisionInputs, batch: &mut Batch<'static>) {
        for (id, stored) in bodies {
            if let Err(error) = self.try_pass_to_successors(*id, stored, inputs, batch) {
                let error = &error as &dyn std::error::Error;
                tracing::error!(request = %id, error, "tasks of a processor that has left cannot be handed over");
            }
        }
    }

    fn try_pass_to_successors(
        &self,
        id: RequestId,
        stored: &mut StoredBody,
        inputs: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<(), EngineError> {
        let Some(touched) = batch.get_mut(id) else {
            return Ok(());
        };
        let context = self.context(inputs);
        let key = touched.wrapped_key().ok_or(EngineError::Shredded(id))?;
        let tenant = &touched.request.head.tenant;
        let plain = self.vault.open_subject(tenant, id, key, &stored.sealed)?;
        let subject = Subject::unpack(&plain)?;
        let types: Vec<IdentityType> = subject.identities.iter().map(|one| one.kind.clone()).collect();
        let mut request = touched.request.clone();
        let (trail, supplied) = request.pass_to_successors(&types, &context)?;
        if supplied.is_empty() {
            return Ok(());
        }
        self.take_identities(touched, stored, &supplied, &[], Vec::new())?;
        touched.request = request;
        touched.trail.append(trail);
        Ok(())
    }
}
