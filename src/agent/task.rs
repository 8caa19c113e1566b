//! A task as an agent has it: what its message says, owned.

use crate::{
    domain::{
        identity::Identity,
        ids::{IdentityType, Label, ProcessorId, RequestId, TaskId},
        time::At,
        words::Action,
    },
    wire::task::TaskMessage,
};

/// A task that an agent has taken.
#[derive(Clone)]
pub struct Task {
    /// The task.
    pub id: TaskId,
    /// Its request.
    pub request: RequestId,
    /// The processor.
    pub processor: ProcessorId,
    /// The generation.
    pub generation: u32,
    /// The attempt.
    pub attempt: u32,
    /// What to do.
    pub action: Action,
    /// How to do it, where only one way will do.
    pub method: Option<String>,
    /// Whom it is about.
    pub identities: Vec<Identity>,
    /// What it is limited to; empty: nothing.
    pub categories: Vec<Label>,
    /// Data that was collected from then on may stay.
    pub data_before: At,
    /// When an answer is missed.
    pub respond_by: At,
    /// Where acks go on Kafka.
    pub ack_topic: String,
    /// What an ack brings.
    pub token: String,
    /// The message itself.
    pub raw: Vec<u8>,
}

/// Without whom it is about, and without its token.
impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id)
            .field("generation", &self.generation)
            .field("attempt", &self.attempt)
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

/// A message that is no task.
#[derive(Debug, thiserror::Error)]
#[error("no task: {0}")]
pub struct NoTask(String);

impl Task {
    /// Reads a message.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoTask> {
        // The parser's words may repeat a value, so only where it stopped is said.
        let message: TaskMessage<'_> = serde_json::from_slice(bytes).map_err(|error| {
            NoTask(format!(
                "expected a task message, as schemas/task.json has it (line {}, column {})",
                error.line(),
                error.column()
            ))
        })?;
        Ok(Self {
            id: message.task_id,
            request: message.request_id,
            processor: message.processor.into_owned(),
            generation: message.generation,
            attempt: message.attempt,
            action: message.action,
            method: message.method.map(std::borrow::Cow::into_owned),
            identities: message.identities.into_owned(),
            categories: message.scope.categories.into_owned(),
            data_before: message.data_before,
            respond_by: message.respond_by,
            ack_topic: message.ack.topic.into_owned(),
            token: message.ack.token.into_owned(),
            raw: bytes.to_vec(),
        })
    }

    /// The identifiers of a type.
    pub fn values<'a>(&'a self, kind: &'a IdentityType) -> impl Iterator<Item = &'a str> {
        let of_kind = self.identities.iter().filter(move |one| one.kind == *kind);
        of_kind.map(|one| one.value.expose())
    }

    /// What wants something destroyed in one way only is not done in another: the key of a backup not by deleting its rows.
    pub fn unknown_method(&self) -> Option<String> {
        let method = self.method.as_deref()?;
        Some(format!("this agent knows no {method}"))
    }

    /// Whether it concerns data of this category.
    pub fn concerns(&self, category: Option<&Label>) -> bool {
        match category {
            Some(category) => self.categories.is_empty() || self.categories.contains(category),
            None => true,
        }
    }
}
