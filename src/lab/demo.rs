//! `lacuna demo`: everything in one process and nothing to install. Commands go through a real broker's protocol, six
//! simulated processors of different character answer, one of them by HTTP, and the ledger tells what happened.

mod backups;
mod cast;
mod progress;
mod setup;
mod summary;

use std::{io::IsTerminal, ops::ControlFlow, time::Duration};

use clap::{ValueEnum, builder::PossibleValue};

use self::{cast::Cast, progress::Show};
use super::scenario;
use crate::{
    app::{self, AppError, Roles, Running},
    clock::{Clock, Stopwatch},
    config::{Config, Problems},
    engine::EngineError,
    kafka::{KafkaError, client::Cluster},
    lab::sim::{Driver, Load, Receiver, Report},
    policies::{Policy, Profile},
    store::StoreError,
    terminal::{
        Exit, Failure,
        failure::finish,
        folder::Folder,
        interrupt::Interrupt,
        output::{aside, say},
    },
};

/// Arguments of `lacuna demo`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lacuna demo --requests 500 --seed 7\n  lacuna demo --keep\n  \
    lacuna demo --scenario backups\n  lacuna demo --scenario jojocell"
)]
pub struct Args {
    /// What is shown.
    #[arg(long, value_enum, default_value_t = Scenario::Main)]
    scenario: Scenario,
    /// How many erasure requests are published (main).
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    requests: u64,
    /// The seed of everything that happens by chance: the same one tells the same story (main).
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stays up afterwards, until Ctrl-C (main).
    #[arg(long)]
    keep: bool,
}

/// What a demonstration is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    /// Commands through a broker in this process, to six processors that answer.
    Main,
    /// Five years of backups, retention, a legal hold and restores.
    Backups,
    /// What a privacy policy promises.
    Policy(Policy),
}

impl ValueEnum for Scenario {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Main,
            Self::Backups,
            Self::Policy(Policy::Jojocell),
            Self::Policy(Policy::Whatsify),
            Self::Policy(Policy::Emojoi),
            Self::Policy(Policy::Helpdesk),
            Self::Policy(Policy::Dijo),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Main => {
                let help = "Commands through a broker in this process, to six processors that answer";
                Some(PossibleValue::new("main").help(help))
            }
            Self::Backups => {
                let help = "Five years of backups, retention, a legal hold and restores, on a clock that is turned by hand";
                Some(PossibleValue::new("backups").help(help))
            }
            Self::Policy(policy) => policy.to_possible_value(),
        }
    }
}

/// Why a demonstration came to nothing.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("a temporary folder: {0}")]
    Folder(#[from] std::io::Error),
    #[error("{0}")]
    Config(Problems),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the driver panicked")]
    Panicked,
    #[error("a message")]
    Message(#[from] serde_json::Error),
    #[error("the story does not go on: {0}")]
    Stuck(String),
    #[error(transparent)]
    Scenario(scenario::Stuck),
    #[error(transparent)]
    Output(#[from] Failure),
}

impl From<scenario::Stuck> for DemoError {
    fn from(stuck: scenario::Stuck) -> Self {
        match stuck {
            scenario::Stuck::Output(failure) => Self::Output(failure),
            other => Self::Scenario(other),
        }
    }
}

impl From<StoreError> for DemoError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// The embedded broker loses what lags by more than about 5 MB a partition.
const WINDOW: usize = 2_000;

/// Commands are published over about this time: long enough to watch, short enough to wait for.
const PUBLISHED_OVER: Duration = Duration::from_secs(3);

/// Far longer than the slowest processor takes with all its retries.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs it.
pub fn run(args: Args) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            aside(&error);
            return Exit::NotSo;
        }
    };
    let demonstrated = match args.scenario {
        Scenario::Main => runtime.block_on(demonstrate(&args)),
        Scenario::Backups => runtime.block_on(backups::demonstrate()),
        Scenario::Policy(policy) => runtime.block_on(play(policy.profile())),
    };
    // Whatever the Kafka client has not ended by now ends with the process.
    runtime.shutdown_background();
    match demonstrated {
        Ok(exit) => exit,
        Err(DemoError::Output(failure)) => finish(Err(failure)),
        Err(error) => {
            aside(&error);
            Exit::NotSo
        }
    }
}

/// Plays a policy's scenario.
async fn play(profile: &Profile) -> Result<Exit, DemoError> {
    let tally = scenario::report::play(profile, &mut |line| say(line)).await?;
    Ok(if tally.faults == 0 { Exit::Ok } else { Exit::NotSo })
}

async fn demonstrate(args: &Args) -> Result<Exit, DemoError> {
    let watch = Stopwatch::start();
    say("Lacuna's demonstration: an in-process Kafka broker and a SQLite file, both gone afterwards.")?;
    let folder = Folder::create("demo")?;
    let receiver = Receiver::start(None).await?;
    let config = setup::prepare(&folder, &|id| receiver.url(id, None))?;
    say(format_args!(
        "Publishing {} erasure commands to {}; {} simulated processors answer.\n",
        args.requests,
        config.kafka.topics.commands,
        setup::PROCESSORS.len()
    ))?;
    let topics = config.kafka.topics.clone();
    let running = app::start(config.clone(), Roles::ALL, Clock::System).await?;
    let cluster = Cluster::embedded(&running.servers);
    let cast = Cast::start(&cluster, &topics.tasks_prefix, receiver, args.seed)?;
    let interrupt = Interrupt::listen();
    let (report, cast) = drive(args, &cluster, &config, cast, &running, &interrupt).await?;
    // Whether or not anybody reads it: what runs has to end before the folder goes.
    let complete = tell(args, &running, &report, watch, &interrupt).await;
    let listening = tokio::task::spawn_blocking(move || cast.stop())
        .await
        .map_err(|_| DemoError::Panicked)??;
    running.end().await?;
    drop(listening);
    Ok(if complete? { Exit::Ok } else { Exit::NotSo })
}

/// Publishes the commands and shows how far they are, until all are closed.
async fn drive(
    args: &Args,
    cluster: &Cluster,
    config: &Config,
    cast: Cast,
    running: &Running,
    interrupt: &Interrupt,
) -> Result<(Report, Cast), DemoError> {
    let load = Load {
        requests: args.requests,
        rate: Some((args.requests as f64 / PUBLISHED_OVER.as_secs_f64()).max(1.0)),
        window: WINDOW,
        patience: PATIENCE,
        limit: Duration::from_secs(600),
    };
    let (cluster, topics, seed) = (cluster.clone(), config.kafka.topics.clone(), args.seed);
    let (interrupt, shutdown) = (interrupt.clone(), running.shutdown.clone());
    let requests = args.requests;
    let driven = tokio::task::spawn_blocking(move || {
        let mut driver = Driver::new(&cluster, &topics.commands, &topics.status, seed)?;
        let mut show = Show::new(requests, std::io::stderr().is_terminal());
        let report = driver.run(&load, &mut |progress| {
            show.update(progress, &cast);
            let over = interrupt.is_set() || shutdown.is_cancelled() || !cast.is_running();
            if over {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        show.finish(&cast);
        Ok::<_, KafkaError>((report, cast))
    });
    Ok(driven.await.map_err(|_| DemoError::Panicked)??)
}

/// Prints what happened, and stays up where that is asked for. The answer: whether every request came to the end that
/// the scenario says.
async fn tell(
    args: &Args,
    running: &Running,
    report: &Report,
    watch: Stopwatch,
    interrupt: &Interrupt,
) -> Result<bool, DemoError> {
    let store = running.engine.store().as_ref();
    let summary = summary::summarise(store).await?;
    summary::print_table(&summary)?;
    if let Some(id) = summary.example {
        summary::print_path(store, id).await?;
    }
    summary::print_open(&summary)?;
    // The ledger decides, not what the driver happened to see.
    let complete = summary.requests == args.requests && summary.completed == args.requests;
    say(format_args!(
        "\n{} of {} requests are completed: each of their tasks was proved done. {:.1} s in all.",
        summary.completed,
        args.requests,
        watch.elapsed().as_secs_f64()
    ))?;
    if report.completed < summary.completed {
        say(format_args!(
            "(The status topic has said so of {} of them so far.)",
            report.completed
        ))?;
    }
    say(
        "\nWhere to go next: README.md, `lacuna serve --help`, and `lacuna demo --keep` to look around while it runs.",
    )?;
    if args.keep && !interrupt.is_set() && !running.shutdown.is_cancelled() {
        keep(running, interrupt).await?;
    }
    Ok(complete)
}

async fn keep(running: &Running, interrupt: &Interrupt) -> Result<(), Failure> {
    say("\nStill running:")?;
    if let Some(address) = running.http {
        say(format_args!(
            "  http://{address}/          the console, for a browser"
        ))?;
        say(format_args!("  http://{address}/metrics   what Prometheus reads"))?;
    }
    say(format_args!(
        "  {}            the broker, for any Kafka client on this machine",
        running.servers
    ))?;
    say("Ctrl-C ends it, and nothing of it stays.")?;
    // A flag and not the signal itself: the same handler serves the whole demonstration.
    while !interrupt.is_set() && !running.shutdown.is_cancelled() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
