//! All of one request: what happened, what will happen and when, and what would finish it sooner.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    headline::headline,
    proofs::Tries,
    request::{identifiers, warnings},
    sentences::{entries, outlook},
};
use crate::{
    domain::{
        entry::{Entry, Leaf},
        ids::{ProcessorId, TaskId},
        request::{Context, Request, outlook::BestCase, refusal::ComplaintBodies},
        task::TaskEvent,
        time::At,
        words::{Reason, Status},
    },
    engine::{
        EngineError,
        decisions::DecisionView,
        questions::FullRequest,
        status::{LanesNow, status_message},
    },
    vault::Vault,
    wire::status::StatusMessage,
};

/// What happened in one transaction.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Moment {
    /// When.
    pub at: At,
    /// What, a sentence each.
    pub says: Vec<String>,
}

/// What will happen at a time.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ComingView<'a> {
    /// When.
    pub at: At,
    /// To whom; `None`: to the request.
    pub processor: Option<&'a ProcessorId>,
    /// To which task.
    pub task_id: Option<TaskId>,
    /// What.
    pub says: String,
    /// Whether it only comes so where people have opened the gates by then.
    pub if_gates_are_open: bool,
}

/// What a task waits for, and so what would end the waiting.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct NeedView<'a> {
    /// Whose task it is.
    pub processor: &'a ProcessorId,
    /// The task.
    pub task_id: TaskId,
    /// The task as it is told from the others.
    pub task: String,
    /// What it waits for.
    pub says: String,
}

/// The shortest way to the end.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ShortestWay {
    /// What happens on it.
    pub steps: Vec<Moment>,
    /// As what the request closes; `None`: it does not close by itself.
    pub closes_as: Option<Status>,
    /// When.
    pub closes_at: Option<At>,
    /// What somebody has to do something about first.
    pub stuck: Vec<String>,
    /// When the identifiers are forgotten.
    pub forgotten_at: Option<At>,
}

/// Until when who can read the identifiers.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct IdentifiersView {
    /// `readable`, `capsule` or `forgotten`.
    pub now: &'static str,
    /// The same in a sentence.
    pub says: String,
}

/// All of one request.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Explanation<'a> {
    /// Its status.
    pub request: StatusMessage<'a>,
    /// How it stands, in a sentence.
    pub headline: String,
    /// Why it has to be erased.
    pub reason: Reason,
    /// Whether no processor could be asked, so that nothing is proved.
    pub nobody_was_asked: bool,
    /// What whoever sent the command should look at again.
    pub warnings: Vec<String>,
    /// What happened, the oldest first.
    pub happened: Vec<Moment>,
    /// Who decided what, when and why.
    pub decisions: Vec<DecisionView>,
    /// What people have to do before anything is sent, in this order.
    pub before_anything_is_sent: Vec<String>,
    /// What will happen, as things stand.
    pub ahead: Vec<ComingView<'a>>,
    /// What each open task waits for.
    pub to_finish_sooner: Vec<NeedView<'a>>,
    /// The shortest way to the end.
    pub shortest_way: ShortestWay,
    /// Who can read the identifiers.
    pub identifiers: IdentifiersView,
}

impl<'a> Explanation<'a> {
    /// Of a request. `decisions`: who decided what; `tries`: why tries have failed; `vault`: without it, what lies sealed is left
    /// out.
    pub fn of(
        full: &'a FullRequest,
        decisions: Vec<DecisionView>,
        tries: &Tries,
        vault: Option<&Vault>,
        context: &Context<'a>,
        complaint_bodies: &'a ComplaintBodies,
    ) -> Result<Self, EngineError> {
        let request = full.request();
        let gates = request.gates_of_people();
        let lanes = LanesNow {
            registry: Some(context.registry),
            ..LanesNow::from(context.facts.stops())
        };
        let best = request.best_case(context);
        let openers = gates.iter().filter_map(|gate| outlook::opener(*gate, request));
        Ok(Self {
            request: status_message(request, complaint_bodies, &lanes),
            headline: headline(request, context.now, context.zones.of(&request.head.tenant)),
            reason: request.head.reason,
            nobody_was_asked: request.nobody_was_asked(),
            warnings: warnings(full, vault, context)?,
            happened: history(request, &full.read_leaves()?),
            decisions,
            before_anything_is_sent: openers.collect(),
            ahead: ahead(request, !gates.is_empty(), context),
            to_finish_sooner: needs(request, tries, context),
            identifiers: IdentifiersView {
                now: identifiers(request, context),
                says: outlook::identifiers(request, &best, context),
            },
            shortest_way: shortest(request, best),
        })
    }
}

/// What happened. A sending that did not leave is none: a later entry says so, and why.
fn history(request: &Request, leaves: &[Leaf]) -> Vec<Moment> {
    let (names, never_left) = (names_of(request, leaves), never_left(leaves));
    let left = |entry: &&Entry| sending(entry).is_none_or(|sending| !never_left.contains(&sending));
    let moments = leaves.iter().map(|leaf| Moment {
        at: leaf.at,
        says: leaf
            .entries
            .iter()
            .filter(left)
            .filter_map(|entry| entries::render_dated(entry, &names))
            .collect(),
    });
    moments.filter(|moment| !moment.says.is_empty()).collect()
}

fn ahead<'a>(request: &'a Request, is_gated: bool, context: &Context<'a>) -> Vec<ComingView<'a>> {
    let ahead = request.outlook(context).into_iter().map(|ahead| {
        let if_gates_are_open = is_gated && ahead.what.begins();
        ComingView {
            at: ahead.at,
            processor: ahead.ordinal.map(|ordinal| &request.task(ordinal).processor),
            task_id: ahead.ordinal.map(|ordinal| request.task_id(ordinal)),
            says: outlook::coming(&ahead, request, if_gates_are_open),
            if_gates_are_open,
        }
    });
    ahead.collect()
}

fn needs<'a>(request: &'a Request, tries: &Tries, context: &Context<'a>) -> Vec<NeedView<'a>> {
    let needs = request
        .needs(context)
        .into_iter()
        .map(|(ordinal, need)| NeedView {
            processor: &request.task(ordinal).processor,
            task_id: request.task_id(ordinal),
            task: outlook::name(request, ordinal),
            says: match tries.said_of(request, ordinal) {
                Some(said) => format!("{}; {said}", outlook::needed(&need, request, ordinal, context)),
                None => outlook::needed(&need, request, ordinal, context),
            },
        });
    needs.collect()
}

/// An attempt of a task: its place, its generation and its number.
type Sending = (u16, u32, u32);

/// The attempt that an entry says was sent.
const fn sending(entry: &Entry) -> Option<Sending> {
    match entry {
        Entry::Task {
            ordinal,
            generation,
            attempt,
            event: TaskEvent::Dispatched { .. },
        } => Some((*ordinal, *generation, *attempt)),
        _ => None,
    }
}

/// The attempts that were handed over and certainly did not leave: a later entry says so, and why.
fn never_left(leaves: &[Leaf]) -> BTreeSet<Sending> {
    let entries = leaves.iter().flat_map(|leaf| &leaf.entries);
    let refused = entries.filter_map(|entry| match entry {
        Entry::Task {
            ordinal,
            generation,
            attempt,
            event: TaskEvent::Undeliverable { certain: true, .. },
        } => Some((*ordinal, *generation, *attempt)),
        _ => None,
    });
    refused.collect()
}

fn names(request: &Request) -> Vec<String> {
    request
        .ordinals()
        .map(|ordinal| outlook::name(request, ordinal))
        .collect()
}

/// The same of a request as its ledger knows it: one that was merged has no tasks any more.
fn names_of(request: &Request, leaves: &[Leaf]) -> Vec<String> {
    let opened = leaves
        .iter()
        .flat_map(|leaf| &leaf.entries)
        .find_map(|entry| match entry {
            Entry::Opened { processors, .. } => Some(processors),
            _ => None,
        });
    match opened {
        Some(processors) if request.tasks.is_empty() => processors.iter().map(ToString::to_string).collect(),
        _ => names(request),
    }
}

fn shortest(request: &Request, best: BestCase) -> ShortestWay {
    let names = names(request);
    // A wave that was added on the way has the place after the last one, and its own line names it.
    let steps = best.steps.iter().map(|step| Moment {
        at: step.at,
        says: step
            .entries
            .iter()
            .filter_map(|entry| entries::render_dated(entry, &names))
            .collect(),
    });
    let stuck = best
        .stuck
        .iter()
        .filter_map(|ordinal| names.get(usize::from(*ordinal)));
    ShortestWay {
        steps: steps.filter(|step| !step.says.is_empty()).collect(),
        closes_as: best.closed.map(|(status, _)| status),
        closes_at: best.closed.map(|(_, at)| at),
        stuck: stuck.cloned().collect(),
        forgotten_at: best.forgotten_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ids::RequestId, task::Undelivered};

    #[test]
    fn what_did_not_leave_was_not_asked() {
        let at = At::from_millis(0);
        let task = |attempt, event| Entry::Task {
            ordinal: 0,
            generation: 1,
            attempt,
            event,
        };
        let sent = |attempt| task(attempt, TaskEvent::Dispatched { at, ack_by: at });
        let refused = |attempt, certain| {
            let event = TaskEvent::Undeliverable {
                due: at,
                why: Undelivered::Refused,
                certain,
            };
            task(attempt, event)
        };
        let leaf = |n, entry| Leaf {
            request: RequestId(uuid::Uuid::nil()),
            n,
            at,
            entries: vec![entry],
        };
        let leaves = [
            leaf(0, sent(1)),
            leaf(1, refused(1, true)),
            leaf(2, sent(2)),
            leaf(3, refused(2, false)),
        ];
        assert_eq!(never_left(&leaves), BTreeSet::from([(0, 1, 1)]));
    }
}
