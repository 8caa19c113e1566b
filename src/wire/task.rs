//! Tasks: what a processor is asked to do.
//!
//! This is the one message that carries identifiers outwards. It must never be logged; its `Debug` shows none.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::opening::IdentityFields;
use crate::domain::{
    identity::Identity,
    ids::{Label, ProcessorId, RequestId, TaskId, Tenant},
    registry::Processor,
    time::At,
    words::{Action, Reason},
};

/// The type of the event that carries a task.
pub const EVENT_TYPE: &str = "dev.lacuna.task.v1";

/// Asks a processor for one attempt of its share of a request. (task_id, generation) is the idempotency key: the same
/// task may come twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskMessage<'a> {
    /// The task.
    pub task_id: TaskId,
    /// The request that it belongs to.
    pub request_id: RequestId,
    /// The processor that is asked.
    pub processor: Cow<'a, ProcessorId>,
    /// Grows each time the task must be done again.
    #[schemars(range(min = 1))]
    pub generation: u32,
    /// Grows each time the generation is sent.
    #[schemars(range(min = 1))]
    pub attempt: u32,
    /// What to do.
    pub action: Action,
    /// How to do it, where only one way will do: `crypto_erase` asks a backup system to destroy the subject's key, and
    /// wants an answer whose evidence names this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Cow<'a, str>>,
    /// The tenant.
    pub tenant: Cow<'a, Tenant>,
    /// The subject's identifiers: only the types that the processor is registered for, as the command gave them.
    #[schemars(with = "Vec<IdentityFields>")]
    pub identities: Cow<'a, [Identity]>,
    /// What it is limited to.
    pub scope: TaskScope<'a>,
    /// Why.
    pub reason: Reason,
    /// Data that was collected from then on may be kept by a processor that honours it.
    pub data_before: At,
    /// When an answer is missed.
    pub respond_by: At,
    /// The request's legal deadline.
    pub deadline: At,
    /// Where and with what to answer.
    #[serde(borrow)]
    pub ack: AckAddress<'a>,
}

/// What a task is limited to; an empty list limits nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskScope<'a> {
    /// Purposes of processing.
    pub purposes: Cow<'a, [Label]>,
    /// Categories of data; always listed where a processor's share is split.
    pub categories: Cow<'a, [Label]>,
}

impl TaskScope<'_> {
    /// Whether it is about all that its processor holds. What it leaves out may have to be kept.
    pub fn is_whole(&self, processor: &Processor) -> bool {
        let covers = |asked: &[Label], held: &[Label]| {
            asked.is_empty() || (!held.is_empty() && held.iter().all(|label| asked.contains(label)))
        };
        covers(&self.categories, &processor.categories) && covers(&self.purposes, &processor.purposes)
    }
}

/// Where and with what to answer a task.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AckAddress<'a> {
    /// The topic to answer on.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// The URL to answer to; null where none is configured.
    #[serde(borrow)]
    pub url: Option<Cow<'a, str>>,
    /// Belongs to this task, generation and attempt; to be sent back as it is.
    #[serde(borrow)]
    pub token: Cow<'a, str>,
}

impl std::fmt::Debug for AckAddress<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Whoever has the token can answer for the processor.
        f.debug_struct("AckAddress")
            .field("topic", &self.topic)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}
