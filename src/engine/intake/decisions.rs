//! People's decisions that come as commands: about a request's gates, its deadline, and identifiers that it lacks.

use std::collections::{HashMap, HashSet};

use zeroize::Zeroizing;

use super::{decider::Decider, prepared};
use crate::{
    domain::{
        body::{Body, Subject},
        command::{Cancel, Command, Decide, Decision, Reactivated, Supply},
        identity::{Identity, SubjectData, sure_digests},
        ids::{CommandId, IdentityType, RequestId},
        request::{
            Request, Trail,
            merged::Leader,
            operate::{self, Supplied},
        },
        words::DeadLetterReason,
    },
    engine::{
        Engine, EngineError,
        batch::Touched,
        prepare::{Arrival, PreparedCommand},
    },
    store::{Lock, ResealedRow, StoredBody, StoredRequest, SubjectDigest, Transaction},
    wire::Rejection,
};

impl Decider<'_, '_, '_> {
    pub(super) fn cancel(&mut self, cancel: &Cancel) -> Result<Result<RequestId, Rejection>, EngineError> {
        let context = self.context();
        let leader = self.leader_of(cancel.request_id);
        let found = self
            .batch
            .get_mut(cancel.request_id)
            .filter(|touched| !cancel.names_tenant || touched.request.head.tenant == cancel.tenant);
        let Some(touched) = found else {
            return Ok(Err(unknown()));
        };
        // A refused decision must leave nothing behind, so it is tried on a copy.
        let mut request = touched.request.clone();
        let mut trail = match leader {
            Some(leader) => request.follow(leader, &context)?,
            None => Trail::default(),
        };
        match request.cancel(None, &context) {
            Ok(cancelled) => {
                trail.append(cancelled);
                touched.request = request;
                touched.trail.append(trail);
                Ok(Ok(cancel.request_id))
            }
            Err(refused) => Ok(Err(refusal_of(refused))),
        }
    }

    /// How the request stands now that this one was merged into.
    fn leader_of(&self, id: RequestId) -> Option<Leader> {
        let leader = self.batch.get(id)?.life.following.as_ref()?.leader;
        let touched = self.batch.get(leader).map(Request::as_leader);
        touched.or_else(|| self.loaded.leaders.get(&leader).copied())
    }

    /// Takes identifiers that a request had not come with, and seals them beside those that it has.
    pub(super) fn supply(&mut self, supply: &Supply) -> Result<Result<RequestId, Rejection>, EngineError> {
        let engine = self.engine;
        let context = self.context();
        let found = self
            .batch
            .get_mut(supply.request_id)
            .filter(|touched| !supply.names_tenant || touched.request.head.tenant == supply.tenant);
        let Some(touched) = found else {
            return Ok(Err(unknown()));
        };
        let Some(mut stored) = touched
            .new_body()?
            .or_else(|| self.loaded.bodies.remove(&supply.request_id))
        else {
            return Err(EngineError::NoBody(supply.request_id));
        };
        // Its own tenant: the command may not name one.
        let tenant = touched.request.head.tenant.clone();
        let (digests, former) = engine.digests_of(&tenant, &supply.identities);
        let holds = context.facts.holds().on_subject(&tenant, &digests, &former);
        let mut types: Vec<IdentityType> = supply.identities.iter().map(|i| i.kind.clone()).collect();
        types.sort_unstable();
        types.dedup();
        let mut request = touched.request.clone();
        let done = match request.supply(&types, &holds, &supply.actor, &context) {
            Ok((trail, supplied)) => {
                touched.request = request;
                touched.trail.append(trail);
                engine.take_identities(touched, &mut stored, &supplied, &supply.identities, digests)?;
                Ok(supply.request_id)
            }
            Err(refused) => Err(refusal_of(refused)),
        };
        // Another supply in the same batch goes on from here.
        self.loaded.bodies.insert(supply.request_id, stored);
        Ok(done)
    }

    /// Somebody is back: each of their requests takes notice. Where there is none, there is nothing to spare.
    pub(super) fn reactivate(
        &mut self,
        back: &Reactivated,
    ) -> Result<Result<RequestId, Rejection>, EngineError> {
        let context = self.context();
        for id in self.loaded.returned.remove(&back.command_id).unwrap_or_default() {
            let found = self
                .batch
                .get_mut(id)
                .filter(|touched| touched.request.head.tenant == back.tenant);
            if let Some(touched) = found {
                let trail = touched.request.reactivate(back.at, &context)?;
                touched.trail.append(trail);
            }
        }
        Ok(Ok(RequestId(back.command_id.0)))
    }

    pub(super) fn decide_request(
        &mut self,
        decide: &Decide,
    ) -> Result<Result<RequestId, Rejection>, EngineError> {
        let context = self.context();
        let found = self
            .batch
            .get_mut(decide.request_id)
            .filter(|touched| !decide.names_tenant || touched.request.head.tenant == decide.tenant);
        let Some(touched) = found else {
            return Ok(Err(unknown()));
        };
        let submitter = match touched
            .new_body()?
            .as_ref()
            .or(self.loaded.bodies.get(&decide.request_id))
        {
            Some(stored) => Body::unpack(&stored.body)?.submitter,
            None => None,
        };
        let rules = self.engine.rules_of(&touched.request.head.tenant).rulebook();
        let decided = touched.attempt(|request| {
            let submitter = submitter.as_deref();
            request.decide(&decide.decision, &decide.actor, submitter, rules, &context)
        });
        match decided {
            Ok(()) => {
                touched.notes.add_said(&note_of(decide));
                Ok(Ok(decide.request_id))
            }
            Err(refused) => Ok(Err(refusal_of(refused))),
        }
    }
}

/// The requests of those who are back.
pub(super) async fn returned(
    arrivals: &[Arrival<PreparedCommand>],
    tx: &mut dyn Transaction,
) -> Result<HashMap<CommandId, Vec<RequestId>>, EngineError> {
    let mut returned = HashMap::new();
    for prepared in prepared(arrivals) {
        if let Command::Reactivated(back) = &prepared.command {
            let digests = sure_digests(&prepared.digests, &prepared.former);
            returned.insert(back.command_id, tx.of_subjects(&digests).await?);
        }
    }
    Ok(returned)
}

/// The bodies of the requests that somebody decides about: they say who submitted them, and hold their identifiers.
pub(super) async fn decided_about(
    arrivals: &[Arrival<PreparedCommand>],
    tx: &mut dyn Transaction,
) -> Result<HashMap<RequestId, StoredBody>, EngineError> {
    let ids: Vec<RequestId> = prepared(arrivals)
        .filter_map(|prepared| match &prepared.command {
            Command::Decide(decide) => Some(decide.request_id),
            Command::Supply(supply) => Some(supply.request_id),
            _ => None,
        })
        .collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let bodies = tx.bodies(&ids).await?;
    Ok(bodies.into_iter().map(|stored| (stored.id, stored)).collect())
}

/// How many leaves the ledger has of requests that this batch opens and that are not stored. A request that was purged
/// has some: a very late repeat opens it once more, and its entries go on where they ended. That is seldom, so the
/// first try does not ask: its leaves are refused then, and the second one does.
pub(super) async fn purged_before(
    arrivals: &[Arrival<PreparedCommand>],
    rows: &[StoredRequest],
    tx: &mut dyn Transaction,
    lock: Lock,
) -> Result<HashMap<RequestId, u32>, EngineError> {
    if lock == Lock::None {
        return Ok(HashMap::new());
    }
    let stored: HashSet<RequestId> = rows.iter().map(|row| row.request.id).collect();
    let ids: Vec<RequestId> = prepared(arrivals)
        .filter_map(|prepared| match &prepared.command {
            Command::Open(opening) => Some(opening.request_id),
            _ => None,
        })
        .filter(|id| !stored.contains(id))
        .collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(tx.leaf_counts(&ids).await?.into_iter().collect())
}

impl Engine {
    /// Seals identifiers that came later beside those that a request has, and says which tasks are sent them.
    pub(in crate::engine) fn take_identities(
        &self,
        touched: &mut Touched<'_>,
        stored: &mut StoredBody,
        supplied: &Supplied,
        new: &[Identity],
        digests: Vec<SubjectDigest>,
    ) -> Result<(), EngineError> {
        let (id, tenant) = (touched.request.id, &touched.request.head.tenant);
        let key = touched.wrapped_key().ok_or(EngineError::Shredded(id))?;
        let mut body = Body::unpack(&stored.body)?;
        body.identify(supplied);
        let plain = self.vault.open_subject(tenant, id, key, &stored.sealed)?;
        let mut subject = Subject::unpack(&plain)?;
        for identity in new {
            if !subject.identities.contains(identity) {
                subject.identities.push(identity.clone());
            }
        }
        let plain = Zeroizing::new(subject.pack()?);
        stored.body = body.pack()?;
        stored.sealed = self.vault.reseal_subject(tenant, id, key, &plain)?;
        let resealed = ResealedRow {
            id,
            body: stored.body.clone(),
            sealed: stored.sealed.clone(),
            digests,
        };
        if !touched.request.head.limited {
            let rows = self.suppression_rows(id, tenant, new);
            touched.suppression.extend(rows);
        }
        touched.reseal(resealed, body, new);
        Ok(())
    }
}

fn unknown() -> Rejection {
    Rejection::new(
        DeadLetterReason::UnknownRequest,
        "there is no such request".to_owned(),
    )
}

/// Why a decision is not carried out, as senders are told.
pub(super) fn refusal_of(refused: operate::DecisionError) -> Rejection {
    Rejection::new(reason_of(&refused), refused.to_string())
}

/// The same in a word.
pub(in crate::engine) const fn reason_of(refused: &operate::DecisionError) -> DeadLetterReason {
    match refused {
        operate::DecisionError::TooLate => DeadLetterReason::TooLate,
        operate::DecisionError::Submitter => DeadLetterReason::NotAllowed,
        operate::DecisionError::Closed
        | operate::DecisionError::WrongState
        | operate::DecisionError::NotNow(_) => DeadLetterReason::WrongState,
    }
}

/// What is kept sealed of a decision beside the ledger.
fn note_of(decide: &Decide) -> String {
    let note = decide.note.as_ref().map(SubjectData::expose);
    decision_note(&decide.decision, &decide.actor, note)
}

/// The same of one that came over HTTP.
pub(in crate::engine) fn decision_note(decision: &Decision, actor: &str, note: Option<&str>) -> String {
    let method = match decision {
        Decision::VerifyIdentity { method, .. } => Some(method.as_str()),
        _ => None,
    };
    serde_json::json!({ "by": actor, "decision": decision.name(), "method": method, "reason": note })
        .to_string()
}
