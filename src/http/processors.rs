//! The registered processors and how much work each has.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Serialize;

use super::{
    Api,
    auth::{Auditor, By},
    problem::Problem,
    query::Page,
};
use crate::{
    domain::{
        calendar::Period,
        ids::{IdentityType, ProcessorId},
        registry::{BackupSet, RegistryRevision, Retention, Transport},
        words::{Action, ProcessorKind},
    },
    engine::lanes::ShutLane,
};

/// The registry as it is active.
#[derive(Debug, Serialize)]
pub(super) struct Registered {
    #[serde(flatten)]
    page: Page<ProcessorView>,
    /// The registry's revision.
    revision: RegistryRevision,
}

#[derive(Debug, Serialize)]
struct ProcessorView {
    id: ProcessorId,
    name: String,
    kind: ProcessorKind,
    transport: Transport,
    actions: Vec<Action>,
    identities: Vec<IdentityType>,
    /// What it has to keep.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    retention: Vec<Retention>,
    /// What it is as a backup set.
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<BackupSet>,
    /// How long after a proof it is asked whether the data is really gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    verify_after: Option<Period>,
    /// How long after a proof it is asked to erase once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    sweep_after: Option<Period>,
    /// How many tasks it has, by their state.
    tasks: BTreeMap<String, i64>,
    /// `open`, or `undeliverable`: its topic takes nothing, as far as this worker knows.
    lane: &'static str,
    /// Why, since when, and when it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    lane_reason: Option<ShutLane>,
    /// How many of its tasks are ready and not taken by its topic.
    undeliverable: i64,
}

/// `GET /v1/processors`
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
) -> Result<Json<Registered>, Problem> {
    caller.check_unlimited()?;
    let active = api.engine.active()?;
    let counters = api.engine.store.counters().await?;
    let tasks_of = |id: &ProcessorId| {
        let own = counters
            .iter()
            .filter(|(key, n)| key.kind == "tasks" && key.a == id.as_str() && *n != 0);
        own.map(|(key, n)| (key.b.clone(), *n)).collect()
    };
    let undeliverable_of = |id: &ProcessorId| {
        let own = counters
            .iter()
            .filter(|(key, _)| key.kind == "undeliverable" && key.a == id.as_str());
        own.map(|(_, n)| n).sum()
    };
    let view = |processor: &crate::domain::registry::Processor| ProcessorView {
        id: processor.id.clone(),
        name: processor.name.clone(),
        kind: processor.kind,
        transport: match &processor.transport {
            Transport::Kafka { .. } => Transport::Kafka {
                topic: Some(processor.task_topic(&api.tasks_prefix)),
            },
        },
        actions: processor.actions.clone(),
        identities: processor.identities.clone(),
        retention: processor.retention.clone(),
        backup: processor.backup.clone(),
        verify_after: processor.verify_after,
        sweep_after: processor.sweep_after,
        tasks: tasks_of(&processor.id),
        lane: if api.engine.lane(&processor.id).is_some() {
            "undeliverable"
        } else {
            "open"
        },
        lane_reason: api.engine.lane(&processor.id),
        undeliverable: undeliverable_of(&processor.id),
    };
    // A registry is read as a whole, so all of it is one page.
    let items = active.registry.processors.iter().map(view).collect();
    Ok(Json(Registered {
        page: Page {
            items,
            next_cursor: None,
        },
        revision: active.revision,
    }))
}
