//! `lacuna doctor`: what is wrong with a deployment, in words, and what to do about it.
//!
//! It looks at everything that a worker depends on, from the outside: it changes nothing, and needs no worker that answers.

mod finding;
mod kafka;
mod local;
mod store;
mod work;

use super::{
    Exit, Failure,
    output::{Out, Table},
    session::{ConfigArg, block_on},
};
use crate::config::Config;
use finding::{Findings, Level};

/// Arguments of `lacuna doctor`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It looks at the clock, certificates, the keyring, the database and what it is set to, topics and how long they keep \
    messages, consumer groups, lag, lanes, and whether any worker is at work. It changes nothing. Exit code 0: nothing is wrong, \
    warnings aside. 1: something is. 2: the configuration has mistakes. 3: Kafka or the store cannot be reached.\n\n\
    Example:\n  lacuna doctor"
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// Also says what is right.
    #[arg(long)]
    all: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let (config, registry) = Config::load_with_registry(args.config.path())?;
    let mut findings = Findings::default();
    local::look(&config, &registry, &mut findings);
    let findings = block_on(async {
        let store = store::look(&config, &mut findings).await;
        let reached = kafka::look(&config, &registry, &mut findings).await;
        if let Some(store) = &store {
            work::look(&config, &registry, store.as_ref(), &mut findings).await?;
            if reached {
                kafka::positions(&config, store.as_ref(), &mut findings).await;
            }
        }
        Ok(findings)
    })?;
    let mut out = Out::stdout();
    if args.json {
        out.json(&findings.view())?;
    } else {
        print(&mut out, &findings, args.all)?;
    }
    out.end()?;
    Ok(match findings.worst() {
        Level::Fine | Level::Warning => Exit::Ok,
        Level::Wrong => Exit::NotSo,
        Level::Away => Exit::Unreachable,
    })
}

fn print(out: &mut Out, findings: &Findings, all: bool) -> Result<(), Failure> {
    let mut table = Table::new(&["", "part", "what", "do"]);
    let mut shown = 0;
    for finding in findings.by_level() {
        if all || finding.level != Level::Fine {
            table.row([
                finding.level.as_str().to_owned(),
                finding.part.to_owned(),
                finding.what.clone(),
                finding.advice.clone().unwrap_or_default(),
            ]);
            shown += 1;
        }
    }
    if shown > 0 {
        out.table(&table)?;
        out.line("")?;
    }
    let (wrong, warnings, fine) = findings.counts();
    out.line(format_args!("{wrong} wrong, {warnings} to look at, {fine} fine"))
}
