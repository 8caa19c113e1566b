//! How fast a restore is replayed: no faster than the processors answer that it was put back into.
//!
//! A replay may be of every request there ever was, and sends as many tasks as fast as the store gives them. So its sweep
//! waits while one of its processors has many tasks out, and the sweeps after it go on meanwhile.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use super::{Engine, EngineError};
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

/// What a sweep waits for before its next batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitsFor {
    /// The processor.
    pub processor: ProcessorId,
    /// How many tasks it has been sent and has not answered.
    pub in_flight: u64,
}

/// Which of these sweeps wait, and for what.
pub async fn waiting(
    store: &dyn Store,
    sweeps: &[Sweep],
    facts: &Facts,
    max_in_flight: u32,
    now: At,
) -> Result<BTreeMap<FactVersion, WaitsFor>, StoreError> {
    let replays: Vec<&Sweep> = sweeps.iter().filter(|sweep| is_replay(sweep, now)).collect();
    if replays.is_empty() {
        return Ok(BTreeMap::new());
    }
    let counters = store.counters().await?;
    let waits = |sweep: &&Sweep| {
        let into = &facts.restore(sweep.version)?.into;
        let out = into.iter().map(|processor| WaitsFor {
            processor: processor.clone(),
            in_flight: in_flight(processor, &counters),
        });
        out.max_by_key(|out| out.in_flight)
            .filter(|out| out.in_flight > u64::from(max_in_flight))
    };
    Ok(replays
        .iter()
        .filter_map(|sweep| Some((sweep.version, waits(sweep)?)))
        .collect())
}

/// Whether a sweep sends tasks again and has taken a batch not long ago.
fn is_replay(sweep: &Sweep, now: At) -> bool {
    sweep.kind == FactKind::BackupRestored
        && sweep.finished_at.is_none()
        && now.since(sweep.updated_at) < PATIENCE
}

fn in_flight(processor: &ProcessorId, counters: &[(CounterKey, i64)]) -> u64 {
    let out = TaskStateName::Dispatched.as_str();
    let of_it = counters
        .iter()
        .filter(|(key, _)| key.kind == "tasks" && key.a == processor.as_str() && key.b == out);
    u64::try_from(of_it.map(|(_, n)| n).sum::<i64>()).unwrap_or(0)
}

impl Engine {
    /// Which of these sweeps wait, and for what.
    pub async fn waiting_sweeps(
        &self,
        sweeps: &[Sweep],
    ) -> Result<BTreeMap<FactVersion, WaitsFor>, EngineError> {
        let facts = self.refresh_facts().await?;
        let now = self.clock.now();
        Ok(waiting(self.store.as_ref(), sweeps, &facts, self.max_in_flight, now).await?)
    }
}
