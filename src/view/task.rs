//! A task, as people see it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::{
    ack::Evidence,
    ids::{Label, ProcessorId, TaskId},
    note::Statement,
    request::Request,
    task::{Share, TaskState},
    time::At,
    words::{Action, TaskStateName},
};
use crate::engine::status::LanesNow;

/// A task as people see it.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct TaskView<'a> {
    /// The task.
    pub task_id: TaskId,
    /// Who is asked.
    pub processor: &'a ProcessorId,
    /// What it is asked.
    pub action: Action,
    /// The categories of its share; none: all of it.
    pub part: &'a [Label],
    /// Of a backup: the shares whose copies it is about.
    pub sources: Vec<SourceView<'a>>,
    /// Where it stands.
    pub state: TaskStateName,
    /// Grows each time it has to be done again.
    pub generation: u32,
    /// Grows each time this generation is sent.
    pub attempt: u32,
    /// What it waits for, or why nothing more is asked of its processor.
    pub why: Option<&'a str>,
    /// Until when it waits, as far as that is known.
    pub until: Option<At>,
    /// How it was proved done, else what its current attempt was answered.
    pub outcome: Option<&'static str>,
}

impl<'a> TaskView<'a> {
    /// The task at this place.
    pub fn of(request: &'a Request, ordinal: u16) -> Self {
        let task = request.task(ordinal);
        let waits = request.why_not_done(task);
        Self {
            task_id: request.task_id(ordinal),
            processor: &task.processor,
            action: task.action,
            part: &task.categories,
            sources: sources(request, ordinal),
            state: task.state.name(),
            generation: task.generation,
            attempt: task.attempt,
            why: match &task.state {
                TaskState::Abandoned { cause } => Some(cause.as_str()),
                TaskState::Exempt { basis } => Some(basis.as_str()),
                _ => waits.map(|(why, _)| why.as_str()),
            },
            until: waits.and_then(|(_, until)| until),
            outcome: task.outcome(),
        }
    }

    /// The task at this place, with what its lane has to say now.
    pub fn now(request: &'a Request, ordinal: u16, lanes: &LanesNow<'_>) -> Self {
        let mut view = Self::of(request, ordinal);
        if let Some(waits) = request.why_not_done(request.task(ordinal))
            && view.why == Some(waits.0.as_str())
        {
            let (why, until) = lanes.waits(request, ordinal, waits);
            (view.why, view.until) = (Some(why.as_str()), until);
        }
        view
    }

    /// Every task of a request, in the order of its plan.
    pub fn all(request: &'a Request, lanes: &LanesNow<'_>) -> impl Iterator<Item = Self> {
        request
            .ordinals()
            .map(|ordinal| Self::now(request, ordinal, lanes))
    }
}

/// A share of a source whose copies a backup task is about: what tells the waves of one set apart.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct SourceView<'a> {
    /// The source.
    pub processor: &'a ProcessorId,
    /// The categories of its share; none: all of it.
    pub part: &'a [Label],
}

/// The shares whose copies a task is about; none where it is no wave of a backup set.
pub fn sources(request: &Request, ordinal: u16) -> Vec<SourceView<'_>> {
    let Share::Wave { sources, .. } = &request.task(ordinal).share else {
        return Vec::new();
    };
    let tasks = sources.iter().map(|place| request.task(*place));
    tasks
        .map(|task| SourceView {
            processor: &task.processor,
            part: &task.categories,
        })
        .collect()
}

/// A task with what its answer brought as proof.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ProvedTask<'a> {
    /// The task.
    #[serde(flatten)]
    pub task: TaskView<'a>,
    /// What was brought; `None`: nothing.
    pub evidence: Option<EvidenceView>,
}

/// The evidence with the processor's own time and message. The salt is not shown: with it, the commitment in the ledger
/// could be compared with guesses for ever.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct EvidenceView {
    /// How many records of each category.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_category: BTreeMap<Label, u64>,
    /// How many rows of each table.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_table: BTreeMap<String, u64>,
    /// A digest of what was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// How it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// How many records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// The processor's own reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The processor's own time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    /// Free text of the processor's, which may hold anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl EvidenceView {
    /// `None`: there is nothing to show.
    pub fn of(statement: Statement) -> Option<Self> {
        let Statement {
            at,
            message,
            evidence,
            ..
        } = statement;
        let evidence = evidence.unwrap_or_default();
        if at.is_none() && message.is_none() && evidence == Evidence::default() {
            return None;
        }
        Some(Self {
            by_category: evidence.by_category,
            by_table: evidence.by_table,
            digest: evidence.digest,
            method: evidence.method,
            records: evidence.records,
            reference: evidence.reference,
            at,
            message,
        })
    }

    /// The same without free text.
    #[must_use]
    pub fn without_message(self) -> Self {
        Self {
            message: None,
            ..self
        }
    }
}
