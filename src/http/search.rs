//! Searches for the requests of a person, or of a ticket.

use std::sync::Arc;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Api,
    auth::{By, Caller, Compliance},
    body::Payload,
    calls::Calls,
    lists::raw,
    problem::Problem,
    query::Page,
};
use crate::{
    domain::{
        entry::Entry,
        ids::{RequestId, Tenant},
        request::Request,
    },
    engine::{Engine, identifying::MAX_TENANTS},
    wire::{Rejection, api, schemas::bodies, status::StatusMessage},
};

/// How many requests of one subject a search shows: far more than anybody makes.
const MAX_FOUND: u32 = 500;

/// Its call.
pub(super) fn calls() -> Calls {
    Calls::new().post("/v1/requests/search", search, |call| {
        call.says("Finds the requests of a person")
            .details("By one identifier, which never stands in a URL. That somebody has looked is an entry in the ledger.")
            .body::<bodies::SearchBody>()
            .example("email", r#"{"identity": {"type": "email", "value": "ann@example.org"}}"#)
            .answers::<Found>(200, "The requests, the newest first.")
    })
}

/// What a search has found.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Found {
    #[serde(flatten)]
    #[schemars(with = "Page<StatusMessage<'_>>")]
    page: Page<Box<RawValue>>,
    /// Whether there are more than are shown.
    truncated: bool,
    /// Under which id the ledger says that somebody has searched; its events are those of a request.
    ledger_entry: RequestId,
}

/// `POST /v1/requests/search`
pub(super) async fn search(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Compliance>,
    Payload(bytes): Payload,
) -> Result<Json<Found>, Problem> {
    let found = look_for(&api, &caller, api::parse_search(&bytes)?).await?;
    let items = found
        .requests
        .iter()
        .map(|request| raw(&api.engine.status_of(request)))
        .collect::<Result<_, _>>()?;
    Ok(Json(Found {
        page: Page {
            items,
            next_cursor: None,
        },
        truncated: found.truncated,
        ledger_entry: found.ledger_entry,
    }))
}

/// The requests of somebody who was searched for.
pub(super) struct FoundRequests {
    /// The newest first.
    pub(super) requests: Vec<Request>,
    /// Whether there are more.
    pub(super) truncated: bool,
    /// Under which id the ledger says that somebody has searched.
    pub(super) ledger_entry: RequestId,
}

/// Searches, whichever channel the question came through, and writes down that somebody has.
pub(super) async fn look_for(
    api: &Api,
    caller: &Caller,
    search: api::Search,
) -> Result<FoundRequests, Problem> {
    let engine = &api.engine;
    engine.check_searched(&search.identity)?;
    let tenants = searched(engine, caller.narrow(search.tenant)?).await?;
    let ids = engine
        .requests_of(&tenants, &search.identity, MAX_FOUND + 1)
        .await?;
    if ids.is_empty()
        && let Some(rejection) = engine.unknown_search(&search.identity.kind)
    {
        return Err(rejection.into());
    }
    let shown = &ids[..ids.len().min(MAX_FOUND as usize)];
    // The newest first.
    let requests = engine.requests(shown).await?;
    let truncated = ids.len() > shown.len();
    let look = Entry::Searched {
        actor: caller.name.clone(),
        identity_type: search.identity.kind.clone(),
        requests: requests.iter().map(|request| request.id).collect(),
        truncated,
    };
    let ledger_entry = engine.record_disclosure(look).await?;
    Ok(FoundRequests {
        requests,
        truncated,
        ledger_entry,
    })
}

/// The requests whose commands had this ticket in their metadata, where the caller may look: the newest first. A ticket is
/// nobody's identifier, so that this leaves no entry in the ledger.
pub(super) async fn of_ticket(
    api: &Api,
    caller: &Caller,
    tenant: Option<Tenant>,
    ticket: &str,
) -> Result<Vec<Request>, Problem> {
    let engine = &api.engine;
    let tenants = searched(engine, caller.narrow(tenant)?).await?;
    let ids = engine.requests_of_ticket(&tenants, ticket, MAX_FOUND).await?;
    Ok(engine.requests(&ids).await?)
}

/// Where a search looks: in the tenant that it names, else in all that the bearer may see.
async fn searched(engine: &Engine, named: Option<Tenant>) -> Result<Vec<Tenant>, Problem> {
    if let Some(tenant) = named {
        // Nobody is found in a misspelt one, which must not pass for an answer.
        engine.intake().check_served(&tenant)?;
        return Ok(vec![tenant]);
    }
    let expected = || {
        Rejection::schema(format!(
            "tenant: expected one, because there are more than {MAX_TENANTS} here"
        ))
    };
    Ok(engine.known_tenants().await?.ok_or_else(expected)?)
}
