//! `lacuna deferred`: what is parked on a date or an event, held, or waiting for a second look.

use serde_json::Value;

use super::{
    Exit, Failure, arguments,
    fields::{is, items, joined, text, values},
    knowledge::Knowledge,
    output::{Out, Table},
    remote::{Client, RemoteArgs, Target, path},
    requests::warn_of_more,
    session::{self, ConfigArg, block_on},
};
use crate::{
    clock::Clock,
    config::Config,
    domain::{ids::ProcessorId, request::outlook::REASONS, time::At, words::Why},
    engine::questions::requests_of,
    store::{DeferredFilter, DeferredRow, Store},
    view::deferral::DeferredView,
};

/// Arguments of `lacuna deferred`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lacuna deferred list --reason backup_rotation")]
pub struct Args {
    #[command(subcommand)]
    action: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Lists them by date; what has no date comes last.
    #[command(after_help = "Every filter that is given has to fit.\n\n\
        Example:\n  lacuna deferred list --reason retention --due-before 2027-01-01T00:00:00Z\n  \
        lacuna deferred list --processor nightly-backup --json | head")]
    List(ListArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Only those of this processor.
    #[arg(long, value_parser = arguments::processor)]
    processor: Option<ProcessorId>,
    /// Only those for this reason: retention, backup_rotation, hold or verification.
    #[arg(long, value_parser = reason)]
    reason: Option<Why>,
    /// Only those whose date lies before this time of RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    due_before: Option<At>,
    /// How many at the most.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// As JSON lines.
    #[arg(long)]
    json: bool,
}

fn reason(text: &str) -> Result<Why, String> {
    let names: Vec<&str> = REASONS.iter().map(|why| why.as_str()).collect();
    Why::parse(text)
        .filter(|why| REASONS.contains(why))
        .ok_or_else(|| format!("expected one of: {}", names.join(", ")))
}

/// Runs it.
pub fn run(args: Args, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let Command::List(args) = args.action;
    let (rows, more) = match remote.target(&args.config)? {
        Target::Direct(config) => read(&config, &args)?,
        Target::Remote(worker) => ask(&worker, &args)?,
    };
    let mut out = Out::stdout();
    if args.json {
        rows.iter().try_for_each(|row| out.json(row))?;
    } else {
        out.table(&table(&rows))?;
    }
    out.end()?;
    warn_of_more(more, args.limit);
    Ok(Exit::Ok)
}

fn read(config: &Config, args: &ListArgs) -> Result<(Vec<Value>, bool), Failure> {
    let now = Clock::System.now();
    let (rows, requests, knowledge) = block_on(async {
        let store = session::open_store(config).await?;
        let rows = find(store.as_ref(), args).await?;
        let requests = requests_of(store.as_ref(), &rows).await?;
        let knowledge = Knowledge::read(store.as_ref(), config, now).await?;
        Ok((rows, requests, knowledge))
    })?;
    let more = rows.len() > args.limit as usize;
    let context = knowledge.context();
    let shown = rows
        .iter()
        .take(args.limit as usize)
        .filter_map(|row| DeferredView::of(row, &requests, &context));
    Ok((values(shown)?, more))
}

fn ask(worker: &Client, args: &ListArgs) -> Result<(Vec<Value>, bool), Failure> {
    let query = [
        ("processor", args.processor.as_ref().map(ToString::to_string)),
        ("reason", args.reason.map(|reason| reason.to_string())),
        ("due_before", args.due_before.map(|at| at.to_string())),
    ];
    let query: Vec<_> = query
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)))
        .collect();
    worker.list(&path(&["deferred"]), &query, args.limit as usize)
}

/// One more than is shown says whether there are more.
async fn find(store: &dyn Store, args: &ListArgs) -> Result<Vec<DeferredRow>, Failure> {
    let filter = DeferredFilter {
        processor: args.processor.clone(),
        reason: args.reason,
        due_before: args.due_before,
        after: None,
        limit: args.limit + 1,
    };
    Ok(store.deferred(&filter).await?)
}

fn table(rows: &[Value]) -> Table {
    let mut table = Table::new(&[
        "until",
        "reason",
        "processor",
        "part",
        "action",
        "tenant",
        "request",
    ]);
    for row in rows {
        let until = row["until"].as_str().unwrap_or("somebody acts");
        let late = if is(row, "overdue") { " (overdue)" } else { "" };
        table.row([
            format!("{until}{late}"),
            text(row, "reason"),
            text(row, "processor"),
            part(row),
            text(row, "action"),
            text(row, "tenant"),
            text(row, "request_id"),
        ]);
    }
    table
}

/// The categories of its share; of copies, whose they are.
fn part(row: &Value) -> String {
    let sources: Vec<String> = items(row, "sources")
        .iter()
        .map(|source| match items(source, "part") {
            [] => text(source, "processor"),
            _ => format!("{} ({})", text(source, "processor"), joined(source, "part")),
        })
        .collect();
    if sources.is_empty() {
        joined(row, "part")
    } else {
        format!("of {}", sources.join(" and "))
    }
}
