//! `lacuna registry backfill`: a processor that was registered later is offered the requests that were planned without it.

use std::sync::Arc;

use crate::{
    app,
    cli::{
        Exit, Failure, arguments,
        output::Out,
        session::{self, ConfigArg, block_on},
    },
    clock::Clock,
    domain::{ids::ProcessorId, time::At},
    engine::{
        Engine, OperateError,
        operations::backfill::{Backfill, BackfillStep, Backfilled},
    },
    telemetry::metrics::Metrics,
};

/// Arguments of `lacuna registry backfill`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each request gets the task that its plan would have had for the processor, and goes on by itself. Asked twice, it changes \
    nothing; stopped in the middle, it is asked again. Works directly on the store: running workers send the tasks. Exit code 1: there \
    is no such processor, or some requests cannot be offered any more.\n\n\
    Example:\n  lacuna registry backfill crm --since 2026-11-01T00:00:00Z --dry-run"
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// The processor.
    #[arg(value_parser = arguments::processor)]
    id: ProcessorId,
    /// Also the closed requests that were received since this time (RFC 3339), as far as their identifiers can be read.
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    since: Option<At>,
    /// Changes nothing, and says what would come of it.
    #[arg(long)]
    dry_run: bool,
    /// Who asks for it, for the ledger.
    #[arg(long, value_name = "NAME", value_parser = arguments::name, default_value = "command-line")]
    actor: String,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let config = args.config.load()?;
    // A keyring is never made here.
    session::keyring(&config)?;
    let done = block_on(async {
        let store = session::open_store(&config).await?;
        let metrics = Arc::new(Metrics::new().map_err(|error| Failure::Usage(error.to_string()))?);
        let cluster = Arc::from("command-line");
        let engine = app::open_engine(&config, Clock::System, metrics, store, cluster).await?;
        engine.load_registry().await?;
        offer(&engine, args).await
    })?;
    show(&done, args)
}

async fn offer(engine: &Engine, args: &Args) -> Result<Backfilled, Failure> {
    let asked = Backfill {
        processor: args.id.clone(),
        since: args.since,
        dry_run: args.dry_run,
    };
    let mut step = BackfillStep::default();
    while !step.is_over {
        // What has to be produced stands in the outbox, and whoever runs produces it.
        let stepped = engine.operations().backfill(&asked, &args.actor, &mut step).await;
        match stepped {
            Ok(_) => {}
            Err(OperateError::Engine(error)) => return Err(error.into()),
            Err(error) => {
                return Err(Failure::NotSo(format!(
                    "{error}: `lacuna registry show` prints those that are registered"
                )));
            }
        }
    }
    Ok(step.done)
}

fn show(done: &Backfilled, args: &Args) -> Result<Exit, Failure> {
    let mut out = Out::stdout();
    if args.json {
        out.json(done)?;
    } else {
        let offered = if args.dry_run {
            "would be offered"
        } else {
            "offered"
        };
        out.line(format_args!(
            "{}: {} requests looked at, {} {offered} ({} of them closed before), {} had it already, {} not concerned",
            args.id, done.looked_at, done.offered, done.reopened, done.already, done.not_concerned
        ))?;
        for id in &done.full {
            out.line(format_args!("{id} has no room in its plan"))?;
        }
        if done.unreadable_count > 0 {
            out.line(format_args!(
                "{} cannot be offered any more, because their identifiers are gone; send a new command for these people:",
                done.unreadable_count
            ))?;
        }
        for id in &done.unreadable {
            out.line(id)?;
        }
    }
    out.end()?;
    Ok(if done.unreadable_count == 0 && done.full.is_empty() {
        Exit::Ok
    } else {
        Exit::NotSo
    })
}
