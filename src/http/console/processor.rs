//! One system: how its lane stands, what it answers, what is out there, and stopping it or having it go on.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Query, State},
    http::HeaderMap,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    super::{
        Api,
        auth::{Auditor, Operator},
        problem::Problem,
        query::Lane,
        stops,
    },
    fault::Fault,
    page::page,
    parts::{
        badge, facts, failed_page, flash,
        form::{Action, Reason, action_form, body},
        not_done, request_link,
        table::{Column, table},
        text::text,
        times::{Times, none},
    },
    posted::Posted,
    visitor::Visitor,
};
use crate::{
    domain::ids::ProcessorId,
    engine::stop::{LaneAction, OutTask},
    view::{
        dates::{count, span},
        lane::LaneReason,
        processor::ProcessorView,
    },
};

/// What a form of a stop has.
#[derive(Deserialize)]
pub(super) struct Fields {
    command_id: String,
    #[serde(default)]
    reason: String,
}

impl Fields {
    pub(super) fn body(&self) -> Vec<u8> {
        body(&[("command_id", &self.command_id), ("reason", &self.reason)])
    }
}

/// The page and what can be done on it.
pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/processors/{id}", get(show))
        .route("/processors/{id}/pause", post(pause))
        .route("/processors/{id}/resume", post(resume))
}

/// What the page of a lane is asked with.
#[derive(Default, Deserialize)]
struct Asked {
    /// Whether what is out is listed also where the lane goes on: it takes a walk over open requests.
    #[serde(default)]
    out: bool,
}

/// `GET /processors/{id}`
async fn show(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Auditor>,
    Lane(id): Lane,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Markup, Fault> {
    render(&api, &visitor, &id, &flash::of(&headers), asked.out).await
}

/// `POST /processors/{id}/pause`
async fn pause(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Operator>,
    Lane(id): Lane,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    change_lane(&api, &visitor, &id, LaneAction::Stop, &form).await
}

/// `POST /processors/{id}/resume`
async fn resume(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Operator>,
    Lane(id): Lane,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    change_lane(&api, &visitor, &id, LaneAction::Resume, &form).await
}

async fn change_lane(
    api: &Api,
    visitor: &Visitor<Operator>,
    id: &ProcessorId,
    action: LaneAction,
    form: &Fields,
) -> Result<Response, Fault> {
    let word = match action {
        LaneAction::Stop => "pause",
        LaneAction::Resume => "resume",
    };
    let (headers, caller) = (HeaderMap::new(), &visitor.caller);
    match stops::change_lane(api, Some(id), action, &headers, caller, &form.body()).await {
        Ok(_) => Ok(flash::back(&format!("/processors/{id}"), word)),
        Err(problem) => {
            let page = render(api, visitor, id, &not_done(&problem), false).await?;
            Ok(failed_page(&problem, page))
        }
    }
}

async fn render<R>(
    api: &Api,
    visitor: &Visitor<R>,
    id: &ProcessorId,
    said: &Markup,
    lists_out: bool,
) -> Result<Markup, Fault> {
    visitor.caller.check_unlimited()?;
    let engine = &api.engine;
    let active = engine.active()?;
    let processor = active
        .registry
        .get(id)
        .ok_or_else(|| Problem::unknown("processor"))?;
    let lane_states = engine.lane_states(!visitor.caller.sees_no_free_text()).await?;
    let topic = processor.task_topic(&api.tasks_prefix);
    let view = ProcessorView::of(processor, topic, engine.lane(id), &lane_states);
    let is_paused = engine.facts().stops().pause(id).is_some();
    let out = if is_paused || lists_out {
        Some(engine.out_now(Some(id)).await?)
    } else {
        None
    };
    let times = Times::of(api);
    let body = html! {
        (said)
        h1 { (view.name) " " span.soft { code { (id) } } }
        p.headline { (headline(&view)) }
        p { (badge::lane(view.lane)) " " @if let Some(reason) = &view.lane_reason { (why(&times, reason)) } }
        (facts(&figures(&view)))
        @if visitor.may::<Operator>() {
            h2 #actions { "What you can do" }
            div.actions { (change(visitor, &times, id, is_paused, &view)) }
        }
        h2 { "What it has answered" }
        (answers(&view))
        h2 { "Its tasks" }
        (tasks(&view))
        h2 #out { "What is out there" }
        @match &out {
            Some(out) => (out_there(out)),
            None if view.in_flight <= 0 => p { "Nothing is sent and unanswered." },
            None => p {
                (is_or_are(u64::try_from(view.in_flight).unwrap_or(0))) " out. "
                a href={ "/processors/" (id) "?out=true#out" } { "Show which" }
            },
        }
        h2 { "How it is registered" }
        (facts(&registered(&view)))
    };
    Ok(page(visitor, "/processors", &format!("Processor {id}"), &body))
}

/// How it goes, in a sentence.
fn headline(view: &ProcessorView<'_>) -> String {
    let lane = match view.lane {
        "open" => "It takes tasks",
        "paused" => "Somebody has paused it: nothing new is sent",
        "braked" => "The brake is on: nothing new is sent to anybody",
        "circuit_open" => "It fails, so nothing is sent until it has been tried again",
        _ => "Its topic takes nothing now",
    };
    let out = u64::try_from(view.in_flight).unwrap_or(0);
    let waits = view.oldest_unanswered_seconds.filter(|_| out > 0);
    match waits {
        Some(seconds) => format!(
            "{lane}; {} out and not answered, the oldest for {}.",
            is_or_are(out),
            span(seconds)
        ),
        None => format!("{lane}; nothing is out unanswered."),
    }
}

fn is_or_are(n: u64) -> String {
    format!("{} {}", count(n, "task"), if n == 1 { "is" } else { "are" })
}

fn why(times: &Times, reason: &LaneReason) -> Markup {
    match reason {
        LaneReason::Stopped { since, by, why } => html! {
            "by " (by) " since " (times.when(*since))
            @if let Some(why) = why { ": " (why) }
        },
        LaneReason::Shut { since, until, why } => html! {
            "since " (times.when(*since)) ", tried again " (times.when(*until)) ": " (text(times, why))
        },
        LaneReason::Some { why } => html! { (why) },
    }
}

fn figures(view: &ProcessorView<'_>) -> Vec<(&'static str, Markup)> {
    let seconds = |s: Option<f64>| s.map_or_else(none, |s| html! { (format!("{s:.1} s")) });
    let age = |s: Option<u64>| s.map_or_else(none, |s| html! { (span(s)) });
    let share = |s: Option<f64>| s.map_or_else(none, |s| html! { (format!("{:.1} %", s * 100.0)) });
    let mut rows = vec![
        ("Ready to be sent", html! { (view.ready) }),
        ("Waiting in the queue for", age(view.oldest_ready_seconds)),
        ("Sent and not answered", html! { (view.in_flight) }),
        ("Oldest unanswered", age(view.oldest_unanswered_seconds)),
        (
            "Half of its answers take (last day)",
            seconds(view.ack_seconds.p50),
        ),
        ("99 of 100 take at most", seconds(view.ack_seconds.p99)),
        (
            "Share of \u{201c}not found\u{201d} (last day)",
            share(view.not_found_share),
        ),
        ("Usually (28 days before)", share(view.not_found_share_usual)),
    ];
    if let Some(rate) = &view.rate {
        let per = span(rate.per_seconds.max(1.0).round() as u64);
        rows.push((
            "Rate",
            html! { (rate.tasks) " in " (per) ", " (format!("{:.0} %", rate.used * 100.0)) " used" },
        ));
    }
    rows
}

fn change<R>(
    visitor: &Visitor<R>,
    times: &Times,
    id: &ProcessorId,
    is_paused: bool,
    view: &ProcessorView<'_>,
) -> Markup {
    let ready = u64::try_from(view.ready).unwrap_or(0);
    let out = u64::try_from(view.in_flight).unwrap_or(0);
    if is_paused {
        let path = format!("/processors/{id}/resume");
        let preview = html! { p { (count(ready, "task")) " that could be sent will go out. The circuit and the rate stay as they are." } };
        let mut action = Action::new("resume", &path, "Have it go on", preview);
        action.button = "Resume";
        action.reason = Reason::Welcome;
        return action_form(visitor, times, &action, "");
    }
    let path = format!("/processors/{id}/pause");
    let preview = html! {
        ul {
            li { "Nothing new is sent to it: " (count(ready, "task")) " wait now." }
            @if out > 0 {
                li { (count(out, "task")) " out there cannot be called back, and what it answers counts." }
            }
            li { "The legal deadlines go on." }
        }
    };
    let mut action = Action::new("pause", &path, "Stop sending to it", preview);
    action.button = "Pause";
    action_form(visitor, times, &action, "")
}

fn answers(view: &ProcessorView<'_>) -> Markup {
    let outcomes: std::collections::BTreeSet<&str> = view
        .outcomes_day
        .keys()
        .chain(view.outcomes_hour.keys())
        .copied()
        .collect();
    if outcomes.is_empty() {
        return html! { p { "It has answered nothing within the last day." } };
    }
    let of = |n: Option<&i64>| html! { (n.copied().unwrap_or(0)) };
    let rows: Vec<Vec<Markup>> = outcomes
        .iter()
        .map(|outcome| {
            vec![
                html! { (badge::words(outcome)) },
                of(view.outcomes_hour.get(outcome)),
                of(view.outcomes_day.get(outcome)),
            ]
        })
        .collect();
    let columns = [
        Column::new("Answer"),
        Column::number("Last hour"),
        Column::number("Last day"),
    ];
    table("What it has answered", &columns, &rows)
}

fn tasks(view: &ProcessorView<'_>) -> Markup {
    if view.tasks.is_empty() {
        return html! { p { "It has none." } };
    }
    let rows: Vec<Vec<Markup>> = view
        .tasks
        .iter()
        .map(|(state, n)| vec![html! { (badge::words(state)) }, html! { (n) }])
        .collect();
    html! {
        (table("Its tasks by state", &[Column::new("State"), Column::number("Tasks")], &rows))
        p { a href={ "/requests?processor=" (view.id) } { "The requests that it has a part in" } }
    }
}

/// What was sent and not proved, the first of it.
pub(super) fn out_there((tasks, is_cut): &(Vec<OutTask>, bool)) -> Markup {
    if tasks.is_empty() {
        return html! {
            p { "Nothing is sent and unanswered" @if *is_cut { " among the requests that were looked at" } "." }
        };
    }
    let rows: Vec<Vec<Markup>> = tasks
        .iter()
        .map(|task| {
            vec![
                request_link(&task.request_id),
                html! { (task.processor) },
                badge::task_state(task.state),
            ]
        })
        .collect();
    let columns = [
        Column::new("Request"),
        Column::new("System"),
        Column::new("State"),
    ];
    html! {
        (table("What is out there", &columns, &rows))
        @if *is_cut { p.soft { "There may be more: these are the first." } }
    }
}

fn registered(view: &ProcessorView<'_>) -> Vec<(&'static str, Markup)> {
    let transport = &view.transport;
    let mut rows = vec![
        ("Kind", html! { (view.kind) }),
        ("Asked by", html! { (transport.kind) }),
        (
            "Can",
            html! { @for (n, action) in view.actions.iter().enumerate() { @if n > 0 { ", " } (action) } },
        ),
        (
            "Is sent",
            html! { @for (n, kind) in view.identities.iter().enumerate() { @if n > 0 { ", " } (kind) } },
        ),
    ];
    let of = |text: &Option<String>| text.clone().map(|text| html! { code { (text) } });
    rows.extend(of(&transport.topic).map(|topic| ("Topic", topic)));
    rows.extend(of(&transport.url).map(|url| ("Address", url)));
    rows.extend(transport.assignee.map(|who| ("Done by", html! { (who) })));
    for retention in view.retention {
        rows.push((
            "Has to keep",
            html! {
                @for (n, category) in retention.categories.iter().enumerate() { @if n > 0 { ", " } (category) }
                " for " (retention.keep) " (" (retention.basis) ")"
            },
        ));
    }
    if let Some(backup) = view.backup {
        rows.push((
            "Backup set",
            html! { (backup.set) ", copies kept for " (backup.keep) },
        ));
    }
    rows
}
