//! `lacuna explain`: all of one request. What happened, what will happen and when, and what would finish it sooner.

use super::{
    Exit, Failure,
    knowledge::Knowledge,
    output::Out,
    session::{self, ConfigArg, block_on},
    status::flags,
};
use crate::{
    clock::Clock,
    domain::{
        identity::Mask,
        ids::{HoldId, RequestId},
        request::{Context, Request},
    },
    engine::{decisions::decisions_of, masking::mask_of, questions::FullRequest},
    view::{
        explanation::{Explanation, Moment, ShortestWay},
        headline::headline,
        sentences::outlook,
    },
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

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let config = args.config.load()?;
    // Reasons lie sealed: without the keyring all the rest is told.
    let vault = session::vault(&config);
    let keys = vault.as_ref().ok();
    let (full, knowledge, decisions) = block_on(async {
        let store = session::open_store(&config).await?;
        let Some(full) = FullRequest::read(store.as_ref(), args.id).await? else {
            return Err(Failure::NotSo(format!(
                "there is no request {}: it has not been taken in (see `lacuna dead-letters list`), or is past records_keep",
                args.id
            )));
        };
        let knowledge = Knowledge::read(store.as_ref(), &config, Clock::System.now()).await?;
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
    let mut out = Out::stdout();
    if args.json {
        out.json(&explained)?;
    } else {
        show(&mut out, full.request(), &explained, &context)?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

/// The active holds that cover a part of it.
fn holds_on(request: &Request, context: &Context<'_>) -> Vec<HoldId> {
    let holds = context.facts.holds().on_request(request, context.registry);
    holds.into_iter().map(|hold| hold.hold_id).collect()
}

fn show(
    out: &mut Out,
    request: &Request,
    explained: &Explanation<'_>,
    context: &Context<'_>,
) -> Result<(), Failure> {
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
    out.line(headline(request, context.now, context.zones.of(&head.tenant)))?;
    for warning in &explained.warnings {
        out.line(format_args!("warning: {warning}"))?;
    }
    out.line("\nWhat happened")?;
    lines(out, &explained.happened)?;
    if !explained.decisions.is_empty() {
        out.line("\nWho decided what")?;
        for decision in &explained.decisions {
            out.line(format_args!("  {}  {}", decision.at, outlook::decided(decision)))?;
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

fn show_shortest(out: &mut Out, way: &ShortestWay, is_gated: bool) -> Result<(), Failure> {
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

fn lines(out: &mut Out, steps: &[Moment]) -> Result<(), Failure> {
    for Moment { at, says } in steps {
        for said in says {
            out.line(format_args!("  {at}  {said}"))?;
        }
    }
    Ok(())
}
