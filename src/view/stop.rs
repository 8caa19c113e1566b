//! A lane, or all of them, that somebody has stopped or had go on.

use serde::Serialize;
use uuid::Uuid;

use super::lane::{CIRCUIT_OPEN, LaneReason, OPEN, lane_word};
use crate::{
    domain::{
        fact::Fact,
        ids::ProcessorId,
        stops::{Stopped, Stops},
        time::At,
    },
    engine::{circuits::OpenCircuit, stop::OutTask},
    store::StoredFact,
};

/// What was done to a lane last.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct StopView<'a> {
    /// The processor; absent: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processor: Option<&'a ProcessorId>,
    /// `paused`, `braked`, or `circuit_open` or `open` where nobody has stopped it.
    pub lane: &'static str,
    /// Why nothing is sent although nobody has stopped it; absent: it is stopped, or all is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane_reason: Option<LaneReason>,
    /// Whether this very stop is still in force.
    pub active: bool,
    /// Since when it is so; `None`: nobody ever did anything to it.
    pub since: Option<At>,
    /// Who did it.
    pub by: Option<String>,
    /// Why, as far as it was said, and can still be read.
    pub reason: Option<String>,
    /// What was sent before it was stopped, and is answered all the same; absent: it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub already_dispatched: Option<AlreadyOut>,
}

/// What was out when a lane was stopped.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct AlreadyOut {
    /// How many tasks there were.
    pub count: u64,
    /// Those of them that are out still, the first hundred.
    pub items: Vec<OutTask>,
    /// Whether there may be more of these.
    pub truncated: bool,
}

impl<'a> StopView<'a> {
    /// Of the last thing that was done to a lane. `reason`: why; `circuit`: the lane's, where it is open; `out`: what is out, and
    /// whether that is not all.
    pub fn of(
        processor: Option<&'a ProcessorId>,
        stored: Option<&StoredFact>,
        stops: &Stops,
        reason: Option<String>,
        circuit: Option<&OpenCircuit>,
        out: Option<(Vec<OutTask>, bool)>,
    ) -> Self {
        let done = stored.and_then(|stored| Some((stored, done(&stored.fact)?)));
        let now = in_force(processor, stops).map(|stopped| stopped.stop.id);
        let (lane, lane_reason) = match (lane_word(processor, stops), circuit) {
            (OPEN, Some(circuit)) => (CIRCUIT_OPEN, Some(LaneReason::from(circuit))),
            (word, _) => (word, None),
        };
        Self {
            processor,
            lane,
            lane_reason,
            active: done.is_some_and(|(_, (id, ..))| now == Some(id)),
            since: stored.map(|stored| stored.at),
            by: done.map(|(_, (_, by, _))| by.to_owned()),
            reason,
            already_dispatched: done.and_then(|(_, (.., count))| count).zip(out).map(
                |(count, (items, truncated))| AlreadyOut {
                    count,
                    items,
                    truncated,
                },
            ),
        }
    }
}

/// The stop of a lane, or of all of them.
pub fn in_force<'a>(processor: Option<&ProcessorId>, stops: &'a Stops) -> Option<&'a Stopped> {
    match processor {
        Some(processor) => stops.pause(processor),
        None => stops.brake(),
    }
}

/// Which stop a fact is about, who told it, and how much was out where it is the beginning of one.
fn done(fact: &Fact) -> Option<(Uuid, &str, Option<u64>)> {
    match fact {
        Fact::Paused { stop, .. } | Fact::Braked { stop } => Some((stop.id, &stop.actor, Some(stop.out))),
        Fact::Resumed { stop, actor, .. } | Fact::Unbraked { stop, actor } => Some((*stop, actor, None)),
        _ => None,
    }
}
