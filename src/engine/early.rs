//! Commands that have waited in vain for their request are dead-lettered.
//!
//! Their rows stay until the dead letters have been produced, so that a crash in between repeats them.

use super::{Engine, EngineError, effects::Emission};
use crate::{
    domain::{time::At, words::DeadLetterReason},
    store::{Attempts, Changes, DeadLetter, EarlyChanges, EarlyRow, Gate, Origin},
    wire::Refusal,
};

/// How many one transaction dead-letters.
const BATCH: u32 = 500;

/// What has expired.
#[derive(Debug, Default)]
pub struct Expired {
    /// Where they came from: to be reported by [`Engine::expiry_produced`] once the emission is confirmed.
    pub origins: Vec<Origin>,
    /// What has to be produced.
    pub emission: Emission,
    /// Whether there may be more.
    pub more: bool,
}

impl Engine {
    /// Dead-letters a batch of commands that have waited in vain at `now`, which is not later than the time that comes with
    /// the gate.
    pub async fn expire_early(&self, now: At) -> Result<Expired, EngineError> {
        let mut attempts = Attempts::new(self.store.as_ref(), &*self.metrics, "expiry");
        let letters = loop {
            let done = self.expire_early_once(now, &mut attempts).await;
            if let Some(done) = attempts.conclude(done).await {
                break done?;
            }
        };
        let mut expired = Expired {
            more: letters.len() == BATCH as usize,
            ..Expired::default()
        };
        for letter in letters {
            self.metrics.dead_letter(letter.reason);
            expired.emission.dead_letter(&letter);
            expired.origins.push(letter.origin);
        }
        Ok(expired)
    }

    async fn expire_early_once(
        &self,
        now: At,
        attempts: &mut Attempts<'_>,
    ) -> Result<Vec<DeadLetter>, EngineError> {
        let mut tx = attempts.begin().await?;
        let now = now.min(self.pass_gate(&mut *tx, Gate::Shared).await?.now);
        let rows = tx.early_expired(now, BATCH).await?;
        let letter = |row: EarlyRow| {
            let waited = now.since(row.arrived_at).as_secs();
            let detail = format!("there is no such request, and none has come within {waited} s");
            self.letter_of(&row, &Refusal::new(DeadLetterReason::UnknownRequest, detail), now)
        };
        let changes = Changes {
            early: EarlyChanges {
                buried: rows.iter().map(|row| row.origin.clone()).collect(),
                forgotten: rows
                    .iter()
                    .map(|row| (row.tenant.clone(), row.command_id))
                    .collect(),
                ..EarlyChanges::default()
            },
            dead_letters: rows.into_iter().map(letter).collect(),
            at: now,
            ..Changes::default()
        };
        if !changes.dead_letters.is_empty() {
            tx.write(&changes).await?;
        }
        tx.commit().await?;
        Ok(changes.dead_letters)
    }

    /// The dead letters that were decided before this time and whose production nobody has reported.
    pub async fn expired_unproduced(&self, before: At) -> Result<Expired, EngineError> {
        let origins = self
            .store
            .take_early_unproduced(before, self.clock.now(), BATCH)
            .await?;
        if origins.is_empty() {
            return Ok(Expired::default());
        }
        Ok(Expired {
            emission: self.current(&[], &origins, |_| Vec::new()).await?,
            more: false,
            origins,
        })
    }

    /// Their dead letters have been produced.
    pub async fn expiry_produced(&self, origins: &[Origin]) -> Result<(), EngineError> {
        Ok(self.store.early_produced(origins).await?)
    }
}
