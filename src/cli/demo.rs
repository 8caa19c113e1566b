//! `lacuna demo`.

use super::Exit;

/// Arguments of `lacuna demo`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub fn run(_: Args) -> Exit {
    Exit::Usage
}
