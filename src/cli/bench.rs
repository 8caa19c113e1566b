//! `lacuna bench`.

use super::Exit;

/// Arguments of `lacuna bench`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub fn run(_: Args) -> Exit {
    Exit::Usage
}
