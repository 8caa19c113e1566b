//! `lacuna sweeps`: how far the walks have come that apply facts to the requests that they concern.

use super::{
    Exit, Failure,
    knowledge::Knowledge,
    output::{Out, Table},
    session::{self, ConfigArg, block_on},
};
use crate::{clock::Clock, engine::replay_throttle::Pace, view::sweep::SweepView};

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
        its sweep makes sure that no request overlooks it for long. The sweep of a restore waits while more than \
        dispatch.max_in_flight tasks are out at a processor that it was put back into. Reads the store directly.\n\n\
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
        let store = session::open_store(&config).await?;
        let sweeps = store.sweeps(unfinished, limit).await?;
        let now = Clock::System.now();
        let facts = Knowledge::read(store.as_ref(), &config, now).await?.facts;
        let limit = config.dispatch.max_in_flight;
        let pace = Pace::read(store.as_ref(), &sweeps, &facts, limit, now).await?;
        Ok(SweepView::all(sweeps, pace.waiting))
    })?;
    let mut out = Out::stdout();
    if json {
        sweeps.iter().try_for_each(|sweep| out.json(sweep))?;
    } else {
        out.table(&table(&sweeps))?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

fn table(sweeps: &[SweepView]) -> Table {
    let mut table = Table::new(&["fact", "told at", "looked at", "of about", "finished at"]);
    for sweep in sweeps {
        table.row([
            sweep.fact.to_string(),
            sweep.started_at.to_string(),
            sweep.done.to_string(),
            sweep.total.map(|total| total.to_string()).unwrap_or_default(),
            finished(sweep),
        ]);
    }
    table
}

fn finished(sweep: &SweepView) -> String {
    match (sweep.finished_at, &sweep.waits_for) {
        (Some(at), _) => at.to_string(),
        (None, Some(out)) => format!("waits for {} tasks in flight at {}", out.in_flight, out.processor),
        (None, None) => "goes on".to_owned(),
    }
}
