//! What an agent answers: an outcome and what it has counted.

use std::{borrow::Cow, collections::BTreeMap, num::NonZeroU32};

use super::task::Task;
use crate::{
    domain::{
        identity::Identity,
        ids::{Label, ProcessorId},
        time::At,
        words::{Action, Outcome},
    },
    wire::{
        ack::{AckMessage, EvidenceFields, RetainedFields, Seconds},
        fields::{Id, List, Object, Table, Text, Time},
    },
};

/// The longest free text of an ack, in characters.
const LONGEST_MESSAGE: usize = 1000;

/// What a task came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The outcome.
    pub outcome: Outcome,
    /// What was counted.
    pub evidence: Option<Evidence>,
    /// With `accepted`: when it will be done.
    pub expected_by: Option<At>,
    /// With `retained`: why, until when, and which categories.
    pub retained: Option<(Label, Option<At>, Vec<Label>)>,
    /// With `failed` and `partial`: how long to wait.
    pub retry_after_seconds: Option<u32>,
    /// Identifiers for processors that come after this one.
    pub identities: Vec<Identity>,
    /// For people, without subject data.
    pub message: Option<String>,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// How the data went.
    pub method: Option<String>,
    /// A reference of the place's own.
    pub reference: Option<String>,
    /// How many records.
    pub records: u64,
    /// A digest of the statements.
    pub digest: Option<String>,
    /// Records by category.
    pub by_category: BTreeMap<Label, u64>,
    /// Records by table.
    pub by_table: BTreeMap<String, u64>,
}

impl Answer {
    /// With nothing but an outcome.
    pub const fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            evidence: None,
            expected_by: None,
            retained: None,
            retry_after_seconds: None,
            identities: Vec::new(),
            message: None,
        }
    }

    /// It did not work, for this reason, and is tried again.
    pub fn failed(why: impl Into<String>) -> Self {
        Self::new(Outcome::Failed).saying(why)
    }

    /// Part of it is done; the rest at once with the next attempt.
    pub fn partial(why: impl Into<String>) -> Self {
        let mut partial = Self::new(Outcome::Partial).saying(why);
        partial.retry_after_seconds = Some(0);
        partial
    }

    /// This agent cannot do it, and why.
    pub fn unsupported(why: impl Into<String>) -> Self {
        Self::new(Outcome::Unsupported).saying(why)
    }

    /// What a task comes to that is limited to categories which are not those of a place. `None`: it concerns the place.
    pub fn of_other_category(task: &Task, place: &str, category: Option<&Label>) -> Option<Self> {
        if task.categories.is_empty() {
            return None;
        }
        let Some(category) = category else {
            return Some(Self::unsupported(format!(
                "the task is limited to categories, and [{place}] has no category: everything would be erased"
            )));
        };
        let outcome = match task.action {
            Action::Verify => Outcome::Absent,
            _ => Outcome::NotFound,
        };
        (!task.concerns(Some(category))).then(|| Self::new(outcome))
    }

    /// It will be done by then.
    pub const fn accepted(expected_by: At) -> Self {
        let mut accepted = Self::new(Outcome::Accepted);
        accepted.expected_by = Some(expected_by);
        accepted
    }

    /// With what was counted.
    #[must_use]
    pub fn with(mut self, evidence: Evidence) -> Self {
        self.evidence = Some(evidence);
        self
    }

    /// With a text for people.
    #[must_use]
    pub fn saying(mut self, why: impl Into<String>) -> Self {
        let text: String = why.into();
        self.message = Some(text.chars().take(LONGEST_MESSAGE).collect());
        self
    }

    /// The ack of a task.
    pub fn ack(&self, task: &Task) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&self.message_of(task, &task.processor))
    }

    fn message_of<'a>(&'a self, task: &'a Task, processor: &ProcessorId) -> AckMessage<'a> {
        AckMessage {
            request_id: Id(task.request.0),
            task_id: Id(task.id.0),
            generation: NonZeroU32::new(task.generation).unwrap_or(NonZeroU32::MIN),
            attempt: NonZeroU32::new(task.attempt).unwrap_or(NonZeroU32::MIN),
            processor: processor.clone(),
            token: Text(Cow::Borrowed(&task.token)),
            outcome: self.outcome,
            evidence: self.evidence.as_ref().map(|evidence| Object(fields_of(evidence))),
            at: None,
            expected_by: self.expected_by.map(Time),
            retained: self.retained.as_ref().map(|(basis, until, categories)| {
                Object(RetainedFields {
                    basis: basis.clone(),
                    until: until.map(Time),
                    categories: (!categories.is_empty()).then(|| List(categories.clone())),
                })
            }),
            retry_after_seconds: self.retry_after_seconds.map(Seconds),
            identities: (!self.identities.is_empty())
                .then(|| List(self.identities.iter().map(|one| Object(one.into())).collect())),
            message: self.message.as_deref().map(|text| Text(Cow::Borrowed(text))),
        }
    }
}

fn fields_of(evidence: &Evidence) -> EvidenceFields<'_> {
    let tables = evidence.by_table.iter();
    let tables: BTreeMap<_, _> = tables
        .map(|(name, rows)| (Text(Cow::Borrowed(name.as_str())), *rows))
        .collect();
    EvidenceFields {
        method: evidence
            .method
            .as_deref()
            .map(|method| Text(Cow::Borrowed(method))),
        records: Some(evidence.records),
        reference: evidence
            .reference
            .as_deref()
            .map(|reference| Text(Cow::Borrowed(reference))),
        digest: evidence
            .digest
            .as_deref()
            .map(|digest| Text(Cow::Borrowed(digest))),
        by_category: (!evidence.by_category.is_empty()).then(|| Table(evidence.by_category.clone())),
        by_table: (!tables.is_empty()).then_some(Table(tables)),
    }
}
