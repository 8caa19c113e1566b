//! What people have stopped: single lanes, or all of them at once (the brake).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    ids::{FactVersion, ProcessorId},
    task::Queued,
    time::At,
    words::{TaskStateName, Why},
};

/// That somebody has stopped a lane, or all of them. Why lies sealed beside the fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Tells it from every other one. It is the id of its fact.
    pub id: Uuid,
    /// Who.
    pub actor: String,
    /// How many tasks were out when it took hold: sent, and without an answer that ends them.
    pub out: u64,
}

/// A stop that nobody has lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Its fact.
    pub version: FactVersion,
    /// Since when.
    pub since: At,
    /// Who, and what was out.
    pub stop: Stop,
}

/// What people have stopped: single lanes, or all of them.
#[derive(Debug, Clone, Default)]
pub struct Stops {
    brake: Option<Stopped>,
    paused: BTreeMap<ProcessorId, Stopped>,
}

impl Stops {
    /// Why nothing is sent to a processor; `None`: nobody has stopped its lane. The brake comes first: while it is on, no
    /// lane goes on by being resumed.
    pub fn of(&self, processor: &ProcessorId) -> Option<Queued> {
        if self.brake.is_some() {
            return Some(Queued::Braked);
        }
        self.paused.contains_key(processor).then_some(Queued::Paused)
    }

    /// Why a task is not done yet whose lane may have been stopped, or gone on, since that was written down.
    pub fn why_now(&self, processor: &ProcessorId, state: TaskStateName, why: Why) -> Why {
        if state != TaskStateName::Ready || !matches!(why, Why::Rate | Why::Retry | Why::Paused | Why::Brake)
        {
            return why;
        }
        match (self.of(processor), why) {
            (Some(stopped), _) => stopped.word(),
            (None, Why::Retry) => Why::Retry,
            (None, _) => Why::Rate,
        }
    }

    /// The brake, where it is on.
    pub const fn brake(&self) -> Option<&Stopped> {
        self.brake.as_ref()
    }

    /// The pause of a lane.
    pub fn pause(&self, processor: &ProcessorId) -> Option<&Stopped> {
        self.paused.get(processor)
    }

    /// Every lane that is paused, also of processors that are registered no more.
    pub fn paused(&self) -> impl Iterator<Item = (&ProcessorId, &Stopped)> {
        self.paused.iter()
    }

    pub(super) fn put_on(&mut self, stopped: Stopped) {
        self.brake = Some(stopped);
    }

    pub(super) fn pause_lane(&mut self, processor: &ProcessorId, stopped: Stopped) {
        self.paused.insert(processor.clone(), stopped);
    }

    /// Only what it was told of: an earlier stop that is lifted twice must not lift a later one.
    pub(super) fn take_off(&mut self, id: Uuid) {
        self.brake.take_if(|stopped| stopped.stop.id == id);
    }

    pub(super) fn resume_lane(&mut self, processor: &ProcessorId, id: Uuid) {
        if self
            .paused
            .get(processor)
            .is_some_and(|stopped| stopped.stop.id == id)
        {
            self.paused.remove(processor);
        }
    }
}
