//! What machines read of calls by upstreams, in `/openapi.json`. Their paths are those of the configuration.

use std::sync::Arc;

use schemars::JsonSchema;
use serde_json::Value;
use uuid::Uuid;

use super::{
    super::calls::{Call, Needs},
    HttpSource,
};
use crate::{
    config::{Scheme, Signature},
    domain::source::Format,
};

/// It was taken.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what is written without it")]
struct TakenEvent {
    /// The id of the command that it became.
    command_id: Uuid,
    /// The request that this is about, where it is about one.
    request_id: Option<Uuid>,
}

/// It is none of those that are taken.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what is written without it")]
struct SkippedEvent {
    /// Always true.
    skipped: bool,
    /// Why.
    why: String,
}

/// The calls of these sources.
pub(in super::super) fn described(sources: &[Arc<HttpSource>]) -> Vec<Call> {
    sources.iter().map(|source| call_of(source)).collect()
}

fn call_of(source: &HttpSource) -> Call {
    let needs = Needs {
        body: true,
        ..Needs::default()
    };
    let format = source
        .reader
        .sources()
        .first()
        .map(|source| source.definition.format);
    let call = Call::new("post", kept(source.path.clone()), needs)
        .says(kept(format!("Takes an event of source {}", source.name)))
        .details("No bearer token is needed: the signature is the proof. A repeat changes nothing.")
        .answers::<TakenEvent>(202, "It is taken, now or before.")
        .answers::<SkippedEvent>(200, "It is none of those that are taken.")
        .problem(
            401,
            "forged_signature",
            "The signature is missing, wrong or too old.",
        )
        .problem(409, "conflicting_duplicate", "Another event has had this id.")
        .problem(422, "unmapped", "It is to be taken and cannot be mapped.")
        .problem(422, "no_processor", "No processor has such data.");
    signed(call, &source.signature).body_in::<Value>(media(format))
}

fn signed(call: Call, signature: &Signature) -> Call {
    if signature.scheme != Scheme::StandardWebhooks {
        let text = match signature.scheme {
            Scheme::Token => "The secret that was agreed on.",
            _ => "The signature of the body.",
        };
        return call.header::<String>(kept(signature.header.clone()), text);
    }
    call.header::<String>("webhook-id", "The id of the event, the same whenever it is sent.")
        .header::<String>("webhook-timestamp", "When it was signed, in seconds since 1970.")
        .header::<String>(
            "webhook-signature",
            "Signatures of the id, the time and the body.",
        )
}

fn media(format: Option<Format>) -> &'static str {
    match format {
        Some(Format::CloudEvents) => "application/cloudevents+json",
        Some(format) if format.names_schemas() => "application/octet-stream",
        _ => "application/json",
    }
}

/// Sources are read once, when the worker starts, so that this is a handful of texts.
fn kept(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}
