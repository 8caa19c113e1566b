//! The command line: one file a subcommand. Results go to stdout, logs and errors to stderr.
//!
//! A command reads the configuration, asks the store or Kafka directly, and prints. It never decides anything that a
//! worker would decide: what it wants done goes through a topic or through one guarded statement.

mod bar;
pub mod bench;
pub mod check;
pub mod dead_letters;
pub mod deferred;
pub mod demo;
mod documents;
pub mod explain;
mod failure;
mod folder;
mod foreign;
pub mod holds;
pub mod init;
mod interrupt;
pub mod keys;
mod knowledge;
mod lines;
pub mod migrate;
mod output;
pub mod positions;
pub mod reconcile;
pub mod registry;
pub mod requests;
pub mod scenario;
pub mod schemas;
pub mod serve;
mod session;
pub mod status;
pub mod submit;
pub mod sunset;
pub mod sweeps;
pub mod topics;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use failure::Failure;

use crate::telemetry::logs;

/// Event-driven data-erasure orchestrator.
///
/// Exit codes: 0 ok, 1 the thing asked about is not so, 2 usage or configuration, 3 a dependency (Kafka or the store)
/// is unreachable. Results go to stdout, logs to stderr.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "Example:\n  lacuna check && lacuna serve",
    propagate_version = true
)]
pub struct Cli {
    /// How logs look; for people on a terminal, JSON otherwise.
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<logs::Format>,
    /// What is logged, such as info,lacuna::kafka=debug; RUST_LOG where it is absent.
    #[arg(long, global = true, value_name = "FILTER")]
    log_filter: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the whole way of some requests on an embedded broker, with simulated processors.
    Demo(demo::Args),
    /// Writes a configuration and a registry to start from, for a policy like yours.
    Init(init::Args),
    /// Runs the worker.
    Serve(serve::Args),
    /// Validates configuration and registry, every mistake at once.
    Check(check::Args),
    /// Brings the store's schema up to this version.
    Migrate(migrate::Args),
    /// Creates and lists the topics.
    Topics(topics::Args),
    /// Publishes commands.
    Submit(submit::Args),
    /// Ends a service: publishes commands for everybody on a file, once two people agree.
    Sunset(sunset::Args),
    /// Shows one request: is it done, and if not, why not?
    Status(status::Args),
    /// Lists requests.
    Requests(requests::Args),
    /// Tells all of one request: what happened, what will happen and when, and what would finish it sooner.
    Explain(explain::Args),
    /// Lists what is deferred: kept by law, in backups, held, or to be looked at again.
    Deferred(deferred::Args),
    /// Lists the legal holds.
    Holds(holds::Args),
    /// Lists the walks that apply holds, backup events and changed rules to the requests that they concern.
    Sweeps(sweeps::Args),
    /// Shows, compares and activates the registry of processors.
    Registry(registry::Args),
    /// Creates and lists the keys.
    Keys(keys::Args),
    /// Lists messages that could not be taken in, publishes them again, or closes them.
    DeadLetters(dead_letters::Args),
    /// Shows how far each partition was taken in, and has one be read on whose log is another one now.
    Positions(positions::Args),
    /// Compares what upstream believes it has sent with what has arrived.
    Reconcile(reconcile::Args),
    /// Writes the JSON Schemas of the messages.
    Schemas(schemas::Args),
    /// Measures a deployment, or an embedded one, with simulated processors.
    Bench(bench::Args),
}

impl Command {
    /// What it logs unless it is told otherwise.
    const fn log_filter(&self) -> &'static str {
        match self {
            Self::Serve(_) => logs::WORKER,
            Self::Demo(_) => logs::DEMO,
            _ => logs::COMMAND,
        }
    }
}

/// How a command ended: the exit codes of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0
    Ok,
    /// 1: the thing asked about is not so.
    NotSo,
    /// 2: usage or configuration.
    Usage,
    /// 3: a dependency is unreachable.
    Unreachable,
}

impl Exit {
    /// The code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::NotSo => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Runs a command.
pub fn main(cli: Cli) -> ExitCode {
    let Cli {
        log_format,
        log_filter,
        command,
    } = cli;
    let default = command.log_filter();
    let named = log_filter.or_else(|| std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty()));
    let format = log_format.unwrap_or_else(logs::Format::of_stderr);
    if let Err(error) = logs::init(format, named.as_deref().unwrap_or(default)) {
        return failure::finish(Err(Failure::Usage(error.to_string()))).into();
    }
    let done = match command {
        Command::Demo(args) => return demo::run(args).into(),
        Command::Bench(args) => return bench::run(args).into(),
        Command::Init(args) => init::run(&args),
        Command::Serve(args) => serve::run(args),
        Command::Check(args) => check::run(args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Topics(args) => topics::run(args),
        Command::Submit(args) => submit::run(&args),
        Command::Sunset(args) => sunset::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Requests(args) => requests::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Deferred(args) => deferred::run(args),
        Command::Holds(args) => holds::run(args),
        Command::Sweeps(args) => sweeps::run(args),
        Command::Registry(args) => registry::run(args),
        Command::Keys(args) => keys::run(args),
        Command::DeadLetters(args) => dead_letters::run(args),
        Command::Positions(args) => positions::run(args),
        Command::Reconcile(args) => reconcile::run(&args),
        Command::Schemas(args) => schemas::run(args),
    };
    failure::finish(done).into()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_grammar_of_the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
