//! A deferred task: parked on a date or an event, held, or waiting for a second look.

use std::collections::HashMap;

use serde::Serialize;

use super::task::{SourceView, sources};
use crate::{
    domain::{
        ids::{Label, ProcessorId, RequestId, TaskId, Tenant},
        request::{Context, Request},
        time::At,
        words::{Action, Why},
    },
    store::DeferredRow,
};

/// A deferred task.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct DeferredView<'a> {
    /// The request.
    pub request_id: RequestId,
    /// The task.
    pub task_id: TaskId,
    /// The tenant.
    pub tenant: &'a Tenant,
    /// The processor.
    pub processor: &'a ProcessorId,
    /// The categories of its share; none: all of it.
    pub part: &'a [Label],
    /// For copies: of what.
    pub sources: Vec<SourceView<'a>>,
    /// What it will be asked.
    pub action: Action,
    /// Why it is deferred.
    pub reason: Why,
    /// Until when, as far as it is known.
    pub until: Option<At>,
    /// Whether it should be over by now and is not.
    pub overdue: bool,
    /// For copies: from when on their horizon is reckoned, when the last of their sources confirmed.
    pub since: Option<At>,
}

impl<'a> DeferredView<'a> {
    /// Of a row; `None`: its request or its task is there no more.
    pub fn of(
        row: &'a DeferredRow,
        requests: &'a HashMap<RequestId, Request>,
        context: &Context<'_>,
    ) -> Option<Self> {
        let request = requests.get(&row.request_id)?;
        let task = request.tasks.get(usize::from(row.ordinal))?;
        Some(Self {
            request_id: row.request_id,
            task_id: request.task_id(row.ordinal),
            tenant: &request.head.tenant,
            processor: &row.processor,
            part: &task.categories,
            sources: sources(request, row.ordinal),
            action: task.asks(),
            reason: row.reason,
            until: row.until,
            overdue: request.has_slipped(row.ordinal, context),
            since: request.copies_since(row.ordinal),
        })
    }
}
