//! The registered processors and how much work each has.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Api,
    auth::{Auditor, By},
    lists::raw,
    problem::Problem,
    query::Page,
};
use crate::{domain::registry::RegistryRevision, view::processor::ProcessorView};

/// The registry as it is active.
#[derive(Debug, Serialize)]
pub(super) struct Registered {
    #[serde(flatten)]
    page: Page<Box<RawValue>>,
    /// The registry's revision.
    revision: RegistryRevision,
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
    // A registry is read as a whole, so all of it is one page.
    let items = active.registry.processors.iter().map(|processor| {
        let topic = processor.task_topic(&api.tasks_prefix);
        raw(&ProcessorView::of(
            processor,
            topic,
            engine.lane(&processor.id),
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
