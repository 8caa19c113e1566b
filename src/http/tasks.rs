//! Tasks, for those who run the lanes: what each waits for, having it done again, doing without it.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    Api,
    auth::{Auditor, By, Caller, Operator},
    body::Payload,
    calls::Calls,
    csv,
    lists::{Scan, raw},
    problem::Problem,
    query::{Id, Page, Params, cursor},
    repeats,
};
use crate::{
    domain::{
        ids::{ProcessorId, RequestId, TaskId, Tenant},
        request::Request,
        words::TaskStateName,
    },
    engine::operations::{self, TaskDecision},
    view::task::TaskView,
    wire::{api, schemas::bodies, status::StatusMessage},
};

/// The list of a cursor.
const TASKS: u8 = b't';

/// A task in a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ListedTask")]
struct Listed<'a> {
    request_id: RequestId,
    tenant: &'a Tenant,
    #[serde(flatten)]
    task: TaskView<'a>,
}

/// A task that was just decided about.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DecidedTask")]
struct Decided<'a> {
    #[serde(flatten)]
    task: TaskView<'a>,
    request: StatusMessage<'a>,
}

/// Where a page of tasks has ended.
#[derive(Clone, Copy)]
struct TaskCursor(RequestId, u16);

impl TaskCursor {
    fn to_bytes(self) -> [u8; 18] {
        let mut bytes = [0; 18];
        bytes[..16].copy_from_slice(self.0.0.as_bytes());
        bytes[16..].copy_from_slice(&self.1.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; 18]) -> Self {
        let [id @ .., high, low] = bytes;
        Self(RequestId(Uuid::from_bytes(id)), u16::from_be_bytes([high, low]))
    }

    /// The id before this one's request, so that the rest of its tasks comes next.
    fn before(self) -> Option<RequestId> {
        self.0
            .0
            .as_u128()
            .checked_sub(1)
            .map(|id| RequestId(Uuid::from_u128(id)))
    }
}

/// Which tasks are meant.
struct Wanted {
    processor: Option<ProcessorId>,
    state: Option<TaskStateName>,
    /// The last one of the page before.
    start: Option<TaskCursor>,
}

impl Wanted {
    /// Reads a query; with how many items the page has.
    fn read(mut params: Params) -> Result<(Self, usize), Problem> {
        let words: Vec<&str> = TaskStateName::ALL.iter().map(|state| state.as_str()).collect();
        let states = format!("one of {}", words.join(", "));
        let wanted = Self {
            processor: params.take("processor", "the id of a processor", |text| {
                ProcessorId::new(text).ok()
            }),
            state: params.take("state", &states, TaskStateName::parse),
            start: params.cursor(TASKS).map(TaskCursor::from_bytes),
        };
        let limit = params.limit();
        params.finish()?;
        Ok((wanted, limit))
    }

    fn takes(&self, request: &Request, ordinal: u16) -> bool {
        let task = request.task(ordinal);
        let is_new = |start: TaskCursor| (request.id, ordinal) > (start.0, start.1);
        self.processor
            .as_ref()
            .is_none_or(|processor| *processor == task.processor)
            && self.state.is_none_or(|state| state == task.state.name())
            && self.start.is_none_or(is_new)
    }
}

/// The calls.
pub(super) fn calls() -> Calls {
    const STATE: &str = "Its state, or that of its request, does not allow it.";
    Calls::new()
        .get("/v1/tasks", list, |call| {
            call.says("Lists tasks, and what each waits for")
                .query::<ProcessorId>("processor", "Only those of this processor.")
                .query::<TaskStateName>("state", "Only those in this state.")
                .paged()
                .answers::<Page<Listed<'_>>>(200, "A page of tasks.")
                .or_csv()
        })
        .post("/v1/tasks/{id}/retry", retry, |call| {
            call.says("Sends a task again, as its next generation")
                .repeatable()
                .optional_body::<bodies::ReasonBody>()
                .answers::<Decided<'_>>(200, "The task, and the status of its request.")
                .problem(409, "wrong_state", STATE)
                .problem(
                    409,
                    "conflicting_duplicate",
                    "The same key came before with another content.",
                )
        })
        .post("/v1/tasks/{id}/waive", waive, |call| {
            call.says("Does without a task: its request closes with exceptions")
                .repeatable()
                .body::<bodies::RequiredReasonBody>()
                .answers::<Decided<'_>>(200, "The task, and the status of its request.")
                .problem(409, "wrong_state", STATE)
                .problem(
                    409,
                    "conflicting_duplicate",
                    "The same key came before with another content.",
                )
        })
}

/// A list of tasks that somebody asks for.
struct Tasks {
    caller: Caller,
    wanted: Wanted,
    limit: usize,
}

impl Tasks {
    /// A page of it, and the cursor of the next one.
    async fn page<T>(
        &mut self,
        api: &Api,
        show: impl Fn(&Listed<'_>) -> T,
    ) -> Result<(Vec<T>, Option<String>), Problem> {
        let (wanted, limit) = (&self.wanted, self.limit);
        let mut scan = Scan::new(
            &api.engine,
            wanted.state.is_some_and(means_open),
            wanted.start.and_then(TaskCursor::before),
            limit,
        );
        let lanes = api.engine.lanes_now();
        let (mut items, mut last, mut more) = (Vec::new(), None, false);
        'pages: loop {
            let requests = scan.next().await?;
            if requests.is_empty() {
                break;
            }
            for request in requests
                .iter()
                .filter(|request| self.caller.sees(&request.head.tenant))
            {
                for ordinal in request
                    .ordinals()
                    .filter(|ordinal| wanted.takes(request, *ordinal))
                {
                    if items.len() == limit {
                        more = true;
                        break 'pages;
                    }
                    items.push(show(&Listed {
                        request_id: request.id,
                        tenant: &request.head.tenant,
                        task: TaskView::now(request, ordinal, &lanes.view()),
                    }));
                    last = Some(TaskCursor(request.id, ordinal));
                }
            }
        }
        // Every task of the last request that was looked at has been looked at.
        let next = if more {
            last
        } else {
            scan.cut_off_at().map(|id| TaskCursor(id, u16::MAX))
        };
        self.wanted.start = next;
        Ok((items, next.map(|place| cursor(TASKS, place.to_bytes()))))
    }
}

/// The columns of the list as CSV.
const COLUMNS: [&str; 10] = [
    "request_id",
    "task_id",
    "tenant",
    "processor",
    "state",
    "generation",
    "attempt",
    "why",
    "until",
    "outcome",
];

#[async_trait]
impl csv::Source<10> for Tasks {
    async fn next(&mut self, api: &Api) -> Result<(Vec<[String; 10]>, bool), Problem> {
        let cells = |listed: &Listed<'_>| {
            let task = &listed.task;
            [
                listed.request_id.to_string(),
                task.task_id.to_string(),
                listed.tenant.to_string(),
                task.processor.to_string(),
                task.state.to_string(),
                task.generation.to_string(),
                task.attempt.to_string(),
                task.why.unwrap_or_default().to_owned(),
                csv::when(task.until),
                task.outcome.unwrap_or_default().to_owned(),
            ]
        };
        let (rows, next) = self.page(api, cells).await?;
        Ok((rows, next.is_some()))
    }
}

/// `GET /v1/tasks`
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let keys = ["processor", "state", "limit", "cursor", "format"];
    let mut params = Params::read(&uri, &keys)?;
    let as_csv = csv::is_wanted(&mut params, &headers);
    let (wanted, limit) = Wanted::read(params)?;
    let mut tasks = Tasks {
        caller,
        wanted,
        limit,
    };
    if as_csv {
        tasks.limit = csv::ROWS;
        return Ok(csv::list(api, "tasks", COLUMNS, tasks));
    }
    let (items, next_cursor) = tasks.page(&api, |listed| raw(listed)).await?;
    let items = items.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(Json(Page { items, next_cursor }).into_response())
}

/// Whether a task in this state belongs to an open request.
const fn means_open(state: TaskStateName) -> bool {
    use TaskStateName as S;
    match state {
        S::Blocked
        | S::Held
        | S::Parked
        | S::Ready
        | S::Leased
        | S::Dispatched
        | S::Accepted
        | S::Verifying
        | S::Abandoned => true,
        S::Done | S::Exempt | S::Waived | S::Cancelled => false,
    }
}

/// `POST /v1/tasks/{id}/retry`
pub(super) async fn retry(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Operator>,
    Id(id): Id<TaskId>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Json<Box<RawValue>>, Problem> {
    let done = carry_out(&api, id, &headers, TaskDecision::Retry, &caller, &bytes).await?;
    decided(&api, &done)
}

/// `POST /v1/tasks/{id}/waive`
pub(super) async fn waive(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Operator>,
    Id(id): Id<TaskId>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Json<Box<RawValue>>, Problem> {
    let done = carry_out(&api, id, &headers, TaskDecision::Waive, &caller, &bytes).await?;
    decided(&api, &done)
}

/// Carries out an operator's decision about a task, whichever channel it came through; its request as it is then, and the place of
/// the task.
pub(super) async fn carry_out(
    api: &Api,
    id: TaskId,
    headers: &HeaderMap,
    decision: TaskDecision,
    caller: &Caller,
    bytes: &[u8],
) -> Result<(Request, u16), Problem> {
    let (name, reason) = match decision {
        TaskDecision::Retry => ("retry", api::parse_reason(bytes)?),
        TaskDecision::Waive => ("waive", Some(api::parse_required_reason(bytes)?)),
    };
    let once = repeats::of_task(api, caller, headers, (name, id), bytes).await?;
    let by = operations::By::with_key(&caller.name, once.as_ref());
    let (request, emission) = match api
        .engine
        .operations()
        .decide_task(id, decision, by, reason.as_deref())
        .await
    {
        Ok(done) => done,
        Err(error) => return Err(repeats::in_state_of_task(api, id, error).await),
    };
    api.outputs.hand_over(emission).await;
    let ordinal = request.find_task(id).ok_or_else(|| Problem::unknown("task"))?;
    Ok((request, ordinal))
}

fn decided(api: &Api, (request, ordinal): &(Request, u16)) -> Result<Json<Box<RawValue>>, Problem> {
    let lanes = api.engine.lanes_now();
    let task = TaskView::now(request, *ordinal, &lanes.view());
    Ok(Json(raw(&Decided {
        task,
        request: api.engine.status_of(request),
    })?))
}
