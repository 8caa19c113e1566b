//! `lacuna forget`: the rows of a closed request go before their time.

use super::{
    Exit, Failure,
    output::Out,
    positions::name,
    session::{self, ConfigArg, block_on},
};
use crate::{domain::ids::RequestId, engine::OperateError};

/// Arguments of `lacuna forget`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What goes: its rows, the digests by which its person is found again, and what people wrote about it. What stays: the \
    ledger's entries, which hold no personal data, and who has asked for this. A request that is open, that a legal hold covers, or \
    whose data a backup could still bring back is not forgotten: exit code 1. Works directly on the store.\n\n\
    Example:\n  lacuna forget 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d --actor j.doe"
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// The request.
    id: RequestId,
    /// Who decides it.
    #[arg(long, value_name = "NAME", value_parser = name)]
    actor: String,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let config = args.config.load()?;
    block_on(async {
        // Its status is taken from the topic by a worker: the store remembers that somebody has to.
        let engine = session::engine(&config).await?;
        match engine.operations().forget(args.id, &args.actor).await {
            Ok(_) => {}
            Err(OperateError::Engine(error)) => return Err(error.into()),
            Err(error) => return Err(Failure::NotSo(error.to_string())),
        }
        let mut out = Out::stdout();
        out.line(format_args!("request {} is forgotten; its ledger stays", args.id))?;
        out.end()?;
        Ok(Exit::Ok)
    })
}
