//! What an event of a script does.

use serde_json::Value;

use super::{environment::Topic, system_answer::Answers, upstream::UpstreamEvent};

/// Something that happens.
#[derive(Debug, Clone)]
pub(super) enum Outgoing {
    /// Messages of a topic.
    Topic(Topic, Vec<Value>),
    /// A call over HTTP.
    Call(Call),
    /// An operator's decision about a task: `retry` or `waive`.
    Decision {
        /// The task, as the script calls it.
        task: String,
        /// What is decided.
        what: String,
    },
    /// What a person says of a task that people do: `claim` or `confirm`.
    Person {
        /// The task, as the script calls it.
        task: String,
        /// The name of the person's token.
        bearer: String,
        /// What is said.
        what: String,
        /// With which body.
        body: String,
    },
    /// What the calls of a system are answered from now on.
    Answer {
        /// The processor.
        system: String,
        /// What it answers.
        answers: Answers,
    },
    /// An upstream says something in its own words.
    Event(UpstreamEvent),
    /// Another registry.
    Registry(String),
}

/// A call over HTTP.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// The name of a token, or `-`: nobody's.
    pub bearer: String,
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The body; empty: none.
    pub body: String,
}
