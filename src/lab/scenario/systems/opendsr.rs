//! A vendor that speaks OpenDSR, built from the specification: it takes requests, and says how they stand when it is asked.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Called, Stuck};
use crate::{
    domain::{
        ids::TaskId,
        registry::{HttpAuth, OpenDsr},
        time::At,
    },
    wire::opendsr::subject_request_id,
};

/// How long the specification's own example takes.
const TERM: Duration = Duration::from_secs(30 * 24 * 3600);

/// A request, as the vendor has it.
#[derive(Debug)]
pub(super) struct SubjectRequest {
    pub(super) identities: Value,
    received: At,
    status: &'static str,
}

/// Takes a request, or says how one stands.
pub(super) fn answer(
    called: &Called,
    dsr: &OpenDsr,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Response {
    if let HttpAuth::Bearer { token } = &dsr.auth
        && headers
            .get(header::AUTHORIZATION)
            .is_none_or(|sent| *sent != format!("Bearer {}", token.0))
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let asked = path
        .rsplit_once("/requests")
        .map(|(_, id)| id.trim_start_matches('/'));
    match asked {
        Some("") if method == Method::POST => take(called, body),
        Some(id) if method == Method::GET => status(called, id),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn take(called: &Called, body: &[u8]) -> Response {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let id = request["subject_request_id"].as_str();
    let (Some(id), "erasure") = (id, request["subject_request_type"].as_str().unwrap_or_default()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let now = called.clock.now();
    let mut state = called.state();
    let known = state
        .requests
        .entry(id.to_owned())
        .or_insert_with(|| SubjectRequest {
            identities: request["subject_identities"].clone(),
            received: now,
            status: "pending",
        });
    let created = json!({
        "controller_id": "the-policy",
        "expected_completion_time": known.received.plus(TERM),
        "received_time": known.received,
        "encoded_request": STANDARD.encode(body),
        "subject_request_id": id,
        "api_version": "2.0",
    });
    (StatusCode::CREATED, Json(created)).into_response()
}

fn status(called: &Called, id: &str) -> Response {
    let state = called.state();
    let Some(known) = state.requests.get(id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let answer = json!({
        "controller_id": "the-policy",
        "expected_completion_time": known.received.plus(TERM),
        "subject_request_id": id,
        "request_status": known.status,
        "api_version": "2.0",
    });
    Json(answer).into_response()
}

/// From now on it says this of a task's request. It has no word for a failure, nor for what it did.
pub(super) fn say(called: &Called, ack: &Value) -> Result<(), Stuck> {
    let status = match ack["outcome"].as_str() {
        Some("accepted") => "in_progress",
        Some("erased") => "completed",
        Some("rejected") => "cancelled",
        other => {
            let other = other.unwrap_or_default();
            return Err(Stuck::Fell(format!("OpenDSR has no word for {other}")));
        }
    };
    let id = request_of(ack).ok_or_else(|| Stuck::Fell("an answer without a task".to_owned()))?;
    match called.state().requests.get_mut(&id.to_string()) {
        Some(known) => known.status = status,
        None => return Err(Stuck::Fell("a request that has never come in".to_owned())),
    }
    Ok(())
}

/// The id that a task's request has at a vendor.
pub(in crate::lab::scenario) fn request_of(task: &Value) -> Option<Uuid> {
    let id: Uuid = task["task_id"].as_str()?.parse().ok()?;
    let generation = u32::try_from(task["generation"].as_u64()?).ok()?;
    Some(subject_request_id(TaskId(id), generation))
}
