//! The search field of every page: a request by its id, by the ticket that it has upstream, or by an identifier of the person
//! that it is about.
//!
//! It is always sent in the body of a call. What was looked for is in no address, no log, and no page that a link leads to.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    super::{
        Api,
        auth::{Auditor, Compliance, Reader},
        problem::Problem,
        requests::is_own,
        search::{look_for, of_ticket},
    },
    fault::Fault,
    page::page,
    parts::{
        badge, capitalised, nothing, notice, request_link,
        table::{Column, table},
        times::Times,
    },
    posted::Posted,
    visitor::Visitor,
};
use crate::{
    domain::{
        ids::{HoldId, IdentityType, RequestId, TaskId, Tenant},
        request::Request,
    },
    engine::OperateError,
    view::headline::headline,
    wire::{Rejection, api::parse_search},
};

/// How many types of identifiers one search tries that names none: each is an entry of the ledger.
const MOST_TYPES: usize = 8;

/// What is looked for.
#[derive(Deserialize)]
pub(super) struct Fields {
    #[serde(default)]
    q: String,
    /// The type of identifier; empty: whatever it looks like.
    #[serde(default)]
    kind: String,
    /// The tenant; empty: all that may be seen.
    #[serde(default)]
    tenant: String,
}

/// What a search has found.
#[derive(Default)]
struct Found {
    requests: Vec<Request>,
    truncated: bool,
    /// The types of identifiers that were tried.
    tried: Vec<String>,
    /// Those that it looked like at first, and cannot be.
    passed_over: Vec<String>,
}

/// `POST /search`
pub(super) async fn search(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Reader>,
    Posted(fields): Posted<Fields>,
) -> Result<Response, Fault> {
    let wanted = fields.q.trim();
    if let Ok(id) = Uuid::try_parse(wanted)
        && fields.kind.is_empty()
        && let Some(address) = by_id(&api, &visitor, id).await?
    {
        return Ok(Redirect::to(&address).into_response());
    }
    let tenant = match tenant_of(&fields) {
        Ok(tenant) => tenant,
        Err(problem) => return Ok(refused(&visitor, &fields, &problem)),
    };
    if visitor.may::<Auditor>() && fields.kind.is_empty() && !wanted.is_empty() {
        let requests = match of_ticket(&api, &visitor.caller, tenant.clone(), wanted).await {
            Ok(requests) => requests,
            Err(problem) => return Ok(refused(&visitor, &fields, &problem)),
        };
        if !requests.is_empty() {
            let found = Found {
                requests,
                ..Found::default()
            };
            return Ok(shown(&api, &visitor, &fields, &found));
        }
    }
    if !visitor.may::<Compliance>() {
        return Ok(unknown(&visitor, &fields, &Found::default()).into_response());
    }
    match by_person(&api, &visitor, &fields, tenant.as_ref(), wanted).await {
        Ok(found) => Ok(shown(&api, &visitor, &fields, &found)),
        Err(problem) => Ok(refused(&visitor, &fields, &problem)),
    }
}

/// The tenant that is named; none: all that may be seen. What cannot be one must not pass for none.
fn tenant_of(fields: &Fields) -> Result<Option<Tenant>, Problem> {
    let named = match fields.tenant.trim() {
        "" => return Ok(None),
        named => Tenant::new(named),
    };
    named
        .map(Some)
        .map_err(|_| Rejection::schema("tenant: expected the name of a tenant").into())
}

/// Why nothing was searched, and the form to say it better.
fn refused(visitor: &Visitor<Reader>, fields: &Fields, problem: &Problem) -> Response {
    let (status, _, detail) = problem.said();
    let said = notice("bad", &html! { p { (capitalised(detail)) "." } });
    let body = html! { (said) (form(visitor, fields)) };
    (status, page(visitor, "/requests", "Search", &body)).into_response()
}

/// One is what was looked for; its address names the request and nobody. Several are listed.
fn shown(api: &Api, visitor: &Visitor<Reader>, fields: &Fields, found: &Found) -> Response {
    match &found.requests[..] {
        [only] => Redirect::to(&format!("/requests/{}", only.id)).into_response(),
        _ => list(api, visitor, fields, found).into_response(),
    }
}

/// Where the page is of whatever has this id: a request, a task of one, a hold, a dead letter.
async fn by_id(api: &Api, visitor: &Visitor<Reader>, id: Uuid) -> Result<Option<String>, Problem> {
    let (engine, caller) = (&api.engine, &visitor.caller);
    if caller.sees_only_its_own() {
        let is_own = is_own(engine, RequestId(id), &caller.name).await?;
        return Ok(is_own.then(|| format!("/requests/{id}")));
    }
    if let Some(request) = engine.request(RequestId(id)).await? {
        return Ok(caller
            .sees(&request.head.tenant)
            .then(|| format!("/requests/{id}")));
    }
    match engine.find_task(TaskId(id)).await {
        Ok((request, _)) if caller.sees(&request.head.tenant) => {
            return Ok(Some(format!("/requests/{}#task-{id}", request.id)));
        }
        Ok(_) | Err(OperateError::Unknown(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let facts = engine.refresh_facts().await?;
    let hold = facts.holds().iter().find(|hold| hold.hold_id == HoldId(id));
    if let Some(hold) = hold.filter(|hold| caller.sees(&hold.tenant)) {
        return Ok(Some(super::hold::address(&hold.tenant, hold.hold_id)));
    }
    let is_letter = caller.check_unlimited().is_ok() && engine.one_dead_letter(id).await?.is_some();
    Ok(is_letter.then(|| format!("/dead-letters/{id}")))
}

/// The requests of somebody. Each type that is tried is a search of its own, as over the API, and an entry of the ledger.
async fn by_person(
    api: &Api,
    visitor: &Visitor<Reader>,
    fields: &Fields,
    tenant: Option<&Tenant>,
    wanted: &str,
) -> Result<Found, Problem> {
    let kinds = match fields.kind.trim() {
        "" => kinds_of(api, wanted)?,
        named => vec![named.to_owned()],
    };
    let is_named = !fields.kind.trim().is_empty();
    let mut found = Found::default();
    let mut seen = BTreeSet::new();
    for kind in kinds {
        let mut asked = json!({ "identity": { "type": kind, "value": wanted } });
        if let Some(tenant) = tenant {
            asked["tenant"] = tenant.as_str().into();
        }
        let parsed = parse_search(asked.to_string().as_bytes());
        let some = match parsed.map_err(Problem::from) {
            Ok(search) => look_for(api, &visitor.caller, search).await,
            Err(problem) => Err(problem),
        };
        let some = match some {
            Ok(some) => some,
            // It only looked like one of this type: a phone number that is none, for instance.
            Err(problem) if !is_named && problem.said().0.is_client_error() => {
                found.passed_over.push(kind);
                continue;
            }
            Err(problem) => return Err(problem),
        };
        found.tried.push(kind);
        found.truncated |= some.truncated;
        let new = some
            .requests
            .into_iter()
            .filter(|request| seen.insert(request.id));
        found.requests.extend(new);
    }
    Ok(found)
}

/// The types of identifiers that a text looks like.
fn kinds_of(api: &Api, wanted: &str) -> Result<Vec<String>, Problem> {
    let active = api.engine.active()?;
    let known: BTreeSet<&str> = active
        .registry
        .processors
        .iter()
        .flat_map(|processor| processor.identities.iter().chain(&processor.provides))
        .map(IdentityType::as_str)
        .collect();
    let looks_like_phone = wanted.starts_with('+')
        && wanted
            .bytes()
            .all(|b| b.is_ascii_digit() || b" +-()/.".contains(&b));
    let fits = |kind: &&&str| match **kind {
        "email" => wanted.contains('@'),
        "phone" => looks_like_phone,
        _ => !wanted.contains('@') && !looks_like_phone,
    };
    let kinds: Vec<String> = known.iter().filter(fits).map(|kind| (*kind).to_owned()).collect();
    if kinds.len() > MOST_TYPES {
        return Err(Rejection::schema("type: name it, because what was typed could be of too many").into());
    }
    Ok(kinds)
}

fn list(api: &Api, visitor: &Visitor<Reader>, fields: &Fields, found: &Found) -> Markup {
    if found.requests.is_empty() {
        return unknown(visitor, fields, found);
    }
    let times = Times::of(api);
    let rows: Vec<Vec<Markup>> = found
        .requests
        .iter()
        .map(|request| {
            vec![
                request_link(&request.id),
                badge::status(request.life.status),
                html! { (headline(request, times.now, &times.zone)) },
                times.day(request.head.received_at),
                html! { (request.head.tenant) },
            ]
        })
        .collect();
    let columns = [
        Column::new("Request"),
        Column::new("Status"),
        Column::new("Is it done?"),
        Column::new("Received"),
        Column::new("Tenant"),
    ];
    let body = html! {
        h1 { (found.requests.len()) " requests were found" }
        (table("Requests that were found", &columns, &rows))
        @if found.truncated { p { "There are more: these are the newest." } }
        (looked(found))
        (form(visitor, fields))
    };
    page(visitor, "/requests", "Search", &body)
}

/// That somebody has looked is no secret from whoever has.
fn looked(found: &Found) -> Markup {
    html! {
        @if !found.tried.is_empty() {
            p.soft {
                "The ledger says that you have searched (as " (found.tried.join(", ")) "), and not for whom."
            }
        }
        @if !found.passed_over.is_empty() {
            p.soft { "Not searched as " (found.passed_over.join(", ")) ": it cannot be one. Name the type to read why." }
        }
    }
}

fn unknown(visitor: &Visitor<Reader>, fields: &Fields, found: &Found) -> Markup {
    let hint = html! {
        "A request is found by its id or by its ticket (" code { "metadata.ticket" } " of the command), a task by its own id, and a person by one "
        "of their identifiers (e-mail, phone, customer id), as the command had it. "
        "Requests that were closed long ago are forgotten, and a command that never arrived is not here: look at the "
        a href="/dead-letters" { "dead letters" } "."
    };
    let not_compliance = html! { "With your role, a request is found by its id; auditors and operators find it by its ticket as well. Persons are found by compliance." };
    let body = html! {
        h1 { "Nothing was found" }
        @if visitor.may::<Compliance>() {
            (nothing("No request fits.", &hint))
            @if found.tried.is_empty() {
                p { strong { "No person was searched for:" } " it looks like no type of identifier that a system is asked by. Name the type below." }
            }
            (looked(found))
            (form(visitor, fields))
        } @else {
            (nothing("No request has this id.", &not_compliance))
        }
    };
    page(visitor, "/requests", "Search", &body)
}

/// The search with more to say. The identifier is not filled in again: a page that is left open shows it to nobody.
fn form(visitor: &Visitor<Reader>, fields: &Fields) -> Markup {
    html! {
        h2 { "Search for a person" }
        form.box method="post" action="/search" {
            (visitor.csrf_field())
            label for="person-q" { "Identifier" }
            input type="text" id="person-q" name="q" required maxlength="512" autocomplete="off" spellcheck="false";
            label for="person-kind" { "Type (empty: what it looks like)" }
            input type="text" id="person-kind" name="kind" value=(fields.kind) maxlength="64" autocomplete="off"
                placeholder="email, phone, customer_id";
            label for="person-tenant" { "Tenant (empty: all that you may see)" }
            input type="text" id="person-tenant" name="tenant" value=(fields.tenant) maxlength="64" autocomplete="off";
            p { button type="submit" { "Search" } }
        }
    }
}
