//! What a lane is called, and why it does not take everything.

use serde::Serialize;

use crate::{
    domain::{ids::ProcessorId, stops::Stops, task::Queued, time::At},
    engine::circuits::OpenCircuit,
};

/// What a lane is called that takes everything.
pub const OPEN: &str = "open";
/// What a lane is called whose circuit is open.
pub const CIRCUIT_OPEN: &str = "circuit_open";

/// Why a lane does not take everything.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum LaneReason {
    /// Somebody has stopped it.
    Stopped {
        /// Since when.
        since: At,
        /// Who.
        by: String,
        /// Why, where whoever asks may read it.
        why: Option<String>,
    },
    /// Its circuit is open, or its topic takes nothing.
    Shut {
        /// Since when.
        since: At,
        /// When it is tried again.
        until: At,
        /// Why.
        why: String,
    },
    /// Its topic does not take some of its tasks.
    Some {
        /// Why.
        why: &'static str,
    },
}

impl From<&OpenCircuit> for LaneReason {
    fn from(circuit: &OpenCircuit) -> Self {
        Self::Shut {
            since: circuit.since,
            until: circuit.until,
            why: circuit.why.clone(),
        }
    }
}

impl LaneReason {
    /// In a few words.
    pub fn says(&self) -> String {
        match self {
            Self::Stopped { since, by, why } => {
                let why = why.as_deref().map_or_else(String::new, |why| format!(": {why}"));
                format!("by {by} since {since}{why}")
            }
            Self::Shut { since, until, why } => format!("since {since}, tried again at {until}: {why}"),
            Self::Some { why } => (*why).to_owned(),
        }
    }
}

/// What a lane is called that somebody may have stopped.
pub fn lane_word(processor: Option<&ProcessorId>, stops: &Stops) -> &'static str {
    let stopped = match processor {
        Some(processor) => stops.of(processor),
        None => stops.brake().map(|_| Queued::Braked),
    };
    match stopped {
        Some(Queued::Braked) => "braked",
        Some(Queued::Paused) => "paused",
        Some(Queued::Turn) | None => OPEN,
    }
}
