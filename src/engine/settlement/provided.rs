//! Identifiers that an ack brings: only types that the registry lets its processor provide, and only where a processor
//! that comes after it can use them. Everything else that it names is left alone, and kept nowhere.

use std::collections::HashMap;

use crate::{
    domain::{
        body::Body,
        identity::Identity,
        ids::{IdentityType, RequestId},
        registry::Registry,
    },
    engine::{
        Engine, EngineError,
        batch::Touched,
        decision_inputs::DecisionInputs,
        prepare::{Arrival, PreparedAck},
    },
    store::{StoredBody, Transaction},
};

/// The bodies of the requests whose acks bring something; the others need none.
pub(super) type Bodies = HashMap<RequestId, StoredBody>;

/// Reads them. Nearly always no ack brings anything, and nothing is read.
pub(super) async fn bodies(
    arrivals: &[Arrival<PreparedAck>],
    inputs: &DecisionInputs,
    tx: &mut dyn Transaction,
) -> Result<Bodies, EngineError> {
    let mut ids: Vec<RequestId> = arrivals
        .iter()
        .filter_map(|arrival| arrival.content.as_ref().ok())
        .filter(|prepared| {
            !prepared.ack.identities.is_empty()
                && prepared.token_matches
                && brought(prepared, &inputs.active.registry).next().is_some()
        })
        .map(|prepared| prepared.ack.request_id)
        .collect();
    if ids.is_empty() {
        return Ok(Bodies::new());
    }
    ids.sort_unstable();
    ids.dedup();
    let bodies = tx.bodies(&ids).await?;
    Ok(bodies.into_iter().map(|stored| (stored.id, stored)).collect())
}

/// What an ack brings that its processor may provide.
fn brought<'a>(prepared: &'a PreparedAck, registry: &'a Registry) -> impl Iterator<Item = &'a Identity> {
    let ack = &prepared.ack;
    let provides = registry
        .get(&ack.processor)
        .map_or(&[][..], |processor| &processor.provides);
    ack.identities
        .iter()
        .filter(move |identity| provides.contains(&identity.kind))
}

impl Engine {
    /// Passes on what an ack that counted has brought. Where that cannot be done, the tasks that wait for it go on
    /// waiting, loudly; the ack counts all the same.
    pub(super) fn pass_on(
        &self,
        prepared: &PreparedAck,
        ordinal: u16,
        inputs: &DecisionInputs,
        touched: &mut Touched<'_>,
        bodies: &mut Bodies,
    ) {
        // Only an ack that brings something has had its body read.
        let Some(stored) = bodies.get_mut(&touched.request.id) else {
            return;
        };
        let identities: Vec<Identity> = brought(prepared, &inputs.active.registry).cloned().collect();
        if identities.is_empty() {
            return;
        }
        if let Err(error) = self.try_pass_on(&identities, ordinal, inputs, touched, stored) {
            let error = &error as &dyn std::error::Error;
            tracing::error!(request = %touched.request.id, error, "identifiers that an ack brought cannot be passed on");
        }
    }

    fn try_pass_on(
        &self,
        identities: &[Identity],
        ordinal: u16,
        inputs: &DecisionInputs,
        touched: &mut Touched<'_>,
        stored: &mut StoredBody,
    ) -> Result<(), EngineError> {
        let context = self.context(inputs);
        let body = Body::unpack(&stored.body)?;
        let pinned = |request: &_, place| body.identities_of(request, place).to_vec();
        let tenant = touched.request.head.tenant.clone();
        let (digests, former) = self.digests_of(&tenant, identities);
        let holds = context.facts.holds().on_subject(&tenant, &digests, &former);
        let mut types: Vec<IdentityType> = identities.iter().map(|identity| identity.kind.clone()).collect();
        types.sort_unstable();
        types.dedup();
        let (mut request, mut trail) = (touched.request.clone(), crate::domain::request::Trail::default());
        let supplied = request.provide(ordinal, &types, pinned, &holds, &context, &mut trail)?;
        if supplied.is_empty() {
            return Ok(());
        }
        self.take_identities(touched, stored, &supplied, identities, digests)?;
        touched.request = request;
        touched.trail.append(trail);
        Ok(())
    }
}
