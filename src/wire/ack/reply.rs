//! An ack that is the answer to a call: what it leaves out is known from the task that was sent.

use serde_json::{Map, Value, map::Entry};

use super::parse;
use crate::{
    domain::{
        ack::Ack,
        ids::{ProcessorId, RequestId, TaskId},
    },
    wire::{rejection::Rejection, validate},
};

/// What was sent, and has to be what is answered.
#[derive(Debug, Clone, Copy)]
pub struct AskedTask<'a> {
    /// The request.
    pub request: RequestId,
    /// The task.
    pub task: TaskId,
    /// Its generation.
    pub generation: u32,
    /// The attempt.
    pub attempt: u32,
    /// Who was asked.
    pub processor: &'a ProcessorId,
    /// The token of the task's message.
    pub token: &'a str,
}

/// Why an answer is no ack of the task that was sent. It repeats nothing of the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAck {
    /// It says of itself that it is something else.
    #[error("its content-type is not application/json")]
    ContentType,
    /// It cannot be read.
    #[error("{}", .0.detail)]
    Unreadable(Rejection),
    /// It does not say what came of the task.
    #[error("it has no outcome")]
    NoOutcome,
    /// It is of something else.
    #[error("its {0} is not that of the task")]
    OtherTask(&'static str),
}

/// Reads the body of an answer.
pub fn parse_reply(bytes: &[u8], asked: &AskedTask<'_>) -> Result<Ack, NoAck> {
    let text = validate::check(bytes).map_err(NoAck::Unreadable)?.text();
    let mut fields: Map<String, Value> =
        serde_json::from_str(text).map_err(|_| NoAck::Unreadable(Rejection::schema("expected an object")))?;
    if fields.get("outcome").is_none_or(Value::is_null) {
        return Err(NoAck::NoOutcome);
    }
    for (name, value) in [
        ("request_id", Value::String(asked.request.to_string())),
        ("task_id", Value::String(asked.task.to_string())),
        ("generation", asked.generation.into()),
        ("attempt", asked.attempt.into()),
        ("processor", Value::String(asked.processor.to_string())),
        ("token", Value::String(asked.token.to_owned())),
    ] {
        match fields.entry(name) {
            Entry::Vacant(field) => {
                field.insert(value);
            }
            Entry::Occupied(mut field) if field.get().is_null() => {
                field.insert(value);
            }
            Entry::Occupied(field) if is_same(name, field.get(), &value) => {}
            Entry::Occupied(_) => return Err(NoAck::OtherTask(name)),
        }
    }
    let whole = Value::Object(fields).to_string();
    parse(whole.as_bytes()).map_err(NoAck::Unreadable)
}

/// Ids are read in either case.
fn is_same(name: &str, given: &Value, asked: &Value) -> bool {
    match (name, given, asked) {
        ("request_id" | "task_id", Value::String(given), Value::String(asked)) => {
            given.eq_ignore_ascii_case(asked)
        }
        _ => given == asked,
    }
}
