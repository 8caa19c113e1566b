//! Changes to many requests that were ordered: how far each has come, and what can be done about it.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use maud::{Markup, html};

use super::{
    super::{
        super::{
            Api,
            auth::{Auditor, Person},
            bulk::{Job, check_right, visible},
            problem::Problem,
            query::Id,
        },
        fault::Fault,
        page::page,
        parts::{
            badge::badge,
            facts, flash,
            form::{Action, Reason, action_form},
            notice, request_link,
            table::{Column, pager, table, table_or},
            times::Times,
        },
        posted::{Nothing, Posted},
        visitor::Visitor,
    },
    address::Address,
    bulk::{allowed, verb},
    views::to,
};
use crate::{
    domain::words::BulkOperation,
    store::{BulkJob, BulkOutcome, BulkState},
};

/// How many of those that were not changed are shown.
const SHOWN: u32 = 50;
/// How many jobs a page shows.
const JOBS: u32 = 50;

/// `GET /bulk`
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Auditor>,
    uri: Uri,
) -> Result<Markup, Fault> {
    let address = Address::read(&uri);
    let times = Times::of(&api);
    let before = address.get("cursor").parse().ok();
    let tenant = visitor.caller.narrow(None)?;
    let mut jobs = api.engine.bulk().jobs(tenant.as_ref(), before, JOBS + 1).await?;
    let more = jobs.len() > JOBS as usize;
    jobs.truncate(JOBS as usize);
    let next = jobs.last().filter(|_| more).map(|job| job.id.to_string());
    let (first, next) = address.pages(next.as_deref());
    let columns = [
        Column::new("Ordered"),
        Column::new("What"),
        Column::new("By"),
        Column::new("State"),
        Column::number("Done"),
        Column::number("Not done"),
        Column::number("Left"),
    ];
    let rows: Vec<Vec<Markup>> = jobs.iter().map(|job| row(job, &times)).collect();
    let body = html! {
        h1 { "Changes to many requests" }
        (table_or("Changes to many requests", &columns, &rows, "Nobody has changed many requests at once", &html! { "Tick some on a " a href="/requests" { "list of requests" } ", or choose all that match its filter." }))
        (pager(first.as_deref(), next.as_deref()))
    };
    Ok(page(&visitor, "/requests", "Changes to many requests", &body))
}

fn row(job: &BulkJob, times: &Times) -> Vec<Markup> {
    vec![
        html! { a href={ "/bulk/" (job.id) } { (times.when(job.created_at)) } },
        html! { (verb(job.action)) },
        html! { (job.actor) },
        state(job.state),
        html! { (job.done) },
        html! { (job.refused) },
        html! { (left(job)) },
    ]
}

const fn left(job: &BulkJob) -> u32 {
    job.total.saturating_sub(job.done + job.refused)
}

fn state(state: BulkState) -> Markup {
    let kind = match state {
        BulkState::Running => "info",
        BulkState::Paused => "warn",
        BulkState::Cancelled => "calm",
        BulkState::Finished => "good",
    };
    badge(kind, state.as_str())
}

/// `GET /bulk/{id}`: how far it has come. It is read from the store, so it survives whatever happens to a browser or a worker.
pub(super) async fn one(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Auditor>,
    Id(Job(id)): Id<Job>,
    headers: HeaderMap,
) -> Result<Markup, Fault> {
    let job = visible(&api, &visitor.caller, id).await?;
    let bulk = api.engine.bulk();
    let refusals = bulk.refusals(id).await?;
    let examples = bulk.items(id, 0, Some(BulkOutcome::Refused), SHOWN).await?;
    let times = Times::of(&api);
    let title = format!("{}: {} requests", verb(job.action), job.matched);
    let answered = job.done + job.refused;
    let body = html! {
        h1 { (title) }
        (flash::of(&headers))
        p { label for="progress" { (answered) " of " (job.total) " looked at" }
            progress #progress max=(job.total.max(1)) value=(answered) { (answered) " of " (job.total) } }
        (facts(&[
            ("State", state(job.state)),
            ("Ordered by", html! { (job.actor) }),
            ("Ordered", times.when(job.created_at)),
            ("Moved last", times.ago(job.updated_at)),
            ("Done", html! { (job.done) }),
            ("Not done", html! { (job.refused) }),
            ("Left", html! { (left(&job)) }),
            ("Filter", html! { @if job.chosen.is_empty() { "named one by one" } @else { code { (job.chosen) } } }),
        ]))
        @if job.state == BulkState::Running {
            p { a href={ "/bulk/" (job.id) } { "Look again" } " – it goes on by itself, also when this page is closed." }
        }
        @if job.state == BulkState::Finished && job.refused == 0 {
            (notice("good", &html! { p { "All of it is done." } }))
        }
        (operations(&visitor, &times, &job))
        @if !refusals.is_empty() {
            h2 { "Why some were not changed" }
            (table("Why some were not changed", &[Column::new("Why"), Column::number("How many")],
                &refusals.iter().map(|(why, n)| vec![html! { (why) }, html! { (n) }]).collect::<Vec<_>>()))
            h2 { "The first of them" }
            (table("Requests that were not changed", &[Column::new("Request"), Column::new("Why")],
                &examples.iter().map(|item| vec![
                    request_link(&item.request_id),
                    html! { (item.why.as_deref().unwrap_or_default()) },
                ]).collect::<Vec<_>>()))
        }
        p { a href="/bulk" { "All changes to many requests" } }
    };
    Ok(page(&visitor, "/requests", &title, &body))
}

/// What can be done about a job.
fn operations(visitor: &Visitor<Auditor>, times: &Times, job: &BulkJob) -> Markup {
    if !allowed(visitor).contains(&job.action) {
        return html! {};
    }
    let path = |operation: &str| format!("/bulk/{}/{operation}", job.id);
    let left = left(job);
    let form = |name: &str, title: &str, said: &str| {
        let path = path(name);
        let action = Action {
            reason: Reason::None,
            ..Action::new(name, &path, title, html! { p { (said) } })
        };
        action_form(visitor, times, &action, "")
    };
    html! {
        div.actions.no-print {
            @match job.state {
                BulkState::Running => (form("pause", "Pause it", "The change that is being made is finished, and no other one is begun.")),
                BulkState::Paused => (form("resume", "Go on", &format!("{left} changes are left."))),
                BulkState::Cancelled | BulkState::Finished => {}
            }
            @if matches!(job.state, BulkState::Running | BulkState::Paused) {
                (form("cancel", "End it", &format!("{} changes are made and stay so; {left} will not be made.", job.done)))
            }
        }
    }
}

/// `POST /bulk/{id}/pause`
pub(super) async fn pause(
    api: State<Arc<Api>>,
    visitor: Visitor<Person>,
    id: Id<Job>,
    _: Posted<Nothing>,
) -> Result<Response, Fault> {
    set(api, visitor, id, BulkOperation::Pause).await
}

/// `POST /bulk/{id}/resume`
pub(super) async fn resume(
    api: State<Arc<Api>>,
    visitor: Visitor<Person>,
    id: Id<Job>,
    _: Posted<Nothing>,
) -> Result<Response, Fault> {
    set(api, visitor, id, BulkOperation::Resume).await
}

/// `POST /bulk/{id}/cancel`
pub(super) async fn cancel(
    api: State<Arc<Api>>,
    visitor: Visitor<Person>,
    id: Id<Job>,
    _: Posted<Nothing>,
) -> Result<Response, Fault> {
    set(api, visitor, id, BulkOperation::Cancel).await
}

async fn set(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Person>,
    Id(Job(id)): Id<Job>,
    operation: BulkOperation,
) -> Result<Response, Fault> {
    let job = visible(&api, &visitor.caller, id).await?;
    check_right(&api, &visitor.caller, job.action)?;
    let done = api.engine.bulk().set(id, &visitor.caller.name, operation).await;
    done.map_err(Problem::from)?;
    Ok(to(&format!("/bulk/{id}")))
}
