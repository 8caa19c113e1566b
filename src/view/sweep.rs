//! A sweep: how far the walk has come that applies a fact to the requests that it concerns.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    domain::{
        fact::{FactKind, FactVersion},
        time::At,
    },
    engine::replay_throttle::WaitsFor,
    store::Sweep,
};

/// A sweep.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct SweepView {
    /// The version of its fact.
    pub version: FactVersion,
    /// What kind of fact it is.
    pub fact: FactKind,
    /// When it was begun.
    pub started_at: At,
    /// When its last batch was committed.
    pub updated_at: At,
    /// When it was finished; `None`: it goes on.
    pub finished_at: Option<At>,
    /// How many requests it has looked at.
    pub done: u64,
    /// How many there were to look at, about; `None`: not counted yet.
    pub total: Option<u64>,
    /// What it waits for before it goes on.
    pub waits_for: Option<WaitsFor>,
}

impl SweepView {
    /// Of sweeps, with what some of them wait for.
    pub fn all(sweeps: Vec<Sweep>, mut waiting: BTreeMap<FactVersion, WaitsFor>) -> Vec<Self> {
        let view = |sweep: Sweep| Self {
            version: sweep.version,
            fact: sweep.kind,
            started_at: sweep.started_at,
            updated_at: sweep.updated_at,
            finished_at: sweep.finished_at,
            done: sweep.done,
            total: sweep.total,
            waits_for: waiting.remove(&sweep.version),
        };
        sweeps.into_iter().map(view).collect()
    }
}
