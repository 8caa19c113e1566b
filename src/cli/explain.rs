//! `lacuna explain`: all of one request. What happened, what will happen and when, and what would finish it sooner.

use serde::Deserialize as _;
use serde_json::Value;

use super::{
    Exit, Failure,
    fields::{is, items, joined, said, text, value},
    knowledge::Knowledge,
    output::Out,
    remote::{RemoteArgs, Target, path},
    session::{self, ConfigArg, block_on},
    status::{flags, is_final, unknown},
};
use crate::{
    clock::Clock,
    config::Config,
    domain::{
        identity::Mask,
        ids::{HoldId, RequestId},
        request::{Context, Request},
    },
    engine::{
        decisions::{DecisionView, decisions_of},
        masking::mask_of,
        questions::FullRequest,
    },
    view::{explanation::Explanation, sentences::outlook},
};

/// Arguments of `lacuna explain`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What will happen follows from where the request stands, the active registry \
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

/// Runs it.
pub fn run(args: &Args, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let explained = match remote.target(&args.config)? {
        Target::Direct(config) => read(&config, args.id)?,
        Target::Remote(worker) => {
            worker.get(&path(&["requests", &args.id.to_string(), "explanation"]), &[])?
        }
    };
    let mut out = Out::stdout();
    if args.json {
        out.json(&explained)?;
    } else {
        show(&mut out, &explained)?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

fn read(config: &Config, id: RequestId) -> Result<Value, Failure> {
    // Reasons lie sealed: without the keyring all the rest is told.
    let vault = session::vault(config);
    let keys = vault.as_ref().ok();
    let (full, knowledge, decisions) = block_on(async {
        let store = session::open_store(config).await?;
        let Some(full) = FullRequest::read(store.as_ref(), id).await? else {
            return Err(unknown(id));
        };
        let knowledge = Knowledge::read(store.as_ref(), config, Clock::System.now()).await?;
        let holds = holds_on(full.request(), &knowledge.context());
        let decisions = {
            let mask = keys.map_or_else(Mask::of_forgotten, |vault| mask_of(vault, &full));
            let keys = keys.map(|vault| (vault, &mask));
            decisions_of(store.as_ref(), keys, full.request(), &full.leaves, &holds).await?
        };
        Ok((full, knowledge, decisions))
    })?;
    let context = knowledge.context();
    let bodies = &config.policy.complaint_bodies;
    let mut explained = Explanation::of(&full, decisions, keys, &context, bodies)?;
    let sealed = vault.err().filter(|_| !explained.decisions.is_empty());
    explained
        .warnings
        .extend(sealed.map(|why| format!("the reasons of decisions cannot be read: {why}")));
    value(&explained)
}

/// The active holds that cover a part of it.
fn holds_on(request: &Request, context: &Context<'_>) -> Vec<HoldId> {
    let holds = context.facts.holds().on_request(request, context.registry);
    holds.into_iter().map(|hold| hold.hold_id).collect()
}

fn show(out: &mut Out, explained: &Value) -> Result<(), Failure> {
    let request = &explained["request"];
    out.line(format_args!(
        "request {}: {}{}, {} for {} ({}), tenant {}",
        text(request, "request_id"),
        text(request, "status"),
        flags(request),
        text(request, "action"),
        text(explained, "reason"),
        text(request, "regime"),
        text(request, "tenant")
    ))?;
    out.line(text(explained, "headline"))?;
    for warning in items(explained, "warnings") {
        out.line(format_args!("warning: {}", said(warning)))?;
    }
    out.line("\nWhat happened")?;
    lines(out, items(explained, "happened"))?;
    if !items(explained, "decisions").is_empty() {
        out.line("\nWho decided what")?;
        for decision in items(explained, "decisions") {
            let decision = DecisionView::deserialize(decision)?;
            out.line(format_args!("  {}  {}", decision.at, outlook::decided(&decision)))?;
        }
    }
    if !is_final(request) {
        show_ahead(out, explained)?;
    }
    out.line("\nThe identifiers")?;
    out.line(format_args!("  {}", text(&explained["identifiers"], "says")))
}

fn show_ahead(out: &mut Out, explained: &Value) -> Result<(), Failure> {
    let (openers, ahead) = (
        items(explained, "before_anything_is_sent"),
        items(explained, "ahead"),
    );
    out.line("\nWhat will happen")?;
    for opener in openers {
        out.line(format_args!("  before anything is sent: {}", said(opener)))?;
    }
    for coming in ahead {
        out.line(format_args!("  {}  {}", text(coming, "at"), text(coming, "says")))?;
    }
    if ahead.is_empty() && openers.is_empty() {
        out.line("  nothing by itself")?;
    }
    out.line("\nWhat would finish it sooner")?;
    for needed in items(explained, "to_finish_sooner") {
        out.line(format_args!(
            "  {}: {}",
            text(needed, "task"),
            text(needed, "says")
        ))?;
    }
    if is(explained, "nobody_was_asked") {
        out.line(
            "  no processor could be asked, so there is no proof of anything: somebody has to look at it",
        )?;
    }
    show_shortest(out, &explained["shortest_way"], !openers.is_empty())
}

fn show_shortest(out: &mut Out, way: &Value, is_gated: bool) -> Result<(), Failure> {
    let people = if is_gated {
        "people open its gates now, "
    } else {
        ""
    };
    out.line(format_args!(
        "\nThe shortest way to the end, if {people}every processor proves at once what it is asked and backups rotate on time"
    ))?;
    lines(out, items(way, "steps"))?;
    match (&way["closes_as"], &way["closes_at"]) {
        (Value::String(status), Value::String(at)) => {
            out.line(format_args!("  so it is {status} at {at} at the earliest"))
        }
        _ => {
            let stuck = joined(way, "stuck").replace(',', ", ");
            let stuck = if stuck.is_empty() { "it" } else { &stuck };
            out.line(format_args!(
                "  it does not end by itself: somebody has to act on {stuck}"
            ))
        }
    }
}

fn lines(out: &mut Out, steps: &[Value]) -> Result<(), Failure> {
    for step in steps {
        for sentence in items(step, "says") {
            out.line(format_args!("  {}  {}", text(step, "at"), said(sentence)))?;
        }
    }
    Ok(())
}
