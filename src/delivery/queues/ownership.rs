//! Which lanes this worker runs. Each lane is run by one worker at a time, for as long as it is heard of.

use std::{sync::Arc, time::Duration};

use super::{DeliveryError, LaneRunner, RunningLane};
use crate::{
    clock::Stopwatch,
    domain::{
        ids::ProcessorId,
        registry::{Lane, Processor, RegistryRevision},
    },
    engine::{ActiveRegistry, circuits::circuit_of},
    store::LaneRow,
};

/// Lanes that nobody runs are looked for at least so often.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// And so often while there were some: several workers that start together share them out.
const TAKE_EVERY: Duration = Duration::from_secs(1);
/// So many are taken at a time, or half of those that are free: other workers take some too.
const FEW: usize = 8;

/// When lanes were taken last, and under which registry.
#[derive(Debug, Default)]
pub(super) struct Ownership {
    taken: Option<Stopwatch>,
    revision: RegistryRevision,
    were_free: bool,
}

impl Ownership {
    fn is_due(&self, revision: RegistryRevision, lease: Duration) -> bool {
        let every = if self.were_free {
            TAKE_EVERY
        } else {
            LOOK_EVERY.min(lease / 3)
        };
        revision != self.revision || self.taken.is_none_or(|since| since.elapsed() >= every)
    }
}

impl LaneRunner {
    /// Keeps the lanes that this worker runs, and takes some that nobody runs.
    pub(super) async fn own_lanes(&mut self) -> Result<(), DeliveryError> {
        let engine = Arc::clone(&self.relay.engine);
        let queues = engine.queues();
        let Ok(active) = engine.active() else {
            return Ok(());
        };
        if !self.ownership.is_due(active.revision, queues.lane_lease()) {
            return Ok(());
        }
        let queued: Vec<&Processor> = active
            .registry
            .processors
            .iter()
            .filter(|processor| processor.lane() == Lane::Queued)
            .collect();
        let rows = queues.lanes().await?;
        let free: Vec<ProcessorId> = queued
            .iter()
            .map(|processor| &processor.id)
            .filter(|id| !self.lanes.contains_key(*id) && is_free(&rows, id, engine.clock.now()))
            .cloned()
            .collect();
        let mut wanted = self.some_of(&free);
        wanted.extend(
            queued
                .iter()
                .map(|p| &p.id)
                .filter(|id| self.lanes.contains_key(*id))
                .cloned(),
        );
        let taken = if wanted.is_empty() {
            Vec::new()
        } else {
            queues.take_lanes(self.owner, &wanted).await?
        };
        self.run_lanes(&active, &taken);
        self.ownership = Ownership {
            taken: Some(Stopwatch::start()),
            revision: active.revision,
            were_free: !free.is_empty(),
        };
        Ok(())
    }

    /// Some of the lanes that nobody runs: each worker begins at another one.
    fn some_of(&self, free: &[ProcessorId]) -> Vec<ProcessorId> {
        let most = FEW.max(free.len() / 2);
        let first = (self.owner.as_u128() % free.len().max(1) as u128) as usize;
        free.iter()
            .cycle()
            .skip(first)
            .take(most.min(free.len()))
            .cloned()
            .collect()
    }

    /// Runs these lanes, and no others.
    fn run_lanes(&mut self, active: &ActiveRegistry, taken: &[LaneRow]) {
        let is_taken = |id: &ProcessorId| taken.iter().any(|row| row.processor == *id);
        self.lanes.retain(|id, lane| {
            let stays = is_taken(id);
            if !stays {
                lane.stop.cancel();
            }
            stays
        });
        for row in taken {
            let Some(processor) = active.registry.get(&row.processor) else {
                continue;
            };
            match self.lanes.get_mut(&row.processor) {
                Some(lane) if *lane.processor == *processor => {}
                Some(lane) => lane.set_processor(Arc::new(processor.clone())),
                None => {
                    let lane = RunningLane::new(Arc::new(processor.clone()), circuit_of(row));
                    self.lanes.insert(row.processor.clone(), lane);
                    self.is_filled = true;
                }
            }
        }
    }
}

/// Whether nobody runs a lane, as far as can be seen from here. Who does is settled by its row.
fn is_free(rows: &[LaneRow], id: &ProcessorId, now: crate::domain::time::At) -> bool {
    rows.iter()
        .find(|row| row.processor == *id)
        .is_none_or(|row| row.owner.is_none() || row.owned_until < now)
}
