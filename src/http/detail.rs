//! One request in full: its status, each task with its proof, and why it is not done yet.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Api,
    auth::{By, Reader},
    lists::raw,
    problem::Problem,
    query::Id,
    requests::is_own,
    sentences::sentences,
};
use crate::{
    domain::{
        ack::Evidence,
        body::Body,
        ids::{HoldId, Label, ProcessorId, RequestId, TaskId},
        note::{Note, Proof, Statement},
        request::{Check, Request},
        task::TaskState,
        time::At,
        words::{Action, HoldBasis, Reason, TaskStateName, Why},
    },
    engine::{
        Engine, EngineError,
        decisions::{DecisionView, decisions_of, notes_of},
        views::{SourceView, sources},
    },
    store::StoredLeaf,
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
    /// Of a backup: the shares whose copies it is about.
    sources: Vec<SourceView<'a>>,
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
            sources: sources(request, ordinal),
            state: task.state.name(),
            generation: task.generation,
            attempt: task.attempt,
            why: match &task.state {
                TaskState::Abandoned { cause } => Some(cause.as_str()),
                TaskState::Exempt { basis } => Some(basis.as_str()),
                _ => waits.map(|(why, _)| why.as_str()),
            },
            until: waits.and_then(|(_, until)| until),
            outcome: task.outcome(),
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
    /// Those of them about which somebody has to do something: why it needs attention, and which gates wait.
    to_do: Vec<String>,
    /// What whoever sent the command should look at again.
    warnings: Vec<String>,
    /// The active holds that cover a part of it.
    holds: Vec<HoldView>,
    /// Who decided what about it, when and why, the oldest first.
    decisions: Vec<DecisionView>,
    /// Who can read the identifiers: `readable`, `capsule` (for a restore only) or `forgotten`.
    identifiers: &'static str,
    /// When the capsule is destroyed by the registry's word, where it has one.
    capsule_until: Option<At>,
}

/// A hold, without whom it is on.
#[derive(Debug, Serialize)]
struct HoldView {
    hold_id: HoldId,
    basis: HoldBasis,
}

/// A task with what its answer brought as proof.
#[derive(Debug, Serialize)]
struct Proved<'a> {
    #[serde(flatten)]
    task: TaskView<'a>,
    evidence: Option<Shown>,
}

#[derive(Debug, Serialize)]
struct Gate {
    gate: &'static str,
    open: bool,
    until: Option<At>,
}

#[derive(Debug, Serialize)]
struct Deadlines {
    /// By when the person has to be told that the request has come in.
    acknowledge_by: Option<At>,
    /// What alerts go by.
    respond_by: At,
    rolled: At,
    first_period_ends: At,
    extension_possible_until: Option<At>,
    extended: bool,
    /// How long the clock stood still while the subject's identity was in doubt.
    paused_days: u16,
}

impl Deadlines {
    fn of(request: &Request) -> Self {
        let clock = &request.life.clock;
        Self {
            acknowledge_by: clock.acknowledge_by,
            respond_by: clock.due,
            rolled: clock.rolled,
            first_period_ends: clock.first_due,
            extension_possible_until: clock
                .extensible_until()
                .filter(|_| !request.life.status.is_final()),
            extended: clock.is_extended(),
            paused_days: clock.paused_days,
        }
    }
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
    if !caller.sees(&request.head.tenant) {
        return Err(Problem::unknown("request"));
    }
    if caller.sees_only_its_own() && !is_own(engine, id, &caller.name).await? {
        return Err(Problem::unknown("request"));
    }
    let leaves = engine.store.leaves(id).await?;
    let mut evidence = evidence_of(engine, &request, &leaves);
    if caller.sees_no_free_text() {
        for shown in evidence.values_mut() {
            shown.message = None;
        }
    }
    let task_list = request.ordinals().map(|ordinal| Proved {
        task: TaskView::of(&request, ordinal),
        evidence: evidence.remove(&ordinal),
    });
    let bodies = engine.store.bodies(&[id]).await?;
    let body = bodies.first().map(|stored| Body::unpack(&stored.body));
    let body = body.transpose().map_err(EngineError::from)?;
    let head = &request.head;
    engine.refresh_facts().await?;
    let covering = engine.with_context(|context| {
        let holds = context.facts.holds().on_request(&request, context.registry);
        holds.into_iter().map(|hold| hold.hold_id).collect::<Vec<_>>()
    })?;
    let store = engine.store.as_ref();
    let decisions = decisions_of(store, Some(&engine.vault), &request, &leaves, &covering).await?;
    let detail = engine.with_context(|context| {
        let capsule = request.capsule_end(context);
        let holds = context.facts.holds().on_request(&request, context.registry);
        let said = sentences(&request, context);
        let to_do = said.iter().filter(|said| said.is_to_do);
        raw(&Detail {
            to_do: to_do.map(|said| said.text.clone()).collect(),
            warnings: body.map_or_else(Vec::new, |body| body.warnings(&request, context.registry)),
            status: engine.status_of(&request),
            reason: head.reason,
            requested_at: head.requested_at,
            deadline_rolled: request.life.clock.rolled,
            task_list: task_list.collect(),
            gates: gates(&request, context.now),
            deadlines: Deadlines::of(&request),
            why_not_done: said.into_iter().map(|said| said.text).collect(),
            decisions,
            holds: holds
                .into_iter()
                .map(|hold| HoldView {
                    hold_id: hold.hold_id,
                    basis: hold.basis,
                })
                .collect(),
            identifiers: match (request.bookkeeping.readable, capsule) {
                (true, _) => "readable",
                (false, Some(_)) => "capsule",
                (false, None) => "forgotten",
            },
            capsule_until: capsule.and_then(|end| end.expected),
        })
    })??;
    Ok(Json(detail))
}

/// The gates that it has or had to pass, in their order.
fn gates(request: &Request, now: At) -> Vec<Gate> {
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
        open: until <= now,
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
fn evidence_of(engine: &Engine, request: &Request, leaves: &[StoredLeaf]) -> HashMap<u16, Shown> {
    let mut found = HashMap::new();
    for leaf in leaves {
        let notes = notes_of(&engine.vault, request.id, leaf);
        let proofs = notes.into_iter().filter_map(|note| match note {
            Note::Proof(proof) => Some(proof),
            Note::Said(_) => None,
        });
        for Proof {
            brought_by,
            statement,
            ..
        } in proofs
        {
            let task = request.tasks.get(usize::from(brought_by.ordinal));
            if task.is_some_and(|task| task.generation == brought_by.generation)
                && let Some(shown) = Shown::of(statement)
            {
                found.insert(brought_by.ordinal, shown);
            }
        }
    }
    found
}

/// The evidence with the processor's own time and message. The salt is not shown: with it, the commitment in the ledger
/// could be compared with guesses for ever.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    by_category: BTreeMap<Label, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl Shown {
    /// `None`: there is nothing to show.
    fn of(statement: Statement) -> Option<Self> {
        let Statement {
            at,
            message,
            evidence,
            ..
        } = statement;
        let evidence = evidence.unwrap_or_default();
        if at.is_none() && message.is_none() && evidence == Evidence::default() {
            return None;
        }
        Some(Self {
            by_category: evidence.by_category,
            digest: evidence.digest,
            method: evidence.method,
            records: evidence.records,
            reference: evidence.reference,
            at,
            message,
        })
    }
}
