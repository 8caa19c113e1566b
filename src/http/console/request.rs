//! One request: is it done, why not, what comes, who has to do what, and what can be done about it.

mod actions;
mod forms;
mod life;
mod strip;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::HeaderMap,
    routing::{get, post},
};
use maud::{Markup, html};

use super::{
    super::{
        Api,
        auth::{Auditor, Reader},
        detail::find,
        query::Id,
    },
    fault::Fault,
    identifiers,
    page::page,
    parts::{badge, capitalised, facts, flash, notice, text::text, times::Times},
    visitor::Visitor,
};
use crate::{
    domain::{
        body::Body,
        ids::RequestId,
        request::{Context, Request},
    },
    engine::{EngineError, questions::FullRequest},
    view::{
        course::courses,
        explanation::Explanation,
        headline::headline,
        request::{DetailParts, RequestDetail},
    },
};

/// The page and what can be done on it.
pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/requests/{id}", get(show))
        .route("/requests/{id}/approve", post(actions::approve))
        .route("/requests/{id}/refuse", post(actions::refuse))
        .route("/requests/{id}/verify-identity", post(actions::verify_identity))
        .route("/requests/{id}/extend", post(actions::extend))
        .route("/requests/{id}/cancel", post(actions::cancel))
        .route("/requests/{id}/hold", post(actions::hold))
        .route("/requests/{id}/release", post(actions::release))
        .route("/requests/{id}/retry", post(actions::retry))
        .route("/requests/{id}/waive", post(actions::waive))
}

/// `GET /requests/{id}`
async fn show(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Reader>,
    Id(id): Id<RequestId>,
    headers: HeaderMap,
) -> Result<Markup, Fault> {
    render(&api, &visitor, id, &flash::of(&headers)).await
}

/// The page. `said`: what was just done, or what went wrong.
async fn render<R>(api: &Api, visitor: &Visitor<R>, id: RequestId, said: &Markup) -> Result<Markup, Fault> {
    let full = find(api, &visitor.caller, id).await?;
    let engine = &api.engine;
    let decisions = engine.decisions_of(&full).await?;
    let submitter = match &full.body {
        Some(stored) => Body::unpack(&stored.body).map_err(EngineError::from)?.submitter,
        None => None,
    };
    let lanes = engine.lanes_now();
    let body = engine.with_context(|context| -> Result<Markup, EngineError> {
        // A tenant's days may begin elsewhere than the controller's.
        let zone = context.zones.of(&full.request().head.tenant).clone();
        let now = context.now;
        let times = Times { zone, now };
        let parts = DetailParts {
            status: engine.status_of(full.request()),
            decisions: decisions.clone(),
            vault: &engine.vault,
            lanes: &lanes.view(),
            free_text: !visitor.caller.sees_no_free_text(),
        };
        let detail = RequestDetail::of(&full, parts, context)?;
        let vault = Some(&engine.vault);
        let bodies = engine.complaint_bodies();
        let explained = Explanation::of(&full, decisions.clone(), vault, context, bodies)?;
        let shown = Shown {
            api,
            full: &full,
            detail: &detail,
            explained: &explained,
            submitter: submitter.as_deref(),
            times: &times,
            context,
        };
        body(visitor, &shown, said)
    })??;
    Ok(page(visitor, "/requests", &format!("Request {id}"), &body))
}

/// What the page is made of.
struct Shown<'a> {
    api: &'a Api,
    full: &'a FullRequest,
    detail: &'a RequestDetail<'a>,
    explained: &'a Explanation<'a>,
    /// Who has submitted it, where the channel tells.
    submitter: Option<&'a str>,
    times: &'a Times,
    context: &'a Context<'a>,
}

impl Shown<'_> {
    const fn request(&self) -> &Request {
        self.full.request()
    }
}

fn body<R>(visitor: &Visitor<R>, shown: &Shown<'_>, said: &Markup) -> Result<Markup, EngineError> {
    let (request, times) = (shown.request(), shown.times);
    let leaves = shown.full.read_leaves()?;
    let actions = forms::all(visitor, shown);
    // Over the API too, what has happened and who did it is nothing for whoever sent the command.
    let sees_all = visitor.may::<Auditor>();
    // What waits for a person's decision has it on top; else the answers come first.
    let waits_for_people = !request.gates_of_people().is_empty();
    Ok(html! {
        (said)
        h1 { "Request " code { (request.id) } }
        p { (badge::status(request.life.status)) " " (flags(request)) }
        p.headline { (headline(request, times.now, &times.zone)) }
        (key_facts(shown))
        (to_do(shown))
        @if waits_for_people { (actions) }
        h2 #systems { "Systems" }
        (strip::all(visitor, shown, &courses(request, &leaves)))
        @if sees_all {
            h2 #time-line { "Time line" }
            (life::line(shown))
            (life::sooner(shown))
        }
        @if !waits_for_people { (actions) }
        (gates_and_holds(shown))
        (life::decisions(shown))
        @if sees_all { (life::history(shown)) }
        h2 #identifiers { "The person's identifiers" }
        p { (text(times, &capitalised(&shown.explained.identifiers.says))) "." }
        (identifiers::of_request(visitor, request.id, shown.detail.identifiers))
    })
}

/// What a glance should not miss.
fn flags(request: &Request) -> Markup {
    let life = &request.life;
    html! {
        @if life.overdue { (badge::badge("bad", "overdue")) " " }
        @if life.at_risk { (badge::badge("warn", "at risk")) " " }
        @if life.needs_attention { (badge::badge("bad", "needs attention")) " " }
        @if life.restored_at.is_some() { (badge::badge("warn", "brought back by a restore")) " " }
        @if life.reactivated_at.is_some() { (badge::badge("warn", "the person is back")) " " }
    }
}

fn key_facts(shown: &Shown<'_>) -> Markup {
    let (request, times) = (shown.request(), shown.times);
    let (head, life) = (&request.head, &request.life);
    let clock = &life.clock;
    let mut rows = vec![
        ("Tenant", html! { (head.tenant) }),
        (
            "What was asked",
            html! { (badge::words(head.action.as_str())) ", because: " (badge::words(head.reason.as_str())) },
        ),
        ("Law", html! { (head.regime) }),
        ("Received", times.when(head.received_at)),
        (
            "Deadline",
            html! { (times.when(clock.due)) @if !life.status.is_final() { " " (times.days_left(clock.due)) } },
        ),
    ];
    if life.live_clean_at.is_some() {
        rows.push(("Live systems clean since", times.when_any(life.live_clean_at)));
    }
    if life.completed_at.is_some() {
        rows.push(("Closed", times.when_any(life.completed_at)));
    }
    if clock.rolled != clock.due {
        rows.push(("Deadline on a working day", times.when(clock.rolled)));
    }
    if let Some(until) = shown.detail.deadlines.extension_possible_until {
        rows.push(("Can be extended until", times.when(until)));
    }
    if shown.detail.deadlines.extended {
        rows.push(("Extended", html! { "yes, from " (times.when(clock.first_due)) }));
    }
    if let Some(notice) = life.notice {
        rows.push((
            "The person should be told",
            html! { (badge::words(notice.as_str())) },
        ));
    }
    if let Some(following) = &life.following {
        let leader = following.leader;
        rows.push((
            "Merged into",
            html! { a href={ "/requests/" (leader) } { code { (leader) } } },
        ));
    }
    if let Some(submitter) = shown.submitter {
        rows.push(("Submitted by", html! { (submitter) }));
    }
    facts(&rows)
}

/// What somebody has to do something about, and what whoever sent it should look at again.
fn to_do(shown: &Shown<'_>) -> Markup {
    let detail = shown.detail;
    html! {
        @if !detail.to_do.is_empty() {
            (notice("warn", &html! {
                p { strong { "Somebody has to act" } }
                ul { @for sentence in &detail.to_do { li { (text(shown.times, sentence)) } } }
            }))
        }
        @if !detail.warnings.is_empty() {
            (notice("info", &html! {
                p { strong { "Whoever sent it should look at this again" } }
                ul { @for warning in &detail.warnings { li { (warning) } } }
            }))
        }
    }
}

fn gates_and_holds(shown: &Shown<'_>) -> Markup {
    let (detail, times) = (shown.detail, shown.times);
    html! {
        @if !detail.gates.is_empty() {
            h2 { "Gates" }
            p.soft { "What had to open, in this order, before anything was sent." }
            ul {
                @for gate in &detail.gates {
                    li {
                        (badge::words(gate.gate)) " "
                        @if gate.open { (badge::badge("good", "open")) } @else { (badge::badge("warn", "closed")) }
                        @if let Some(until) = gate.until { " " (times.when(until)) }
                    }
                }
            }
        }
        @if !detail.holds.is_empty() {
            h2 #holds { "Legal holds on it" }
            ul {
                @for hold in &detail.holds {
                    li {
                        a href={ "/holds/" (hold.hold_id) "?tenant=" (shown.request().head.tenant) } { code { (hold.hold_id) } }
                        " (" (badge::words(hold.basis.as_str())) ")"
                    }
                }
            }
        }
    }
}
