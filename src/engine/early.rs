//! Commands that have waited in vain for their request are dead-lettered.
//!
//! Their rows stay until the dead letters have been produced, so that a crash in between repeats them.

use async_trait::async_trait;

use super::{
    Engine, EngineError,
    batch::Batch,
    decision_inputs::DecisionInputs,
    effects::Effects,
    unit_of_work::{Decision, Load, UnitOfWork, run},
    use_cases::Retention,
};
use crate::{
    domain::{time::At, words::DeadLetterReason},
    store::{EarlyRow, Lock, Origin, Transaction},
    wire::Rejection,
};

/// How many one transaction dead-letters.
const BATCH: u32 = 500;

/// What has expired.
#[derive(Debug, Default)]
pub struct Expired {
    /// Where they came from: to be reported by [`Retention::expiry_produced`] once the effects are confirmed.
    pub origins: Vec<Origin>,
    /// What has to be produced.
    pub emission: Effects,
    /// Whether there may be more.
    pub more: bool,
}

/// Dead-letters a batch of commands that have waited in vain.
struct ExpireEarly<'e> {
    engine: &'e Engine,
    /// Not later than the time that comes with the gate.
    now: At,
}

#[async_trait]
impl UnitOfWork<'static> for ExpireEarly<'_> {
    type Loaded = Vec<EarlyRow>;
    type Output = ();
    type Error = EngineError;

    fn name(&self) -> &'static str {
        "expiry"
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        inputs: &mut DecisionInputs,
        _: Lock,
    ) -> Result<Load<Vec<EarlyRow>, ()>, EngineError> {
        inputs.now = self.now.min(inputs.now);
        let rows = tx.early_expired(inputs.now, BATCH).await?;
        if rows.is_empty() {
            return Ok(Load::Nothing(()));
        }
        Ok(Load::Ready(Vec::new(), rows))
    }

    fn decide(
        &self,
        rows: &mut Vec<EarlyRow>,
        inputs: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<Decision<()>, EngineError> {
        let now = inputs.now;
        let changes = &mut batch.changes;
        for row in rows.drain(..) {
            let waited = now.since(row.arrived_at).as_secs();
            let detail = format!("there is no such request, and none has come within {waited} s");
            let rejection = Rejection::new(DeadLetterReason::UnknownRequest, detail);
            changes
                .dead_letters
                .push(self.engine.letter_of(&row, &rejection, now));
            changes.early.buried.push(row.origin);
            changes.early.forgotten.push((row.tenant, row.command_id));
        }
        Ok(Decision::Write(()))
    }
}

impl Retention<'_> {
    /// Dead-letters a batch of commands that have waited in vain at `now`, which is not later than the time that comes with
    /// the gate.
    pub async fn expire_early(self, now: At) -> Result<Expired, EngineError> {
        let done = run(
            self.shared,
            &ExpireEarly {
                engine: self.shared,
                now,
            },
        )
        .await?;
        let letters = done.finished.changes.dead_letters;
        let mut expired = Expired {
            more: letters.len() == BATCH as usize,
            ..Expired::default()
        };
        for letter in letters {
            self.shared.metrics.dead_letter(letter.reason);
            expired.emission.dead_letter(&letter);
            expired.origins.push(letter.origin);
        }
        Ok(expired)
    }

    /// The dead letters that were decided before this time and whose production nobody has reported.
    pub async fn expired_unproduced(self, before: At) -> Result<Expired, EngineError> {
        let origins = self
            .shared
            .store
            .take_early_unproduced(before, self.shared.clock.now(), BATCH)
            .await?;
        if origins.is_empty() {
            return Ok(Expired::default());
        }
        Ok(Expired {
            emission: self.shared.current(&[], &origins, |_| Vec::new()).await?,
            more: false,
            origins,
        })
    }

    /// Their dead letters have been produced.
    pub async fn expiry_produced(self, origins: &[Origin]) -> Result<(), EngineError> {
        Ok(self.shared.store.early_produced(origins).await?)
    }
}
