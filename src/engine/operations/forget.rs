//! A closed request is forgotten before its time, because somebody asks for it.

use async_trait::async_trait;

use crate::{
    domain::{entry::Entry, ids::RequestId, request::operate::DecisionError},
    engine::{
        Engine, EngineError, OperateError,
        batch::{Batch, last_word},
        decision_inputs::DecisionInputs,
        unit_of_work::{Decision, Load, UnitOfWork},
    },
    store::{CompactedKey, Lock, Transaction},
};

/// Deletes the rows of a closed request, and the digests by which its subject is found again. The ledger keeps who asked for it.
pub(super) struct Forget<'e> {
    pub(super) engine: &'e Engine,
    pub(super) id: RequestId,
    pub(super) actor: &'e str,
}

#[async_trait]
impl UnitOfWork<'static> for Forget<'_> {
    /// What the suppression topic has of it.
    type Loaded = Vec<CompactedKey>;
    type Output = ();
    type Error = OperateError;

    fn name(&self) -> &'static str {
        "forget"
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        _: &mut DecisionInputs,
        _: Lock,
    ) -> Result<Load<Vec<CompactedKey>, ()>, OperateError> {
        let requests = tx.load(&[self.id], Lock::Rows).await?;
        let suppressed = if self.engine.has_suppression_topic {
            tx.suppression_of(&[self.id]).await?
        } else {
            Vec::new()
        };
        let keys = suppressed.iter().map(|row| CompactedKey::Suppression(row.digest));
        Ok(Load::Ready(requests, keys.collect()))
    }

    fn decide(
        &self,
        suppressed: &mut Vec<CompactedKey>,
        inputs: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<Decision<()>, OperateError> {
        let context = self.engine.context(inputs);
        // What is known may open it again: whoever touches it first takes it, and this would be the last to.
        batch.review(&context);
        let touched = batch.get_mut(self.id).ok_or(OperateError::Unknown("request"))?;
        touched.request.check_forgettable(&context)?;
        touched.trail.entries.push(Entry::ActedBy {
            actor: self.actor.to_owned(),
        });
        let mut has_news = false;
        batch.purge(|_, has_changed| {
            has_news |= has_changed;
            !has_changed
        });
        if has_news {
            let why = "something new is known of it, which is taken in first: ask again in a moment";
            return Err(DecisionError::NotNow(why).into());
        }
        let words = suppressed.iter().map(|key| last_word(*key, inputs.now));
        batch.changes.last_words = words.collect();
        Ok(Decision::Write(()))
    }

    async fn conclude(
        &self,
        (): &mut (),
        finished: &mut crate::engine::batch::Finished<'static>,
        _: &DecisionInputs,
        _: &mut dyn Transaction,
    ) -> Result<(), OperateError> {
        // One that the program failed at is set aside by whoever finds it due: here somebody waits for the answer.
        if finished.changes.purged.is_empty() {
            return Err(EngineError::Panicked.into());
        }
        Ok(())
    }
}
