//! Tests of the messages: bad inputs by table, the examples, and properties.

mod accepted;
mod bad_inputs;
mod examples;
mod holds;
mod properties;

use std::path::PathBuf;

use serde_json::Value;

use super::{
    Channel, Envelope, Rejection, dead_letter::DeadLetterHeaders, parse_ack, parse_backup, parse_command,
    report::Report, status::StatusMessage, suppression::SuppressionMessage, task::TaskMessage,
};
use crate::domain::{ids::Tenant, words::DeadLetterReason};

fn tenant() -> Tenant {
    Tenant::new("default").unwrap()
}

fn schemas_directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

/// An example: the schema that it belongs to, its file name and its document.
struct Example {
    schema: String,
    name: String,
    document: Value,
}

fn examples() -> Vec<Example> {
    let mut examples: Vec<_> = std::fs::read_dir(schemas_directory().join("examples"))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let document = serde_json::from_slice(&std::fs::read(entry.path()).unwrap()).unwrap();
            Example {
                schema: name.split('.').next().unwrap().to_owned(),
                name,
                document,
            }
        })
        .collect();
    examples.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(examples.len() > 30);
    examples
}

fn example(name: &str) -> Value {
    let path = schemas_directory().join("examples").join(format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The channel that a command of this type belongs to.
fn channel_of(document: &Value) -> Channel {
    match document["type"].as_str() {
        Some(
            "verify_identity" | "approve" | "refuse" | "extend" | "hold" | "release" | "supply_identities",
        ) => Channel::Control,
        _ => Channel::Commands,
    }
}

/// Reads a document as what this schema describes; a command whose only fault is that it is not carried out yet is fine.
fn parse_as(schema: &str, document: &Value) -> Result<(), Rejection> {
    let tenant = tenant();
    let mut envelope = Envelope::bare(&tenant);
    envelope.ce_id = Some("1".into());
    envelope.ce_source = Some("test".into());
    let text = document.to_string();
    let text = text.as_bytes();
    let other = |error: serde_json::Error| Rejection::schema(error.to_string());
    match schema {
        "command" => match parse_command(text, &envelope, channel_of(document)) {
            Err(rejection) if rejection.detail == "type: this version does not carry it out yet" => Ok(()),
            other => other.map(drop),
        },
        "ack" => parse_ack(text, &envelope).map(drop),
        "backup" => parse_backup(text, &envelope).map(drop),
        "task" => serde_json::from_slice::<TaskMessage<'_>>(text)
            .map(drop)
            .map_err(other),
        "status" => serde_json::from_slice::<StatusMessage<'_>>(text)
            .map(drop)
            .map_err(other),
        "report" => serde_json::from_slice::<Report>(text).map(drop).map_err(other),
        "suppression" => serde_json::from_slice::<SuppressionMessage<'_>>(text)
            .map(drop)
            .map_err(other),
        "dead_letter" => {
            let headers = document.as_object().unwrap().iter();
            DeadLetterHeaders::read(headers.map(|(k, v)| (k.as_str(), v.as_str().map(str::as_bytes))))
                .map(drop)
                .ok_or_else(|| Rejection::new(DeadLetterReason::Schema, "headers"))
        }
        other => panic!("no parser for {other}"),
    }
}
