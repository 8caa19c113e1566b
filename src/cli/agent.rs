//! `lacuna agent`: carries tasks out beside a store of one's own.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Exit, Failure, session::of_system};
use crate::{
    agent::{
        PlaceError, Task, open,
        page::MetricsPage,
        run::{Manner, run},
        source::SourceError,
        sources,
        sql::Database,
    },
    clock::Clock,
    config::{Agent, AgentPlace},
    telemetry::agent_metrics::AgentMetrics,
    terminal::output::Out,
};

/// Arguments of `lacuna agent`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "SIGTERM or SIGINT: finishes the step in hand, answers, and ends. A second one ends it at once.\n\n\
    Example:\n  lacuna agent --config agent.toml --check && lacuna agent --config agent.toml"
)]
pub struct Args {
    /// The agent's configuration.
    #[arg(long, value_name = "FILE", default_value = "agent.toml")]
    config: PathBuf,
    /// Compares the configuration with what is there, and ends: 0 where it can start, 2 where it cannot.
    #[arg(long, conflicts_with = "dry_run")]
    check: bool,
    /// Shows what the task message in this file would do, and does nothing.
    #[arg(long, value_name = "FILE")]
    dry_run: Option<PathBuf>,
    /// Ends once there are no tasks.
    #[arg(long, conflicts_with_all = ["check", "dry_run"])]
    once: bool,
}

/// Runs it.
pub fn run_command(args: &Args) -> Result<Exit, Failure> {
    let agent = Agent::load(&args.config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(of_system("start the runtime"))?;
    let done = runtime.block_on(async {
        if args.check {
            return check(&agent).await;
        }
        match &args.dry_run {
            Some(file) => dry_run(&agent, file).await,
            None => serve(&agent, args.once).await,
        }
    });
    runtime.shutdown_timeout(Duration::from_millis(200));
    done
}

/// Compares the configuration with what is there.
async fn check(agent: &Agent) -> Result<Exit, Failure> {
    let mut out = Out::stdout();
    let findings = match &agent.place {
        AgentPlace::Sql(sql) => {
            let database = Database::open(sql).await.map_err(failure_of)?;
            let findings = database.findings();
            for warning in &findings.warnings {
                out.line(format!("warning: {warning}"))?;
            }
            findings.errors
        }
        _ => match open(agent, &Clock::System).await {
            Ok(_) => Vec::new(),
            Err(PlaceError::Mistaken(why)) => vec![why],
            Err(error) => return Err(failure_of(error)),
        },
    };
    for error in &findings {
        out.line(format!("error: {error}"))?;
    }
    if !findings.is_empty() {
        out.end()?;
        return Err(Failure::Usage(format!(
            "{} to be corrected before the agent can start",
            findings.len()
        )));
    }
    out.line(format!("{}: the agent can start", agent.processor))?;
    out.end()?;
    Ok(Exit::Ok)
}

async fn dry_run(agent: &Agent, file: &PathBuf) -> Result<Exit, Failure> {
    let AgentPlace::Sql(sql) = &agent.place else {
        return Err(Failure::Usage("--dry-run is for [sql] alone".to_owned()));
    };
    let bytes = fs::read(file).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
    let task = Task::parse(&bytes).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
    let database = Database::open(sql).await.map_err(failure_of)?;
    let database = database.checked().map_err(failure_of)?;
    let text = database.rehearse(&task).await.map_err(Failure::Usage)?;
    let mut out = Out::stdout();
    for line in text.lines() {
        out.line(line)?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

async fn serve(agent: &Agent, once: bool) -> Result<Exit, Failure> {
    let clock = Clock::System;
    let place = open(agent, &clock).await.map_err(failure_of)?;
    let metrics = AgentMetrics::new(agent.processor.as_str());
    let metrics = Arc::new(metrics.map_err(|error| Failure::Usage(error.to_string()))?);
    let mut source = sources::open(&agent.source, &agent.processor, &clock, &metrics).map_err(refused)?;
    let stop = CancellationToken::new();
    listen(&stop)?;
    if let Some(address) = agent.metrics {
        let page = MetricsPage::bind(address)
            .await
            .map_err(|error| Failure::Usage(format!("metrics.listen: {address}: {error}")))?;
        tokio::spawn(page.show(Arc::clone(&metrics), stop.clone()));
    }
    let longest = match &agent.place {
        AgentPlace::Sql(sql) => sql.longest,
        AgentPlace::Command(command) => command.timeout + Duration::from_secs(60),
        AgentPlace::KafkaTopics(_) | AgentPlace::Objects(_) => Duration::from_secs(900),
    };
    let manner = Manner {
        batch: agent.batch,
        longest,
        once,
        metrics,
    };
    tracing::info!(processor = %agent.processor, "the agent takes tasks");
    run(source.as_mut(), place.as_ref(), &manner, &clock, &stop)
        .await
        .map_err(refused)?;
    tracing::info!("the agent has ended");
    Ok(Exit::Ok)
}

/// The first signal stops it, a second one ends it at once.
fn listen(stop: &CancellationToken) -> Result<(), Failure> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).map_err(of_system("listen to signals"))?;
        let stop = stop.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if stop.is_cancelled() {
                    std::process::exit(1);
                }
                tracing::info!("the agent stops after the step in hand");
                stop.cancel();
            }
        });
    }
    Ok(())
}

fn failure_of(error: PlaceError) -> Failure {
    match error {
        PlaceError::Mistaken(why) => Failure::Usage(why),
        PlaceError::Unreachable { .. } => Failure::Unreachable(error.to_string()),
    }
}

fn refused(error: SourceError) -> Failure {
    match error {
        SourceError::Away(why) => Failure::Unreachable(why),
        SourceError::Refused(why) => Failure::Usage(why),
    }
}
