//! One legal hold: what it is on, what it came too late for, and its release.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    super::{
        Api,
        auth::{Auditor, Compliance},
        holds,
        problem::Problem,
        query::Id,
    },
    fault::Fault,
    page::page,
    parts::{
        badge, facts, failed_page, flash,
        form::{Action, action_form, body},
        not_done, notice, request_link,
        table::{Column, table},
        times::{Times, none},
    },
    posted::Posted,
    visitor::Visitor,
};
use crate::{
    domain::ids::{HoldId, Tenant},
    engine::hold::{AlreadyDispatched, PlacedHold},
    view::sentences::outlook::name,
};

/// How many of the requests of a subject are listed.
const LISTED: usize = 50;

/// The pages and what can be done on them.
pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/holds/{id}", get(show))
        .route("/holds/{id}/release", post(release))
}

/// Where the page of a hold is: its name is one of its tenant's only.
pub(super) fn address(tenant: &Tenant, id: HoldId) -> String {
    format!("/holds/{id}?tenant={tenant}")
}

/// `GET /holds/{id}`
async fn show(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Auditor>,
    Id(id): Id<HoldId>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Markup, Fault> {
    let tenant = holds::tenant_of(&api, &visitor.caller, &uri, id)?;
    render(&api, &visitor, &tenant, id, &flash::of(&headers)).await
}

/// What the form of the release has.
#[derive(Deserialize)]
struct Fields {
    command_id: String,
    #[serde(default)]
    reason: String,
}

/// `POST /holds/{id}/release`
async fn release(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Compliance>,
    Id(id): Id<HoldId>,
    uri: Uri,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    let tenant = holds::tenant_of(&api, &visitor.caller, &uri, id)?;
    let bytes = body(&[("command_id", &form.command_id), ("note", &form.reason)]);
    let (headers, caller) = (HeaderMap::new(), &visitor.caller);
    match holds::lift(&api, id, &tenant, &headers, caller, &bytes).await {
        Ok(()) => Ok(flash::back(&address(&tenant, id), "release")),
        Err(problem) => {
            let page = render(&api, &visitor, &tenant, id, &not_done(&problem)).await?;
            Ok(failed_page(&problem, page))
        }
    }
}

async fn render<R>(
    api: &Api,
    visitor: &Visitor<R>,
    tenant: &Tenant,
    id: HoldId,
    said: &Markup,
) -> Result<Markup, Fault> {
    let placed = api.engine.placed_hold(tenant, id).await?;
    let placed = placed.ok_or_else(|| Problem::unknown("hold"))?;
    let late = api.engine.already_dispatched(&placed.hold).await?;
    let warnings = holds::warnings(api, &placed.hold).await?;
    let times = Times::of(api);
    let hold = &placed.hold;
    let body = html! {
        (said)
        h1 { "Legal hold " code { (id) } }
        p {
            @if placed.active { (badge::badge("warn", "active")) } @else { (badge::badge("calm", "released")) }
        }
        p.headline { (headline(&placed)) }
        @for warning in &warnings { (notice("warn", &html! { p { (warning) } })) }
        (facts(&rows(&placed, &times)))
        @if placed.active && visitor.may::<Compliance>() {
            h2 #actions { "What you can do" }
            div.actions { (release_form(visitor, &times, &placed)) }
        }
        @if !hold.found.is_empty() {
            h2 { "The requests of the person" }
            p { "There were " (hold.found.len()) " when it was placed; later ones are held as they come in." }
            ul {
                @for id in hold.found.iter().take(LISTED) { li { (request_link(id)) } }
            }
        }
        h2 { "What it came too late for" }
        (too_late(&late))
    };
    Ok(page(visitor, "/holds", &format!("Hold {id}"), &body))
}

fn headline(placed: &PlacedHold) -> String {
    let what = covered(placed);
    if placed.active {
        format!("Nothing is sent that it covers ({what}) until somebody releases it.")
    } else {
        format!("It was released: what it kept back ({what}) has gone on.")
    }
}

/// What a hold covers, without whom it is on.
fn covered(PlacedHold { hold, .. }: &PlacedHold) -> String {
    let mut parts = Vec::new();
    if !hold.subject.is_empty() {
        parts.push("one person".to_owned());
    }
    if let Some(id) = hold.request_id {
        parts.push(format!("request {id}"));
    }
    if let Some(processor) = &hold.processor {
        parts.push(format!("system {processor}"));
    }
    if !hold.categories.is_empty() {
        let names: Vec<&str> = hold.categories.iter().map(|category| category.as_str()).collect();
        parts.push(names.join(", "));
    }
    parts.join("; ")
}

fn rows(placed: &PlacedHold, times: &Times) -> Vec<(&'static str, Markup)> {
    let hold = &placed.hold;
    let request = hold.request_id.map_or_else(none, |id| request_link(&id));
    let processor = hold.processor.as_ref();
    vec![
        ("Ground", html! { (badge::words(hold.basis.as_str())) }),
        ("Tenant", html! { (hold.tenant) }),
        (
            "Placed",
            html! { (times.when(hold.placed_at)) " by " (hold.actor) },
        ),
        (
            "On a person",
            html! { @if hold.subject.is_empty() { "no" } @else { "yes (who it is lies nowhere in the clear)" } },
        ),
        ("On a request", request),
        (
            "At a system",
            processor.map_or_else(none, |id| html! { a href={ "/processors/" (id) } { (id) } }),
        ),
    ]
}

fn release_form<R>(visitor: &Visitor<R>, times: &Times, placed: &PlacedHold) -> Markup {
    let hold = &placed.hold;
    let path = format!("/holds/{}/release?tenant={}", hold.hold_id, hold.tenant);
    let preview = html! {
        ul {
            li { "What no other hold covers goes on at once, by itself, without anybody asking." }
            li { "What is erased then cannot be brought back." }
        }
    };
    let mut action = Action::new("release", &path, "Release the hold", preview);
    action.is_final = true;
    action_form(visitor, times, &action, "")
}

fn too_late(late: &AlreadyDispatched) -> Markup {
    if late.requests.is_empty() {
        return html! { p { "Nothing: what it covers had not been sent." } };
    }
    let rows: Vec<Vec<Markup>> = late
        .requests
        .iter()
        .flat_map(|(request, places)| {
            places.iter().map(|place| {
                vec![
                    request_link(&request.id),
                    html! { (name(request, *place)) },
                    badge::task_state(request.task(*place).state.name()),
                ]
            })
        })
        .collect();
    let columns = [
        Column::new("Request"),
        Column::new("System"),
        Column::new("State"),
    ];
    html! {
        (table("What it came too late for", &columns, &rows))
        @if late.truncated { p.soft { "There may be more: these are the first." } }
    }
}
