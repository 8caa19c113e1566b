//! What machines ask: is it alive, is it ready, how is it doing.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    Api,
    problem::{FieldError, Problem},
};

/// How long the store is waited for: well below the ten seconds after which Prometheus and probes give up.
const PATIENCE: Duration = Duration::from_secs(2);

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
