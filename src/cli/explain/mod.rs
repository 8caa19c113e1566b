//! `lacuna explain`: all of one request. What happened, what will happen and when, and what would finish it sooner.

mod words;

use std::collections::BTreeSet;

use serde::Serialize;

use self::words::{coming, name, needed};
use super::{
    Exit, Failure,
    knowledge::Knowledge,
    output::Out,
    session::{self, ConfigArg, block_on},
    status::flags,
    telling::dated,
};
use crate::{
    clock::Clock,
    domain::{
        body::Body,
        entry::{Entry, Leaf},
        ids::{HoldId, ProcessorId, RequestId, TaskId},
        request::{Context, Request, outlook::BestCase, refusal::ComplaintBodies},
        task::TaskEvent,
        time::At,
        words::Status,
    },
    engine::{
        EngineError,
        decisions::{DecisionView, decisions_of},
        identifying::warnings_of_stored,
        status::status_message,
    },
    store::{Store, StoredBody, StoredLeaf, StoredRequest},
    wire::status::StatusMessage,
};

/// Arguments of `lacuna explain`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Reads the store directly. What will happen follows from where the request stands, the active registry \
    and what backups were told of; the shortest way assumes that people open its gates at once, that every processor proves \
    at once what it is asked, and that every backup rotates on time. Exit code 1: there is no such request.\n\n\
    Example:\n  lacuna explain 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d"
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// The request.
    id: RequestId,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// What happened in one transaction.
#[derive(Serialize)]
struct Happened {
    at: At,
    says: Vec<String>,
}

/// What will happen at a time.
#[derive(Serialize)]
struct Ahead<'a> {
    at: At,
    processor: Option<&'a ProcessorId>,
    task_id: Option<TaskId>,
    says: String,
    /// Whether it only comes so where people have opened the gates by then.
    if_gates_are_open: bool,
}

/// What a task waits for, and so what would end the waiting.
#[derive(Serialize)]
struct Needed<'a> {
    processor: &'a ProcessorId,
    task_id: TaskId,
    /// The task as it is told from the others.
    #[serde(skip)]
    task: String,
    says: String,
}

/// The shortest way to the end.
#[derive(Serialize)]
struct Shortest {
    steps: Vec<Happened>,
    closes_as: Option<Status>,
    closes_at: Option<At>,
    /// What somebody has to do something about first.
    stuck: Vec<String>,
    forgotten_at: Option<At>,
}

/// Until when who can read the identifiers.
#[derive(Serialize)]
struct Identifiers {
    /// `readable`, `capsule` or `forgotten`.
    now: &'static str,
    says: String,
}

#[derive(Serialize)]
struct Explained<'a> {
    request: StatusMessage<'a>,
    /// What whoever sent the command should look at again.
    warnings: Vec<String>,
    happened: Vec<Happened>,
    /// Who decided what, when and why.
    decisions: Vec<DecisionView>,
    /// What people have to do before anything is sent, in this order.
    before_anything_is_sent: Vec<String>,
    ahead: Vec<Ahead<'a>>,
    to_finish_sooner: Vec<Needed<'a>>,
    shortest_way: Shortest,
    identifiers: Identifiers,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let config = args.config.load()?;
    let now = Clock::System.now();
    let (found, knowledge, decided) = block_on(async {
        let store = session::open_store(&config).await?;
        let found = find(store.as_ref(), args.id).await?;
        let knowledge = Knowledge::read(store.as_ref(), &config, now).await?;
        // Reasons lie sealed: without the keyring all the rest is told.
        let vault = session::vault(&config);
        let holds = holds_on(&found.stored.request, &knowledge.context());
        let decisions = decisions_of(
            store.as_ref(),
            vault.as_ref().ok(),
            &found.stored.request,
            &found.sealed,
            &holds,
        );
        let mut warnings = Vec::new();
        if let (Ok(vault), Some(body)) = (&vault, &found.body) {
            let registry = knowledge.context().registry;
            warnings = warnings_of_stored(vault, registry, &found.stored, body);
        }
        let decided = (decisions.await?, warnings, vault.err().map(|why| why.to_string()));
        Ok((found, knowledge, decided))
    })?;
    let mut explained = explain(&found, &knowledge.context(), &config.policy.complaint_bodies)?;
    explained.decisions = decided.0;
    explained.warnings.extend(decided.1);
    let sealed = decided.2.filter(|_| !explained.decisions.is_empty());
    explained
        .warnings
        .extend(sealed.map(|why| format!("the reasons of decisions cannot be read: {why}")));
    let mut out = Out::new();
    if args.json {
        out.json(&explained)?;
    } else {
        show(&mut out, &found.stored.request, &explained)?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

/// What the store has of a request.
struct Found {
    stored: StoredRequest,
    /// The leaves of its ledger, as they are stored with what lies sealed beside them, and read.
    sealed: Vec<StoredLeaf>,
    leaves: Vec<Leaf>,
    body: Option<StoredBody>,
}

async fn find(store: &dyn Store, id: RequestId) -> Result<Found, Failure> {
    let Some(stored) = store.requests(&[id]).await?.pop() else {
        return Err(Failure::NotSo(format!(
            "there is no request {id}: it has not been taken in (see `lacuna dead-letters list`), or is past records_keep"
        )));
    };
    let sealed = store.leaves(id).await?;
    let leaves = sealed.iter().map(|leaf| Leaf::from_bytes(&leaf.leaf));
    let leaves = leaves.collect::<Result<_, _>>().map_err(EngineError::from)?;
    let body = store.bodies(&[id]).await?.pop();
    Ok(Found {
        stored,
        sealed,
        leaves,
        body,
    })
}

fn explain<'a>(
    found: &'a Found,
    context: &Context<'a>,
    complaint_bodies: &'a ComplaintBodies,
) -> Result<Explained<'a>, EngineError> {
    let (request, leaves) = (&found.stored.request, &found.leaves);
    let body = found
        .body
        .as_ref()
        .map(|stored| Body::unpack(&stored.body))
        .transpose()?;
    let names = names_of(request, leaves);
    let never_left = never_left(leaves);
    let happened = leaves.iter().map(|leaf| Happened {
        at: leaf.at,
        says: leaf
            .entries
            .iter()
            .filter(|entry| sending(entry).is_none_or(|sending| !never_left.contains(&sending)))
            .filter_map(|entry| dated(entry, &names))
            .collect(),
    });
    let gates = request.gates_of_people();
    let ahead = request.outlook(context).into_iter().map(|ahead| {
        let if_gates_are_open = !gates.is_empty() && ahead.what.begins();
        Ahead {
            at: ahead.at,
            processor: ahead.ordinal.map(|ordinal| &request.task(ordinal).processor),
            task_id: ahead.ordinal.map(|ordinal| request.task_id(ordinal)),
            says: coming(&ahead, request, if_gates_are_open),
            if_gates_are_open,
        }
    });
    let needs = request.needs(context).into_iter().map(|(ordinal, need)| Needed {
        processor: &request.task(ordinal).processor,
        task_id: request.task_id(ordinal),
        task: name(request, ordinal),
        says: needed(&need, request, ordinal, context),
    });
    let best = request.best_case(context);
    Ok(Explained {
        request: status_message(request, complaint_bodies),
        warnings: body
            .as_ref()
            .map_or_else(Vec::new, |body| body.warnings(request, context.registry)),
        happened: happened.filter(|happened| !happened.says.is_empty()).collect(),
        decisions: Vec::new(),
        before_anything_is_sent: gates
            .iter()
            .filter_map(|gate| words::opened_by(*gate, request))
            .collect(),
        ahead: ahead.collect(),
        to_finish_sooner: needs.collect(),
        identifiers: words::identifiers(request, &best, context),
        shortest_way: shortest(request, best),
    })
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

/// The active holds that cover a part of it.
fn holds_on(request: &Request, context: &Context<'_>) -> Vec<HoldId> {
    let holds = context.facts.holds().on_request(request, context.registry);
    holds.into_iter().map(|hold| hold.hold_id).collect()
}

fn names(request: &Request) -> Vec<String> {
    request.ordinals().map(|ordinal| name(request, ordinal)).collect()
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

fn shortest(request: &Request, best: BestCase) -> Shortest {
    let names = names(request);
    // A wave that was added on the way has the place after the last one, and its own line names it.
    let steps = best.steps.iter().map(|step| Happened {
        at: step.at,
        says: step
            .entries
            .iter()
            .filter_map(|entry| dated(entry, &names))
            .collect(),
    });
    let stuck = best
        .stuck
        .iter()
        .filter_map(|ordinal| names.get(usize::from(*ordinal)));
    Shortest {
        steps: steps.filter(|step| !step.says.is_empty()).collect(),
        closes_as: best.closed.map(|(status, _)| status),
        closes_at: best.closed.map(|(_, at)| at),
        stuck: stuck.cloned().collect(),
        forgotten_at: best.forgotten_at,
    }
}

fn show(out: &mut Out, request: &Request, explained: &Explained<'_>) -> Result<(), Failure> {
    let head = &request.head;
    out.line(format_args!(
        "request {}: {}{}, {} for {} ({}), tenant {}",
        request.id,
        request.life.status,
        flags(request),
        head.action,
        head.reason,
        head.regime,
        head.tenant
    ))?;
    for warning in &explained.warnings {
        out.line(format_args!("warning: {warning}"))?;
    }
    out.line("\nWhat happened")?;
    lines(out, &explained.happened)?;
    if !explained.decisions.is_empty() {
        out.line("\nWho decided what")?;
        for decision in &explained.decisions {
            out.line(format_args!("  {}  {}", decision.at, words::decided(decision)))?;
        }
    }
    if !request.life.status.is_final() {
        out.line("\nWhat will happen")?;
        for opener in &explained.before_anything_is_sent {
            out.line(format_args!("  before anything is sent: {opener}"))?;
        }
        for ahead in &explained.ahead {
            out.line(format_args!("  {}  {}", ahead.at, ahead.says))?;
        }
        if explained.ahead.is_empty() && explained.before_anything_is_sent.is_empty() {
            out.line("  nothing by itself")?;
        }
        out.line("\nWhat would finish it sooner")?;
        for needed in &explained.to_finish_sooner {
            out.line(format_args!("  {}: {}", needed.task, needed.says))?;
        }
        if request.nobody_was_asked() {
            out.line(
                "  no processor could be asked, so there is no proof of anything: somebody has to look at it",
            )?;
        }
        let is_gated = !explained.before_anything_is_sent.is_empty();
        show_shortest(out, &explained.shortest_way, is_gated)?;
    }
    out.line("\nThe identifiers")?;
    out.line(format_args!("  {}", explained.identifiers.says))
}

fn show_shortest(out: &mut Out, way: &Shortest, is_gated: bool) -> Result<(), Failure> {
    let people = if is_gated {
        "people open its gates now, "
    } else {
        ""
    };
    out.line(format_args!(
        "\nThe shortest way to the end, if {people}every processor proves at once what it is asked and backups rotate on time"
    ))?;
    lines(out, &way.steps)?;
    match (way.closes_as, way.closes_at) {
        (Some(status), Some(at)) => out.line(format_args!("  so it is {status} at {at} at the earliest")),
        _ => {
            let stuck = if way.stuck.is_empty() {
                "it".to_owned()
            } else {
                way.stuck.join(", ")
            };
            out.line(format_args!(
                "  it does not end by itself: somebody has to act on {stuck}"
            ))
        }
    }
}

fn lines(out: &mut Out, steps: &[Happened]) -> Result<(), Failure> {
    for Happened { at, says } in steps {
        for said in says {
            out.line(format_args!("  {at}  {said}"))?;
        }
    }
    Ok(())
}
