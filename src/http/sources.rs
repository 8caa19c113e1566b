//! Upstreams that call: each source over HTTP has a path of its own, and the signature of a call is its proof.
//!
//! Nothing of a call is looked at before its signature is verified over the bytes as they came. What it then says becomes a
//! command, and goes the way of commands.

mod signature;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::json;

use super::{
    Api,
    body::Payload,
    problem::Problem,
    requests::{SubmitOutcome, traced},
};
use crate::{
    config::Signature,
    domain::{source::Source, words::DeadLetterReason},
    engine::prepare::Arrival,
    transport::schema_registry::SchemaRegistry,
    wire::{
        Envelope, Rejection,
        source::{Carrier, Event, Outcome, framed, read},
    },
};

/// A source that calls.
#[derive(Debug)]
pub struct HttpSource {
    /// What its events become.
    pub definition: Arc<Source>,
    /// Its name, for its commands.
    pub name: Arc<str>,
    /// Where it calls.
    pub path: String,
    /// How its calls are signed.
    pub signature: Signature,
    /// Who has the schemas that its events name.
    pub registry: Option<Arc<SchemaRegistry>>,
}

/// The routes of these sources, beside those of the API. The configuration lets them lie only where nothing of Lacuna's own does.
pub(super) fn routes(sources: &[Arc<HttpSource>]) -> Router<Arc<Api>> {
    let mut router = Router::new();
    for source in sources {
        let called = {
            let source = Arc::clone(source);
            move |State(api): State<Arc<Api>>, headers: HeaderMap, Payload(bytes): Payload| async move {
                take(&source, &api, &headers, &bytes).await
            }
        };
        router = router.route(&source.path, post(called));
    }
    router
}

/// `POST` to the path of a source.
async fn take(
    source: &HttpSource,
    api: &Api,
    headers: &HeaderMap,
    bytes: &[u8],
) -> Result<Response, Problem> {
    let count = |result| api.engine.metrics.source_event(&source.name, result);
    if let Err(forged) = signature::verify(&source.signature, headers, bytes, api.engine.clock.now()) {
        count("forged");
        api.engine
            .metrics
            .auth_failures
            .with_label_values(&["signature"])
            .inc();
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "forged_signature",
            forged.to_string(),
        ));
    }
    let named = headers
        .iter()
        .map(|(name, value)| (name.as_str(), Some(value.as_bytes())));
    let event = Event::new(named, Some(bytes), Carrier::Call);
    let outcome = match &source.registry {
        Some(registry) => by_schema(source, registry, &event, bytes).await?,
        None => read(&source.definition, &event, None),
    };
    let command = match outcome {
        Outcome::Command(command) => command,
        Outcome::Skipped(skip) => {
            count("skipped");
            return Ok(Json(json!({ "skipped": true, "why": skip.to_string() })).into_response());
        }
        Outcome::Refused(rejection) => {
            count("refused");
            return Err(rejection.into());
        }
    };
    let taken = carry_out(source, api, headers, &event, &command).await;
    count(if taken.is_ok() { "taken" } else { "refused" });
    taken
}

/// Reads an event by the schema that it names.
async fn by_schema(
    source: &HttpSource,
    registry: &SchemaRegistry,
    event: &Event<'_>,
    bytes: &[u8],
) -> Result<Outcome, Problem> {
    let id = match framed(bytes) {
        Ok(framed) => framed.id,
        Err(rejection) => return Ok(Outcome::Refused(rejection)),
    };
    match registry.schema(id, source.definition.template.kind).await {
        Ok(Ok(schema)) => Ok(read(&source.definition, event, Some(&schema))),
        Ok(Err(rejection)) => Ok(Outcome::Refused(rejection)),
        Err(away) => {
            tracing::warn!(source = %source.name, %away, "a call could not be read");
            Err(Problem::unavailable(
                "the schema registry cannot be used just now",
            ))
        }
    }
}

async fn carry_out(
    source: &HttpSource,
    api: &Api,
    headers: &HeaderMap,
    event: &Event<'_>,
    command: &[u8],
) -> Result<Response, Problem> {
    let engine = &api.engine;
    let mut envelope = Envelope::bare(&engine.tenant_default);
    envelope.traceparent = event.header("traceparent");
    let prepared = engine.intake().prepare_mapped(command, &envelope, &source.name)?;
    let command_id = prepared.command.command_id();
    let names_request = prepared.command.request_id().is_some();
    let arrival = traced(engine, Arrival::of_call(prepared), headers);
    match api.commands.take(arrival).await? {
        SubmitOutcome::Taken(request_id, _) => {
            let mut said = json!({ "command_id": command_id });
            if names_request {
                said["request_id"] = json!(request_id);
            }
            Ok((StatusCode::ACCEPTED, Json(said)).into_response())
        }
        SubmitOutcome::Rejected(rejection) => Err(refused(rejection)),
    }
}

/// What an upstream can do nothing about is a mistake of the mapping, whatever it would be called in a command.
fn refused(rejection: Rejection) -> Problem {
    match rejection.reason {
        DeadLetterReason::Schema => Rejection::new(DeadLetterReason::Unmapped, rejection.detail).into(),
        _ => rejection.into(),
    }
}
