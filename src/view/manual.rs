//! A task that a person does. It is the one view that may hold identifiers: for whoever has claimed the task.

use serde::Serialize;

use crate::{
    domain::{
        identity::Identity,
        ids::{Label, ProcessorId, RequestId, TaskId, Tenant},
        time::At,
        words::Action,
    },
    engine::manual::ManualTask,
};

/// A task that a person does.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ManualView<'a> {
    /// The task.
    pub task_id: TaskId,
    /// Its request.
    pub request_id: RequestId,
    /// The tenant.
    pub tenant: &'a Tenant,
    /// The processor.
    pub processor: &'a ProcessorId,
    /// What has to be done.
    pub action: Action,
    /// The categories of its share; none: all of it.
    pub part: &'a [Label],
    /// How it is done.
    pub instructions: Option<&'a str>,
    /// Who does it: a person or a team.
    pub assignee: &'a str,
    /// Who has claimed it.
    pub claimed_by: Option<&'a str>,
    /// When.
    pub claimed_at: Option<At>,
    /// Who has confirmed it first, where two have to.
    pub confirmed_by: Option<&'a str>,
    /// By when it has to be done.
    pub due: Option<At>,
    /// Whether that has passed.
    pub overdue: bool,
    /// What to remind whoever does it of: `due_soon` in the last fifth of its term, then `overdue`.
    pub notice: Option<&'static str>,
    /// `open`, `claimed` or `awaiting_second`.
    pub state: &'static str,
    /// Whom it is about, for whoever has claimed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identities: Option<Vec<Identity>>,
}

impl<'a> ManualView<'a> {
    /// Of a task, as of a time.
    pub fn of(hand: &'a ManualTask, identities: Option<Vec<Identity>>, now: At) -> Self {
        let has_come = |at: Option<At>| at.is_some_and(|at| at <= now);
        let (request, task) = (&hand.request, hand.request.task(hand.ordinal));
        Self {
            task_id: request.task_id(hand.ordinal),
            request_id: request.id,
            tenant: &request.head.tenant,
            processor: &task.processor,
            action: task.asks(),
            part: &task.categories,
            instructions: hand.instructions.as_deref(),
            assignee: &hand.assignee,
            claimed_by: hand.claim.as_ref().map(|(by, _)| by.as_str()),
            claimed_at: hand.claim.as_ref().map(|(_, at)| *at),
            confirmed_by: hand.confirmed_by.as_deref(),
            due: hand.due,
            overdue: has_come(hand.due),
            notice: if has_come(hand.due) {
                Some("overdue")
            } else {
                has_come(hand.remind_from).then_some("due_soon")
            },
            state: hand.state.as_str(),
            identities,
        }
    }
}
