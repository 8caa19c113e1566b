//! A change to many requests: what it would do, and how far it has come.

use serde::Serialize;
use uuid::Uuid;

use crate::{
    domain::{
        ids::{RequestId, TaskId, Tenant},
        task_ids::task_id,
        time::At,
        words::BulkAction,
    },
    engine::bulk::Forecast,
    store::{BulkItem, BulkJob},
};

/// What a change would do if it was ordered now.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ForecastView<'a> {
    /// What is done.
    pub action: BulkAction,
    dry_run: bool,
    /// How many requests are meant: what `expected_count` has to be.
    pub matched: u64,
    /// How many of them would be changed.
    pub will: u64,
    /// How many changes that makes: a request may have several tasks.
    pub changes: u64,
    /// How many would not be.
    pub will_not: u64,
    /// Why.
    pub reasons: Vec<ReasonView<'a>>,
}

/// Why requests are not changed.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ReasonView<'a> {
    /// The reason.
    pub why: &'a str,
    /// How many.
    pub count: u64,
    /// Some of them.
    #[serde(skip_serializing_if = "<[RequestId]>::is_empty")]
    pub examples: &'a [RequestId],
}

impl<'a> ForecastView<'a> {
    /// Of a forecast.
    pub fn of(action: BulkAction, forecast: &'a Forecast) -> Self {
        let reasons = forecast.refusals.iter().map(|(why, refusal)| ReasonView {
            why,
            count: refusal.count,
            examples: &refusal.examples,
        });
        Self {
            action,
            dry_run: true,
            matched: forecast.matched,
            will: forecast.will,
            changes: forecast.changes,
            will_not: forecast.matched - forecast.will,
            reasons: reasons.collect(),
        }
    }
}

/// A job.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct BulkView<'a> {
    /// By which it is named.
    pub bulk_id: Uuid,
    /// What is done.
    pub action: BulkAction,
    /// `running`, `paused`, `cancelled` or `finished`.
    pub state: &'static str,
    /// Who has ordered it.
    pub actor: &'a str,
    /// The one tenant whose requests are meant.
    pub tenant: Option<&'a Tenant>,
    /// How the requests were chosen: the query of a list; empty: they were named.
    pub filter: &'a str,
    /// When it was ordered.
    pub created_at: At,
    /// When it moved last.
    pub updated_at: At,
    /// How many requests were meant.
    pub matched: u32,
    /// How many changes there are, and requests that have none.
    pub total: u32,
    /// How many are made.
    pub done: u32,
    /// How many could not be made.
    pub refused: u32,
    /// How many are left.
    pub waiting: u32,
    /// Why changes could not be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasons: Option<Vec<ReasonView<'a>>>,
}

impl<'a> BulkView<'a> {
    /// Of a job.
    pub fn of(job: &'a BulkJob) -> Self {
        Self {
            bulk_id: job.id,
            action: job.action,
            state: job.state.as_str(),
            actor: &job.actor,
            tenant: job.tenant.as_ref(),
            filter: &job.chosen,
            created_at: job.created_at,
            updated_at: job.updated_at,
            matched: job.matched,
            total: job.total,
            done: job.done,
            refused: job.refused,
            waiting: job.total.saturating_sub(job.done + job.refused),
            reasons: None,
        }
    }

    /// With why changes could not be made.
    #[must_use]
    pub fn with_reasons(mut self, reasons: &'a [(String, u64)]) -> Self {
        let view = |(why, count): &'a (String, u64)| ReasonView {
            why,
            count: *count,
            examples: &[],
        };
        self.reasons = Some(reasons.iter().map(view).collect());
        self
    }
}

/// One change of a job.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct BulkItemView<'a> {
    /// Its place.
    pub n: u32,
    /// The request.
    pub request_id: RequestId,
    /// The task; absent: the request as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// `waiting`, `done` or `refused`.
    pub outcome: &'static str,
    /// Why it could not be made.
    pub why: Option<&'a str>,
}

impl<'a> BulkItemView<'a> {
    /// Of a change.
    pub fn of(item: &'a BulkItem) -> Self {
        Self {
            n: item.n,
            request_id: item.request_id,
            task_id: item.ordinal.map(|ordinal| task_id(item.request_id, ordinal)),
            outcome: item.outcome.as_str(),
            why: item.why.as_deref(),
        }
    }
}
