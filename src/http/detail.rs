//! One request in full: its status, each task with its proof, and why it is not done yet.

use std::{collections::HashMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::{
    Api,
    auth::{By, Reader},
    lists::raw,
    problem::Problem,
    query::Id,
    requests::is_own,
};
use crate::{
    domain::{
        ids::{Label, ProcessorId, RequestId, TaskId},
        request::{Check, Request, gates::ClosedGate},
        task::{Deferral, Share, TaskState},
        time::At,
        words::{Action, Reason, Status, TaskStateName, Why},
    },
    engine::{Engine, outputs::status_message},
    wire::status::StatusMessage,
};

/// A task as people see it.
#[derive(Debug, Serialize)]
pub(super) struct TaskView<'a> {
    task_id: TaskId,
    processor: &'a ProcessorId,
    action: Action,
    /// The categories of its share; none: all of it.
    part: &'a [Label],
    state: TaskStateName,
    generation: u32,
    attempt: u32,
    why: Option<&'a str>,
    until: Option<At>,
    /// How it was proved done, else what its current attempt was answered.
    outcome: Option<&'static str>,
}

impl<'a> TaskView<'a> {
    /// The task at this place.
    pub(super) fn of(request: &'a Request, ordinal: u16) -> Self {
        let task = request.task(ordinal);
        let waits = request.why_not_done(task);
        Self {
            task_id: request.task_id(ordinal),
            processor: &task.processor,
            action: task.action,
            part: &task.categories,
            state: task.state.name(),
            generation: task.generation,
            attempt: task.attempt,
            why: match &task.state {
                TaskState::Abandoned { cause } => Some(cause.as_str()),
                TaskState::Exempt { basis } => Some(basis.as_str()),
                _ => waits.map(|(why, _)| why.as_str()),
            },
            until: waits.and_then(|(_, until)| until),
            outcome: match &task.state {
                TaskState::Done { proof, .. } => Some(proof.as_str()),
                _ => task.answered.map(|outcome| outcome.as_str()),
            },
        }
    }
}

#[derive(Debug, Serialize)]
struct Detail<'a> {
    #[serde(flatten)]
    status: StatusMessage<'a>,
    reason: Reason,
    requested_at: At,
    deadline_rolled: At,
    task_list: Vec<Proved<'a>>,
    gates: Vec<Gate>,
    deadlines: Deadlines,
    why_not_done: Vec<String>,
}

/// A task with what its answer brought as proof.
#[derive(Debug, Serialize)]
struct Proved<'a> {
    #[serde(flatten)]
    task: TaskView<'a>,
    evidence: Option<Value>,
}

#[derive(Debug, Serialize)]
struct Gate {
    gate: &'static str,
    open: bool,
    until: Option<At>,
}

#[derive(Debug, Serialize)]
struct Deadlines {
    respond: At,
    rolled: At,
}

/// `GET /v1/requests/{id}`
pub(super) async fn one(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Reader>,
    Id(id): Id<RequestId>,
) -> Result<Json<Box<RawValue>>, Problem> {
    let engine = &api.engine;
    let request = engine
        .request(id)
        .await?
        .ok_or_else(|| Problem::unknown("request"))?;
    if caller.sees_only_its_own() && !is_own(engine, id, &caller.name).await? {
        return Err(Problem::unknown("request"));
    }
    let mut evidence = evidence_of(engine, &request).await?;
    let task_list = request.ordinals().map(|ordinal| Proved {
        task: TaskView::of(&request, ordinal),
        evidence: evidence.remove(&ordinal),
    });
    let head = &request.head;
    let detail = Detail {
        status: status_message(&request),
        reason: head.reason,
        requested_at: head.requested_at,
        deadline_rolled: request.life.clock.rolled,
        task_list: task_list.collect(),
        gates: gates(&request),
        deadlines: Deadlines {
            respond: request.life.clock.due,
            rolled: request.life.clock.rolled,
        },
        why_not_done: sentences(&request),
    };
    Ok(Json(raw(&detail)?))
}

/// The gates that it has or had to pass, in their order.
fn gates(request: &Request) -> Vec<Gate> {
    let (head, life) = (&request.head, &request.life);
    let person = |why: Why, check: Check| {
        (check != Check::NotNeeded).then(|| Gate {
            gate: why.as_str(),
            open: check == Check::Passed,
            until: None,
        })
    };
    let date = head.not_before.map(|until| Gate {
        gate: if head.grace { Why::Grace } else { Why::NotBefore }.as_str(),
        open: !matches!(
            life.status,
            Status::AwaitingVerification | Status::AwaitingApproval | Status::Scheduled
        ),
        until: Some(until),
    });
    [
        person(Why::Verification, life.verification),
        person(Why::Approval, life.approval),
        date,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What the tasks' answers have brought, by the place of the task: of the current generation the latest.
async fn evidence_of(engine: &Engine, request: &Request) -> Result<HashMap<u16, Value>, Problem> {
    let mut found = HashMap::new();
    for leaf in engine.store.leaves(request.id).await? {
        let Some(sealed) = &leaf.sealed else { continue };
        let opened = match engine.vault.open_record(request.id, leaf.n, sealed) {
            Ok(opened) => opened,
            Err(error) => {
                // The rest of the request is worth showing without it.
                tracing::error!(request = %request.id, n = leaf.n, %error, "a ledger entry's side row does not open");
                continue;
            }
        };
        let Ok(notes) = serde_json::from_slice::<Vec<Value>>(&opened) else {
            tracing::error!(request = %request.id, n = leaf.n, "a ledger entry's side row cannot be read");
            continue;
        };
        for note in notes {
            let ordinal = note["task"].as_u64().and_then(|n| u16::try_from(n).ok());
            let Some(ordinal) = ordinal.filter(|n| usize::from(*n) < request.tasks.len()) else {
                continue;
            };
            if note["generation"] == request.task(ordinal).generation
                && let Some(evidence) = shown_evidence(note)
            {
                found.insert(ordinal, evidence);
            }
        }
    }
    Ok(found)
}

/// The evidence with the processor's own time and message. The salt is not shown: with it, the commitment in the ledger
/// could be compared with guesses for ever.
fn shown_evidence(mut note: Value) -> Option<Value> {
    let mut shown = match note["evidence"].take() {
        Value::Object(evidence) => evidence,
        _ => serde_json::Map::new(),
    };
    for name in ["at", "message"] {
        let value = note[name].take();
        if !value.is_null() {
            shown.insert(name.to_owned(), value);
        }
    }
    (!shown.is_empty()).then_some(Value::Object(shown))
}

/// "Why is it not done yet?", a sentence each, with no subject data.
fn sentences(request: &Request) -> Vec<String> {
    if request.life.status.is_final() {
        return Vec::new();
    }
    let gate = request.shown_gate().map(|gate| match gate {
        ClosedGate::Verification => "Nothing is sent before the subject's identity is verified.".to_owned(),
        ClosedGate::Approval => "Nothing is sent before a second person has approved it.".to_owned(),
        ClosedGate::Grace(until) => format!("It can be withdrawn until {until}, and nothing is sent before."),
        ClosedGate::NotBefore(until) => format!("Nothing is sent before {until}, as the command asked."),
    });
    let tasks = request
        .ordinals()
        .filter_map(|ordinal| sentence(request, ordinal));
    let mut said: Vec<String> = gate.into_iter().chain(tasks).collect();
    if said.is_empty() {
        said.push(
            "No processor could be asked, so there is no proof of anything: somebody has to look at it."
                .to_owned(),
        );
    }
    said
}

fn sentence(request: &Request, ordinal: u16) -> Option<String> {
    let task = request.task(ordinal);
    let (processor, attempt) = (&task.processor, task.attempt);
    Some(match &task.state {
        TaskState::Blocked => {
            let sources: &[u16] = match &task.share {
                Share::Wave { sources, .. } => sources,
                _ => &task.after,
            };
            let earlier = sources.iter().map(|place| request.task(*place));
            let open: Vec<&str> = earlier
                .filter(|task| !task.state.is_closed())
                .map(|task| task.processor.as_str())
                .collect();
            if task.share.is_wave() {
                format!(
                    "The copies of {processor} begin to grow old when these are done: {}.",
                    open.join(", ")
                )
            } else {
                format!("{processor} is asked when these are done: {}.", open.join(", "))
            }
        }
        TaskState::WithoutIdentity => {
            format!("{processor} cannot be asked: the subject has no identifier of a type that it knows.")
        }
        TaskState::Parked {
            why: Deferral::Retention,
            until,
        } => match &task.share {
            Share::Kept { basis, .. } => {
                format!("{processor} has to keep this share until {until} ({basis}), and is asked then.")
            }
            _ => format!("{processor} has to keep the data until {until}, and is asked then."),
        },
        TaskState::Parked {
            why: Deferral::Rotation,
            until,
        } => {
            format!(
                "The copies of {processor} are gone by {until} at the earliest, and it has to be proved then."
            )
        }
        TaskState::Verifying { until } => {
            format!("{processor} has proved it once and is asked again at {until}.")
        }
        TaskState::Held { .. } => {
            format!("{processor} may not be asked while a legal hold covers it.")
        }
        TaskState::Ready { due } if attempt > 0 => {
            format!("{processor} is asked again at {due}, after attempt {attempt} did not succeed.")
        }
        // The gate has a sentence of its own.
        TaskState::Ready { .. } if request.shown_gate().is_some() => return None,
        TaskState::Ready { .. } => format!("{processor} cannot be asked: it is not registered any more."),
        TaskState::Dispatched { at, ack_by } => {
            format!(
                "{processor} was asked at {at} (attempt {attempt}) and has not answered; its answer is due by {ack_by}."
            )
        }
        TaskState::Accepted { expected_by, .. } => {
            format!("{processor} has accepted the task and is expected to be done by {expected_by}.")
        }
        TaskState::Abandoned { cause } => {
            format!(
                "{processor} was given up ({cause}) after {attempt} attempts: an operator has to retry or waive it."
            )
        }
        TaskState::Done { .. } | TaskState::Exempt { .. } | TaskState::Waived | TaskState::Cancelled => {
            return None;
        }
    })
}
