//! What was told of copies that were taken is deleted once nothing can be decided by it any more.
//!
//! A copy that is proved gone explains no horizon, contradicts nothing that is still told, and is not asked for where a backup
//! is put back: a restore goes by what requests have confirmed. Its fact goes, and the fact after it remembers its chain, so
//! that one history is still told from another. How many copies are no longer listed is counted.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    domain::{
        backup::{BackupChange, BackupEvent, earlier},
        fact::{Fact, FactVersion},
        ids::{Label, ProcessorId},
        time::At,
    },
    engine::{Engine, EngineError, work::UseCase},
    store::{Attempts, COMPACTED_COPIES, Changes, CounterKey, Gate, StoredFact},
};

/// How many facts one transaction looks at.
const BATCH: u32 = 500;

/// A fact stays for as long as this after it was told: until then an event that comes again is known, and a worker that has
/// looked since finds the fact that it learned last.
const STAYS: Duration = Duration::from_secs(30 * 24 * 3600);

/// What one transaction came to.
struct Batch {
    /// The last fact that was looked at; `None`: there are no more.
    last: Option<FactVersion>,
    compacted: u64,
}

impl Engine {
    /// Deletes what was told of copies that nothing is decided by any more, batch by batch. Says how many went.
    pub async fn compact_copies(&self) -> Result<u64, EngineError> {
        let facts = self.refresh_facts().await?;
        let mut compacted = 0;
        for (processor, copies) in facts.sets() {
            if copies.gone_before().is_none() {
                continue;
            }
            let mut after = 0;
            loop {
                let batch = self.compact_after(processor, after).await?;
                compacted += batch.compacted;
                let Some(last) = batch.last else { break };
                after = last;
            }
        }
        if compacted > 0 {
            tracing::info!(
                facts = compacted,
                "what was told of copies that are gone is compacted"
            );
        }
        Ok(compacted)
    }

    async fn compact_after(&self, processor: &ProcessorId, after: FactVersion) -> Result<Batch, EngineError> {
        let mut attempts = Attempts::new(self.store.as_ref(), &*self.metrics, "compact");
        loop {
            let done = self.compact_once(processor, after, &mut attempts).await;
            if let Some(done) = attempts.conclude(done).await {
                return done;
            }
        }
    }

    async fn compact_once(
        &self,
        processor: &ProcessorId,
        after: FactVersion,
        attempts: &mut Attempts<'_>,
    ) -> Result<Batch, EngineError> {
        let mut tx = attempts.begin().await?;
        let known = self.pass_gate(&mut *tx, Gate::Shared).await?;
        let told_until = earlier(known.now, STAYS);
        let rows = tx.copies_told(processor, after, told_until, BATCH).await?;
        let Some(copies) = known.facts.copies(processor) else {
            return Ok(Batch {
                last: None,
                compacted: 0,
            });
        };
        let settled: BTreeMap<FactVersion, &BackupEvent> = rows
            .iter()
            .filter_map(|row| Some((row.version, taken(row)?)))
            .filter(|(_, (_, taken_at, lock_until))| copies.is_settled(*taken_at, *lock_until))
            .map(|(version, (event, ..))| (version, event))
            .collect();
        let versions: Vec<FactVersion> = settled.keys().copied().collect();
        let gone = if versions.is_empty() {
            versions
        } else {
            tx.compact_facts(&versions).await?
        };
        let mut sets: BTreeMap<&Label, i64> = BTreeMap::new();
        for event in gone.iter().filter_map(|version| settled.get(version)) {
            *sets.entry(&event.set).or_default() += 1;
        }
        let counted = sets.into_iter().map(|(set, n)| (counter_of(processor, set), n));
        tx.write(&Changes {
            slot: self.slot_of(UseCase::Other),
            at: known.now,
            counters: counted.collect(),
            ..Changes::default()
        })
        .await?;
        tx.commit().await?;
        Ok(Batch {
            last: rows
                .last()
                .filter(|_| rows.len() == BATCH as usize)
                .map(|row| row.version),
            compacted: gone.len() as u64,
        })
    }

    /// Whether an event tells of a copy that nothing is decided by any more: that the store does not know it means nothing.
    pub(in crate::engine) fn is_settled(&self, event: &BackupEvent) -> bool {
        let facts = self.facts();
        let copies = facts.copies(&event.processor);
        match event.change {
            BackupChange::Taken { taken_at, lock_until } => {
                copies.is_some_and(|copies| copies.is_settled(taken_at, lock_until))
            }
            BackupChange::Rotated { .. } | BackupChange::Restored { .. } => false,
        }
    }

    /// How many copies of a set are gone for so long that they are no longer listed.
    pub async fn compacted_copies(&self, processor: &ProcessorId, set: &Label) -> Result<i64, EngineError> {
        let key = counter_of(processor, set);
        let counters = self.store.counters().await?;
        Ok(counters
            .iter()
            .filter(|(counted, _)| *counted == key)
            .map(|(_, n)| n)
            .sum())
    }
}

/// A copy that was taken: its event, when, and until when it is locked.
const fn taken(row: &StoredFact) -> Option<(&BackupEvent, At, Option<At>)> {
    match &row.fact {
        Fact::Backup(event) => match event.change {
            BackupChange::Taken { taken_at, lock_until } => Some((event, taken_at, lock_until)),
            BackupChange::Rotated { .. } | BackupChange::Restored { .. } => None,
        },
        _ => None,
    }
}

fn counter_of(processor: &ProcessorId, set: &Label) -> CounterKey {
    CounterKey {
        kind: COMPACTED_COPIES,
        a: processor.to_string(),
        b: set.to_string(),
    }
}
