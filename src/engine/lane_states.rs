//! How the lanes stand: what an operator looks at of every processor, gathered with one question to the store for each kind of
//! figure, however many processors there are.

use std::collections::BTreeMap;

use super::{
    Engine, EngineError,
    circuits::{OpenCircuit, circuit_of},
    outcomes::{Answers, answers},
    stop::reason_of,
};
use crate::{
    domain::{
        fact::{FactVersion, Facts},
        ids::ProcessorId,
        stops::Stopped,
        time::At,
        words::TaskStateName,
    },
    store::{CounterKey, OUT, Store},
    vault::Vault,
};

/// How the lanes stand.
#[derive(Debug)]
pub struct LaneStates {
    /// What is counted in the store.
    pub counters: Vec<(CounterKey, i64)>,
    facts: std::sync::Arc<Facts>,
    reasons: BTreeMap<FactVersion, String>,
    circuits: BTreeMap<ProcessorId, OpenCircuit>,
    oldest_ready: BTreeMap<ProcessorId, At>,
    answers: BTreeMap<ProcessorId, Answers>,
    /// As of when.
    pub now: At,
}

impl LaneStates {
    /// As the store has it. `vault`: what opens the reasons of those who have stopped lanes; `None`: they are not shown.
    pub async fn read(
        store: &dyn Store,
        vault: Option<&Vault>,
        facts: std::sync::Arc<Facts>,
        lanes: &[ProcessorId],
        now: At,
    ) -> Result<Self, EngineError> {
        let rows = store.lanes().await?;
        let open = rows
            .iter()
            .filter_map(|row| Some((row.processor.clone(), circuit_of(row)?)));
        let circuits = open.collect();
        let reasons = match vault {
            Some(vault) => reasons(store, vault, &facts).await?,
            None => BTreeMap::new(),
        };
        Ok(Self {
            counters: store.counters().await?,
            reasons,
            circuits,
            oldest_ready: store.oldest_queued(lanes).await?.into_iter().collect(),
            answers: answers(store, now).await?,
            facts,
            now,
        })
    }

    /// Who has stopped a lane, or all of them, and why, as far as it may be read.
    pub fn stopped(&self, processor: &ProcessorId) -> Option<(&Stopped, Option<&str>)> {
        let stops = self.facts.stops();
        let stopped = stops.brake().or_else(|| stops.pause(processor))?;
        Some((stopped, self.reasons.get(&stopped.version).map(String::as_str)))
    }

    /// The facts that they stand by.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The circuit of a lane, where it is open.
    pub fn circuit(&self, processor: &ProcessorId) -> Option<&OpenCircuit> {
        self.circuits.get(processor)
    }

    /// Since when the first task waits in the queue of a lane.
    pub fn oldest_ready(&self, processor: &ProcessorId) -> Option<At> {
        self.oldest_ready.get(processor).copied()
    }

    /// Since when a task is out that was not answered, to the minute.
    pub fn oldest_unanswered(&self, processor: &ProcessorId) -> Option<At> {
        oldest_out(&self.counters, processor)
    }

    /// What a processor has answered lately.
    pub fn answers(&self, processor: &ProcessorId) -> Answers {
        self.answers.get(processor).cloned().unwrap_or_default()
    }

    /// How many tasks of a processor are in a state.
    pub fn tasks(&self, processor: &ProcessorId, state: TaskStateName) -> i64 {
        let of_it = self
            .counters
            .iter()
            .filter(|(key, _)| key.kind == "tasks" && key.a == processor.as_str() && key.b == state.as_str());
        of_it.map(|(_, n)| n).sum()
    }
}

/// Since when a task of a processor is out that was not answered, to the minute; `None`: none is.
pub fn oldest_out(counters: &[(CounterKey, i64)], processor: &ProcessorId) -> Option<At> {
    let out = counters
        .iter()
        .filter(|(key, n)| key.kind == OUT && key.a == processor.as_str() && *n > 0);
    let minutes = out.filter_map(|(key, _)| key.b.parse::<i64>().ok());
    minutes.min().map(|minute| At::from_millis(minute * 60_000))
}

async fn reasons(
    store: &dyn Store,
    vault: &Vault,
    facts: &Facts,
) -> Result<BTreeMap<FactVersion, String>, EngineError> {
    let stops = facts.stops();
    let all: Vec<FactVersion> = stops
        .paused()
        .map(|(_, stopped)| stopped)
        .chain(stops.brake())
        .map(|stopped| stopped.version)
        .collect();
    let mut reasons = BTreeMap::new();
    if all.is_empty() {
        return Ok(reasons);
    }
    let mut tx = store.begin("stop").await?;
    for version in all {
        let stored = tx.fact_at(version).await?;
        let reason = stored.and_then(|stored| reason_of(vault, &stored));
        reasons.extend(reason.map(|reason| (version, reason)));
    }
    tx.commit().await?;
    Ok(reasons)
}

impl Engine {
    /// How the lanes stand. `free_text`: whether what people wrote is shown, which may hold anything.
    pub async fn lane_states(&self, free_text: bool) -> Result<LaneStates, EngineError> {
        // What this worker has counted and not written down yet is in it.
        self.keep_tallies().await?;
        let facts = self.refresh_facts().await?;
        let active = self.active()?;
        let lanes: Vec<ProcessorId> = active
            .registry
            .processors
            .iter()
            .map(|processor| processor.id.clone())
            .collect();
        let vault = free_text.then_some(&self.vault);
        LaneStates::read(self.store.as_ref(), vault, facts, &lanes, self.clock.now()).await
    }
}
