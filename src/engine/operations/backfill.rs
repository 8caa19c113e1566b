//! Backfill: a processor that was registered later is offered the requests that were planned without it, a batch in each
//! transaction. Whoever is stopped in the middle asks again: what has been offered is left alone.

use std::collections::HashMap;

use async_trait::async_trait;
use serde::Serialize;

use crate::{
    domain::{
        body::{Body, Subject},
        command::{Opening, Scope},
        ids::{ProcessorId, RequestId},
        registry::Processor,
        request::{Context, Request, backfill::Offer},
        time::At,
    },
    engine::{
        Engine, EngineError, OperateError,
        batch::Batch,
        decision_inputs::DecisionInputs,
        effects::Effects,
        unit_of_work::{Decision, Load, UnitOfWork, run},
        use_cases::Operations,
    },
    store::{Concerned, Lock, Place, StoredBody, Transaction},
};

/// How many requests one transaction looks at.
const BATCH: u32 = 200;

/// So many ids are named of each list; the rest is counted.
const NAMED: usize = 10_000;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Backfill {
    /// The processor.
    pub processor: ProcessorId,
    /// Also the closed requests that were received since then.
    pub since: Option<At>,
    /// Whether nothing is changed.
    pub dry_run: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Backfilled {
    /// How many requests were looked at.
    pub looked_at: u64,
    /// How many were offered: they have a task of the processor from now on.
    pub offered: u64,
    /// How many of these had been closed, and are open again.
    pub reopened: u64,
    /// How many have had one before.
    pub already: u64,
    /// How many the processor holds nothing of, by their scope, region or time.
    pub not_concerned: u64,
    /// How many cannot be offered any more, because their identifiers cannot be read.
    pub unreadable_count: u64,
    /// Which they are, the first 10,000 of them.
    pub unreadable: Vec<RequestId>,
    /// Those whose plan has no room.
    pub full: Vec<RequestId>,
}

impl Backfilled {
    fn take(&mut self, id: RequestId, was_closed: bool, offer: &Offer) {
        match offer {
            Offer::Made(_) => {
                self.offered += 1;
                self.reopened += u64::from(was_closed);
            }
            Offer::Known => self.already += 1,
            Offer::NotConcerned | Offer::Withdrawn => self.not_concerned += 1,
            Offer::Unreadable => {
                self.unreadable_count += 1;
                if self.unreadable.len() < NAMED {
                    self.unreadable.push(id);
                }
            }
            Offer::Full => self.full.push(id),
        }
    }

    fn append(&mut self, next: Self) {
        self.looked_at += next.looked_at;
        self.offered += next.offered;
        self.reopened += next.reopened;
        self.already += next.already;
        self.not_concerned += next.not_concerned;
        self.unreadable_count += next.unreadable_count;
        let room = NAMED.saturating_sub(self.unreadable.len());
        self.unreadable.extend(next.unreadable.into_iter().take(room));
        self.full.extend(next.full);
    }
}

/// How far a backfill has come.
#[derive(Debug, Default)]
pub struct BackfillStep {
    /// What has come of all of it so far.
    pub done: Backfilled,
    /// The last request that was looked at; `None`: there is no more.
    after: Option<Place>,
    /// Whether all have been looked at.
    pub is_over: bool,
}

impl Operations<'_> {
    /// Takes a backfill one batch further, and gives what has to be produced.
    pub async fn backfill(
        self,
        asked: &Backfill,
        actor: &str,
        step: &mut BackfillStep,
    ) -> Result<Effects, OperateError> {
        if self.shared.active()?.registry.get(&asked.processor).is_none() {
            return Err(OperateError::Unknown("processor"));
        }
        let unit = OfferBatch {
            engine: self.shared,
            asked,
            actor,
            after: step.after,
        };
        let done = run(self.shared, &unit).await?;
        let (looked, last) = done.answer;
        step.is_over = last.is_none();
        step.after = last.or(step.after);
        step.done.append(looked);
        Ok(done.finished.emit(self.shared, true).await?)
    }
}

/// Offers the next batch of requests. The answer has what came of it, and the last one that was looked at.
struct OfferBatch<'e> {
    engine: &'e Engine,
    asked: &'e Backfill,
    actor: &'e str,
    after: Option<Place>,
}

#[async_trait]
impl UnitOfWork<'static> for OfferBatch<'_> {
    type Loaded = (HashMap<RequestId, StoredBody>, Option<Place>);
    type Output = (Backfilled, Option<Place>);
    type Error = OperateError;

    fn name(&self) -> &'static str {
        "backfill"
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        _: &mut DecisionInputs,
        _: Lock,
    ) -> Result<Load<Self::Loaded, Self::Output>, OperateError> {
        let list = match self.asked.since {
            Some(_) => Concerned::All,
            None => Concerned::Open,
        };
        let places = tx
            .concerned(&list, self.after, BATCH)
            .await
            .map_err(EngineError::from)?;
        let Some(last) = places.last().copied() else {
            return Ok(Load::Nothing((Backfilled::default(), None)));
        };
        let ids: Vec<RequestId> = places.into_iter().map(|(_, id)| id).collect();
        let rows = tx.load(&ids, Lock::Rows).await.map_err(EngineError::from)?;
        let bodies = tx.bodies(&ids).await.map_err(EngineError::from)?;
        let bodies = bodies.into_iter().map(|stored| (stored.id, stored)).collect();
        Ok(Load::Ready(rows, (bodies, Some(last))))
    }

    fn decide(
        &self,
        (bodies, last): &mut Self::Loaded,
        inputs: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<Decision<Self::Output>, OperateError> {
        let context = self.engine.context(inputs);
        let processor = context
            .registry
            .get(&self.asked.processor)
            .ok_or(OperateError::Unknown("processor"))?;
        let mut done = Backfilled::default();
        let ids: Vec<RequestId> = batch.requests().map(|request| request.id).collect();
        for id in ids {
            let Some(stored) = bodies.get_mut(&id) else {
                continue;
            };
            self.offer(id, stored, processor, &context, batch, &mut done)?;
        }
        let answer = (done, *last);
        Ok(if self.asked.dry_run {
            Decision::Nothing(answer)
        } else {
            Decision::Write(answer)
        })
    }
}

impl OfferBatch<'_> {
    fn offer(
        &self,
        id: RequestId,
        stored: &mut StoredBody,
        processor: &Processor,
        context: &Context<'_>,
        batch: &mut Batch<'static>,
        done: &mut Backfilled,
    ) -> Result<(), EngineError> {
        let Some(touched) = batch.get_mut(id) else {
            return Ok(());
        };
        let request = &touched.request;
        let was_closed = request.life.status.is_final();
        let is_meant = !was_closed
            || self
                .asked
                .since
                .is_some_and(|since| request.head.received_at >= since);
        if !is_meant {
            return Ok(());
        }
        done.looked_at += 1;
        let body = Body::unpack(&stored.body)?;
        let subject = match touched.wrapped_key() {
            Some(key) if request.bookkeeping.readable => {
                let tenant = &request.head.tenant;
                let plain = self.engine.vault.open_subject(tenant, id, key, &stored.sealed)?;
                Some(Subject::unpack(&plain)?)
            }
            _ => None,
        };
        let opening = opening_of(request, &body, subject);
        let mut tried = request.clone();
        let (offer, trail) = tried.offer(processor, &opening, self.actor, context)?;
        done.take(id, was_closed, &offer);
        if let Offer::Made(supplied) = &offer
            && !self.asked.dry_run
        {
            self.engine
                .take_identities(touched, stored, supplied, &[], Vec::new())?;
            touched.request = tried;
            touched.trail.append(trail);
            let note = serde_json::json!({
                "by": self.actor, "decision": "backfill", "processor": processor.id
            });
            touched.notes.add_said(&note.to_string());
        }
        Ok(())
    }
}

/// The command of a request, as far as it was kept. Which action a command had wanted of a processor that nobody knew then
/// was not: what the request asks counts.
fn opening_of(request: &Request, body: &Body, subject: Option<Subject>) -> Opening {
    Opening {
        command_id: body.command_id,
        request_id: request.id,
        tenant: request.head.tenant.clone(),
        action: request.head.action,
        actions_by_processor: std::collections::BTreeMap::new(),
        identities: subject.map(|subject| subject.identities).unwrap_or_default(),
        regime: None,
        reason: request.head.reason,
        requested_at: Some(request.head.requested_at),
        not_before: None,
        region: body.region.clone(),
        scope: Scope {
            purposes: body.scope.purposes().to_vec(),
            categories: body.scope.categories().to_vec(),
            processors: body.scope.processors().to_vec(),
        },
        anchors: body.anchors.clone(),
        identity_verified: true,
        exclude: body.exclude.clone(),
        metadata: None,
        submitter: None,
    }
}
