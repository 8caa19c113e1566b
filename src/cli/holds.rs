//! `lacuna holds`: the legal holds that are active.

use serde_json::Value;

use super::{
    Exit, Failure, arguments,
    fields::{is, items, joined, text, values},
    knowledge::Knowledge,
    output::{Out, Table},
    remote::{RemoteArgs, Target, path},
    session::{self, ConfigArg, block_on},
};
use crate::{
    clock::Clock,
    config::Config,
    domain::{hold::Hold, ids::Tenant},
    view::hold::HoldView,
};

/// Arguments of `lacuna holds`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lacuna holds list")]
pub struct Args {
    #[command(subcommand)]
    action: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Lists the active ones, the oldest first. Whom a hold is on is shown nowhere.
    #[command(
        after_help = "Holds are placed by `lacuna hold` and released by `lacuna release`, by POST /v1/holds and DELETE \
        /v1/holds/{id}, or by `lacuna submit` (types hold and release).\n\n\
        Example:\n  lacuna holds list --tenant acme"
    )]
    List {
        #[command(flatten)]
        config: ConfigArg,
        /// Only those of this tenant.
        #[arg(long, value_parser = arguments::tenant)]
        tenant: Option<Tenant>,
        /// As JSON lines.
        #[arg(long)]
        json: bool,
    },
}

/// Runs it.
pub fn run(args: Args, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let Command::List { config, tenant, json } = args.action;
    let holds = match remote.target(&config)? {
        Target::Direct(config) => read(&config, tenant.as_ref())?,
        Target::Remote(worker) => {
            let query: Vec<_> = tenant
                .iter()
                .map(|tenant| ("tenant", tenant.to_string()))
                .collect();
            worker.list(&path(&["holds"]), &query, usize::MAX)?.0
        }
    };
    let mut out = Out::stdout();
    if json {
        holds.iter().try_for_each(|hold| out.json(hold))?;
    } else {
        out.table(&table(&holds))?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

fn read(config: &Config, tenant: Option<&Tenant>) -> Result<Vec<Value>, Failure> {
    let knowledge = block_on(async {
        let store = session::open_store(config).await?;
        Knowledge::read(store.as_ref(), config, Clock::System.now()).await
    })?;
    let mut holds: Vec<&Hold> = knowledge
        .facts
        .holds()
        .iter()
        .filter(|hold| tenant.is_none_or(|tenant| *tenant == hold.tenant))
        .collect();
    holds.sort_by_key(|hold| (hold.placed_at, hold.hold_id));
    values(holds.into_iter().map(HoldView::of))
}

fn table(holds: &[Value]) -> Table {
    let mut table = Table::new(&["hold", "basis", "tenant", "covers", "placed at", "by"]);
    for hold in holds {
        table.row([
            text(hold, "hold_id"),
            text(hold, "basis"),
            text(hold, "tenant"),
            covered(hold),
            text(hold, "placed_at"),
            text(hold, "placed_by"),
        ]);
    }
    table
}

/// What has to be so of a task that it covers.
pub(super) fn covered(hold: &Value) -> String {
    let subject = is(hold, "by_subject").then(|| "a subject".to_owned());
    let request = hold["request_id"].as_str().map(|id| format!("request {id}"));
    let processor = hold["processor"].as_str().map(ToOwned::to_owned);
    let categories = match items(hold, "categories") {
        [] => None,
        _ => Some(format!("categories {}", joined(hold, "categories"))),
    };
    let all: Vec<String> = [subject, request, processor, categories]
        .into_iter()
        .flatten()
        .collect();
    all.join(" + ")
}
