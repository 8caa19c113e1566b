//! How fast a restore is replayed: no faster than the processors answer that it was put back into.
//!
//! A replay may be of every request there ever was, and sends as many tasks as fast as the store gives them. So its sweep
//! waits while one of its processors has many tasks out, and the sweeps after it go on meanwhile.
//!
//! Others touch requests before the replay comes to them: answers, wake-ups, the sweeps of holds and of other restores.
//! The restore holds for them at once: the tasks are open again, and the status says so. But what it has brought back
//! is not sent by them while its processor has enough to do. It stays ready, and the replay's sweep, which walks
//! every request, sends it at its own pace when it gets there. What cannot be sent just then (it is held, a gate is closed,
//! its identifiers are missing) is passed by: once it can, the agenda looks every hour, under the same rule as long as a
//! replay goes on. Everything else of these requests goes on as ever (invariant 11).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
    time::Duration,
};

use serde::Serialize;

use super::{Engine, EngineError, decision_inputs::DecisionInputs, use_cases::Sweeps};
use crate::{
    domain::{
        fact::{FactKind, FactVersion, Facts},
        ids::ProcessorId,
        time::At,
        words::TaskStateName,
    },
    store::{CounterKey, Store, StoreError, Sweep},
};

/// A sweep waits no longer than this after its last batch. Invariant 11: a processor that never answers slows down what is
/// replayed into others beside it, and never stops it.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many sweeps at a time may wait for their processors. Those beyond it, older ones, do not wait.
const SWEEPS: u32 = 1_000;

/// What a sweep waits for before its next batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct WaitsFor {
    /// The processor.
    pub processor: ProcessorId,
    /// How many tasks it has been sent and has not answered.
    pub in_flight: u64,
}

/// How fast replays may go now.
#[derive(Debug, Default)]
pub struct Pace {
    /// Which sweeps wait, and for what.
    pub waiting: BTreeMap<FactVersion, WaitsFor>,
    /// The processors that have more out than they may have while something is replayed into them.
    full: BTreeSet<ProcessorId>,
}

impl Pace {
    /// As the store has it.
    pub async fn read(
        store: &dyn Store,
        sweeps: &[Sweep],
        facts: &Facts,
        max_in_flight: u32,
        now: At,
    ) -> Result<Self, StoreError> {
        let mut pace = Self::default();
        if !sweeps.iter().any(|sweep| is_replay(sweep) || goes_on(sweep)) {
            return Ok(pace);
        }
        let counters = store.counters().await?;
        if sweeps.iter().any(goes_on) {
            // What a replay has passed by while its lane was stopped comes now: as much as may be out, and the rest when the
            // agenda looks.
            let out = TaskStateName::Dispatched.as_str();
            let tasks = counters
                .iter()
                .filter(|(key, _)| key.kind == "tasks" && key.b == out);
            let processors = tasks.filter_map(|(key, _)| ProcessorId::new(&key.a).ok());
            let full = processors.filter(|id| in_flight(id, &counters) > u64::from(max_in_flight));
            pace.full.extend(full);
        }
        for sweep in sweeps.iter().filter(|sweep| is_replay(sweep)) {
            let into = facts
                .restore(sweep.version)
                .map_or(&[][..], |restore| &restore.into);
            let out = into.iter().map(|processor| WaitsFor {
                processor: processor.clone(),
                in_flight: in_flight(processor, &counters),
            });
            // Nothing can be sent to a lane that somebody has stopped, so its replay must not run ahead of it.
            let has_enough = |out: &WaitsFor| {
                out.in_flight > u64::from(max_in_flight) || facts.stops().of(&out.processor).is_some()
            };
            let full = out.filter(has_enough);
            let full: Vec<WaitsFor> = full.collect();
            pace.full.extend(full.iter().map(|out| out.processor.clone()));
            let most = full.into_iter().max_by_key(|out| out.in_flight);
            if let Some(most) = most.filter(|_| now.since(sweep.updated_at) < PATIENCE) {
                pace.waiting.insert(sweep.version, most);
            }
        }
        Ok(pace)
    }
}

/// Whether a sweep sends tasks again.
fn is_replay(sweep: &Sweep) -> bool {
    sweep.kind == FactKind::BackupRestored && sweep.finished_at.is_none()
}

/// Whether a sweep sends what waited in a lane that somebody had stopped.
fn goes_on(sweep: &Sweep) -> bool {
    matches!(sweep.kind, FactKind::Resumed | FactKind::Unbraked) && sweep.finished_at.is_none()
}

fn in_flight(processor: &ProcessorId, counters: &[(CounterKey, i64)]) -> u64 {
    let out = TaskStateName::Dispatched.as_str();
    let of_it = counters
        .iter()
        .filter(|(key, _)| key.kind == "tasks" && key.a == processor.as_str() && key.b == out);
    u64::try_from(of_it.map(|(_, n)| n).sum::<i64>()).unwrap_or(0)
}

impl Sweeps<'_> {
    /// Which of these sweeps wait, and for what.
    pub async fn waiting_sweeps(
        self,
        sweeps: &[Sweep],
    ) -> Result<BTreeMap<FactVersion, WaitsFor>, EngineError> {
        // Only shown: any clock will do.
        Ok(self.shared.pace(sweeps, self.shared.clock.now()).await?.waiting)
    }
}

impl Engine {
    /// Looks at the pace before a batch, for this worker's other use cases too. Which of the sweeps that go on wait;
    /// `None`: none goes on.
    pub(super) async fn keep_pace(&self) -> Result<Option<BTreeMap<FactVersion, WaitsFor>>, EngineError> {
        let open = self.store.sweeps(true, SWEEPS).await?;
        if open.is_empty() {
            self.remember_full(BTreeSet::new());
            return Ok(None);
        }
        let now = self.trusted_now().await?;
        let Pace { waiting, full } = self.pace(&open, now).await?;
        self.remember_full(full);
        Ok(Some(waiting))
    }

    async fn pace(&self, sweeps: &[Sweep], now: At) -> Result<Pace, EngineError> {
        let facts = self.refresh_facts().await?;
        Ok(Pace::read(self.store.as_ref(), sweeps, &facts, self.max_in_flight, now).await?)
    }

    /// The processors that have enough to do with what is being replayed into them.
    pub(super) fn full(&self) -> Arc<BTreeSet<ProcessorId>> {
        Arc::clone(&self.full.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn remember_full(&self, full: BTreeSet<ProcessorId>) {
        *self.full.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(full);
    }
}

impl DecisionInputs {
    /// For a batch of a sweep that has waited for its turn: what it replays itself is sent.
    pub(super) fn let_replay(&mut self, version: FactVersion) {
        if let Some(restore) = self.facts.restore(version)
            && !self.full.is_empty()
        {
            let others = self.full.iter().filter(|id| !restore.into.contains(id));
            self.full = Arc::new(others.cloned().collect());
        }
    }
}
