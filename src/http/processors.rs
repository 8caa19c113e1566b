//! The registered processors: how their lanes stand, and how much work each has.

use std::sync::Arc;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Api,
    auth::{Auditor, By},
    calls::Calls,
    lists::raw,
    problem::Problem,
    query::{Lane, Page},
};
use crate::{
    domain::registry::{Processor, RegistryRevision},
    engine::lane_states::LaneStates,
    view::processor::ProcessorView,
};

/// The registry as it is active.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Registered {
    #[serde(flatten)]
    #[schemars(with = "Page<ProcessorView<'_>>")]
    page: Page<Box<RawValue>>,
    /// The registry's revision.
    revision: RegistryRevision,
}

/// The calls.
pub(super) fn calls() -> Calls {
    Calls::new()
        .get("/v1/processors", list, |call| {
            call.says("Lists the registered processors: how their lanes stand, what waits, how they answer")
                .answers::<Registered>(200, "The active registry.")
        })
        .get("/v1/processors/{id}", one, |call| {
            call.says("Shows one processor")
                .answers::<ProcessorView<'_>>(200, "The processor.")
        })
}

/// `GET /v1/processors`
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
) -> Result<Json<Registered>, Problem> {
    caller.check_unlimited()?;
    let active = api.engine.active()?;
    let lane_states = api.engine.lane_states(!caller.sees_no_free_text()).await?;
    // A registry is read as a whole, so all of it is one page.
    let processors = active.registry.processors.iter();
    let items = processors.map(|processor| shown(&api, processor, &lane_states));
    Ok(Json(Registered {
        page: Page {
            items: items.collect::<Result<_, _>>()?,
            next_cursor: None,
        },
        revision: active.revision,
    }))
}

/// `GET /v1/processors/{id}`
pub(super) async fn one(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    Lane(id): Lane,
) -> Result<Json<Box<RawValue>>, Problem> {
    caller.check_unlimited()?;
    let active = api.engine.active()?;
    let processor = active.registry.get(&id);
    let processor = processor.ok_or_else(|| Problem::unknown("processor"))?;
    let lane_states = api.engine.lane_states(!caller.sees_no_free_text()).await?;
    Ok(Json(shown(&api, processor, &lane_states)?))
}

fn shown(api: &Api, processor: &Processor, lane_states: &LaneStates) -> Result<Box<RawValue>, Problem> {
    let topic = processor.task_topic(&api.tasks_prefix);
    let shut = api.engine.lane(&processor.id);
    raw(&ProcessorView::of(processor, topic, shut, lane_states))
}
