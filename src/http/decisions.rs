//! People's decisions about requests: the subject's identity, approvals, refusals, extensions.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::{
    Api,
    auth::{By, Caller, Compliance},
    body::Payload,
    calls::{Call, Calls},
    lists::{REQUESTS, Scan, narrowed, read_filter},
    problem::Problem,
    query::{Id, Params, cursor},
    repeats,
    unreadable::count_unreadable,
};
use crate::{
    domain::{
        command::Decision,
        identity::SubjectData,
        ids::RequestId,
        person::is_same_person,
        request::{Request, operate::DecisionError},
        words::{DeadLetterReason, Status},
    },
    engine::{OperateError, lists::Filter, operations},
    wire::{DecisionKind, Rejection, api, parse_decision, schemas::bodies, status::StatusMessage},
};

/// How many requests are approved in one transaction.
const BATCH: usize = 500;
/// How many requests are read at a time.
const PAGE: u32 = 1_000;
/// How many open requests one call looks at: about a second's work. Where there are more, the next call goes on after them.
const MAX_SCANNED: usize = 200_000;
/// How many requests one call approves at the most: so many transactions of a batch each are made well within its time, and
/// what follows from them goes out meanwhile.
const MOST: u64 = 20 * BATCH as u64;

/// The calls.
pub(super) fn calls() -> Calls {
    Calls::new()
        .post("/v1/requests/{id}/verify-identity", verify_identity, |call| {
            decided(call.says("Says what came of verifying the person's identity"))
                .body::<bodies::VerifyIdentityBody>()
                .example("passed", r#"{"method": "postident", "result": "passed"}"#)
        })
        .post("/v1/requests/{id}/approve", approve, |call| {
            decided(call.says("Approves a request; never by its submitter"))
                .problem(403, "not_allowed", "The bearer has submitted the request.")
                .optional_body::<bodies::ApproveBody>()
        })
        .post("/v1/requests/{id}/refuse", refuse, |call| {
            decided(call.says("Refuses a request, or one processor's share of it; never by its submitter"))
                .problem(403, "not_allowed", "The bearer has submitted the request.")
                .body::<bodies::RefuseBody>()
                .example("excessive", r#"{"basis": "excessive", "reason": "the fourth time this month"}"#)
        })
        .post("/v1/requests/{id}/extend", extend, |call| {
            decided(call.says("Extends the deadline as the regime allows, once"))
                .body::<bodies::ExtendBody>()
                .example("complexity", r#"{"reason": "complexity"}"#)
        })
        .post("/v1/requests/{id}/forget", forget, |call| {
            call.says("Deletes the rows of a closed request before their time")
                .details("Its entries in the ledger stay; they hold no personal data.")
                .answers::<Forgotten>(200, "It is forgotten.")
                .problem(409, "wrong_state", "It is open, a hold covers it, or a backup could still bring its data back.")
        })
        .post("/v1/approvals", approve_all, |call| {
            call.says("Approves all requests that a filter finds, if it finds as many as the caller believes")
                .details("The filter's members are the parameters of `GET /v1/requests`. One call looks at 200,000 open requests.")
                .repeatable()
                .body::<bodies::ApprovalsBody>()
                .example("two", r#"{"filter": {"tenant": "acme"}, "expected_count": 2}"#)
                .answers::<Approved>(200, "They are approved.")
                .problem(403, "not_allowed", "The bearer has submitted one of them.")
                .problem(409, "count_differs", "The filter finds another number; none was approved.")
                .problem(409, "conflicting_duplicate", "The same key came before with another content.")
        })
}

/// What all decisions about one request have.
fn decided(call: Call) -> Call {
    call.repeatable()
        .answers::<StatusMessage<'_>>(200, "Where the request stands then.")
        .problem(
            409,
            "wrong_state",
            "The request's state does not allow it; `detail` says why.",
        )
        .problem(
            409,
            "irreversible",
            "Something was sent, and cannot be called back.",
        )
        .problem(
            409,
            "conflicting_duplicate",
            "The same key came before with another content.",
        )
}

/// A request whose rows are gone.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Forgotten {
    request_id: RequestId,
    forgotten: bool,
}

/// How many were approved.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Approved {
    approved: u64,
    /// Where the next call goes on, where there are more open requests than one call looks at.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A handler for each kind of decision.
macro_rules! decisions {
    ($($(#[$doc:meta])* $name:ident: $kind:ident;)+) => {$(
        $(#[$doc])*
        pub(super) async fn $name(
            State(api): State<Arc<Api>>,
            By { caller, .. }: By<Compliance>,
            Id(id): Id<RequestId>,
            headers: HeaderMap,
            Payload(bytes): Payload,
        ) -> Result<Response, Problem> {
            decide(&api, id, &headers, DecisionKind::$kind, &caller, &bytes).await
        }
    )+};
}

decisions! {
    /// `POST /v1/requests/{id}/verify-identity`
    verify_identity: VerifyIdentity;
    /// `POST /v1/requests/{id}/approve`
    approve: Approve;
    /// `POST /v1/requests/{id}/refuse`
    refuse: Refuse;
    /// `POST /v1/requests/{id}/extend`
    extend: Extend;
}

/// `POST /v1/requests/{id}/forget`: a closed request's rows go now, and not only after vault.records_keep.
pub(super) async fn forget(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Compliance>,
    Id(id): Id<RequestId>,
) -> Result<Json<Forgotten>, Problem> {
    caller.check_command(&api.engine, id, "forget").await?;
    let emission = api.engine.operations().forget(id, &caller.name).await?;
    api.outputs.hand_over(emission).await;
    Ok(Json(Forgotten {
        request_id: id,
        forgotten: true,
    }))
}

async fn decide(
    api: &Api,
    id: RequestId,
    headers: &HeaderMap,
    kind: DecisionKind,
    caller: &Caller,
    bytes: &[u8],
) -> Result<Response, Problem> {
    let request = carry_out(api, id, headers, kind, caller, bytes).await?;
    Ok(Json(api.engine.status_of(&request)).into_response())
}

/// Carries out a person's decision, whichever channel it came through; the request as it is then.
pub(super) async fn carry_out(
    api: &Api,
    id: RequestId,
    headers: &HeaderMap,
    kind: DecisionKind,
    caller: &Caller,
    bytes: &[u8],
) -> Result<Request, Problem> {
    let (decision, note) =
        parse_decision(kind, bytes).inspect_err(|rejection| count_unreadable(&api.engine, rejection))?;
    caller.check_command(&api.engine, id, decision.name()).await?;
    let note = note.as_ref().map(SubjectData::expose);
    let once = repeats::of_request(api, caller, headers, (decision.name(), id), bytes).await?;
    let by = operations::By::with_key(&caller.name, once.as_ref());
    let (request, emission) = match api
        .engine
        .operations()
        .decide_request(id, &decision, by, note)
        .await
    {
        Ok(done) => done,
        Err(error) => return Err(repeats::in_state_of_request(api, id, error).await),
    };
    api.outputs.hand_over(emission).await;
    Ok(request)
}

/// `POST /v1/approvals`: all that a filter finds, if it finds as many as the caller believes.
pub(super) async fn approve_all(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Compliance>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Json<Approved>, Problem> {
    let wanted = api::parse_approvals(&bytes)?;
    let cursor_given = wanted.cursor.map(|cursor| ("cursor".to_owned(), cursor));
    let given = wanted.filter.into_iter().chain(cursor_given).collect();
    let mut params = Params::given(given, &[Filter::KEYS, &["cursor"]].concat())?;
    let filter = read_filter(&mut params);
    let after = params.cursor(REQUESTS).map(|id| RequestId(Uuid::from_bytes(id)));
    params.finish()?;
    let filter = narrowed(filter, &caller)?;
    let expected = wanted.expected_count;
    if expected > MOST {
        let detail = format!(
            "expected_count: expected at most {MOST} in one call; narrow the filter, by received_before for instance, and go on \
             with the rest"
        );
        return Err(Rejection::schema(detail).into());
    }
    let tenant = filter.tenant.as_ref().unwrap_or(&api.engine.tenant_default);
    let once = repeats::of_many(&api, &caller, &headers, ("approvals", tenant), &bytes)?;
    let found = waiting(&api, &filter, expected, after).await?;
    if let Some(once) = &once
        && api.engine.operations().is_repeat(once).await?
    {
        return Ok(Json(answer(expected, &found)));
    }
    if found.ids.len() as u64 != expected {
        return Err(count_differs(expected, &found));
    }
    refuse_own(&api, &found.ids, &caller.name).await?;
    let mut approved = 0;
    let chunks = found.ids.chunks(BATCH);
    let last = chunks.len().saturating_sub(1);
    for (place, some) in chunks.enumerate() {
        // A call that breaks off before all of it is done is no repeat: whoever makes it again finds another count.
        let once = once.as_ref().filter(|_| place == last);
        let (count, emission) = api
            .engine
            .operations()
            .approve_all(some, &caller.name, once)
            .await?;
        approved += count;
        api.outputs.hand_over(emission).await;
    }
    Ok(Json(answer(approved, &found)))
}

fn answer(approved: u64, found: &Waiting) -> Approved {
    Approved {
        approved,
        next_cursor: found.next_cursor(),
    }
}

fn count_differs(expected: u64, found: &Waiting) -> Problem {
    let mut detail = format!(
        "expected_count: {} requests wait for an approval and meet the filter, where {expected} were expected",
        found.ids.len(),
    );
    if let Some(place) = found.next_cursor() {
        detail += &format!(
            "; one call looks at {MAX_SCANNED} open requests, and there are more: approve these, and go on with the cursor {place}"
        );
    }
    Problem::new(StatusCode::CONFLICT, "count_differs", detail)
}

/// The requests that wait for an approval and meet a filter.
struct Waiting {
    ids: Vec<RequestId>,
    /// The last request that was looked at, where there are more.
    cut_off_at: Option<RequestId>,
}

impl Waiting {
    fn next_cursor(&self) -> Option<String> {
        self.cut_off_at.map(|id| cursor(REQUESTS, *id.0.as_bytes()))
    }
}

/// Looks for them. Beyond what was expected nobody needs to count on for long.
async fn waiting(
    api: &Api,
    filter: &Filter,
    expected: u64,
    after: Option<RequestId>,
) -> Result<Waiting, Problem> {
    let mut scan = Scan::new(&api.engine, true, after, PAGE as usize).at_most(MAX_SCANNED);
    let mut ids = Vec::new();
    let enough = expected.saturating_add(u64::from(PAGE));
    while ids.len() as u64 <= enough {
        let requests = scan.next().await?;
        if requests.is_empty() {
            let cut_off_at = scan.cut_off_at();
            return Ok(Waiting { ids, cut_off_at });
        }
        let met = requests
            .iter()
            .filter(|request| request.life.status == Status::AwaitingApproval && filter.takes(request));
        ids.extend(met.map(|request| request.id));
    }
    let cut_off_at = None;
    Ok(Waiting { ids, cut_off_at })
}

/// Nobody approves what they have submitted, not among others either.
async fn refuse_own(api: &Api, ids: &[RequestId], name: &str) -> Result<(), Problem> {
    for some in ids.chunks(PAGE as usize) {
        for (_, body) in api.engine.bodies(some).await? {
            if body
                .submitter
                .is_some_and(|submitter| is_same_person(&submitter, name))
            {
                let kind = Decision::Approve.name();
                api.engine
                    .metrics
                    .command(kind, DeadLetterReason::NotAllowed.as_str());
                return Err(OperateError::from(DecisionError::Submitter).into());
            }
        }
    }
    Ok(())
}
