//! Changes to many requests at once: tried, ordered, looked at, stopped. Workers make them.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    Api,
    auth::{Auditor, By, Caller, Compliance, Operator, Person},
    body::Payload,
    calls::{Call, Calls},
    lists::{narrowed, raw, read_filter},
    problem::Problem,
    query::{Named, Page, Params, cursor},
    repeats,
};
use crate::{
    domain::words::{BulkAction, BulkOperation},
    engine::{
        bulk::{BulkError, Chosen, Order},
        lists::Filter,
    },
    store::{BulkJob, BulkOutcome},
    view::bulk::{BulkItemView, BulkView, ForecastView},
    wire::{
        bulk::{BulkOrder, parse_bulk},
        schemas::bodies,
    },
};

/// The list of a cursor, of jobs and of their changes.
const JOBS: u8 = b'B';
const ITEMS: u8 = b'i';

/// A job in the path.
pub(super) struct Job(pub(super) Uuid);

impl From<Uuid> for Job {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl Named for Job {
    const WHAT: &'static str = "change to many requests";
}

type Id = super::query::Id<Job>;

/// The calls.
pub(super) fn calls() -> Calls {
    Calls::new()
        .post("/v1/bulk", start, |call| {
            call.says("Changes many requests at once, or says what it would do")
                .details(
                    "Operators retry and waive; compliance approves, cancels and holds. With `dry_run` nothing is done, and the answer \
                     is the forecast. Otherwise workers make the changes, and the answer is the job.",
                )
                .repeatable()
                .body::<bodies::BulkBody>()
                .example(
                    "forecast",
                    r#"{"action": "approve", "filter": {"status": "awaiting_approval"}, "dry_run": true}"#,
                )
                .answers::<ForecastView<'_>>(200, "What it would do.")
                .answers::<BulkView<'_>>(202, "The job.")
                .located()
                .problem(409, "count_differs", "Another number of requests is meant than was expected.")
                .problem(409, "conflicting_duplicate", "The same key came before with another content.")
                .problem(422, "too_many", "More are meant than one job takes.")
        })
        .get("/v1/bulk", list, |call| {
            call.says("Lists the changes to many requests, the latest first")
                .paged()
                .answers::<Page<BulkView<'_>>>(200, "A page of jobs.")
        })
        .get("/v1/bulk/{id}", one, |call| {
            call.says("Shows how far a change has come, and why some requests were not changed")
                .answers::<BulkView<'_>>(200, "The job.")
        })
        .get("/v1/bulk/{id}/items", items, |call| {
            call.says("Lists the single changes of a job, in the order in which they are made")
                .query::<OutcomeWord>("outcome", "Only those with this outcome.")
                .paged()
                .answers::<Page<BulkItemView<'_>>>(200, "A page of changes.")
        })
        .post("/v1/bulk/{id}/cancel", cancel, |call| {
            set_by(call.says("Ends a job: what is changed stays so"))
        })
        .post("/v1/bulk/{id}/pause", pause, |call| {
            set_by(call.says("Stops a job for a while"))
        })
        .post("/v1/bulk/{id}/resume", resume, |call| {
            set_by(call.says("Has a job go on"))
        })
}

fn set_by(call: Call) -> Call {
    call.answers::<BulkView<'_>>(200, "The job.")
        .problem(409, "wrong_state", "Its state does not allow it.")
}

/// What can come of a change.
struct OutcomeWord;

impl JsonSchema for OutcomeWord {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "BulkOutcome".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "enum": BulkOutcome::ALL.map(BulkOutcome::as_str) })
    }
}

/// `POST /v1/bulk`
async fn start(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Person>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Response, Problem> {
    let wanted = parse_bulk(&bytes)?;
    check_right(&api, &caller, wanted.action)?;
    let (expected, dry_run) = (wanted.expected_count, wanted.dry_run);
    let order = order_of(wanted, &caller)?;
    order.check()?;
    let bulk = api.engine.bulk();
    if dry_run {
        let forecast = bulk.foresee(&order, &caller.name).await?;
        return Ok(Json(raw(&ForecastView::of(order.action, &forecast))?).into_response());
    }
    let tenant = caller.tenant_or(&api.engine.tenant_default);
    let once = repeats::of_many(&api, &caller, &headers, ("bulk", tenant), &bytes)?;
    let key = once.map(|once| (once.command_id.0, once.digest));
    let job = bulk.start(&order, &caller.name, expected, key).await?;
    let location = format!("/v1/bulk/{}", job.id);
    let body = raw(&BulkView::of(&job))?;
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(body)).into_response())
}

/// Whether somebody may do this to a request: to many, it is the same right.
pub(super) fn may(caller: &Caller, action: BulkAction) -> bool {
    match action {
        BulkAction::Retry | BulkAction::Waive => caller.has::<Operator>(),
        BulkAction::Approve | BulkAction::Cancel | BulkAction::Hold => caller.has::<Compliance>(),
    }
}

/// Refuses whoever may not, and says which role may.
pub(super) fn check_right(api: &Api, caller: &Caller, action: BulkAction) -> Result<(), Problem> {
    match action {
        BulkAction::Retry | BulkAction::Waive => api.gatekeeper.check::<Operator>(caller),
        BulkAction::Approve | BulkAction::Cancel | BulkAction::Hold => {
            api.gatekeeper.check::<Compliance>(caller)
        }
    }
}

fn order_of(wanted: BulkOrder, caller: &Caller) -> Result<Order, Problem> {
    let chosen = match wanted.filter {
        Some(given) => {
            let mut params = Params::given(given, Filter::KEYS)?;
            let filter = read_filter(&mut params);
            params.finish()?;
            Chosen::Filter(Box::new(narrowed(filter, caller)?))
        }
        None => Chosen::Ids {
            ids: wanted.ids,
            tenant: caller.narrow(None)?,
            processor: wanted.processor,
        },
    };
    Ok(Order {
        action: wanted.action,
        chosen,
        reason: wanted.reason,
        basis: wanted.basis,
    })
}

/// `GET /v1/bulk`: the latest first.
async fn list(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    uri: Uri,
) -> Result<Json<Page<Box<RawValue>>>, Problem> {
    let mut params = Params::read(&uri, &["limit", "cursor"])?;
    let limit = params.limit();
    let before = params.cursor(JOBS).map(Uuid::from_bytes);
    params.finish()?;
    let tenant = caller.narrow(None)?;
    let count = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let mut jobs = api.engine.bulk().jobs(tenant.as_ref(), before, count).await?;
    let more = jobs.len() > limit;
    jobs.truncate(limit);
    let next = jobs.last().filter(|_| more);
    Ok(Json(Page {
        items: jobs
            .iter()
            .map(|job| raw(&BulkView::of(job)))
            .collect::<Result<_, _>>()?,
        next_cursor: next.map(|job| cursor(JOBS, job.id.as_bytes())),
    }))
}

/// One that the caller may know of: of another tenant's it learns nothing.
pub(super) async fn visible(api: &Api, caller: &Caller, id: Uuid) -> Result<BulkJob, Problem> {
    let job = api.engine.bulk().job(id).await?;
    let own = caller.narrow(None)?;
    job.filter(|job| own.is_none() || job.tenant == own)
        .ok_or_else(|| Problem::unknown(Job::WHAT))
}

/// `GET /v1/bulk/{id}`
async fn one(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    super::query::Id(Job(id)): Id,
) -> Result<Json<Box<RawValue>>, Problem> {
    let job = visible(&api, &caller, id).await?;
    let reasons = api.engine.bulk().refusals(id).await?;
    Ok(Json(raw(&BulkView::of(&job).with_reasons(&reasons))?))
}

/// `GET /v1/bulk/{id}/items`: in the order in which they are made.
async fn items(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    super::query::Id(Job(id)): Id,
    uri: Uri,
) -> Result<Json<Page<Box<RawValue>>>, Problem> {
    let mut params = Params::read(&uri, &["outcome", "limit", "cursor"])?;
    let words = BulkOutcome::ALL.map(BulkOutcome::as_str).join(", ");
    let outcome = params.take("outcome", &format!("one of {words}"), BulkOutcome::parse);
    let limit = params.limit();
    let from = params.cursor(ITEMS).map_or(0, u32::from_be_bytes);
    params.finish()?;
    visible(&api, &caller, id).await?;
    let count = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let mut items = api.engine.bulk().items(id, from, outcome, count).await?;
    let next = items.get(limit).map(|item| cursor(ITEMS, item.n.to_be_bytes()));
    items.truncate(limit);
    Ok(Json(Page {
        items: items
            .iter()
            .map(|item| raw(&BulkItemView::of(item)))
            .collect::<Result<_, _>>()?,
        next_cursor: next,
    }))
}

/// `POST /v1/bulk/{id}/cancel`
async fn cancel(api: State<Arc<Api>>, by: By<Person>, id: Id) -> Result<Json<Box<RawValue>>, Problem> {
    set(api, by, id, BulkOperation::Cancel).await
}

/// `POST /v1/bulk/{id}/pause`
async fn pause(api: State<Arc<Api>>, by: By<Person>, id: Id) -> Result<Json<Box<RawValue>>, Problem> {
    set(api, by, id, BulkOperation::Pause).await
}

/// `POST /v1/bulk/{id}/resume`
async fn resume(api: State<Arc<Api>>, by: By<Person>, id: Id) -> Result<Json<Box<RawValue>>, Problem> {
    set(api, by, id, BulkOperation::Resume).await
}

async fn set(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Person>,
    super::query::Id(Job(id)): Id,
    operation: BulkOperation,
) -> Result<Json<Box<RawValue>>, Problem> {
    let job = visible(&api, &caller, id).await?;
    check_right(&api, &caller, job.action)?;
    let job = api.engine.bulk().set(id, &caller.name, operation).await?;
    Ok(Json(raw(&BulkView::of(&job))?))
}

impl From<BulkError> for Problem {
    fn from(error: BulkError) -> Self {
        let conflict = |code, error: &BulkError| Self::new(StatusCode::CONFLICT, code, error.to_string());
        match error {
            BulkError::CountDiffers { .. } => conflict("count_differs", &error),
            BulkError::TooMany => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many", error.to_string()),
            BulkError::Missing(detail) => crate::wire::Rejection::schema(detail).into(),
            BulkError::Conflicting => conflict("conflicting_duplicate", &error),
            BulkError::Unknown => Self::unknown(Job::WHAT),
            BulkError::WrongState(_) => conflict("wrong_state", &error),
            BulkError::Engine(error) => error.into(),
        }
    }
}
