//! Parses arguments, runs, and maps what happened to an exit code.
#![forbid(unsafe_code)]

use clap::Parser;

fn main() -> std::process::ExitCode {
    lacuna::cli::main(lacuna::cli::Cli::parse())
}
