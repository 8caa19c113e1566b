//! The messages that workers are given.

use std::sync::Arc;

use lacuna::{
    domain::ids::RequestId,
    engine::{
        Engine,
        prepare::{Arrival, PreparedAck, PreparedBackup, PreparedCommand},
    },
    lab::harness::arrivals,
    store::Origin,
    wire::command::Channel,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// What must never be seen anywhere but in messages to processors.
pub const CANARY: &str = "canary-7f3a91";

pub const COMMANDS: &str = "commands";
pub const ACKS: &str = "acks";

/// The n-th request.
pub fn id(n: u128) -> RequestId {
    RequestId(Uuid::from_u128(n))
}

pub fn origin_at(topic: &str, partition: i32, offset: i64) -> Origin {
    Origin {
        cluster: Arc::from("test"),
        topic: Arc::from(topic),
        partition,
        offset,
        incarnation: 0,
    }
}

/// The command that opens the n-th request.
pub fn erase(n: u128) -> Value {
    json!({
        "command_id": Uuid::from_u128(n), "type": "erase", "tenant": "acme", "reason": "account_closed",
        "subject": {"identities": [
            {"type": "email", "value": format!("{CANARY}-{n}@example.org")},
            {"type": "customer_id", "value": format!("{CANARY}-{n}")}
        ]},
        "metadata": {"ticket": format!("{CANARY} asked by post")},
    })
}

/// The command that withdraws the n-th request.
pub fn cancel(n: u128) -> Value {
    let command = Uuid::from_u128(n + 0xca00_0000);
    json!({ "command_id": command, "type": "cancel", "tenant": "acme", "request_id": Uuid::from_u128(n) })
}

/// An answer to a task, as its processor makes it from the message.
pub fn answer(task: &Value, outcome: &str) -> Value {
    json!({
        "request_id": task["request_id"], "task_id": task["task_id"], "generation": task["generation"],
        "attempt": task["attempt"], "processor": task["processor"], "token": task["ack"]["token"],
        "outcome": outcome, "message": format!("{CANARY} is gone"),
    })
}

pub fn command_from(engine: &Engine, origin: Option<Origin>, text: &str) -> Arrival<PreparedCommand> {
    let channel = if origin.is_some() {
        Channel::Commands
    } else {
        Channel::Http
    };
    arrivals::command(engine, origin, channel, text.as_bytes())
}

/// A command that was read from the control topic.
pub fn control_from(engine: &Engine, origin: Origin, command: &Value) -> Arrival<PreparedCommand> {
    arrivals::command(
        engine,
        Some(origin),
        Channel::Control,
        command.to_string().as_bytes(),
    )
}

/// A backup event that came over HTTP.
pub fn backup_from(engine: &Engine, event: &Value) -> Arrival<PreparedBackup> {
    arrivals::backup(engine, None, event.to_string().as_bytes())
}

pub fn ack_from(engine: &Engine, origin: Option<Origin>, ack: &Value) -> Arrival<PreparedAck> {
    arrivals::ack(engine, origin, ack.to_string().as_bytes())
}
