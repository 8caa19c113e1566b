//! `lacuna sweeps`: how far the walks have come that apply facts to the requests that they concern.

use serde_json::Value;

use super::{
    Exit, Failure,
    fields::{text, values},
    knowledge::Knowledge,
    output::{Out, Table},
    remote::{RemoteArgs, Target, path},
    session::{self, ConfigArg, block_on},
};
use crate::{clock::Clock, config::Config, engine::replay_throttle::Pace, view::sweep::SweepView};

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
        dispatch.max_in_flight tasks are out at a processor that it was put back into.\n\n\
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
pub fn run(args: Args, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let Command::List {
        config,
        unfinished,
        limit,
        json,
    } = args.action;
    let sweeps = match remote.target(&config)? {
        Target::Direct(config) => read(&config, unfinished, limit)?,
        Target::Remote(worker) => {
            let query: Vec<_> = unfinished
                .then(|| ("unfinished", true.to_string()))
                .into_iter()
                .collect();
            worker.list(&path(&["sweeps"]), &query, limit as usize)?.0
        }
    };
    let mut out = Out::stdout();
    if json {
        sweeps.iter().try_for_each(|sweep| out.json(sweep))?;
    } else {
        out.table(&table(&sweeps))?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

fn read(config: &Config, unfinished: bool, limit: u32) -> Result<Vec<Value>, Failure> {
    let sweeps = block_on(async {
        let store = session::open_store(config).await?;
        let sweeps = store.sweeps(unfinished, limit).await?;
        let now = Clock::System.now();
        let facts = Knowledge::read(store.as_ref(), config, now).await?.facts;
        let limit = config.dispatch.max_in_flight;
        let pace = Pace::read(store.as_ref(), &sweeps, &facts, limit, now).await?;
        Ok(SweepView::all(sweeps, pace.waiting))
    })?;
    values(sweeps)
}

fn table(sweeps: &[Value]) -> Table {
    let mut table = Table::new(&["fact", "told at", "looked at", "of about", "finished at"]);
    for sweep in sweeps {
        table.row([
            text(sweep, "fact"),
            text(sweep, "started_at"),
            text(sweep, "done"),
            text(sweep, "total"),
            finished(sweep),
        ]);
    }
    table
}

fn finished(sweep: &Value) -> String {
    let (finished, waits) = (&sweep["finished_at"], &sweep["waits_for"]);
    match (finished.as_str(), waits.is_object()) {
        (Some(at), _) => at.to_owned(),
        (None, true) => format!(
            "waits for {} tasks in flight at {}",
            text(waits, "in_flight"),
            text(waits, "processor")
        ),
        (None, false) => "goes on".to_owned(),
    }
}
