//! Tasks that people do: listed, claimed by one at a time, confirmed, refused, handed over. Whom a task is about is shown to whoever
//! has claimed it, and that somebody looked is written down.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    Api,
    auth::{Auditor, By, Caller, Person},
    body::Payload,
    calls::Calls,
    lists::raw,
    problem::Problem,
    query::{Id, Page, Params, cursor},
    repeats,
};
use crate::{
    domain::{
        ids::{RequestId, TaskId},
        words::Outcome,
    },
    engine::manual::{Confirmed, ManualAction, ManualError, ManualState, ManualTask},
    view::manual::ManualView,
    wire::{api, schemas::bodies, status::StatusMessage},
};

/// The list of a cursor.
const MANUAL: u8 = b'm';

/// How many tasks are looked at for one page at the most.
const MAX_SCANNED: usize = 5_000;

/// A task that was just confirmed or refused.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DoneByHand")]
struct Done<'a> {
    task_id: TaskId,
    request_id: RequestId,
    /// `confirmed`, `refused`, or `awaiting_second`: another person has to confirm it.
    state: &'static str,
    outcome: Outcome,
    request: StatusMessage<'a>,
}

/// The calls.
pub(super) fn calls() -> Calls {
    const STATE: &str = "Its state does not allow it, or somebody else has claimed it.";
    Calls::new()
        .get("/v1/manual", list, |call| {
            call.says("Lists the tasks that people do")
                .details("Whom a task is about is shown to whoever has claimed it, and each look is an entry in the ledger.")
                .query::<String>("assignee", "Only those of this person or team.")
                .query::<ManualStateWord>("state", "Only those in this state.")
                .paged()
                .answers::<Page<ManualView<'_>>>(200, "A page of tasks.")
        })
        .get("/v1/manual/{id}", one, |call| {
            call.says("Shows a task that a person does")
                .answers::<ManualView<'_>>(200, "The task.")
        })
        .post("/v1/manual/{id}/claim", claim, |call| {
            call.says("Takes a task on, and shows whom it is about")
                .answers::<ManualView<'_>>(200, "The task; it is the caller's now.")
                .problem(409, "wrong_state", STATE)
        })
        .post("/v1/manual/{id}/confirm", confirm, |call| {
            call.says("Says that a task is done, and what proves it")
                .repeatable()
                .body::<bodies::ConfirmBody>()
                .example("erased", r#"{"outcome": "erased", "evidence": {"method": "shredded", "records": 1, "reference": "box 12"}}"#)
                .answers::<Done<'_>>(200, "It is confirmed, or another person has to confirm it, too.")
                .problem(403, "not_allowed", "Another person has to confirm it.")
                .problem(409, "wrong_state", STATE)
                .problem(409, "conflicting_duplicate", "The same key came before with another content.")
        })
        .post("/v1/manual/{id}/refuse", refuse, |call| {
            call.says("Says that a task will not be done")
                .repeatable()
                .body::<bodies::RequiredReasonBody>()
                .answers::<Done<'_>>(200, "The task is abandoned.")
                .problem(409, "wrong_state", STATE)
                .problem(409, "conflicting_duplicate", "The same key came before with another content.")
        })
        .post("/v1/manual/{id}/hand-over", hand_over, |call| {
            call.says("Leaves a task to somebody else, who can claim it then")
                .body::<bodies::AssigneeBody>()
                .answers::<ManualView<'_>>(200, "The task, open again.")
                .problem(409, "wrong_state", STATE)
        })
}

/// The states of a task that a person does.
struct ManualStateWord;

impl JsonSchema for ManualStateWord {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ManualState".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let words: Vec<&str> = ManualState::ALL.iter().map(|state| state.as_str()).collect();
        schemars::json_schema!({ "type": "string", "enum": words })
    }
}

/// A list of tasks that people do, as somebody asks for it.
pub(super) struct Wanted {
    pub(super) assignee: Option<String>,
    pub(super) state: Option<ManualState>,
    after: Option<(RequestId, u16)>,
    limit: usize,
}

impl Wanted {
    /// What its query may have.
    pub(super) const KEYS: &'static [&'static str] = &["assignee", "state", "limit", "cursor"];

    /// Reads it.
    pub(super) fn read(mut params: Params) -> Result<Self, Problem> {
        let words: Vec<&str> = ManualState::ALL.iter().map(|state| state.as_str()).collect();
        let states = format!("one of {}", words.join(", "));
        let wanted = Self {
            assignee: params.take("assignee", "a name", |text| Some(text.to_owned())),
            state: params.take("state", &states, ManualState::parse),
            after: params.cursor(MANUAL).map(place_of),
            limit: params.limit(),
        };
        params.finish()?;
        Ok(wanted)
    }

    /// The page, and the cursor of the next one.
    pub(super) async fn page(
        &self,
        api: &Api,
        caller: &Caller,
    ) -> Result<(Vec<ManualTask>, Option<String>), Problem> {
        let limit = self.limit;
        let (mut after, mut found, mut scanned) = (self.after, Vec::new(), 0);
        let next = loop {
            let want = u32::try_from(limit).unwrap_or(u32::MAX);
            let (tasks, last) = api.engine.manual().list(after, want).await?;
            scanned += limit;
            let fits = |task: &ManualTask| {
                caller.sees(&task.request.head.tenant)
                    && self.assignee.as_ref().is_none_or(|name| *name == task.assignee)
                    && self.state.is_none_or(|state| state == task.state)
            };
            for task in tasks.into_iter().filter(fits) {
                found.push(task);
            }
            after = last;
            if found.len() > limit {
                found.truncate(limit);
                break found.last().map(|task| (task.request.id, task.ordinal));
            }
            if after.is_none() || found.len() == limit || scanned >= MAX_SCANNED {
                break after;
            }
        };
        Ok((
            found,
            next.map(|(id, ordinal)| cursor(MANUAL, bytes_of(id, ordinal))),
        ))
    }
}

/// `GET /v1/manual`
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    uri: Uri,
) -> Result<Json<Page<Box<RawValue>>>, Problem> {
    let wanted = Wanted::read(Params::read(&uri, Wanted::KEYS)?)?;
    let (found, next_cursor) = wanted.page(&api, &caller).await?;
    let items = shown(&api, &caller, &found).await?;
    Ok(Json(Page { items, next_cursor }))
}

/// `GET /v1/manual/{task_id}`
pub(super) async fn one(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    Id(id): Id<TaskId>,
) -> Result<Json<Box<RawValue>>, Problem> {
    show(&api, &caller, id).await
}

/// `POST /v1/manual/{task_id}/claim`
pub(super) async fn claim(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Person>,
    Id(id): Id<TaskId>,
    headers: HeaderMap,
) -> Result<Json<Box<RawValue>>, Problem> {
    carry_out(&api, id, &headers, ManualCall::Claim, &caller, b"").await?;
    show(&api, &caller, id).await
}

/// `POST /v1/manual/{task_id}/confirm`
pub(super) async fn confirm(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Person>,
    Id(id): Id<TaskId>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Json<Box<RawValue>>, Problem> {
    let done = carry_out(&api, id, &headers, ManualCall::Confirm, &caller, &bytes).await?;
    let state = if done.awaits_second {
        ManualState::AwaitingSecond.as_str()
    } else {
        "confirmed"
    };
    done_view(&api, &done, state)
}

/// `POST /v1/manual/{task_id}/refuse`
pub(super) async fn refuse(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Person>,
    Id(id): Id<TaskId>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Json<Box<RawValue>>, Problem> {
    let done = carry_out(&api, id, &headers, ManualCall::Refuse, &caller, &bytes).await?;
    done_view(&api, &done, "refused")
}

/// `POST /v1/manual/{task_id}/hand-over`
pub(super) async fn hand_over(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Person>,
    Id(id): Id<TaskId>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Json<Box<RawValue>>, Problem> {
    carry_out(&api, id, &headers, ManualCall::HandOver, &caller, &bytes).await?;
    show(&api, &caller, id).await
}

/// What somebody does to a task by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ManualCall {
    /// Takes it.
    Claim,
    /// Says that it is done.
    Confirm,
    /// Says that it cannot be done.
    Refuse,
    /// Gives it to another person or team.
    HandOver,
}

/// Does it, whichever channel the call came through.
pub(super) async fn carry_out(
    api: &Api,
    id: TaskId,
    headers: &HeaderMap,
    call: ManualCall,
    caller: &Caller,
    bytes: &[u8],
) -> Result<Confirmed, Problem> {
    let text;
    let (action, name) = match call {
        ManualCall::Claim => (ManualAction::Claim, None),
        ManualCall::Confirm => (ManualAction::Confirm(bytes), Some("confirm")),
        ManualCall::Refuse => {
            text = api::parse_required_reason(bytes)?;
            (ManualAction::Refuse(&text), Some("refuse"))
        }
        ManualCall::HandOver => {
            text = api::parse_assignee(bytes)?;
            (ManualAction::HandOver(&text), None)
        }
    };
    check(api, caller, id).await?;
    let once = match name {
        Some(name) => repeats::of_task(api, caller, headers, (name, id), bytes).await?,
        None => None,
    };
    act(api, caller, id, &action, once.as_ref()).await
}

/// What belongs to another tenant does not exist for its bearer.
async fn check(api: &Api, caller: &Caller, id: TaskId) -> Result<(), Problem> {
    let (request, _) = api.engine.find_task(id).await?;
    if caller.sees(&request.head.tenant) {
        Ok(())
    } else {
        Err(Problem::unknown("task"))
    }
}

async fn act(
    api: &Api,
    caller: &Caller,
    id: TaskId,
    action: &ManualAction<'_>,
    once: Option<&crate::engine::operations::Once>,
) -> Result<Confirmed, Problem> {
    let manual = api.engine.manual();
    let (done, effects) = manual.carry_out(id, &caller.name, action, once).await?;
    api.outputs.hand_over(effects).await;
    Ok(done)
}

fn done_view(api: &Api, done: &Confirmed, state: &'static str) -> Result<Json<Box<RawValue>>, Problem> {
    Ok(Json(raw(&Done {
        task_id: done.request.task_id(done.ordinal),
        request_id: done.request.id,
        state,
        outcome: done.outcome,
        request: api.engine.status_of(&done.request),
    })?))
}

async fn show(api: &Api, caller: &Caller, id: TaskId) -> Result<Json<Box<RawValue>>, Problem> {
    let task = api.engine.manual().find(id).await?;
    if !caller.sees(&task.request.head.tenant) {
        return Err(Problem::unknown("task"));
    }
    let mut shown = shown(api, caller, &[task]).await?;
    shown.pop().map(Json).ok_or_else(Problem::internal)
}

/// With whom those are about that the caller has claimed.
async fn shown(api: &Api, caller: &Caller, tasks: &[ManualTask]) -> Result<Vec<Box<RawValue>>, Problem> {
    let own: Vec<&ManualTask> = tasks
        .iter()
        .filter(|task| task.is_claimed_by(&caller.name))
        .collect();
    let mut identities = api
        .engine
        .manual()
        .identities(&own, &caller.name)
        .await?
        .into_iter();
    let now = api.engine.clock.now();
    let views = tasks.iter().map(|task| {
        let named = task
            .is_claimed_by(&caller.name)
            .then(|| identities.next())
            .flatten();
        raw(&ManualView::of(task, named, now))
    });
    views.collect()
}

fn bytes_of(id: RequestId, ordinal: u16) -> [u8; 18] {
    let mut bytes = [0; 18];
    bytes[..16].copy_from_slice(id.0.as_bytes());
    bytes[16..].copy_from_slice(&ordinal.to_be_bytes());
    bytes
}

fn place_of(bytes: [u8; 18]) -> (RequestId, u16) {
    let [id @ .., high, low] = bytes;
    (RequestId(Uuid::from_bytes(id)), u16::from_be_bytes([high, low]))
}

impl From<ManualError> for Problem {
    fn from(error: ManualError) -> Self {
        match error {
            ManualError::Operate(error) => error.into(),
            ManualError::Unreadable(rejection) => rejection.into(),
            ManualError::SamePerson => Self::new(StatusCode::FORBIDDEN, "not_allowed", error.to_string()),
            ManualError::Claimed
            | ManualError::NotClaimed
            | ManualError::Differs
            | ManualError::Rejected(_) => Self::new(StatusCode::CONFLICT, "wrong_state", error.to_string()),
        }
    }
}
