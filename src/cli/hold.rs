//! `lacuna hold` and `lacuna release`: legal holds are placed and released.

use serde_json::{Map, Value, json};

use super::{
    Exit, Failure, arguments,
    decide::unreadable,
    fields::{items, said, text, value},
    holds::covered,
    output::Out,
    remote::{RemoteArgs, Target, path, refuse_actor},
    session::{self, ConfigArg, block_on, deciding},
    subjects, tasks,
};
use crate::{
    config::Config,
    domain::{
        ids::{CommandId, HoldId, Label, ProcessorId, RequestId, Tenant},
        words::HoldBasis,
    },
    engine::{Engine, intake::Verdict, prepare::Arrival, time_ordered_id},
    view::hold::PlacedHoldView,
    wire::{Envelope, ParsedCommand, parse_hold, parse_release},
};

/// Arguments of `lacuna hold`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every condition that is given has to fit, and one has to be given. What was sent before is listed: it is not \
    called back. Bases: legal_claims legal_obligation investigation dispute regulator.\n\n\
    Example:\n  lacuna hold --basis dispute --request 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d\n  \
    printf %s ann@example.org | lacuna hold --basis legal_claims --subject email=-"
)]
#[command(group(clap::ArgGroup::new("covers").required(true).multiple(true).args(["subject", "request", "processor", "category"])))]
pub struct HoldArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// The legal ground.
    #[arg(long, value_name = "BASIS", value_parser = arguments::hold_basis)]
    basis: HoldBasis,
    /// The person's identifier: its type, and its value or - for stdin, which other users of this machine cannot see. Several may
    /// be given.
    #[arg(long, value_name = "TYPE=VALUE")]
    subject: Vec<String>,
    /// The request.
    #[arg(long, value_name = "ID")]
    request: Option<RequestId>,
    /// The processor.
    #[arg(long, value_parser = arguments::processor)]
    processor: Option<ProcessorId>,
    /// A category of data; several may be given.
    #[arg(long, value_name = "NAME", value_parser = arguments::label)]
    category: Vec<Label>,
    /// The tenant; the configured default where it is absent.
    #[arg(long, value_parser = arguments::tenant)]
    tenant: Option<Tenant>,
    /// Free text; it is kept sealed.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Who decides it; the user of this shell where it is absent. Over the API it is the bearer.
    #[arg(long, value_name = "NAME", value_parser = arguments::name)]
    actor: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Arguments of `lacuna release`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What waited for it goes on. Exit code 1: there is no such hold.\n\n\
    Example:\n  lacuna release 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d --note 'the case is closed'"
)]
pub struct ReleaseArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// The hold.
    id: HoldId,
    /// The tenant; the one that alone has an active hold of this name where it is absent.
    #[arg(long, value_parser = arguments::tenant)]
    tenant: Option<Tenant>,
    /// Free text; it is kept sealed.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Who decides it; the user of this shell where it is absent. Over the API it is the bearer.
    #[arg(long, value_name = "NAME", value_parser = arguments::name)]
    actor: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `lacuna hold`.
pub fn place(args: HoldArgs, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let body = body_of(&args)?;
    let placed = match remote.target(&args.config)? {
        Target::Direct(config) => block_on(place_here(&config, &body, &deciding(args.actor)?))?,
        Target::Remote(worker) => {
            refuse_actor(args.actor.as_deref())?;
            worker.post(&path(&["holds"]), &body)?
        }
    };
    let mut out = Out::stdout();
    if args.json {
        out.json(&placed)?;
    } else {
        print(&mut out, &placed)?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

/// The hold as `POST /v1/holds` takes it.
fn body_of(args: &HoldArgs) -> Result<Value, Failure> {
    let mut body = Map::new();
    body.insert("basis".to_owned(), json!(args.basis));
    if !args.subject.is_empty() {
        let identities = args.subject.iter().map(|subject| subjects::identity(subject));
        let identities = identities.collect::<Result<Vec<Value>, _>>()?;
        body.insert("subject".to_owned(), json!({ "identities": identities }));
    }
    if !args.category.is_empty() {
        body.insert("categories".to_owned(), json!(args.category));
    }
    for (member, text) in [
        ("request_id", args.request.map(|id| id.to_string())),
        ("processor", args.processor.as_ref().map(ToString::to_string)),
        ("tenant", args.tenant.as_ref().map(ToString::to_string)),
        ("note", args.note.clone()),
    ] {
        if let Some(text) = text {
            body.insert(member.to_owned(), json!(text));
        }
    }
    Ok(Value::Object(body))
}

async fn place_here(config: &Config, body: &Value, actor: &str) -> Result<Value, Failure> {
    let engine = session::engine(config).await?;
    let bytes = body.to_string();
    let envelope = envelope(&engine);
    let parsed = parse_hold(bytes.as_bytes(), &envelope, actor).map_err(unreadable)?;
    let (tenant, id) = (
        parsed.command.tenant().clone(),
        HoldId(parsed.command.ordering_key()),
    );
    tell(&engine, parsed).await?;
    let unknown = || Failure::NotSo(format!("there is no hold {id}"));
    let placed = engine.placed_hold(&tenant, id).await?.ok_or_else(unknown)?;
    let found = engine.already_dispatched(&placed.hold).await?;
    value(&PlacedHoldView::of(&placed, &found, Vec::new()))
}

/// Runs `lacuna release`.
pub fn release(args: ReleaseArgs, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let mut body = json!({});
    if let Some(note) = &args.note {
        body["note"] = json!(note);
    }
    let released = match remote.target(&args.config)? {
        Target::Direct(config) => {
            let actor = deciding(args.actor)?;
            block_on(release_here(&config, args.id, args.tenant, &body, &actor))?
        }
        Target::Remote(worker) => {
            refuse_actor(args.actor.as_deref())?;
            let query: Vec<_> = args
                .tenant
                .iter()
                .map(|tenant| ("tenant", tenant.to_string()))
                .collect();
            worker.delete(&path(&["holds", &args.id.to_string()]), &query, &body)?
        }
    };
    let mut out = Out::stdout();
    if args.json {
        out.json(&released)?;
    } else {
        out.line(format_args!("released {}", args.id))?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

async fn release_here(
    config: &Config,
    id: HoldId,
    tenant: Option<Tenant>,
    body: &Value,
    actor: &str,
) -> Result<Value, Failure> {
    let engine = session::engine(config).await?;
    let tenant = tenant.or_else(|| only_tenant_of(&engine, id));
    let tenant = tenant.unwrap_or_else(|| engine.tenant_default.clone());
    if engine.placed_hold(&tenant, id).await?.is_none() {
        return Err(Failure::NotSo(format!(
            "there is no hold {id} of the tenant {tenant}: `lacuna holds list` shows those that are active"
        )));
    }
    let bytes = body.to_string();
    let mut envelope = Envelope::bare(&tenant);
    envelope.command_id_default = Some(CommandId(time_ordered_id(engine.clock.now())));
    let parsed = parse_release(bytes.as_bytes(), id, &envelope, actor).map_err(unreadable)?;
    tell(&engine, parsed).await?;
    Ok(json!({ "hold_id": id, "released": true }))
}

/// The tenant that alone has an active hold of this name.
fn only_tenant_of(engine: &Engine, id: HoldId) -> Option<Tenant> {
    let facts = engine.facts();
    let mut found = facts.holds().iter().filter(|hold| hold.hold_id == id);
    let first = found.next()?.tenant.clone();
    found.next().is_none().then_some(first)
}

/// What a command that names nothing is told by.
fn envelope(engine: &Engine) -> Envelope<'_> {
    let mut envelope = Envelope::bare(&engine.tenant_default);
    envelope.command_id_default = Some(CommandId(time_ordered_id(engine.clock.now())));
    envelope
}

async fn tell(engine: &Engine, parsed: ParsedCommand) -> Result<(), Failure> {
    let prepared = engine.intake().prepare_parsed(parsed).map_err(unreadable)?;
    let taken = engine.intake().take_in(&[Arrival::of_call(prepared)]).await?;
    match taken.verdicts.into_iter().next() {
        Some(Verdict::Rejected(rejection)) => Err(Failure::NotSo(rejection.detail.to_string())),
        Some(Verdict::Taken(_) | Verdict::Duplicate(_) | Verdict::Waiting(_)) | None => Ok(()),
    }
}

fn print(out: &mut Out, placed: &Value) -> Result<(), Failure> {
    out.line(format_args!("hold     {}", text(placed, "hold_id")))?;
    out.line(format_args!(
        "basis    {}, tenant {}",
        text(placed, "basis"),
        text(placed, "tenant")
    ))?;
    out.line(format_args!("covers   {}", covered(placed)))?;
    if !placed["requests_found"].is_null() {
        out.line(format_args!(
            "found    {} requests of this person",
            text(placed, "requests_found")
        ))?;
    }
    for warning in items(placed, "warnings") {
        out.line(format_args!("warning  {}", said(warning)))?;
    }
    let sent = items(placed, "already_dispatched");
    if sent.is_empty() {
        return Ok(());
    }
    out.line("\nsent before it, and not called back:")?;
    out.table(&tasks::sent(sent))
}
