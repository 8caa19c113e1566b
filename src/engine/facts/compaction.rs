//! What was told of copies that were taken is deleted once nothing can be decided by it any more.
//!
//! A copy that is proved gone explains no horizon, contradicts nothing that is still told, and is not asked for where a backup
//! is put back: a restore goes by what requests have confirmed. Its fact goes, and the fact after it remembers its chain, so
//! that one history is still told from another. How many copies are no longer listed is counted.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;

use crate::{
    domain::{
        backup::{BackupChange, BackupEvent, earlier},
        fact::{Fact, FactVersion},
        ids::{Label, ProcessorId},
        time::At,
    },
    engine::{
        Engine, EngineError,
        batch::Batch,
        decision_inputs::DecisionInputs,
        unit_of_work::{Decision, Load, UnitOfWork, run},
        use_cases::Retention,
    },
    store::{COMPACTED_COPIES, Changes, CounterKey, Lock, StoredFact, Transaction},
};

/// How many facts one transaction looks at.
const BATCH: u32 = 500;

/// How many of them one turn takes at the most.
const MOST_BATCHES: u32 = 200;

/// A fact stays for as long as this after it was told: until then an event that comes again is known, and a worker that has
/// looked since finds the fact that it learned last.
const STAYS: Duration = Duration::from_secs(30 * 24 * 3600);

/// What one transaction came to.
#[derive(Debug, Clone, Copy)]
struct Compacted {
    /// The last fact that was looked at; `None`: there are no more.
    last: Option<FactVersion>,
    compacted: u64,
}

/// Deletes what was told after a fact of copies of a set that nothing is decided by any more.
struct CompactBatch<'e> {
    processor: &'e ProcessorId,
    after: FactVersion,
}

#[async_trait]
impl UnitOfWork<'static> for CompactBatch<'_> {
    type Loaded = (Compacted, Changes);
    type Output = Compacted;
    type Error = EngineError;

    fn name(&self) -> &'static str {
        "compact"
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        inputs: &mut DecisionInputs,
        _: Lock,
    ) -> Result<Load<(Compacted, Changes), Compacted>, EngineError> {
        let told_until = earlier(inputs.now, STAYS);
        let rows = tx
            .copies_told(self.processor, self.after, told_until, BATCH)
            .await?;
        let Some(copies) = inputs.facts.copies(self.processor) else {
            return Ok(Load::Nothing(Compacted {
                last: None,
                compacted: 0,
            }));
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
        let counted = sets
            .into_iter()
            .map(|(set, n)| (counter_of(self.processor, set), n));
        let changes = Changes {
            counters: counted.collect(),
            ..Changes::default()
        };
        let compacted = Compacted {
            last: rows
                .last()
                .filter(|_| rows.len() == BATCH as usize)
                .map(|row| row.version),
            compacted: gone.len() as u64,
        };
        Ok(Load::Ready(Vec::new(), (compacted, changes)))
    }

    fn decide(
        &self,
        (compacted, changes): &mut (Compacted, Changes),
        _: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<Decision<Compacted>, EngineError> {
        batch.changes = std::mem::take(changes);
        Ok(Decision::Write(*compacted))
    }
}

impl Retention<'_> {
    /// Deletes what was told of copies that nothing is decided by any more, some batches of it. Says how many went.
    pub async fn compact_copies(self) -> Result<u64, EngineError> {
        let facts = self.shared.refresh_facts().await?;
        let (mut compacted, mut batches) = (0, 0);
        for (processor, copies) in facts.sets() {
            if copies.gone_before().is_none() {
                continue;
            }
            let mut after = 0;
            // What is left goes the next time: sweeps must not wait for years of it.
            while batches < MOST_BATCHES {
                let batch = self.compact_after(processor, after).await?;
                batches += 1;
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

    async fn compact_after(
        &self,
        processor: &ProcessorId,
        after: FactVersion,
    ) -> Result<Compacted, EngineError> {
        let unit = CompactBatch { processor, after };
        Ok(run(self.shared, &unit).await?.answer)
    }
}

impl Engine {
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
