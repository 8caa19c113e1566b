//! One request, as people see it: its status, each task with its proof, and why it is not done yet.

use serde::Serialize;

use super::{
    headline::headline,
    hold::CoveringHold,
    proofs::{Proofs, Tries},
    sentences::{Sentence, why_not_done},
    task::{ProvedTask, TaskView},
};
use crate::{
    domain::{
        body::Body,
        request::{Check, Context, Request, refusal::ComplaintBodies},
        time::At,
        words::{Reason, Why},
    },
    engine::{
        EngineError,
        decisions::DecisionView,
        identifying::warnings_of_stored,
        questions::FullRequest,
        status::{LanesNow, status_message},
    },
    vault::Vault,
    wire::status::StatusMessage,
};

/// The status object, and what it leaves out: what a list of tasks on a terminal needs.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct RequestOverview<'a> {
    /// The status.
    #[serde(flatten)]
    pub status: StatusMessage<'a>,
    /// How it stands, in a sentence.
    pub headline: String,
    /// Why it has to be erased.
    pub reason: Reason,
    /// The deadline, where that is no working day.
    pub deadline_rolled: At,
    /// The tasks, in the order of the plan.
    pub task_list: Vec<TaskView<'a>>,
}

impl<'a> RequestOverview<'a> {
    /// Of a request.
    pub fn of(
        request: &'a Request,
        complaint_bodies: &'a ComplaintBodies,
        lanes: &LanesNow<'_>,
        context: &Context<'_>,
    ) -> Self {
        Self {
            status: status_message(request, complaint_bodies, lanes),
            headline: headline(request, context.now, context.zones.of(&request.head.tenant)),
            reason: request.head.reason,
            deadline_rolled: request.life.clock.rolled,
            task_list: TaskView::all(request, lanes).collect(),
        }
    }
}

/// One request in full.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct RequestDetail<'a> {
    /// Its status.
    #[serde(flatten)]
    pub status: StatusMessage<'a>,
    /// How it stands, in a sentence.
    pub headline: String,
    /// Why it was asked.
    pub reason: Reason,
    /// When the subject asked.
    pub requested_at: At,
    /// The deadline, rolled to a working day.
    pub deadline_rolled: At,
    /// Each task with its proof.
    pub task_list: Vec<ProvedTask<'a>>,
    /// The gates that it has or had to pass, in their order.
    pub gates: Vec<Gate>,
    /// The dates of its legal clock.
    pub deadlines: Deadlines,
    /// Why it is not done yet, a sentence each.
    pub why_not_done: Vec<String>,
    /// Those of them about which somebody has to do something: why it needs attention, and which gates wait.
    pub to_do: Vec<String>,
    /// What whoever sent the command should look at again.
    pub warnings: Vec<String>,
    /// The active holds that cover a part of it.
    pub holds: Vec<CoveringHold>,
    /// Who decided what about it, when and why, the oldest first.
    pub decisions: Vec<DecisionView>,
    /// Who can read the identifiers: `readable`, `capsule` (for a restore only) or `forgotten`.
    pub identifiers: &'static str,
    /// When the capsule is destroyed by the registry's word, where it has one.
    pub capsule_until: Option<At>,
}

/// What a detail is made of, beside the request itself.
#[derive(Debug)]
pub struct DetailParts<'a> {
    /// The status.
    pub status: StatusMessage<'a>,
    /// Who decided what.
    pub decisions: Vec<DecisionView>,
    /// What opens the side rows of the ledger.
    pub vault: &'a Vault,
    /// How the lanes stand.
    pub lanes: &'a LanesNow<'a>,
    /// Whether free text that processors wrote is shown: it may hold identifiers.
    pub free_text: bool,
}

impl<'a> RequestDetail<'a> {
    /// Of a request.
    pub fn of(
        full: &'a FullRequest,
        parts: DetailParts<'a>,
        context: &Context<'_>,
    ) -> Result<Self, EngineError> {
        let request = full.request();
        let proofs = Proofs::of(full, parts.vault);
        let tries = if parts.free_text {
            proofs.tries()
        } else {
            Tries::default()
        };
        let mut evidence = proofs.evidence();
        let task_list = request.ordinals().map(|ordinal| ProvedTask {
            task: TaskView::now(request, ordinal, parts.lanes),
            evidence: evidence.remove(&ordinal).map(|shown| {
                if parts.free_text {
                    shown
                } else {
                    shown.without_message()
                }
            }),
        });
        let holds = context.facts.holds().on_request(request, context.registry);
        let sentences = why_not_done(request, &tries, context);
        let to_do = sentences.iter().filter(|sentence| sentence.is_to_do);
        Ok(Self {
            to_do: to_do.map(|sentence| sentence.text.clone()).collect(),
            warnings: warnings(full, Some(parts.vault), context)?,
            status: parts.status,
            headline: headline(request, context.now, context.zones.of(&request.head.tenant)),
            reason: request.head.reason,
            requested_at: request.head.requested_at,
            deadline_rolled: request.life.clock.rolled,
            task_list: task_list.collect(),
            gates: gates(request, context.now),
            deadlines: Deadlines::of(request),
            why_not_done: sentences.into_iter().map(Sentence::into_text).collect(),
            decisions: parts.decisions,
            holds: holds.into_iter().map(CoveringHold::of).collect(),
            identifiers: identifiers(request, context),
            capsule_until: request.capsule_end(context).and_then(|end| end.expected),
        })
    }
}

/// What whoever sent the command should look at again. Without the keys, as far as that can be told.
pub fn warnings(
    full: &FullRequest,
    vault: Option<&Vault>,
    context: &Context<'_>,
) -> Result<Vec<String>, EngineError> {
    let Some(stored) = &full.body else {
        return Ok(Vec::new());
    };
    let mut warnings = Body::unpack(&stored.body)?.warnings(full.request(), context.registry);
    if let Some(vault) = vault {
        warnings.extend(warnings_of_stored(vault, context.registry, &full.stored, stored));
    }
    Ok(warnings)
}

/// Who can read the identifiers: `readable`, `capsule` (for a restore only) or `forgotten`.
pub fn identifiers(request: &Request, context: &Context<'_>) -> &'static str {
    match (request.bookkeeping.readable, request.capsule_end(context)) {
        (true, _) => "readable",
        (false, Some(_)) => "capsule",
        (false, None) => "forgotten",
    }
}

/// A gate.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Gate {
    /// The word for what it waits for.
    pub gate: &'static str,
    /// Whether it is open.
    pub open: bool,
    /// When it opens by itself.
    pub until: Option<At>,
}

/// The dates of a legal clock.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Deadlines {
    /// By when the person has to be told that the request has come in.
    pub acknowledge_by: Option<At>,
    /// What alerts go by.
    pub respond_by: At,
    /// The deadline, rolled to a working day.
    pub rolled: At,
    /// The end of the first period, by which an extension has to be announced.
    pub first_period_ends: At,
    /// Until when it can be extended.
    pub extension_possible_until: Option<At>,
    /// Whether it was.
    pub extended: bool,
    /// How long the clock stood still while the subject's identity was in doubt.
    pub paused_days: u16,
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
