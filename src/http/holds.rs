//! Legal holds: placed, listed and released by whoever answers for the law. Who a hold is on is never shown again.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Api,
    auth::{Auditor, By, Caller, Compliance},
    body::Payload,
    calls::Calls,
    csv,
    lists::raw,
    problem::Problem,
    query::{Id, Page, Params, cursor},
    requests::{make_id, message_of},
    unreadable::count_unreadable,
};
use crate::{
    domain::{
        hold::Hold,
        ids::{HoldId, Tenant},
        words::DeadLetterReason,
    },
    engine::{
        hold::PlacedHold,
        intake::Verdict,
        prepare::{Arrival, PreparedCommand},
    },
    view::hold::{HoldView, PlacedHoldView},
    wire::{ParsedCommand, Rejection, parse_hold, parse_release, schemas::bodies},
};

/// The list of a cursor.
const HOLDS: u8 = b'h';

/// The calls.
pub(super) fn calls() -> Calls {
    const TENANT: &str = "The tenant; absent: the one that alone has an active hold of this name.";
    Calls::new()
        .post("/v1/holds", place, |call| {
            call.says("Places a legal hold")
                .details("What it covers is not sent to anybody until it is released. Whom it is on is shown nowhere.")
                .repeatable()
                .body::<bodies::HoldBody>()
                .example("subject", include_str!("../../schemas/examples/command.hold.json"))
                .answers::<PlacedHoldView<'_>>(201, "The hold, with what had been sent before it.")
                .located()
                .problem(409, "conflicting_duplicate", "The same id came before with another content.")
                .problem(409, "wrong_state", "There is such a hold.")
        })
        .get("/v1/holds", list, |call| {
            call.says("Lists the active holds, the oldest first")
                .query::<Tenant>("tenant", "Only those of this tenant.")
                .paged()
                .answers::<Page<HoldView<'_>>>(200, "A page of holds.")
                .or_csv()
        })
        .get("/v1/holds/{id}", one, |call| {
            call.says("Shows one hold")
                .query::<Tenant>("tenant", TENANT)
                .answers::<PlacedHoldView<'_>>(200, "The hold.")
        })
        .delete("/v1/holds/{id}", release, |call| {
            call.says("Releases a hold")
                .query::<Tenant>("tenant", TENANT)
                .repeatable()
                .optional_body::<bodies::ReleaseBody>()
                .answers::<Released>(200, "It is released.")
                .problem(409, "conflicting_duplicate", "The same id came before with another content.")
                .problem(409, "wrong_state", "It was released before.")
        })
}

/// A hold that is over.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Released {
    hold_id: HoldId,
    released: bool,
}

/// `POST /v1/holds`
pub(super) async fn place(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Compliance>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Response, Problem> {
    let placed = set(&api, &headers, &caller, &bytes).await?;
    let (tenant, hold_id) = (&placed.hold.tenant, placed.hold.hold_id);
    let mut location = format!("/v1/holds/{hold_id}");
    if *tenant != api.engine.tenant_default {
        location.push_str(&format!("?tenant={tenant}"));
    }
    let body = shown(&api, &placed).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(body)).into_response())
}

/// Places a hold, whichever channel it came through.
pub(super) async fn set(
    api: &Api,
    headers: &HeaderMap,
    caller: &Caller,
    bytes: &[u8],
) -> Result<PlacedHold, Problem> {
    let engine = &api.engine;
    let tenant_default = caller.tenant_or(&engine.tenant_default);
    let mut message = message_of(headers, bytes, caller, tenant_default)?;
    make_id(&mut message.envelope, engine);
    let parsed = parse_hold(&message.payload, &message.envelope, &caller.name);
    let (prepared, hold_id) = prepare(api, parsed)?;
    caller.check(prepared.command.tenant())?;
    let tenant = prepared.command.tenant().clone();
    tell(api, prepared).await?.map_err(Problem::from)?;
    let placed = engine.placed_hold(&tenant, hold_id).await?;
    placed.ok_or_else(Problem::internal)
}

/// `GET /v1/holds/{id}`
pub(super) async fn one(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    Id(id): Id<HoldId>,
    uri: Uri,
) -> Result<Json<Box<RawValue>>, Problem> {
    let tenant = tenant_of(&api, &caller, &uri, id)?;
    let placed = api
        .engine
        .placed_hold(&tenant, id)
        .await?
        .ok_or_else(|| Problem::unknown("hold"))?;
    Ok(Json(shown(&api, &placed).await?))
}

async fn shown(api: &Api, placed: &PlacedHold) -> Result<Box<RawValue>, Problem> {
    let found = api.engine.already_dispatched(&placed.hold).await?;
    let warnings = warnings(api, &placed.hold).await?;
    raw(&PlacedHoldView::of(placed, &found, warnings))
}

/// What whoever placed a hold should look at again.
pub(super) async fn warnings(api: &Api, hold: &Hold) -> Result<Vec<&'static str>, Problem> {
    let mut warnings = Vec::new();
    if !hold.subject.is_empty() && hold.found.is_empty() {
        warnings.push("subject: there was no request of this subject in this tenant; later ones are held as they come in");
    }
    if let Some(id) = hold.request_id {
        let request = api.engine.request(id).await?;
        let is_merged = request
            .as_ref()
            .is_some_and(|request| request.life.following.is_some());
        if is_merged {
            warnings.push(
                "request_id: it was merged into another request (merged_into), which is not held: hold that one",
            );
        }
        if request.is_none_or(|request| request.head.tenant != hold.tenant) {
            warnings
                .push("request_id: there is no such request in this tenant, so the hold covers nothing now");
        }
    }
    if let Some(processor) = &hold.processor
        && api.engine.active()?.registry.get(processor).is_none()
    {
        warnings.push("processor: none of this id is registered, so the hold covers nothing now");
    }
    Ok(warnings)
}

/// A list of holds that somebody asks for.
pub(super) struct Wanted {
    tenant: Option<Tenant>,
    limit: usize,
    after: Option<Vec<u8>>,
}

impl Wanted {
    /// What its query may have.
    pub(super) const KEYS: &'static [&'static str] = &["tenant", "limit", "cursor"];

    /// Reads it.
    pub(super) fn read(mut params: Params, caller: &Caller) -> Result<Self, Problem> {
        let tenant = params.take("tenant", "a tenant", |text| Tenant::new(text).ok());
        let limit = params.limit();
        let after = params.cursor(HOLDS);
        params.finish()?;
        Ok(Self {
            tenant: caller.narrow(tenant)?,
            limit,
            after,
        })
    }

    /// All of it.
    pub(super) fn into_csv(mut self, api: Arc<Api>) -> Response {
        self.limit = csv::ROWS;
        csv::list(api, "holds", COLUMNS, self)
    }

    /// A page of it, the oldest first, and the cursor of the next one.
    pub(super) async fn page(&mut self, api: &Api) -> Result<(Vec<Hold>, Option<String>), Problem> {
        let facts = api.engine.refresh_facts().await?;
        let mut holds: Vec<(Vec<u8>, &Hold)> = facts
            .holds()
            .iter()
            .filter(|hold| self.tenant.as_ref().is_none_or(|tenant| *tenant == hold.tenant))
            .map(|hold| (place_of(hold), hold))
            .filter(|(place, _)| self.after.as_ref().is_none_or(|after| place > after))
            .collect();
        holds.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let more = holds.len() > self.limit;
        holds.truncate(self.limit);
        self.after = holds.last().filter(|_| more).map(|(place, _)| place.clone());
        let next = self.after.as_ref().map(|place| cursor(HOLDS, place));
        Ok((holds.into_iter().map(|(_, hold)| hold.clone()).collect(), next))
    }
}

/// The columns of the list as CSV.
const COLUMNS: [&str; 9] = [
    "hold_id",
    "tenant",
    "basis",
    "placed_at",
    "placed_by",
    "by_subject",
    "request_id",
    "processor",
    "categories",
];

#[async_trait]
impl csv::Source<9> for Wanted {
    async fn next(&mut self, api: &Api) -> Result<(Vec<[String; 9]>, bool), Problem> {
        let (holds, next) = self.page(api).await?;
        let cells = holds.iter().map(|hold| {
            let view = HoldView::of(hold);
            let categories: Vec<String> = view.categories.iter().map(ToString::to_string).collect();
            [
                view.hold_id.to_string(),
                view.tenant.to_string(),
                view.basis.to_string(),
                view.placed_at.to_string(),
                view.placed_by.to_owned(),
                view.by_subject.to_string(),
                view.request_id.map(|id| id.to_string()).unwrap_or_default(),
                view.processor.map(ToString::to_string).unwrap_or_default(),
                categories.join("; "),
            ]
        });
        Ok((cells.collect(), next.is_some()))
    }
}

/// `GET /v1/holds`: active ones, the oldest first.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let mut params = Params::read(&uri, &[Wanted::KEYS, &["format"]].concat())?;
    let as_csv = csv::is_wanted(&mut params, &headers);
    let mut wanted = Wanted::read(params, &caller)?;
    if as_csv {
        return Ok(wanted.into_csv(api));
    }
    let (holds, next_cursor) = wanted.page(&api).await?;
    let items = holds.iter().map(|hold| raw(&HoldView::of(hold)));
    let items = items.collect::<Result<Vec<_>, _>>()?;
    Ok(Json(Page { items, next_cursor }).into_response())
}

/// Where a hold stands in the list: by time, then by its name, which is one of its tenant's only.
fn place_of(hold: &Hold) -> Vec<u8> {
    // Nothing is placed before 1970, so the bytes are in the order of the times.
    let mut place = hold.placed_at.millis().to_be_bytes().to_vec();
    place.extend_from_slice(hold.hold_id.0.as_bytes());
    place.extend_from_slice(hold.tenant.as_str().as_bytes());
    place
}

/// `DELETE /v1/holds/{id}`
pub(super) async fn release(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Compliance>,
    Id(id): Id<HoldId>,
    uri: Uri,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Json<Released>, Problem> {
    let tenant = tenant_of(&api, &caller, &uri, id)?;
    lift(&api, id, &tenant, &headers, &caller, &bytes).await?;
    Ok(Json(Released {
        hold_id: id,
        released: true,
    }))
}

/// Releases a hold of a tenant, whichever channel the decision came through.
pub(super) async fn lift(
    api: &Api,
    id: HoldId,
    tenant: &Tenant,
    headers: &HeaderMap,
    caller: &Caller,
    bytes: &[u8],
) -> Result<(), Problem> {
    let mut message = message_of(headers, bytes, caller, tenant)?;
    make_id(&mut message.envelope, &api.engine);
    let parsed = parse_release(&message.payload, id, &message.envelope, &caller.name);
    let (prepared, _) = prepare(api, parsed)?;
    caller.check(prepared.command.tenant())?;
    let tenant = prepared.command.tenant().clone();
    match tell(api, prepared).await? {
        Ok(()) => Ok(()),
        Err(rejection)
            if rejection.reason == DeadLetterReason::WrongState
                && api.engine.placed_hold(&tenant, id).await?.is_none() =>
        {
            Err(Problem::unknown("hold"))
        }
        Err(rejection) => Err(rejection.into()),
    }
}

/// A hold's name is one of its tenant's only; without `tenant` the one is meant that has an active hold of this name, and
/// else the configured default.
pub(super) fn tenant_of(api: &Api, caller: &Caller, uri: &Uri, id: HoldId) -> Result<Tenant, Problem> {
    let mut params = Params::read(uri, &["tenant"])?;
    let tenant = params.take("tenant", "a tenant", |text| Tenant::new(text).ok());
    params.finish()?;
    Ok(caller
        .narrow(tenant)?
        .or_else(|| only_tenant_of(api, id))
        .unwrap_or_else(|| api.engine.tenant_default.clone()))
}

/// Prepares what was read, and counts what could not be.
fn prepare(
    api: &Api,
    parsed: Result<ParsedCommand, Rejection>,
) -> Result<(PreparedCommand, HoldId), Problem> {
    let prepared = parsed.and_then(|parsed| {
        // What orders a hold and its release is the hold's own name.
        let hold_id = HoldId(parsed.command.ordering_key());
        Ok((api.engine.intake().prepare_parsed(parsed)?, hold_id))
    });
    prepared
        .inspect_err(|rejection| count_unreadable(&api.engine, rejection))
        .map_err(Problem::from)
}

/// Tells it, in a transaction of its own: a fact waits for all others, so it gains nothing by company.
async fn tell(api: &Api, prepared: PreparedCommand) -> Result<Result<(), Rejection>, Problem> {
    let arrival = Arrival::of_call(prepared);
    let taken = api.engine.intake().take_in(&[arrival]).await?;
    api.outputs.hand_over(taken.emission).await;
    Ok(match taken.verdicts.into_iter().next() {
        Some(Verdict::Rejected(rejection)) => Err(rejection),
        Some(Verdict::Taken(_) | Verdict::Duplicate(_) | Verdict::Waiting(_)) => Ok(()),
        None => return Err(Problem::internal()),
    })
}

/// The tenant that alone has an active hold of this name.
fn only_tenant_of(api: &Api, id: HoldId) -> Option<Tenant> {
    let facts = api.engine.facts();
    let mut found = facts.holds().iter().filter(|hold| hold.hold_id == id);
    let first = found.next()?.tenant.clone();
    found.next().is_none().then_some(first)
}
