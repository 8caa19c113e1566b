//! One request in full: its status, each task with its proof, and why it is not done yet.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::value::RawValue;

use super::{
    Api,
    auth::{Auditor, By, Caller, Reader},
    calls::Calls,
    lists::raw,
    problem::Problem,
    query::Id,
    requests::is_own,
};
use crate::{
    domain::ids::RequestId,
    engine::{Engine, questions::FullRequest},
    view::{
        explanation::Explanation,
        proofs::{Proofs, Tries},
        request::{DetailParts, RequestDetail},
    },
};

/// The calls.
pub(super) fn calls() -> Calls {
    Calls::new()
        .get("/v1/requests/{id}", one, |call| {
            call.says("Shows one request: is it done, and if not, why not?")
                .details("A submitter sees its own requests.")
                .answers::<RequestDetail<'_>>(200, "The request, with each task and its proof.")
        })
        .get("/v1/requests/{id}/explanation", explain, |call| {
            call.says("Tells all of one request: what happened, what will happen and when, what would finish it sooner")
                .answers::<Explanation<'_>>(200, "The explanation.")
        })
}

/// `GET /v1/requests/{id}/explanation`
pub(super) async fn explain(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    Id(id): Id<RequestId>,
) -> Result<Json<Box<RawValue>>, Problem> {
    let full = find(&api, &caller, id).await?;
    let engine = &api.engine;
    let decisions = engine.decisions_of(&full).await?;
    let tries = tries_of(engine, &caller, &full);
    let explained = engine.with_context(|context| {
        let bodies = engine.complaint_bodies();
        raw(&Explanation::of(
            &full,
            decisions,
            &tries,
            Some(&engine.vault),
            context,
            bodies,
        )?)
    })??;
    Ok(Json(explained))
}

/// Why tries have failed, for who may see what others have written.
pub(super) fn tries_of(engine: &Engine, caller: &Caller, full: &FullRequest) -> Tries {
    if caller.sees_no_free_text() {
        Tries::default()
    } else {
        Proofs::of(full, &engine.vault).tries()
    }
}

/// `GET /v1/requests/{id}`
pub(super) async fn one(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Reader>,
    Id(id): Id<RequestId>,
) -> Result<Json<Box<RawValue>>, Problem> {
    let full = find(&api, &caller, id).await?;
    let engine = &api.engine;
    let request = full.request();
    let decisions = engine.decisions_of(&full).await?;
    let lanes = engine.lanes_now();
    let parts = DetailParts {
        status: engine.status_of(request),
        decisions,
        vault: &engine.vault,
        lanes: &lanes.view(),
        free_text: !caller.sees_no_free_text(),
    };
    let detail = engine.with_context(|context| raw(&RequestDetail::of(&full, parts, context)?))??;
    Ok(Json(detail))
}

/// All of a request that this caller may see, with what is known now. One that it may not see does not exist for it.
pub(super) async fn find(api: &Api, caller: &Caller, id: RequestId) -> Result<FullRequest, Problem> {
    let engine = &api.engine;
    let full = engine.full_request(id).await?;
    let full = full.ok_or_else(|| Problem::unknown("request"))?;
    let request = full.request();
    if !caller.sees(&request.head.tenant) {
        return Err(Problem::unknown("request"));
    }
    if caller.sees_only_its_own() && !is_own(engine, id, &caller.name).await? {
        return Err(Problem::unknown("request"));
    }
    engine.refresh_facts().await?;
    Ok(full)
}
