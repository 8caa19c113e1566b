//! What can be seen from outside during a step.

use std::collections::BTreeMap;

use serde_json::Value;

use super::call::ApiAnswer;

/// What was seen during a step.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// What processors were sent.
    pub tasks: Vec<Value>,
    /// Which vendors were called: each with the steps of its connector, in their order, and each of them once.
    pub calls: BTreeMap<String, Vec<String>>,
    /// How many rows each table of the agent's database has.
    pub rows: BTreeMap<String, i64>,
    /// What upstream was told.
    pub statuses: Vec<Value>,
    /// Why messages could not be taken in.
    pub letters: Vec<String>,
    /// What became of the messages, where that is known.
    pub verdicts: Vec<String>,
    /// What the last call was answered.
    pub answer: Option<ApiAnswer>,
}
