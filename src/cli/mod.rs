//! The command line: one file a subcommand. Results go to stdout, logs and errors to stderr.
//!
//! A command reads the configuration, asks the store or Kafka directly, and prints. It never decides anything that a
//! worker would decide: what it wants done goes through a topic or through one guarded statement.

pub mod brake;
pub mod bulk;
pub mod check;
pub mod dead_letters;
pub mod deferred;
pub mod doctor;
mod documents;
pub mod drop;
pub mod explain;
mod foreign;
pub mod forget;
pub mod holds;
pub mod init;
pub mod keys;
mod knowledge;
mod lanes;
pub mod manual;
pub mod migrate;
pub mod positions;
pub mod processors;
pub mod reconcile;
pub mod registry;
pub mod report;
pub mod requests;
pub mod schemas;
pub mod serve;
mod session;
pub mod status;
mod stops;
pub mod submit;
pub mod sunset;
pub mod sweeps;
pub mod topics;

use clap::Subcommand;

use crate::{
    telemetry::logs,
    terminal::{Exit, Failure, bar, folder, interrupt, lines, output},
};

/// What the product does. `program` puts it beside what the laboratory does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Writes a configuration and a registry to start from, for a policy like yours.
    Init(init::Args),
    /// Runs the worker.
    Serve(serve::Args),
    /// Validates configuration and registry, every mistake at once.
    Check(check::Args),
    /// Says what is wrong with a deployment, in words, and what to do about it.
    Doctor(doctor::Args),
    /// Brings the store's schema up to this version.
    Migrate(migrate::Args),
    /// Creates and lists the topics.
    Topics(topics::Args),
    /// Publishes commands.
    Submit(submit::Args),
    /// California's deletion mechanism for data brokers: takes lists in, and answers them.
    Drop(drop::Args),
    /// Ends a service: publishes commands for everybody on a file, once two people agree.
    Sunset(sunset::Args),
    /// Shows one request: is it done, and if not, why not?
    Status(status::Args),
    /// Lists requests.
    Requests(requests::Args),
    /// Reports on a period: what was asked, what became of it, how long it took.
    Report(report::Args),
    /// Tells all of one request: what happened, what will happen and when, and what would finish it sooner.
    Explain(explain::Args),
    /// Deletes the rows of a closed request before their time.
    Forget(forget::Args),
    /// Lists what is deferred: kept by law, in backups, held, or to be looked at again.
    Deferred(deferred::Args),
    /// Lists the legal holds.
    Holds(holds::Args),
    /// Lists the walks that apply holds, backup events and changed rules to the requests that they concern.
    Sweeps(sweeps::Args),
    /// Shows, compares and activates the registry of processors.
    Registry(registry::Args),
    /// Shows how the lanes of processors stand, tries them, stops them, and has them go on.
    Processors(processors::Args),
    /// Shows the tasks that people do, claims them, confirms them.
    Manual(manual::Args),
    /// Changes many requests at once: asks again, approves, withdraws, puts on hold.
    Bulk(bulk::Args),
    /// Stops everything, and has it go on.
    Brake(brake::Args),
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
}

impl Command {
    /// What it logs unless it is told otherwise.
    pub const fn log_filter(&self) -> &'static str {
        match self {
            Self::Serve(_) => logs::WORKER,
            _ => logs::COMMAND,
        }
    }

    /// Runs it.
    pub fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::Init(args) => init::run(&args),
            Self::Serve(args) => serve::run(args),
            Self::Check(args) => check::run(args),
            Self::Doctor(args) => doctor::run(&args),
            Self::Migrate(args) => migrate::run(&args),
            Self::Topics(args) => topics::run(args),
            Self::Submit(args) => submit::run(&args),
            Self::Drop(args) => drop::run(args),
            Self::Sunset(args) => sunset::run(&args),
            Self::Status(args) => status::run(&args),
            Self::Requests(args) => requests::run(&args),
            Self::Report(args) => report::run(&args),
            Self::Explain(args) => explain::run(&args),
            Self::Forget(args) => forget::run(&args),
            Self::Deferred(args) => deferred::run(args),
            Self::Holds(args) => holds::run(args),
            Self::Sweeps(args) => sweeps::run(args),
            Self::Registry(args) => registry::run(args),
            Self::Processors(args) => processors::run(args),
            Self::Manual(args) => manual::run(args),
            Self::Bulk(args) => bulk::run(args),
            Self::Brake(args) => brake::run(args),
            Self::Keys(args) => keys::run(args),
            Self::DeadLetters(args) => dead_letters::run(args),
            Self::Positions(args) => positions::run(args),
            Self::Reconcile(args) => reconcile::run(&args),
            Self::Schemas(args) => schemas::run(args),
        }
    }
}
