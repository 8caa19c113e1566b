//! `lacuna status`: one request. Is it done, and if not, why not?

use serde_json::Value;

use super::{
    Exit, Failure,
    fields::{is, items, number, said, text, value},
    knowledge::Knowledge,
    output::{Out, Span, Table},
    remote::{Client, RemoteArgs, Target, path},
    session::{self, ConfigArg, block_on},
};
use crate::{
    clock::Clock,
    config::Config,
    domain::{ids::RequestId, time::At, words::Status},
    store::StoredRequest,
    view::request::RequestOverview,
};

/// Arguments of `lacuna status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 1: there is no such request.\n\n\
    Example:\n  lacuna status 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d")]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// The request.
    id: RequestId,
    /// As JSON: the status object, with the list of tasks and both deadlines.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &Args, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let view = match remote.target(&args.config)? {
        Target::Direct(config) => read(&config, args.id)?,
        Target::Remote(worker) => ask(&worker, args.id)?,
    };
    let mut out = Out::stdout();
    if args.json {
        out.json(&view)?;
    } else {
        show(&mut out, &view, Clock::System.now())?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

fn read(config: &Config, id: RequestId) -> Result<Value, Failure> {
    let (found, knowledge) = block_on(async {
        let store = session::open_store(config).await?;
        let found = store.requests(&[id]).await?.pop();
        let knowledge = Knowledge::read(store.as_ref(), config, Clock::System.now()).await?;
        Ok((found, knowledge))
    })?;
    let Some(StoredRequest { request, .. }) = found else {
        return Err(unknown(id));
    };
    let bodies = &config.policy.complaint_bodies;
    value(&RequestOverview::of(
        &request,
        bodies,
        &knowledge.lanes(),
        &knowledge.context(),
    ))
}

/// A request as a worker tells it.
fn ask(worker: &Client, id: RequestId) -> Result<Value, Failure> {
    worker.get(&path(&["requests", &id.to_string()]), &[])
}

/// There is no such request.
pub(super) fn unknown(id: RequestId) -> Failure {
    Failure::NotSo(format!(
        "there is no request {id}: it has not been taken in (see `lacuna dead-letters list`), or is past records_keep"
    ))
}

fn show(out: &mut Out, view: &Value, now: At) -> Result<(), Failure> {
    let (tasks, outcomes) = (&view["tasks"], &view["outcomes"]);
    out.line(format_args!("request    {}", text(view, "request_id")))?;
    out.line(format_args!("status     {}{}", text(view, "status"), flags(view)))?;
    out.line(format_args!("in short   {}", text(view, "headline")))?;
    out.line(format_args!(
        "asked      {} for {} ({}), tenant {}",
        text(view, "action"),
        text(view, "reason"),
        text(view, "regime"),
        text(view, "tenant")
    ))?;
    out.line(format_args!("received   {}", text(view, "received_at")))?;
    let deadline = text(view, "deadline");
    out.line(format_args!("deadline   {deadline}{}", time_left(view, now)))?;
    let rolled = text(view, "deadline_rolled");
    if rolled != deadline {
        out.line(format_args!("           {rolled} rolled to a working day"))?;
    }
    for (what, name) in [
        ("notice    ", "notice"),
        ("live clean", "live_clean_at"),
        ("closed    ", "completed_at"),
    ] {
        if !view[name].is_null() {
            out.line(format_args!("{what} {}", text(view, name)))?;
        }
    }
    // Never among the erased: a published term has passed, and nobody has confirmed it.
    let attested = match number(outcomes, "attested") {
        0 => String::new(),
        attested => format!(", {attested} attested"),
    };
    out.line(format_args!(
        "tasks      {}: {} done ({} erased, {} anonymized, {} not found{attested}), {} exempt, {} parked, {} abandoned",
        number(tasks, "total"),
        number(tasks, "done"),
        number(outcomes, "erased"),
        number(outcomes, "anonymized"),
        number(outcomes, "not_found"),
        number(outcomes, "exempt"),
        number(tasks, "parked"),
        number(tasks, "abandoned")
    ))?;
    let gates = items(view, "waiting_for").iter();
    for gate in gates.filter(|waiting| waiting["processor"].is_null()) {
        let until = match &gate["until"] {
            Value::Null => String::new(),
            until => format!(" until {}", said(until)),
        };
        out.line(format_args!("waits      {}{until}", text(gate, "why")))?;
    }
    out.line("")?;
    out.table(&table(items(view, "task_list")))
}

/// How long until the deadline, or since; nothing once the request is closed.
fn time_left(view: &Value, now: At) -> String {
    let deadline = At::parse(&text(view, "deadline"));
    let Some(deadline) = deadline.ok().filter(|_| !is_final(view)) else {
        return String::new();
    };
    if now > deadline {
        format!(" ({} ago)", Span(now.since(deadline)))
    } else {
        format!(" (in {})", Span(deadline.since(now)))
    }
}

/// Whether a status is the last one of its request.
pub(super) fn is_final(status: &Value) -> bool {
    Status::parse(&text(status, "status")).is_some_and(Status::is_final)
}

/// A table of tasks.
fn table(tasks: &[Value]) -> Table {
    let mut table = Table::new(&[
        "processor",
        "state",
        "why",
        "until",
        "generation",
        "attempt",
        "task",
    ]);
    for task in tasks {
        table.row([
            text(task, "processor"),
            state(task),
            text(task, "why"),
            text(task, "until"),
            text(task, "generation"),
            text(task, "attempt"),
            text(task, "task_id"),
        ]);
    }
    table
}

/// Where a task stands, with how it was proved or answered.
pub(super) fn state(task: &Value) -> String {
    let state = text(task, "state");
    match &task["outcome"] {
        Value::Null => state,
        proof => format!("{state}: {}", said(proof)),
    }
}

/// What a person should see at once.
pub(super) fn flags(view: &Value) -> String {
    let flags = [
        ("overdue", "overdue"),
        ("at_risk", "at risk"),
        ("needs_attention", "needs attention"),
    ];
    let set: Vec<&str> = flags
        .into_iter()
        .filter(|(name, _)| is(view, name))
        .map(|(_, words)| words)
        .collect();
    if set.is_empty() {
        String::new()
    } else {
        format!(" ({})", set.join(", "))
    }
}
