//! The registered processors and how much work each has.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Api,
    auth::{Auditor, By, Caller},
    lists::raw,
    problem::Problem,
    query::Page,
};
use crate::{
    domain::{
        fact::{FactVersion, Facts},
        ids::ProcessorId,
        registry::RegistryRevision,
    },
    engine::{Engine, stop::reason_of},
    view::{
        processor::{Lane, ProcessorView, StoppedLane},
        stop::lane_word,
    },
};

/// The registry as it is active.
#[derive(Debug, Serialize)]
pub(super) struct Registered {
    #[serde(flatten)]
    page: Page<Box<RawValue>>,
    /// The registry's revision.
    revision: RegistryRevision,
}

/// Which lanes are stopped, by whom and why.
struct StoppedLanes {
    facts: Arc<Facts>,
    reasons: BTreeMap<FactVersion, String>,
}

impl StoppedLanes {
    async fn read(engine: &Engine, caller: &Caller) -> Result<Self, Problem> {
        let facts = engine.refresh_facts().await?;
        let stops = facts.stops();
        let all = stops.paused().map(|(_, stopped)| stopped).chain(stops.brake());
        let mut reasons = BTreeMap::new();
        for stopped in all.filter(|_| !caller.sees_no_free_text()) {
            let stored = engine.fact_of(stopped).await?;
            let reason = stored.and_then(|stored| reason_of(&engine.vault, &stored));
            reasons.extend(reason.map(|reason| (stopped.version, reason)));
        }
        Ok(Self { facts, reasons })
    }

    fn of(&self, processor: &ProcessorId) -> Option<StoppedLane> {
        let stops = self.facts.stops();
        let stopped = stops.brake().or_else(|| stops.pause(processor))?;
        Some(StoppedLane {
            lane: lane_word(Some(processor), stops),
            since: stopped.since,
            by: stopped.stop.actor.clone(),
            why: self.reasons.get(&stopped.version).cloned(),
        })
    }
}

/// `GET /v1/processors`
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
) -> Result<Json<Registered>, Problem> {
    caller.check_unlimited()?;
    let engine = &api.engine;
    let active = engine.active()?;
    let counters = engine.counters().await?;
    let stopped = StoppedLanes::read(engine, &caller).await?;
    // A registry is read as a whole, so all of it is one page.
    let items = active.registry.processors.iter().map(|processor| {
        let topic = processor.task_topic(&api.tasks_prefix);
        raw(&ProcessorView::of(
            processor,
            topic,
            Lane {
                stopped: stopped.of(&processor.id),
                shut: engine.lane(&processor.id),
            },
            &counters,
        ))
    });
    Ok(Json(Registered {
        page: Page {
            items: items.collect::<Result<_, _>>()?,
            next_cursor: None,
        },
        revision: active.revision,
    }))
}
