//! What is due and not taken yet: what an autoscaler goes by. And when backup systems told something last.

use std::collections::BTreeMap;

use super::{Gauges, shown};
use crate::{
    domain::{ids::ProcessorId, registry::Processor},
    engine::EngineError,
    store::Wanted,
    telemetry::freshness::GaugeGroup,
};

/// Beyond this an autoscaler starts all that it may anyway.
const MOST: u32 = 10_000;

impl Gauges<'_> {
    pub(super) async fn read_due(&self) -> Result<(), EngineError> {
        let now = self.shared.clock.now();
        let facts = self.shared.refresh_facts().await?;
        let (stops, circuits) = (facts.stops(), self.shared.open_circuits());
        let active = self.shared.active()?;
        let is_counted = |processor: &&Processor| {
            let id = &processor.id;
            let is_stopped =
                stops.brake().is_some() || stops.pause(id).is_some() || circuits.contains_key(id);
            processor.manual().is_none() && !is_stopped
        };
        let lanes: Vec<ProcessorId> = active
            .registry
            .processors
            .iter()
            .filter(is_counted)
            .map(|processor| processor.id.clone())
            .collect();
        let store = &self.shared.store;
        let heads = store
            .queue_heads(&lanes.iter().map(|lane| (lane.clone(), None)).collect::<Vec<_>>())
            .await?;
        let wanted: Vec<Wanted> = heads
            .into_iter()
            .filter(|head| head.due <= now)
            .map(|head| Wanted {
                processor: head.processor,
                tenant: head.tenant,
                most: MOST,
            })
            .collect();
        let tasks = if wanted.is_empty() {
            Vec::new()
        } else {
            store.due_in_queue(&wanted, now).await?
        };
        let requests = store.due(now, MOST).await?;
        let mut by_lane: BTreeMap<&ProcessorId, u64> = lanes.iter().map(|lane| (lane, 0)).collect();
        for (processor, n) in &tasks {
            *by_lane.entry(processor).or_default() += n;
        }
        let metrics = &self.shared.metrics;
        metrics.show(GaugeGroup::Due, || {
            metrics.due_requests.set(shown(requests));
            metrics.due_tasks.reset();
            for (processor, n) in by_lane {
                metrics
                    .due_tasks
                    .with_label_values(&[processor.as_str()])
                    .set(shown(n));
            }
        });
        Ok(())
    }

    pub(super) async fn read_backups(&self) -> Result<(), EngineError> {
        let active = self.shared.active()?;
        let mut told = Vec::new();
        for processor in active.registry.processors.iter().filter(|p| p.backup.is_some()) {
            let last = self.shared.store.last_told(&processor.id).await?;
            told.extend(last.map(|at| (&processor.id, at)));
        }
        let metrics = &self.shared.metrics;
        metrics.show(GaugeGroup::Backups, || {
            metrics.last_backup_event.reset();
            for (processor, at) in &told {
                metrics
                    .last_backup_event
                    .with_label_values(&[processor.as_str()])
                    .set(at.millis() / 1000);
            }
        });
        Ok(())
    }
}
