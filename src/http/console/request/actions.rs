//! The forms of a request's page, carried out: each is the call of the API, with the fields of the form as its body.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    super::{
        super::{
            Api,
            auth::{Compliance, Operator},
            decisions, holds,
            problem::Problem,
            query::Id,
            requests, tasks,
        },
        fault::Fault,
        parts::{failed_page, flash, form::body, not_done},
        posted::Posted,
        visitor::Visitor,
    },
    render,
};
use crate::{
    domain::ids::{HoldId, RequestId, TaskId},
    engine::operations::TaskDecision,
    wire::DecisionKind,
};

/// What these forms have.
#[derive(Deserialize)]
pub(super) struct Fields {
    command_id: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    basis: String,
    #[serde(default)]
    processor: String,
    #[serde(default)]
    result: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    hold_id: Uuid,
    #[serde(default)]
    task: Uuid,
}

impl Fields {
    /// What most of them send: the key of the form, and why.
    fn with_reason(&self) -> Vec<u8> {
        body(&[("command_id", &self.command_id), ("reason", &self.reason)])
    }
}

/// Back to the page, with what was done or with why nothing was.
async fn shown<R>(
    api: &Api,
    visitor: &Visitor<R>,
    id: RequestId,
    done: Result<&str, Problem>,
) -> Result<Response, Fault> {
    match done {
        Ok(word) => Ok(flash::back(&format!("/requests/{id}"), word)),
        Err(problem) => {
            if problem.said().0 == StatusCode::NOT_FOUND {
                return Err(problem.into());
            }
            let page = render(api, visitor, id, &not_done(&problem)).await?;
            Ok(failed_page(&problem, page))
        }
    }
}

async fn decide(
    api: &Api,
    visitor: &Visitor<Compliance>,
    id: RequestId,
    kind: DecisionKind,
    word: &str,
    bytes: &[u8],
) -> Result<Response, Fault> {
    let done = decisions::carry_out(api, id, &HeaderMap::new(), kind, &visitor.caller, bytes).await;
    shown(api, visitor, id, done.map(|_| word)).await
}

/// `POST /requests/{id}/approve`
pub(super) async fn approve(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Compliance>,
    Id(id): Id<RequestId>,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    let bytes = form.with_reason();
    decide(&api, &visitor, id, DecisionKind::Approve, "approve", &bytes).await
}

/// `POST /requests/{id}/refuse`
pub(super) async fn refuse(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Compliance>,
    Id(id): Id<RequestId>,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    let bytes = body(&[
        ("command_id", &form.command_id),
        ("reason", &form.reason),
        ("basis", &form.basis),
        ("processor", &form.processor),
    ]);
    let word = if form.processor.is_empty() {
        "refuse"
    } else {
        "refuse-processor"
    };
    decide(&api, &visitor, id, DecisionKind::Refuse, word, &bytes).await
}

/// `POST /requests/{id}/verify-identity`
pub(super) async fn verify_identity(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Compliance>,
    Id(id): Id<RequestId>,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    let method = form.method.trim().to_lowercase().replace([' ', '-'], "_");
    let bytes = body(&[
        ("command_id", &form.command_id),
        ("result", &form.result),
        ("method", &method),
    ]);
    let word = "verify-identity";
    decide(&api, &visitor, id, DecisionKind::VerifyIdentity, word, &bytes).await
}

/// `POST /requests/{id}/extend`
pub(super) async fn extend(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Compliance>,
    Id(id): Id<RequestId>,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    let bytes = form.with_reason();
    decide(&api, &visitor, id, DecisionKind::Extend, "extend", &bytes).await
}

/// `POST /requests/{id}/cancel`
pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Compliance>,
    Id(id): Id<RequestId>,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    let bytes = form.with_reason();
    let done = requests::withdraw(&api, id, &HeaderMap::new(), &visitor.caller, &bytes).await;
    shown(&api, &visitor, id, done.map(|_| "cancel")).await
}

/// `POST /requests/{id}/hold`
pub(super) async fn hold(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Compliance>,
    Id(id): Id<RequestId>,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    visitor.caller.check_request(&api.engine, id).await?;
    let request = api.engine.request(id).await?;
    let request = request.ok_or_else(|| Problem::unknown("request"))?;
    let hold = json!({
        "command_id": form.command_id,
        "tenant": request.head.tenant,
        "basis": form.basis,
        "request_id": id,
        "note": form.reason,
    });
    let bytes = hold.to_string();
    let done = holds::set(&api, &HeaderMap::new(), &visitor.caller, bytes.as_bytes()).await;
    shown(&api, &visitor, id, done.map(|_| "hold")).await
}

/// `POST /requests/{id}/release`
pub(super) async fn release(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Compliance>,
    Id(id): Id<RequestId>,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    visitor.caller.check_request(&api.engine, id).await?;
    let request = api.engine.request(id).await?;
    let request = request.ok_or_else(|| Problem::unknown("request"))?;
    let bytes = body(&[("command_id", &form.command_id), ("note", &form.reason)]);
    let tenant = &request.head.tenant;
    let (headers, caller) = (HeaderMap::new(), &visitor.caller);
    let done = holds::lift(&api, HoldId(form.hold_id), tenant, &headers, caller, &bytes).await;
    shown(&api, &visitor, id, done.map(|()| "release")).await
}

/// `POST /requests/{id}/retry`
pub(super) async fn retry(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Operator>,
    Id(id): Id<RequestId>,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    about_task(&api, &visitor, id, TaskDecision::Retry, &form).await
}

/// `POST /requests/{id}/waive`
pub(super) async fn waive(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Operator>,
    Id(id): Id<RequestId>,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    about_task(&api, &visitor, id, TaskDecision::Waive, &form).await
}

async fn about_task(
    api: &Api,
    visitor: &Visitor<Operator>,
    id: RequestId,
    decision: TaskDecision,
    form: &Fields,
) -> Result<Response, Fault> {
    let word = match decision {
        TaskDecision::Retry => "retry",
        TaskDecision::Waive => "waive",
    };
    let bytes = form.with_reason();
    let (task, headers) = (TaskId(form.task), HeaderMap::new());
    let done = tasks::carry_out(api, task, &headers, decision, &visitor.caller, &bytes).await;
    shown(api, visitor, id, done.map(|_| word)).await
}
