//! What is true of requests now: read under the gate lock, without deciding anything.
//!
//! It is for whoever has to produce again what may not have been produced: after a crash between commit and produce, after
//! a failed delivery, and for what stands in the outbox.

use std::collections::HashSet;

use async_trait::async_trait;
use foldhash::HashMap;

use super::{
    Engine, EngineError,
    batch::Batch,
    decision_inputs::DecisionInputs,
    effects::{Effects, SentTask},
    unit_of_work::{Decision, Load, UnitOfWork, run},
};
use crate::{
    domain::{ids::RequestId, request::Request, task::TaskState},
    store::{DeadLetter, Lock, Origin, StoredRequest, Transaction},
};

/// Reads requests, and the dead letters of messages, and writes nothing.
struct ReadCurrent<'e> {
    ids: &'e [RequestId],
    origins: &'e [Origin],
    name: &'static str,
}

#[async_trait]
impl UnitOfWork<'static> for ReadCurrent<'_> {
    type Loaded = ();
    type Output = (Vec<StoredRequest>, Vec<DeadLetter>);
    type Error = EngineError;

    fn name(&self) -> &'static str {
        self.name
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        _: &mut DecisionInputs,
        _: Lock,
    ) -> Result<Load<(), Self::Output>, EngineError> {
        let stored = tx.load(self.ids, Lock::Rows).await?;
        let letters = tx.dead_letters_of(self.origins).await?;
        Ok(Load::Nothing((stored, letters)))
    }

    fn decide(
        &self,
        _: &mut (),
        _: &DecisionInputs,
        _: &mut Batch<'static>,
    ) -> Result<Decision<Self::Output>, EngineError> {
        Ok(Decision::Nothing(Default::default()))
    }
}

impl Engine {
    /// Where these requests stand, those of their tasks that `which` names and that are dispatched, and which of these
    /// messages were dead-lettered.
    pub async fn current(
        &self,
        ids: &[RequestId],
        origins: &[Origin],
        which: impl Fn(&Request) -> Vec<u16> + Send,
    ) -> Result<Effects, EngineError> {
        let (stored, letters) = self.read_current(ids, origins, "republish").await?;
        let stored: Vec<(StoredRequest, Vec<u16>)> = stored
            .into_iter()
            .map(|stored| {
                let ordinals = which(&stored.request);
                (stored, ordinals)
            })
            .collect();
        let out = stored.iter().filter(|(_, ordinals)| !ordinals.is_empty());
        let out: Vec<&Request> = out.map(|(stored, _)| &stored.request).collect();
        let forgotten = out.iter().filter(|request| request.bookkeeping.capsule.is_some());
        let forgotten: Vec<RequestId> = forgotten.map(|request| request.id).collect();
        let out: Vec<RequestId> = out.iter().map(|request| request.id).collect();
        let secrets = self.secrets(&out, &forgotten).await?;
        let mut emission = Effects::default();
        let mut failed = Vec::new();
        for (StoredRequest { request, wrapped_key }, ordinals) in &stored {
            let added = self.emit_catching_panics(request, &mut emission, |emission| {
                self.emit_status(request, emission);
                self.emit_stored(request, ordinals, wrapped_key.as_deref(), &secrets, emission);
            });
            failed.extend((!added).then_some(request.id));
        }
        self.set_aside(&failed).await?;
        self.emit_suppression_of(ids, &mut emission).await?;
        for letter in &letters {
            emission.dead_letter(letter);
        }
        Ok(emission)
    }

    /// Which of these are still out: what was answered, put back or sent again meanwhile is not to be sent once more.
    pub async fn still_dispatched(&self, sent: &[SentTask]) -> Result<HashSet<SentTask>, EngineError> {
        let mut ids: Vec<RequestId> = sent.iter().map(|one| one.request).collect();
        ids.sort_unstable();
        ids.dedup();
        let (stored, _) = self.read_current(&ids, &[], "still_dispatched").await?;
        let is_out = |one: &&SentTask| {
            let request = stored.iter().map(|stored| &stored.request);
            let request = request.into_iter().find(|request| request.id == one.request);
            request
                .and_then(|request| Some(request.task(request.find_task(one.task)?)))
                .is_some_and(|task| {
                    matches!(task.state, TaskState::Dispatched { .. })
                        && (task.generation, task.attempt) == (one.generation, one.attempt)
                })
        };
        Ok(sent.iter().filter(is_out).copied().collect())
    }

    async fn read_current(
        &self,
        ids: &[RequestId],
        origins: &[Origin],
        name: &'static str,
    ) -> Result<(Vec<StoredRequest>, Vec<DeadLetter>), EngineError> {
        let unit = ReadCurrent { ids, origins, name };
        Ok(run(self, &unit).await?.answer)
    }

    /// The statuses of those of these requests that have moved on since, and the tombstones of those that were purged: the
    /// last record of a key is then the highest.
    pub async fn newer_statuses(&self, produced: &[(RequestId, u32)]) -> Result<Effects, EngineError> {
        let ids: Vec<RequestId> = produced.iter().map(|(id, _)| *id).collect();
        let now: HashMap<RequestId, u32> = self.store.revisions(&ids).await?.into_iter().collect();
        let moved: Vec<RequestId> = produced
            .iter()
            .filter(|(id, revision)| now.get(id).is_some_and(|now| now > revision))
            .map(|(id, _)| *id)
            .collect();
        let mut emission = Effects::default();
        // Its rows went while its status was on its way: the tombstone has to be the last record.
        for (id, _) in produced.iter().filter(|(id, _)| !now.contains_key(id)) {
            emission.tombstone(*id);
        }
        if moved.is_empty() {
            return Ok(emission);
        }
        for StoredRequest { request, .. } in self.store.requests(&moved).await? {
            // One whose status the program fails at is set aside where that is noticed first.
            self.emit_catching_panics(&request, &mut emission, |emission| {
                self.emit_status(&request, emission);
            });
        }
        Ok(emission)
    }

    /// The statuses of these revisions are produced: nobody has to remember them any more.
    pub async fn outbox_done(&self, revisions: &[(RequestId, u32)]) -> Result<(), EngineError> {
        Ok(self.store.outbox_done(revisions).await?)
    }

    /// This worker is still at producing what the outbox remembers of these requests: nobody else takes it up.
    pub async fn keep_outbox(&self, ids: &[RequestId]) -> Result<(), EngineError> {
        Ok(self.store.keep_outbox(ids, self.clock.now()).await?)
    }
}
