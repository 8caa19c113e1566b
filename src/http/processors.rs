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
    /// Why, since when, and when it is tried again; or why some of its tasks wait where the others go out.
    #[serde(skip_serializing_if = "Option::is_none")]
    lane_reason: Option<LaneReason>,
    /// How many of its tasks are ready and not taken by its topic.
    undeliverable: i64,
}

/// Why a lane does not take everything.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum LaneReason {
    /// Its topic takes nothing.
    Shut(ShutLane),
    /// Its topic does not take some of its tasks.
    Some { why: &'static str },
}

impl LaneReason {
    fn of(lane: Option<ShutLane>, undeliverable: i64) -> Option<Self> {
        const WHY: &str = "its topic takes tasks, and some of them wait: they are larger than max.message.bytes of the topic, or are \
                           about to be tried again; GET /v1/requests/{id} of each says which";
        match lane {
            Some(lane) => Some(Self::Shut(lane)),
            None => (undeliverable > 0).then_some(Self::Some { why: WHY }),
        }
    }
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
                topic: Some(api.engine.task_topic(&processor.id).to_string()),
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
        lane_reason: LaneReason::of(api.engine.lane(&processor.id), undeliverable_of(&processor.id)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_that_is_open_says_why_some_tasks_wait() {
        let shown = |lane, undeliverable| serde_json::to_value(LaneReason::of(lane, undeliverable)).unwrap();
        assert!(shown(None, 0).is_null());
        let why = shown(None, 1);
        assert!(
            why["why"].as_str().unwrap().contains("max.message.bytes"),
            "{why}"
        );
        let at = crate::domain::time::At::from_millis(0);
        let shut = ShutLane {
            since: at,
            until: at,
            why: "unknown topic".to_owned(),
            tries: 0,
        };
        assert_eq!(
            shown(Some(shut), 1),
            serde_json::json!({ "since": at, "until": at, "why": "unknown topic" })
        );
    }
}
