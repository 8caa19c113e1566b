//! Lanes whose topic takes nothing, as far as this worker has found out: kept in memory, because the broker is the one
//! that knows, and each worker finds out for itself.
//!
//! What is meant for such a lane is not produced: it stays ready, and whoever keeps the lanes tries one of them now and
//! then. So no other lane, and no stage, waits for it (invariant 11).

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use serde::Serialize;

use super::Engine;
use crate::domain::{ids::ProcessorId, request::Shut, time::At};

/// The first pause before a topic is tried again, which doubles.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest: a topic that is back takes its tasks within it.
const LONGEST: Duration = Duration::from_secs(15);

/// A lane whose topic takes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShutLane {
    /// Since when.
    pub since: At,
    /// When it is tried again.
    pub until: At,
    /// Why: what the broker or the client says, without subject data.
    pub why: String,
    /// How often it was tried in vain.
    #[serde(skip)]
    pub tries: u32,
}

/// The lanes that are shut, and the limits of topics that did not take a message because of its size.
#[derive(Debug, Default)]
pub(super) struct Lanes(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    shut: BTreeMap<ProcessorId, ShutLane>,
    /// The same as decisions want it.
    view: Arc<Shut>,
}

impl Known {
    fn view(&mut self) -> &mut Shut {
        Arc::make_mut(&mut self.view)
    }
}

impl Engine {
    /// Which topics do not take what is meant for them.
    pub(super) fn shut(&self) -> Arc<Shut> {
        Arc::clone(&self.lanes.0.read().unwrap_or_else(PoisonError::into_inner).view)
    }

    /// What a processor's tasks go to takes nothing. Says so loudly, once an outage.
    pub fn shut_lane(&self, processor: &ProcessorId, destination: &str, why: &str) {
        let now = self.clock.now();
        let mut known = self.lanes.0.write().unwrap_or_else(PoisonError::into_inner);
        let tries = match known.shut.get(processor) {
            // Whatever else was on its way when it was shut says nothing new.
            Some(lane) if lane.until > now => return,
            Some(lane) => lane.tries.saturating_add(1),
            None => 0,
        };
        let pause = SHORTEST.saturating_mul(1 << tries.min(8)).min(LONGEST);
        let until = now.plus(pause);
        if tries == 0 {
            tracing::error!(
                %processor,
                destination,
                why,
                "the topic of a processor takes nothing: its tasks wait, and go out by themselves when it takes them"
            );
        }
        let lane = known.shut.entry(processor.clone()).or_insert_with(|| ShutLane {
            since: now,
            until,
            why: String::new(),
            tries,
        });
        (lane.until, lane.tries) = (until, tries);
        why.clone_into(&mut lane.why);
        known.view().lanes.insert(processor.clone(), until);
    }

    /// The topic of a processor takes its tasks again.
    pub fn open_lane(&self, processor: &ProcessorId) {
        let mut known = self.lanes.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = known.shut.remove(processor) {
            known.view().lanes.remove(processor);
            tracing::info!(%processor, since = %lane.since, "the topic of a processor takes its tasks again");
        }
    }

    /// How a lane stands whose topic takes nothing; `None`: it is open.
    pub fn lane(&self, processor: &ProcessorId) -> Option<ShutLane> {
        let known = self.lanes.0.read().unwrap_or_else(PoisonError::into_inner);
        known.shut.get(processor).cloned()
    }

    /// The lanes that are to be tried again.
    pub fn lanes_to_try(&self) -> Vec<ProcessorId> {
        let now = self.clock.now();
        let known = self.lanes.0.read().unwrap_or_else(PoisonError::into_inner);
        let due = known.shut.iter().filter(|(_, lane)| lane.until <= now);
        due.map(|(processor, _)| processor.clone()).collect()
    }

    /// The topic of a processor takes messages of so many bytes at the most.
    pub fn learn_limit(&self, processor: &ProcessorId, bytes: u32) {
        let mut known = self.lanes.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.view.limits.get(processor) != Some(&bytes) {
            known.view().limits.insert(processor.clone(), bytes);
        }
    }
}
