//! `lacuna processors`: the registered processors.

mod test;

use super::{Exit, Failure};

/// Arguments of `lacuna processors`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lacuna processors test crm")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Tries a processor that is called over HTTP: reads its secrets, connects, and signs a task that erases nobody.
    Test(test::Args),
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    match args.action {
        Action::Test(args) => test::run(&args),
    }
}
