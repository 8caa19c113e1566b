//! Pause, resume and brake: operators stop lanes, and have them go on.

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap};
use serde_json::value::RawValue;

use super::{
    Api,
    auth::{Auditor, By, Caller, Operator},
    body::Payload,
    calls::Calls,
    lists::raw,
    problem::Problem,
    query::Lane,
    repeats,
};
use crate::{
    domain::ids::ProcessorId,
    engine::stop::{LaneAction, LaneChange, reason_of},
    store::StoredFact,
    view::stop::{StopView, in_force},
    wire::{api, schemas::bodies},
};

/// The calls.
pub(super) fn calls() -> Calls {
    const CONFLICT: &str = "The same key came before with another content.";
    Calls::new()
        .post("/v1/processors/{id}/pause", pause, |call| {
            call.says("Stops the lane of a processor: nothing new is sent to it")
                .repeatable()
                .body::<bodies::RequiredReasonBody>()
                .answers::<StopView<'_>>(200, "The lane is paused, by this call or by who did it first.")
                .problem(409, "conflicting_duplicate", CONFLICT)
        })
        .post("/v1/processors/{id}/resume", resume, |call| {
            call.says("Has the lane of a processor go on")
                .repeatable()
                .optional_body::<bodies::ReasonBody>()
                .answers::<StopView<'_>>(200, "The lane goes on.")
                .problem(409, "conflicting_duplicate", CONFLICT)
        })
        .get("/v1/brake", show_brake, |call| {
            call.says("Whether the brake is on, since when, by whom and why")
                .answers::<StopView<'_>>(200, "How it stands.")
        })
        .post("/v1/brake", brake, |call| {
            call.says("Stops everything: nothing new is sent to anybody")
                .repeatable()
                .body::<bodies::RequiredReasonBody>()
                .answers::<StopView<'_>>(200, "The brake is on.")
                .problem(409, "conflicting_duplicate", CONFLICT)
        })
        .delete("/v1/brake", unbrake, |call| {
            call.says("Has everything go on, but for lanes that are paused")
                .repeatable()
                .optional_body::<bodies::ReasonBody>()
                .answers::<StopView<'_>>(200, "The brake is off.")
                .problem(409, "conflicting_duplicate", CONFLICT)
        })
}

/// `POST /v1/processors/{id}/pause`
pub(super) async fn pause(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Operator>,
    Lane(id): Lane,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Json<Box<RawValue>>, Problem> {
    let stored = change_lane(&api, Some(&id), LaneAction::Stop, &headers, &caller, &bytes).await?;
    shown(&api, &caller, Some(&id), stored.as_ref()).await
}

/// `POST /v1/processors/{id}/resume`
pub(super) async fn resume(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Operator>,
    Lane(id): Lane,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Json<Box<RawValue>>, Problem> {
    let stored = change_lane(&api, Some(&id), LaneAction::Resume, &headers, &caller, &bytes).await?;
    shown(&api, &caller, Some(&id), stored.as_ref()).await
}

/// `POST /v1/brake`
pub(super) async fn brake(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Operator>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Json<Box<RawValue>>, Problem> {
    let stored = change_lane(&api, None, LaneAction::Stop, &headers, &caller, &bytes).await?;
    shown(&api, &caller, None, stored.as_ref()).await
}

/// `DELETE /v1/brake`
pub(super) async fn unbrake(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Operator>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Json<Box<RawValue>>, Problem> {
    let stored = change_lane(&api, None, LaneAction::Resume, &headers, &caller, &bytes).await?;
    shown(&api, &caller, None, stored.as_ref()).await
}

/// `GET /v1/brake`
pub(super) async fn show_brake(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
) -> Result<Json<Box<RawValue>>, Problem> {
    caller.check_unlimited()?;
    let facts = api.engine.refresh_facts().await?;
    let stored = match in_force(None, facts.stops()) {
        Some(stopped) => api.engine.fact_of(stopped).await?,
        None => None,
    };
    shown(&api, &caller, None, stored.as_ref()).await
}

/// Stops a lane or has it go on, whichever channel the decision came through. A lane is nobody's alone, so a bearer of one tenant
/// does not move it.
pub(super) async fn change_lane(
    api: &Api,
    lane: Option<&ProcessorId>,
    action: LaneAction,
    headers: &HeaderMap,
    caller: &Caller,
    bytes: &[u8],
) -> Result<Option<StoredFact>, Problem> {
    let (what, reason) = match action {
        LaneAction::Stop => ("stop", Some(api::parse_required_reason(bytes)?)),
        LaneAction::Resume => ("go on", api::parse_reason(bytes)?),
    };
    caller.check_unlimited()?;
    let what = lane.map_or_else(|| what.to_owned(), |lane| format!("{what} {lane}"));
    let tenant = &api.engine.tenant_default;
    let once = repeats::of_many(api, caller, headers, (&what, tenant), bytes)?;
    let change = LaneChange {
        lane,
        action,
        actor: &caller.name,
        reason: reason.as_deref(),
        once: once.as_ref(),
    };
    Ok(api.engine.change_lane(&change).await?)
}

async fn shown(
    api: &Api,
    caller: &Caller,
    lane: Option<&ProcessorId>,
    stored: Option<&StoredFact>,
) -> Result<Json<Box<RawValue>>, Problem> {
    let engine = &api.engine;
    let reason = stored
        .filter(|_| !caller.sees_no_free_text())
        .and_then(|stored| reason_of(&engine.vault, stored));
    let facts = engine.facts();
    let out = match in_force(lane, facts.stops()) {
        Some(_) => engine.out_now(lane).await?,
        None => (Vec::new(), false),
    };
    let circuit = match lane {
        Some(lane) => engine.open_circuit_of(lane).await?,
        None => None,
    };
    let view = StopView::of(lane, stored, facts.stops(), reason, circuit.as_ref(), Some(out));
    Ok(Json(raw(&view)?))
}
