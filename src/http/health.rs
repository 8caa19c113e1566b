//! What machines ask: is it alive, is it ready, how is it doing.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde_json::{Value, json};

use super::{
    Api,
    calls::Calls,
    problem::{FieldError, Problem},
};

/// How long the store is waited for: well below the ten seconds after which Prometheus and probes give up.
const PATIENCE: Duration = Duration::from_secs(2);

/// The calls.
pub(super) fn calls() -> Calls {
    Calls::new()
        .get("/metrics", metrics, |call| {
            call.says("The metrics, for Prometheus").answers_in(
                200,
                "text/plain; version=0.0.4; charset=utf-8",
                "The metrics.",
            )
        })
        .get("/healthz", alive, |call| {
            call.says("Whether the process lives")
                .answers::<Health>(200, "It does.")
        })
        .get("/readyz", ready, |call| {
            call.says("Whether it can do its work")
                .answers::<Health>(200, "It can.")
                .problem(503, "not_ready", "It cannot; `errors` says why.")
        })
}

/// How it is.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what is written without it")]
struct Health {
    /// `ok` or `ready`.
    status: String,
    /// What runs now and then, with its last success.
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Value>,
}

/// `GET /healthz`
pub(super) async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /readyz`
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Result<Json<Value>, Problem> {
    let mut problems = api.readiness.problems();
    problems.extend(api.engine.fitness(PATIENCE).await.problems);
    if problems.is_empty() {
        let tasks = api.readiness.tasks();
        return Ok(Json(if tasks.is_empty() {
            json!({ "status": "ready" })
        } else {
            json!({ "status": "ready", "tasks": tasks })
        }));
    }
    let errors: Vec<FieldError> = problems
        .into_iter()
        .map(|(part, detail)| FieldError {
            field: part.to_owned(),
            detail,
        })
        .collect();
    let parts: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    let detail = format!("not ready: {}", parts.join(", "));
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", detail).with_errors(errors))
}

/// `GET /metrics`: what is known. Nobody who asks makes the store work.
pub(super) async fn metrics(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    let text = api.engine.metrics.text().map_err(|error| {
        tracing::error!(%error, "the metrics cannot be written");
        Problem::internal()
    })?;
    Ok((
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response())
}
