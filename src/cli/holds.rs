//! `lacuna holds`: the legal holds that are active.

use super::{
    Exit, Failure,
    knowledge::Knowledge,
    output::{Out, Table},
    requests::tenant,
    session::{self, ConfigArg, block_on},
};
use crate::{
    clock::Clock,
    domain::{
        hold::Hold,
        ids::{Label, Tenant},
    },
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
        after_help = "Reads the store directly. Holds are placed and released by POST /v1/holds and DELETE \
        /v1/holds/{id}, or by `lacuna submit` (types hold and release).\n\n\
        Example:\n  lacuna holds list --tenant acme"
    )]
    List {
        #[command(flatten)]
        config: ConfigArg,
        /// Only those of this tenant.
        #[arg(long, value_parser = tenant)]
        tenant: Option<Tenant>,
        /// As JSON lines.
        #[arg(long)]
        json: bool,
    },
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    let Command::List { config, tenant, json } = args.action;
    let config = config.load()?;
    let knowledge = block_on(async {
        let store = session::open_store(&config).await?;
        Knowledge::read(store.as_ref(), &config, Clock::System.now()).await
    })?;
    let mut holds: Vec<&Hold> = knowledge
        .facts
        .holds()
        .iter()
        .filter(|hold| tenant.as_ref().is_none_or(|tenant| *tenant == hold.tenant))
        .collect();
    holds.sort_by_key(|hold| (hold.placed_at, hold.hold_id));
    let mut out = Out::stdout();
    if json {
        holds.iter().try_for_each(|hold| out.json(&HoldView::of(hold)))?;
    } else {
        out.table(&table(&holds))?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

fn table(holds: &[&Hold]) -> Table {
    let mut table = Table::new(&["hold", "basis", "tenant", "covers", "placed at", "by"]);
    for hold in holds {
        table.row([
            hold.hold_id.to_string(),
            hold.basis.to_string(),
            hold.tenant.to_string(),
            covered(hold),
            hold.placed_at.to_string(),
            hold.actor.clone(),
        ]);
    }
    table
}

/// What has to be so of a task that it covers.
fn covered(hold: &Hold) -> String {
    let subject = (!hold.subject.is_empty()).then(|| "a subject".to_owned());
    let request = hold.request_id.map(|id| format!("request {id}"));
    let processor = hold.processor.as_ref().map(ToString::to_string);
    let names: Vec<&str> = hold.categories.iter().map(Label::as_str).collect();
    let categories = (!names.is_empty()).then(|| format!("categories {}", names.join(",")));
    let all: Vec<String> = [subject, request, processor, categories]
        .into_iter()
        .flatten()
        .collect();
    all.join(" + ")
}
