//! Upstreams that call: each source over HTTP has a path of its own, and the signature of a call is its proof.
//!
//! Nothing of a call is looked at before its signature is verified over the bytes as they came. What it then says becomes a
//! command, and goes the way of commands.

mod description;
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

pub(super) use self::description::described;

use super::{
    Api,
    body::Payload,
    problem::Problem,
    requests::{SubmitOutcome, traced},
};
use crate::{
    config::Signature,
    domain::words::DeadLetterReason,
    engine::prepare::Arrival,
    transport::event_reader::EventReader,
    wire::{
        Envelope, Rejection,
        source::{Carrier, Event},
    },
};

/// A source that calls.
#[derive(Debug)]
pub struct HttpSource {
    /// Its name, for its commands.
    pub name: Arc<str>,
    /// Where it calls.
    pub path: String,
    /// How its calls are signed.
    pub signature: Signature,
    /// What its events become.
    pub reader: EventReader,
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
    let headers_count = source.signature.scheme.covers_headers();
    let event = Event::new(named, Some(bytes), Carrier::Call { headers_count });
    let heard = source.reader.read(&event).await.map_err(|away| {
        tracing::warn!(source = %source.name, %away, "a call could not be read");
        count("unavailable");
        Problem::unavailable("the schema registry cannot be used just now")
    })?;
    let command = match heard.taken {
        Some((_, command)) => command.map_err(|rejection| {
            count("refused");
            Problem::from(rejection)
        })?,
        None => {
            count("skipped");
            let whys = heard.skipped.iter().map(|(_, skip)| skip.to_string());
            let why = whys.collect::<Vec<_>>().join("; ");
            return Ok(Json(json!({ "skipped": true, "why": why })).into_response());
        }
    };
    let taken = carry_out(source, api, headers, &event, &command).await;
    count(match &taken {
        Ok(_) => "taken",
        Err(problem) if problem.is_unavailable() => "unavailable",
        Err(_) => "refused",
    });
    taken
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
