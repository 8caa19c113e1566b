//! `lacuna drop`: California's deletion mechanism for data brokers, which has to be looked up at least every 45 days.

mod export;
mod import;

use std::{
    io::BufRead as _,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Exit, Failure, arguments,
    output::{Out, Span, Table},
    session::{self, ConfigArg, block_on},
};
use crate::{
    clock::Clock,
    domain::{ids::Tenant, time::At},
    engine::gauges::DROP_EVERY,
    store::FetchedList,
    wire::drop::{BadList, Kind, ListLine, ListName, hash, lines},
};

/// Arguments of `lacuna drop`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  lacuna drop import 20261130_12345_Email.csv\n  lacuna drop export 20261130_12345_Email.csv"
)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Publishes an erasure for every line of a downloaded list.
    #[command(
        after_help = "The list is checked first: where a line is wrong nothing is published. Ids follow from the lines, so that the \
        same file again changes nothing; a line of another day's list is another request. Processors are sent the identity \
        type drop_email, drop_phone, drop_ndz, drop_maid, drop_namevin or drop_ctvid, whose value is the hash, and compare it \
        with the hashes of what they hold.\n\nExample:\n  lacuna drop import 20261130_12345_Email.csv --tenant broker"
    )]
    Import(ListArgs),
    /// Writes what has become of the lines of a list, as it is uploaded there: Id,Status.
    #[command(
        after_help = "Reads the store directly. 2: exempted, 3: deleted, 4: opted out (who it is could not be verified), 5: not \
        found. Exit code 1: some have no answer yet, and are not in the file. The whole list has to be answered before the next \
        one can be downloaded.\n\nExample:\n  lacuna drop export 20261130_12345_Email.csv > upload.csv"
    )]
    Export(ListArgs),
    /// Remembers that there was nothing to download.
    #[command(after_help = "Example:\n  lacuna drop fetched --broker 12345")]
    Fetched {
        #[command(flatten)]
        config: ConfigArg,
        /// The id of the data broker.
        #[arg(long, value_name = "ID")]
        broker: String,
    },
    /// Shows by when the next list has to be downloaded.
    #[command(
        after_help = "Exit code 1: one is overdue, or none was ever taken in.\n\nExample:\n  lacuna drop status"
    )]
    Status {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Hashes values as the lists have them, one a line from stdin.
    #[command(
        after_help = "Values come from stdin only: what stands on a command line is seen by everybody on the machine.\n\n\
        Example:\n  lacuna drop hash --kind email < addresses.txt"
    )]
    Hash {
        #[command(flatten)]
        config: ConfigArg,
        /// What they are: email or phone. How the others are standardised is not known here.
        #[arg(long, value_parser = kind)]
        kind: Kind,
    },
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// The list as it was downloaded, under its own name.
    file: PathBuf,
    /// Whose requests they are; the default tenant where nothing is said.
    #[arg(long, value_parser = arguments::tenant)]
    tenant: Option<Tenant>,
}

fn kind(text: &str) -> Result<Kind, String> {
    match text {
        "email" => Ok(Kind::Email),
        "phone" => Ok(Kind::Phone),
        _ => Err("expected email or phone".to_owned()),
    }
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    match args.action {
        Action::Import(args) => import::run(&args),
        Action::Export(args) => export::run(&args),
        Action::Fetched { config, broker } => fetched(&config, broker),
        Action::Status { config } => status(&config),
        Action::Hash { config: _, kind } => hashes(kind),
    }
}

/// The list of a file. What is wrong with it is said with its name.
fn read(file: &Path) -> Result<(ListName, Vec<ListLine>), Failure> {
    let named = |fault: BadList| Failure::Usage(format!("{}: {fault}", file.display()));
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let list = ListName::parse(name).map_err(named)?;
    let bytes = std::fs::read(file).map_err(|source| Failure::File {
        action: "read",
        path: file.to_owned(),
        source,
    })?;
    Ok((list, lines(&bytes).map_err(named)?))
}

fn fetched(config: &ConfigArg, broker: String) -> Result<Exit, Failure> {
    let config = config.load()?;
    let now = Clock::System.now();
    let today = now
        .timestamp()
        .to_zoned(config.policy.calendar.zone.clone())
        .date();
    let list = FetchedList {
        broker,
        day: today.to_string(),
        kind: "nothing".to_owned(),
        count: 0,
    };
    block_on(async {
        let store = session::open_store(&config).await?;
        Ok(store.drop_fetched(&list, now).await?)
    })?;
    Ok(Exit::Ok)
}

fn status(config: &ConfigArg) -> Result<Exit, Failure> {
    let config = config.load()?;
    let now = Clock::System.now();
    let fetches = block_on(async { Ok(session::open_store(&config).await?.drop_fetches().await?) })?;
    let mut out = Out::stdout();
    if fetches.is_empty() {
        out.line("no list was taken in yet: `lacuna drop import FILE` takes one in")?;
        out.end()?;
        return Ok(Exit::NotSo);
    }
    let mut table = Table::new(&["data broker", "last list taken in", "next one due", "left"]);
    let mut is_late = false;
    for (broker, at) in fetches {
        let due = at.plus(DROP_EVERY);
        is_late |= due < now;
        table.row([broker, at.to_string(), due.to_string(), left(now, due)]);
    }
    out.table(&table)?;
    out.end()?;
    Ok(if is_late { Exit::NotSo } else { Exit::Ok })
}

fn left(now: At, due: At) -> String {
    let span: Duration = due.since(now);
    if span.is_zero() {
        format!("overdue by {}", Span(now.since(due)))
    } else {
        Span(span).to_string()
    }
}

fn hashes(kind: Kind) -> Result<Exit, Failure> {
    let mut out = Out::stdout();
    for line in std::io::stdin().lock().lines() {
        let value = line.map_err(session::of_system("read stdin"))?;
        if let Some(hash) = hash(kind, &value).filter(|_| !value.trim().is_empty()) {
            out.line(hash)?;
        }
    }
    out.end()?;
    Ok(Exit::Ok)
}
