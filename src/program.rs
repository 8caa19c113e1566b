//! The program: its options, the subcommands of the product (`cli`) and of the laboratory (`lab`), and how it ends.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::{
    cli, lab,
    telemetry::logs,
    terminal::{Failure, failure},
};

/// Event-driven data-erasure orchestrator.
///
/// Exit codes: 0 ok, 1 the thing asked about is not so, 2 usage or configuration, 3 a dependency (Kafka, the store, or the
/// worker whose API is asked) is unreachable. Results go to stdout, logs to stderr.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "Example:\n  lacuna check && lacuna serve",
    propagate_version = true
)]
pub struct Program {
    /// How logs look; for people on a terminal, JSON otherwise.
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<logs::Format>,
    /// What is logged, such as info,lacuna::kafka=debug; RUST_LOG where it is absent.
    #[arg(long, global = true, value_name = "FILTER")]
    log_filter: Option<String>,
    #[command(flatten)]
    remote: cli::remote::RemoteArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the whole way of some requests on an embedded broker, with simulated processors.
    Demo(lab::demo::Args),
    #[command(flatten)]
    Product(cli::Command),
    /// Measures a deployment, or an embedded one, with simulated processors.
    Bench(lab::bench::Args),
    /// Prints what a shell completes this command line with.
    Completions(cli::completions::CompletionsArgs),
    /// Writes the manual pages.
    Man(cli::completions::ManArgs),
}

impl Program {
    /// Runs the command that was asked for.
    pub fn run(self) -> ExitCode {
        let Self {
            log_format,
            log_filter,
            remote,
            command,
        } = self;
        let default = match &command {
            Command::Demo(_) => logs::DEMO,
            Command::Product(command) => command.log_filter(),
            Command::Bench(_) | Command::Completions(_) | Command::Man(_) => logs::COMMAND,
        };
        let from_environment = || std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
        let named = log_filter.or_else(from_environment);
        let format = log_format.unwrap_or_else(logs::Format::of_stderr);
        if let Err(error) = logs::init(format, named.as_deref().unwrap_or(default)) {
            return failure::finish(Err(Failure::Usage(error.to_string()))).into();
        }
        let asks_no_worker = matches!(
            command,
            Command::Demo(_) | Command::Bench(_) | Command::Completions(_) | Command::Man(_)
        );
        if asks_no_worker && let Err(failure) = remote.refuse_options() {
            return failure::finish(Err(failure)).into();
        }
        match command {
            Command::Demo(args) => lab::demo::run(args),
            Command::Product(command) => failure::finish(command.run(&remote)),
            Command::Completions(args) => {
                failure::finish(cli::completions::completions(&args, Self::command()))
            }
            Command::Man(args) => failure::finish(cli::completions::man(&args, Self::command())),
            Command::Bench(args) => lab::bench::run(args),
        }
        .into()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_grammar_of_the_command_line_is_consistent() {
        super::Program::command().debug_assert();
    }
}
