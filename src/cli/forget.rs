//! `lacuna forget`: the rows of a closed request go before their time.

use serde_json::json;

use super::{
    Exit, Failure, arguments,
    output::Out,
    remote::{RemoteArgs, Target, path, refuse_actor},
    session::{self, ConfigArg, block_on, deciding},
};
use crate::{config::Config, domain::ids::RequestId, engine::OperateError};

/// Arguments of `lacuna forget`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What goes: its rows, the digests by which its person is found again, and what people wrote about it. What stays: the \
    ledger's entries, which hold no personal data, and who has asked for this. A request that is open, that a legal hold covers, or \
    whose data a backup could still bring back is not forgotten: exit code 1.\n\n\
    Example:\n  lacuna forget 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d --actor j.doe"
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// The request.
    id: RequestId,
    /// Who decides it; the user of this shell where it is absent. Over the API it is the bearer.
    #[arg(long, value_name = "NAME", value_parser = arguments::name)]
    actor: Option<String>,
}

/// Runs it.
pub fn run(args: &Args, remote: &RemoteArgs) -> Result<Exit, Failure> {
    match remote.target(&args.config)? {
        Target::Direct(config) => block_on(forget(&config, args.id, &deciding(args.actor.clone())?))?,
        Target::Remote(worker) => {
            refuse_actor(args.actor.as_deref())?;
            worker.post(&path(&["requests", &args.id.to_string(), "forget"]), &json!({}))?;
        }
    }
    let mut out = Out::stdout();
    out.line(format_args!("request {} is forgotten; its ledger stays", args.id))?;
    out.end()?;
    Ok(Exit::Ok)
}

async fn forget(config: &Config, id: RequestId, actor: &str) -> Result<(), Failure> {
    // Its status is taken from the topic by a worker: the store remembers that somebody has to.
    let engine = session::engine(config).await?;
    match engine.operations().forget(id, actor).await {
        Ok(_) => Ok(()),
        Err(OperateError::Engine(error)) => Err(error.into()),
        Err(error) => Err(Failure::NotSo(error.to_string())),
    }
}
