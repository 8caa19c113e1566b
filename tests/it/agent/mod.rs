//! The agent: real databases, real topics, real programs, a real worker.

mod commands;
mod configuration;
pub mod databases;
mod erasing;
mod guide;
mod mistakes;
mod objects;
mod proofs;
mod source;
mod topics;

use lacuna::agent::Task;
use serde_json::{Value, json};
use uuid::Uuid;

/// A task message about somebody.
pub fn message(action: &str, identities: &[(&str, &str)]) -> Value {
    let identities: Vec<Value> = identities
        .iter()
        .map(|(kind, value)| json!({ "type": kind, "value": value }))
        .collect();
    json!({
        "task_id": Uuid::now_v7(), "request_id": Uuid::now_v7(), "processor": "shop-db", "generation": 1, "attempt": 1,
        "action": action, "tenant": "acme", "identities": identities, "scope": { "purposes": [], "categories": [] },
        "reason": "account_closed", "data_before": "2026-11-21T10:00:00Z", "respond_by": "2026-12-01T10:00:00Z",
        "deadline": "2026-12-21T10:00:00Z", "ack": { "topic": "lacuna.acks", "url": null, "token": "t" }
    })
}

/// The same, as an agent has read it.
pub fn task(action: &str, identities: &[(&str, &str)]) -> Task {
    read(&message(action, identities))
}

/// As an agent reads a message.
pub fn read(message: &Value) -> Task {
    Task::parse(message.to_string().as_bytes()).unwrap()
}
