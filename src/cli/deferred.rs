//! `lacuna deferred`: what is parked on a date or an event, held, or waiting for a second look.

use super::{
    Exit, Failure,
    knowledge::Knowledge,
    output::{Out, Table},
    requests::processor,
    session::{self, ConfigArg, block_on},
};
use crate::{
    clock::Clock,
    config::Config,
    domain::{
        ids::{Label, ProcessorId},
        request::outlook::REASONS,
        time::At,
        words::Why,
    },
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
    #[command(
        after_help = "Reads the store directly. Every filter that is given has to fit.\n\n\
        Example:\n  lacuna deferred list --reason retention --due-before 2027-01-01T00:00:00Z\n  \
        lacuna deferred list --processor nightly-backup --json | head"
    )]
    List(ListArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Only those of this processor.
    #[arg(long, value_parser = processor)]
    processor: Option<ProcessorId>,
    /// Only those for this reason: retention, backup_rotation, hold or verification.
    #[arg(long, value_parser = reason)]
    reason: Option<Why>,
    /// Only those whose date lies before this time of RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = time)]
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

fn time(text: &str) -> Result<At, String> {
    At::parse(text).map_err(|error| error.to_string())
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    let Command::List(args) = args.action;
    list(&args.config.load()?, &args)
}

fn list(config: &Config, args: &ListArgs) -> Result<Exit, Failure> {
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
    let mut out = Out::stdout();
    if args.json {
        shown.into_iter().try_for_each(|row| out.json(&row))?;
    } else {
        out.table(&table(shown))?;
    }
    out.end()?;
    if more {
        tracing::warn!(limit = args.limit, "there are more: --limit shows them");
    }
    Ok(Exit::Ok)
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

fn table<'a>(rows: impl Iterator<Item = DeferredView<'a>>) -> Table {
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
        let until = row
            .until
            .map_or_else(|| "somebody acts".to_owned(), |until| until.to_string());
        let late = if row.overdue { " (overdue)" } else { "" };
        table.row([
            format!("{until}{late}"),
            row.reason.to_string(),
            row.processor.to_string(),
            part(&row),
            row.action.to_string(),
            row.tenant.to_string(),
            row.request_id.to_string(),
        ]);
    }
    table
}

/// The categories of its share; of copies, whose they are.
fn part(row: &DeferredView<'_>) -> String {
    let names = |labels: &[Label]| {
        let names: Vec<&str> = labels.iter().map(Label::as_str).collect();
        names.join(",")
    };
    let sources: Vec<String> = row
        .sources
        .iter()
        .map(|source| match source.part {
            [] => source.processor.to_string(),
            part => format!("{} ({})", source.processor, names(part)),
        })
        .collect();
    if sources.is_empty() {
        names(row.part)
    } else {
        format!("of {}", sources.join(" and "))
    }
}
