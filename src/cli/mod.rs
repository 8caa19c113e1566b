//! The command line: one file a subcommand. Results go to stdout, logs to stderr.

pub mod bench;
pub mod demo;
mod folder;
mod interrupt;
pub mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Event-driven data-erasure orchestrator.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the worker.
    Serve(serve::Args),
    /// Shows the whole way of some requests on an embedded broker, with simulated processors.
    Demo(demo::Args),
    /// Measures a deployment, or an embedded one, with simulated processors.
    Bench(bench::Args),
}

/// How a command ended: the exit codes of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::NotSo => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
        })
    }
}

/// Runs a command.
pub fn main(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Bench(args) => bench::run(args),
    }
    .into()
}
