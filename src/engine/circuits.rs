//! The lanes whose circuit breaker is open: decided by the worker that runs the lane, written down with the lane, and known to
//! all workers, who show it.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use serde::{Deserialize, Serialize};

use super::{Engine, EngineError};
use crate::{
    domain::{ids::ProcessorId, time::At},
    store::{LaneRow, Store},
};

/// A circuit that is open: nothing is sent to the processor but one task now and then, to see whether it answers again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCircuit {
    /// Since when.
    pub since: At,
    /// When the next task tries.
    pub until: At,
    /// Why, without subject data.
    pub why: String,
    /// Whether the processor does not let us in: somebody has to renew what we show it.
    pub unauthorised: bool,
}

/// What this worker has heard of the lanes.
#[derive(Debug, Default)]
pub(super) struct Circuits(RwLock<Arc<BTreeMap<ProcessorId, OpenCircuit>>>);

impl Engine {
    /// The circuits that are open, as this worker heard last.
    pub fn open_circuits(&self) -> Arc<BTreeMap<ProcessorId, OpenCircuit>> {
        Arc::clone(&self.circuits.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The circuit of a lane as it is written down, where it is open.
    pub async fn open_circuit_of(&self, lane: &ProcessorId) -> Result<Option<OpenCircuit>, EngineError> {
        open_circuit_of(self.store.as_ref(), lane).await
    }

    /// Takes what is written down of the lanes.
    pub(super) fn hear_circuits(&self, rows: &[LaneRow]) {
        let open = rows
            .iter()
            .filter_map(|row| Some((row.processor.clone(), circuit_of(row)?)))
            .collect();
        *self.circuits.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(open);
    }

    /// Takes what has become of a circuit that this worker keeps.
    pub(super) fn hear_circuit(&self, lane: &ProcessorId, circuit: Option<&OpenCircuit>) {
        let mut known = self.circuits.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = Arc::make_mut(&mut known);
        match circuit {
            Some(open) => drop(known.insert(lane.clone(), open.clone())),
            None => drop(known.remove(lane)),
        }
    }
}

/// The circuit of a lane as it is written down, where it is open.
pub async fn open_circuit_of(
    store: &dyn Store,
    lane: &ProcessorId,
) -> Result<Option<OpenCircuit>, EngineError> {
    let rows = store.lanes().await?;
    Ok(rows
        .iter()
        .find(|row| row.processor == *lane)
        .and_then(circuit_of))
}

/// The circuit of a lane, where it is open. What cannot be read is a closed one: it opens again by what its processor answers.
pub fn circuit_of(row: &LaneRow) -> Option<OpenCircuit> {
    let text = row.circuit.as_deref()?;
    match serde_json::from_str(text) {
        Ok(circuit) => Some(circuit),
        Err(error) => {
            tracing::warn!(lane = %row.processor, %error, "the circuit of a lane cannot be read, and counts as closed");
            None
        }
    }
}
