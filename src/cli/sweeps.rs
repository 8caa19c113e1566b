//! `lacuna sweeps`: how far the walks have come that apply facts to the requests that they concern.

use serde::Serialize;

use super::{
    Exit, Failure,
    output::{Out, Table},
    session::{self, ConfigArg, block_on},
};
use crate::{
    domain::{
        fact::{FactKind, FactVersion},
        time::At,
    },
    store::Sweep,
};

/// Arguments of `lacuna sweeps`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lacuna sweeps list")]
pub struct Args {
    #[command(subcommand)]
    action: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Lists them, the newest first.
    #[command(
        after_help = "A hold, a release, a backup event or a changed rule holds from the moment that it is taken in; \
        its sweep makes sure that no request overlooks it for long. Reads the store directly.\n\n\
        Example:\n  lacuna sweeps list --unfinished"
    )]
    List {
        #[command(flatten)]
        config: ConfigArg,
        /// Only those that go on.
        #[arg(long)]
        unfinished: bool,
        /// How many at the most.
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// As JSON lines.
        #[arg(long)]
        json: bool,
    },
}

/// A sweep as JSON, as GET /v1/sweeps shows it.
#[derive(Serialize)]
struct Shown {
    version: FactVersion,
    fact: FactKind,
    started_at: At,
    updated_at: At,
    finished_at: Option<At>,
    done: u64,
    total: Option<u64>,
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    let Command::List {
        config,
        unfinished,
        limit,
        json,
    } = args.action;
    let config = config.load()?;
    let sweeps = block_on(async {
        Ok(session::open_store(&config)
            .await?
            .sweeps(unfinished, limit)
            .await?)
    })?;
    let mut out = Out::new();
    if json {
        sweeps.iter().try_for_each(|sweep| out.json(&shown(sweep)))?;
    } else {
        table(&sweeps).write(&mut out)?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

fn shown(sweep: &Sweep) -> Shown {
    Shown {
        version: sweep.version,
        fact: sweep.kind,
        started_at: sweep.started_at,
        updated_at: sweep.updated_at,
        finished_at: sweep.finished_at,
        done: sweep.done,
        total: sweep.total,
    }
}

fn table(sweeps: &[Sweep]) -> Table {
    let mut table = Table::new(&["fact", "told at", "looked at", "of about", "finished at"]);
    for sweep in sweeps {
        table.row([
            sweep.kind.to_string(),
            sweep.started_at.to_string(),
            sweep.done.to_string(),
            sweep.total.map(|total| total.to_string()).unwrap_or_default(),
            sweep
                .finished_at
                .map_or_else(|| "goes on".to_owned(), |at| at.to_string()),
        ]);
    }
    table
}
