//! A list of requests as CSV.

use std::sync::Arc;

use async_trait::async_trait;
use axum::response::Response;

use super::{
    super::{Api, csv, problem::Problem},
    Wanted,
};
use crate::domain::{request::Request, time::At};

/// The columns of a list of requests.
const COLUMNS: [&str; 20] = [
    "request_id",
    "tenant",
    "status",
    "action",
    "regime",
    "received_at",
    "deadline",
    "days_left",
    "completed_at",
    "live_clean_at",
    "overdue",
    "at_risk",
    "needs_attention",
    "failing",
    "tasks_total",
    "tasks_done",
    "tasks_parked",
    "tasks_abandoned",
    "waiting_for",
    "revision",
];

impl Wanted {
    /// All of it.
    pub(in crate::http) fn into_csv(mut self, api: Arc<Api>) -> Response {
        self.limit = csv::ROWS;
        csv::list(api, "requests", COLUMNS, self)
    }
}

#[async_trait]
impl csv::Source<20> for Wanted {
    async fn next(&mut self, api: &Api) -> Result<(Vec<[String; 20]>, bool), Problem> {
        let page = self.page(&api.engine).await?;
        self.after = page.next;
        let rows = page.requests.iter().map(|request| row_of(api, request));
        Ok((rows.collect(), page.next.is_some()))
    }
}

fn row_of(api: &Api, request: &Request) -> [String; 20] {
    let status = api.engine.status_of(request);
    let text = csv::when;
    let waiting = status.waiting_for.iter().map(|one| match &one.processor {
        Some(processor) => format!("{processor}: {}", one.why),
        None => one.why.to_string(),
    });
    let waiting: Vec<String> = waiting.collect();
    let now = api.engine.clock.now();
    [
        status.request_id.to_string(),
        status.tenant.to_string(),
        status.status.to_string(),
        status.action.to_string(),
        status.regime.to_string(),
        status.received_at.to_string(),
        status.deadline.to_string(),
        days_left(request, now)
            .map(|days| days.to_string())
            .unwrap_or_default(),
        text(status.completed_at),
        text(status.live_clean_at),
        status.overdue.to_string(),
        status.at_risk.to_string(),
        status.needs_attention.to_string(),
        request.is_failing().to_string(),
        status.tasks.total.to_string(),
        status.tasks.done.to_string(),
        status.tasks.parked.to_string(),
        status.tasks.abandoned.to_string(),
        waiting.join("; "),
        status.revision.to_string(),
    ]
}

/// How many whole days are left until the deadline of an open request; below zero: it has passed.
fn days_left(request: &Request, now: At) -> Option<i64> {
    const DAY: i64 = 86_400_000;
    let due = request.life.clock.due.millis();
    (!request.life.status.is_final()).then(|| (due - now.millis()).div_euclid(DAY))
}
