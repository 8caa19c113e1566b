//! Changes to many requests: ticked, or all that a filter finds; looked at before they are made; and how far they have come.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    super::{
        super::{
            Api,
            auth::{Auditor, Caller, Compliance, Operator, Person},
            bulk::{Job, check_right, visible},
            lists::{narrowed, read_filter},
            problem::Problem,
            query::{Id, Params},
        },
        fault::Fault,
        page::page,
        parts::{
            badge::{badge, words},
            facts, flash,
            form::{Action, Reason, action_form, choice_field},
            nothing, notice, request_link,
            table::{Column, pager, table},
            times::Times,
        },
        posted::Posted,
        visitor::Visitor,
    },
    address::Address,
    views::to,
};
use crate::{
    domain::{
        ids::{ProcessorId, RequestId},
        words::{BulkAction, BulkDeed, HoldBasis},
    },
    engine::{
        bulk::{Chosen, Forecast, Order},
        lists::Filter,
    },
    store::{BulkJob, BulkOutcome, BulkState},
};

/// How many of those that were not changed are shown.
const SHOWN: u32 = 50;
/// How many jobs a page shows.
const JOBS: u32 = 50;

/// What is done, in words for a button.
const fn verb(action: BulkAction) -> &'static str {
    match action {
        BulkAction::Retry => "Ask again",
        BulkAction::Waive => "Do without",
        BulkAction::Approve => "Approve",
        BulkAction::Cancel => "Withdraw",
        BulkAction::Hold => "Put on hold",
    }
}

fn allowed<R>(visitor: &Visitor<R>) -> Vec<BulkAction> {
    let may = |action: &&BulkAction| match action {
        BulkAction::Retry | BulkAction::Waive => visitor.may::<Operator>(),
        BulkAction::Approve | BulkAction::Cancel | BulkAction::Hold => visitor.may::<Compliance>(),
    };
    BulkAction::ALL.iter().filter(may).copied().collect()
}

/// Whether somebody may change many requests at once.
pub(super) fn can_change(visitor: &Visitor<Auditor>) -> bool {
    !allowed(visitor).is_empty()
}

/// A list whose rows can be ticked, with what can be done to them. Who may do nothing of it sees the list alone.
pub(super) fn tick_form(visitor: &Visitor<Auditor>, filter: &Filter, rows: &Markup) -> Markup {
    let actions = allowed(visitor);
    if actions.is_empty() {
        return rows.clone();
    }
    let query = serde_html_form::to_string(filter.pairs()).unwrap_or_default();
    html! {
        form method="post" action="/bulk/preview" {
            (visitor.csrf_field())
            input type="hidden" name="query" value=(query);
            (rows)
            fieldset.no-print {
                legend { "Change many at once" }
                p.soft { "Nothing is done before you have seen what it would do." }
                div.row {
                    div {
                        label for="bulk-scope" { "Which" }
                        select #bulk-scope name="scope" {
                            option value="ticked" { "those that are ticked" }
                            option value="all" { "all that match the filter, on every page" }
                        }
                    }
                    div {
                        label for="bulk-action" { "What" }
                        select #bulk-action name="action" {
                            @for action in &actions {
                                option value=(action) { (verb(*action)) }
                            }
                        }
                    }
                    button type="submit" { "Look what it would do" }
                }
            }
        }
    }
}

/// What a form says of a change.
#[derive(Deserialize)]
pub(super) struct Fields {
    action: BulkAction,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    ids: Vec<Uuid>,
    #[serde(default)]
    query: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    basis: String,
    #[serde(default)]
    expected_count: Option<u64>,
    #[serde(default)]
    command_id: Option<Uuid>,
}

impl Fields {
    fn order(&self, caller: &Caller) -> Result<Order, Problem> {
        let given: Vec<(String, String)> = serde_html_form::from_str(&self.query).unwrap_or_default();
        let mut params = Params::given(given, Filter::KEYS)?;
        let filter = narrowed(read_filter(&mut params), caller)?;
        params.finish()?;
        let chosen = if self.scope == "all" {
            Chosen::Filter(Box::new(filter))
        } else {
            let processor: Option<ProcessorId> = filter.processor;
            Chosen::Ids {
                ids: self.ids.iter().copied().map(RequestId).collect(),
                tenant: caller.narrow(None)?,
                processor,
            }
        };
        let reason = Some(self.reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        Ok(Order {
            action: self.action,
            chosen,
            reason,
            basis: HoldBasis::parse(&self.basis),
        })
    }
}

/// `POST /bulk/preview`: what it would do.
pub(super) async fn preview(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Person>,
    Posted(fields): Posted<Fields>,
) -> Result<Markup, Fault> {
    check_right(&api, &visitor.caller, fields.action)?;
    let order = fields.order(&visitor.caller)?;
    let forecast = api.engine.bulk().foresee(&order, &visitor.caller.name).await;
    let forecast = forecast.map_err(Problem::from)?;
    let times = Times::of(&api);
    let title = verb(fields.action);
    let body = html! {
        h1 { (title) ": what it would do" }
        (foreseen(&forecast))
        @if forecast.will > 0 {
            (order_form(&visitor, &times, &fields, &forecast))
        }
        p { a href="/requests" { "Back to the requests" } " without doing anything" }
    };
    Ok(page(&visitor, "/requests", title, &body))
}

fn foreseen(forecast: &Forecast) -> Markup {
    let refused = forecast.matched - forecast.will;
    html! {
        @if forecast.matched == 0 {
            (nothing("No request is meant", &html! { "Go back and tick some, or choose all that match." }))
        } @else {
            p.headline {
                (forecast.will) " of " (forecast.matched) " requests will be changed"
                @if forecast.changes != forecast.will { " (" (forecast.changes) " tasks)" }
                @if refused > 0 { ", " (refused) " will not" }
                "."
            }
        }
        @if !forecast.refusals.is_empty() {
            h2 { "Why some will not" }
            (table(
                "Why requests will not be changed",
                &[Column::new("Why"), Column::number("Requests"), Column::new("For example")],
                &forecast.refusals.iter().map(|(why, refusal)| vec![
                    html! { (why) },
                    html! { (refusal.count) },
                    html! { @for id in refusal.examples.iter().take(3) { (request_link(id)) " " } },
                ]).collect::<Vec<_>>(),
            ))
        }
    }
}

fn order_form(visitor: &Visitor<Person>, times: &Times, fields: &Fields, forecast: &Forecast) -> Markup {
    let action = fields.action;
    let bases: Vec<(&str, String)> = HoldBasis::ALL
        .iter()
        .map(|basis| (basis.as_str(), words(basis.as_str())))
        .collect();
    let hidden = html! {
        input type="hidden" name="action" value=(action);
        input type="hidden" name="scope" value=(fields.scope);
        input type="hidden" name="query" value=(fields.query);
        input type="hidden" name="expected_count" value=(forecast.matched);
        @if fields.scope != "all" {
            @for id in &fields.ids { input type="hidden" name="ids" value=(id); }
        }
        @if action == BulkAction::Hold {
            (choice_field("bulk", "basis", "Legal ground", &bases, ""))
        }
    };
    let form = Action {
        fields: hidden,
        button: verb(action),
        reason: match action {
            BulkAction::Waive => Reason::Needed,
            _ => Reason::Welcome,
        },
        is_final: matches!(action, BulkAction::Cancel | BulkAction::Waive),
        ..Action::new(
            action.as_str(),
            "/bulk",
            "Do it",
            html! {
                p { "The workers make the changes one after the other, each by the same rules as if it was asked for alone. A page shows how far they have come; it can be stopped there." }
            },
        )
    };
    action_form(visitor, times, &form, "bulk")
}

/// `POST /bulk`: orders it.
pub(super) async fn start(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Person>,
    Posted(fields): Posted<Fields>,
) -> Result<Response, Fault> {
    check_right(&api, &visitor.caller, fields.action)?;
    let order = fields.order(&visitor.caller)?;
    let expected = fields.expected_count;
    let bulk = api.engine.bulk();
    // A form that is sent twice orders one job.
    let key = fields.command_id.map(|id| (id, [0; 16]));
    let job = bulk.start(&order, &visitor.caller.name, expected, key).await;
    let job = job.map_err(Problem::from)?;
    Ok(to(&format!("/bulk/{}", job.id)))
}

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
        @if rows.is_empty() {
            (nothing("Nobody has changed many requests at once", &html! { "Tick some on a " a href="/requests" { "list of requests" } ", or choose all that match its filter." }))
        } @else {
            (table("Changes to many requests", &columns, &rows))
        }
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
        (deeds(&visitor, &times, &job))
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
fn deeds(visitor: &Visitor<Auditor>, times: &Times, job: &BulkJob) -> Markup {
    if !allowed(visitor).contains(&job.action) {
        return html! {};
    }
    let path = |deed: &str| format!("/bulk/{}/{deed}", job.id);
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

#[derive(Deserialize)]
pub(super) struct Nothing {}

/// `POST /bulk/{id}/pause`
pub(super) async fn pause(
    api: State<Arc<Api>>,
    visitor: Visitor<Person>,
    id: Id<Job>,
    _: Posted<Nothing>,
) -> Result<Response, Fault> {
    set(api, visitor, id, BulkDeed::Pause).await
}

/// `POST /bulk/{id}/resume`
pub(super) async fn resume(
    api: State<Arc<Api>>,
    visitor: Visitor<Person>,
    id: Id<Job>,
    _: Posted<Nothing>,
) -> Result<Response, Fault> {
    set(api, visitor, id, BulkDeed::Resume).await
}

/// `POST /bulk/{id}/cancel`
pub(super) async fn cancel(
    api: State<Arc<Api>>,
    visitor: Visitor<Person>,
    id: Id<Job>,
    _: Posted<Nothing>,
) -> Result<Response, Fault> {
    set(api, visitor, id, BulkDeed::Cancel).await
}

async fn set(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Person>,
    Id(Job(id)): Id<Job>,
    deed: BulkDeed,
) -> Result<Response, Fault> {
    let job = visible(&api, &visitor.caller, id).await?;
    check_right(&api, &visitor.caller, job.action)?;
    let done = api.engine.bulk().set(id, &visitor.caller.name, deed).await;
    done.map_err(Problem::from)?;
    Ok(to(&format!("/bulk/{id}")).into_response())
}
