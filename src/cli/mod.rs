//! The command line: one file a subcommand. Results go to stdout, logs and errors to stderr.
//!
//! A command reads the configuration, asks the store or Kafka directly, and prints; or it asks a worker's API (`remote`), and
//! prints the same. It never decides anything that a worker would decide: what it wants done goes through a topic, through the
//! engine's own use cases, or through one guarded statement.

pub mod agent;
mod arguments;
pub mod brake;
pub mod bulk;
pub mod check;
pub mod completions;
pub mod connectors;
pub mod dead_letters;
pub mod decide;
pub mod deferred;
pub mod doctor;
mod documents;
pub mod drop;
pub mod explain;
mod fields;
mod file_kind;
pub mod forget;
pub mod hold;
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
pub mod remote;
pub mod report;
pub mod requests;
pub mod schemas;
pub mod search;
pub mod serve;
mod session;
pub mod sources;
pub mod status;
mod stops;
mod subjects;
pub mod submit;
pub mod sunset;
pub mod sweeps;
pub mod tasks;
pub mod topics;

use clap::Subcommand;

use self::remote::RemoteArgs;
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
    /// Finds the requests of a person by an identifier.
    Search(search::Args),
    /// Says what came of verifying the person's identity.
    VerifyIdentity(decide::VerifyArgs),
    /// Approves a request; never by its submitter.
    Approve(decide::ApproveArgs),
    /// Refuses a request, or one processor's share of it.
    Refuse(decide::RefuseArgs),
    /// Withdraws a request before anything was sent.
    Cancel(decide::CancelArgs),
    /// Extends the deadline of a request as its regime allows, once.
    Extend(decide::ExtendArgs),
    /// Lists tasks, and what each waits for.
    Tasks(tasks::Args),
    /// Sends a task again, as its next generation.
    Retry(decide::RetryArgs),
    /// Does without a task: its request closes with exceptions.
    Waive(decide::WaiveArgs),
    /// Places a legal hold.
    Hold(hold::HoldArgs),
    /// Releases a legal hold.
    Release(hold::ReleaseArgs),
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
    /// Shows the connectors to vendors, checks one's own, and shows the calls that they would make.
    Connectors(connectors::Args),
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
    /// Lists upstreams whose events become commands, and tries a mapping on an example.
    Sources(sources::Args),
    /// Carries tasks out beside a database, topics or a program of one's own.
    Agent(agent::Args),
    /// Writes the JSON Schemas of the messages.
    Schemas(schemas::Args),
}

impl Command {
    /// What it logs unless it is told otherwise.
    pub const fn log_filter(&self) -> &'static str {
        match self {
            Self::Serve(_) | Self::Agent(_) => logs::WORKER,
            _ => logs::COMMAND,
        }
    }

    /// Runs it. `remote`: how a worker's API is reached, where it is asked in place of the store.
    pub fn run(self, remote: &RemoteArgs) -> Result<Exit, Failure> {
        match self {
            Self::Status(args) => status::run(&args, remote),
            Self::Requests(args) => requests::run(&args, remote),
            Self::Report(args) => report::run(&args, remote),
            Self::Explain(args) => explain::run(&args, remote),
            Self::Search(args) => search::run(args, remote),
            Self::Forget(args) => forget::run(&args, remote),
            Self::VerifyIdentity(args) => decide::verify(args, remote),
            Self::Approve(args) => decide::approve(args, remote),
            Self::Refuse(args) => decide::refuse(args, remote),
            Self::Cancel(args) => decide::cancel(args, remote),
            Self::Extend(args) => decide::extend(args, remote),
            Self::Tasks(args) => tasks::run(args, remote),
            Self::Retry(args) => decide::retry(args, remote),
            Self::Waive(args) => decide::waive(args, remote),
            Self::Hold(args) => hold::place(args, remote),
            Self::Release(args) => hold::release(args, remote),
            Self::Deferred(args) => deferred::run(args, remote),
            Self::Holds(args) => holds::run(args, remote),
            Self::Sweeps(args) => sweeps::run(args, remote),
            Self::Processors(args) => processors::run(args, remote),
            Self::Manual(args) => manual::run(args, remote),
            Self::Bulk(args) => bulk::run(args, remote),
            Self::Brake(args) => brake::run(args, remote),
            Self::DeadLetters(args) => dead_letters::run(args, remote),
            on_the_deployment => {
                match &on_the_deployment {
                    // It has a `--token` of its own: who prepares or approves a run.
                    Self::Sunset(_) => remote.refuse_url()?,
                    _ => remote.refuse()?,
                }
                on_the_deployment.run_directly()
            }
        }
    }

    /// What works on the deployment itself.
    fn run_directly(self) -> Result<Exit, Failure> {
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
            Self::Registry(args) => registry::run(args),
            Self::Connectors(args) => connectors::run(&args),
            Self::Keys(args) => keys::run(args),
            Self::Positions(args) => positions::run(args),
            Self::Reconcile(args) => reconcile::run(&args),
            Self::Sources(args) => sources::run(args),
            Self::Agent(args) => agent::run_command(&args),
            Self::Schemas(args) => schemas::run(args),
            _ => Err(Failure::Usage("this command has no way of its own".to_owned())),
        }
    }
}
