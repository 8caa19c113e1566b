//! People's decisions about requests: the subject's identity, approvals, refusals, extensions.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    Api,
    auth::{By, Caller, Compliance},
    body::Payload,
    lists::Filter,
    problem::Problem,
    query::{Id, Params},
    repeats,
    requests::count_unreadable,
};
use crate::{
    domain::{
        body::Body,
        command::Decision,
        identity::SubjectData,
        ids::RequestId,
        person::is_same_person,
        request::operate::Refused,
        words::{DeadLetterReason, Status},
    },
    engine::{EngineError, OperateError, operations},
    wire::{DecisionKind, Refusal, api, parse_decision},
};

/// How many requests are approved in one transaction.
const BATCH: usize = 500;
/// How many requests are read at a time.
const PAGE: u32 = 1_000;
/// How many requests one call approves at the most: so many transactions of a batch each are made well within its time, and
/// what follows from them goes out meanwhile.
const MOST: u64 = 20 * BATCH as u64;

/// `POST /v1/requests/{id}/verify-identity`
pub(super) async fn verify_identity(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Compliance>,
    Id(id): Id<RequestId>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Response, Problem> {
    decide(&api, id, &headers, DecisionKind::VerifyIdentity, &caller, &bytes).await
}

/// `POST /v1/requests/{id}/approve`
pub(super) async fn approve(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Compliance>,
    Id(id): Id<RequestId>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Response, Problem> {
    decide(&api, id, &headers, DecisionKind::Approve, &caller, &bytes).await
}

/// `POST /v1/requests/{id}/refuse`
pub(super) async fn refuse(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Compliance>,
    Id(id): Id<RequestId>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Response, Problem> {
    decide(&api, id, &headers, DecisionKind::Refuse, &caller, &bytes).await
}

/// `POST /v1/requests/{id}/extend`
pub(super) async fn extend(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Compliance>,
    Id(id): Id<RequestId>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Response, Problem> {
    decide(&api, id, &headers, DecisionKind::Extend, &caller, &bytes).await
}

async fn decide(
    api: &Api,
    id: RequestId,
    headers: &HeaderMap,
    kind: DecisionKind,
    caller: &Caller,
    bytes: &[u8],
) -> Result<Response, Problem> {
    let (decision, note) =
        parse_decision(kind, bytes).inspect_err(|refusal| count_unreadable(&api.engine, refusal))?;
    caller.check_command(&api.engine, id, decision.name()).await?;
    let note = note.as_ref().map(SubjectData::expose);
    let once = repeats::of_request(api, caller, headers, (decision.name(), id), bytes).await?;
    let by = operations::By {
        actor: &caller.name,
        once: once.as_ref(),
    };
    let (request, emission) = match api.engine.decide_request(id, &decision, by, note).await {
        Ok(done) => done,
        Err(error) => return Err(repeats::in_state_of_request(api, id, error).await),
    };
    let answer = Json(api.engine.status_of(&request)).into_response();
    api.outputs.hand_over(emission).await;
    Ok(answer)
}

/// `POST /v1/approvals`: all that a filter finds, if it finds as many as the caller believes.
pub(super) async fn approve_all(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Compliance>,
    Payload(bytes): Payload,
) -> Result<Json<Value>, Problem> {
    let wanted = api::parse_approvals(&bytes)?;
    let mut params = Params::given(wanted.filter, Filter::KEYS)?;
    let filter = Filter::read(&mut params);
    params.finish()?;
    let filter = filter.narrowed_to(&caller)?;
    if wanted.expected_count > MOST {
        let detail = format!(
            "expected_count: expected at most {MOST} in one call; narrow the filter, by received_before for instance, and go on \
             with the rest"
        );
        return Err(Refusal::schema(detail).into());
    }
    let found = waiting(&api, &filter, wanted.expected_count).await?;
    if found.len() as u64 != wanted.expected_count {
        let detail = format!(
            "expected_count: {} requests wait for an approval and meet the filter, where {} were expected",
            found.len(),
            wanted.expected_count
        );
        return Err(Problem::new(StatusCode::CONFLICT, "count_differs", detail));
    }
    refuse_own(&api, &found, &caller.name).await?;
    let mut approved = 0;
    for some in found.chunks(BATCH) {
        let (count, emission) = api.engine.approve_all(some, &caller.name).await?;
        approved += count;
        api.outputs.hand_over(emission).await;
    }
    Ok(Json(json!({ "approved": approved })))
}

/// The requests that wait for an approval and meet a filter. Beyond what was expected nobody needs to count on for long.
async fn waiting(api: &Api, filter: &Filter, expected: u64) -> Result<Vec<RequestId>, Problem> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = api.engine.store.open_page(after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(found);
        };
        after = Some(last.request.id);
        let requests = page.iter().map(|stored| &stored.request);
        let met = requests
            .filter(|request| request.life.status == Status::AwaitingApproval && filter.takes(request));
        found.extend(met.map(|request| request.id));
        if found.len() as u64 > expected.saturating_add(u64::from(PAGE)) {
            return Ok(found);
        }
    }
}

/// Nobody approves what they have submitted, not among others either.
async fn refuse_own(api: &Api, ids: &[RequestId], name: &str) -> Result<(), Problem> {
    for some in ids.chunks(PAGE as usize) {
        for stored in api.engine.store.bodies(some).await? {
            let body = Body::unpack(&stored.body).map_err(EngineError::from)?;
            if body
                .submitter
                .is_some_and(|submitter| is_same_person(&submitter, name))
            {
                let kind = Decision::Approve.name();
                api.engine
                    .metrics
                    .command(kind, DeadLetterReason::NotAllowed.as_str());
                return Err(OperateError::from(Refused::Submitter).into());
            }
        }
    }
    Ok(())
}
