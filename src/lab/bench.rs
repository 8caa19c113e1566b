//! `lacuna bench`: how fast, at what cost, and how much of that cost no orchestrator could avoid.

mod agent_sql;
mod deferred;
mod deployment;
mod loads;
mod measure;
mod process;
mod processors;
mod report;
mod sql_baseline;
mod workspace;

use std::{path::PathBuf, time::Duration};

use self::{
    deployment::Deployment,
    loads::loads,
    measure::{Figures, Parts},
    process::Process,
    processors::{Answering, Asked},
};
use crate::{
    app::AppError,
    config::{Brokers, Config, Problems, StoreUrl},
    kafka::KafkaError,
    lab::sim::{Character, Driver, Fleet, Ids, Receiver},
    terminal::{
        Exit, Failure,
        failure::finish,
        interrupt::Interrupt,
        output::{Out, aside},
    },
};

/// Arguments of `lacuna bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lacuna bench --embedded --requests 5000\n  \
    lacuna bench --kafka localhost:9092 --postgres postgres://me@localhost/bench --floor\n  \
    lacuna bench --config lacuna.toml --rate 2500 --requests 100000 --json\n  \
    lacuna bench --transport webhook --processors 20 --dead 6 --rate 100 --requests 10000\n  \
    lacuna bench --transport vendor --processors 1 --requests 50000\n  \
    lacuna bench --transport agent-sql --sql postgres://me@localhost/shop --requests 50000
  \
    lacuna bench --scenario deferred --parked 1000000 --due 200000\n\n\
    Beside --embedded it makes topics and a schema of its own on the broker and the store, runs a worker of its own on \
    them, and removes all of it in the end.")]
pub struct Args {
    /// What is measured.
    #[arg(long, value_enum, default_value_t = Scenario::Main)]
    scenario: Scenario,
    /// How many requests have something parked while it is measured (deferred). A request takes about 4 KB of disk.
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(..=100_000_000))]
    parked: u64,
    /// How many tasks become due, or are proved, at once (deferred).
    #[arg(long, default_value_t = 200_000, value_name = "N", value_parser = clap::value_parser!(u64).range(500..=10_000_000))]
    due: u64,
    /// The configuration whose broker and store are measured.
    #[arg(long, default_value = "lacuna.toml", conflicts_with_all = ["embedded", "kafka", "postgres"])]
    config: PathBuf,
    /// The broker, instead of a configuration.
    #[arg(
        long,
        value_name = "HOST:PORT",
        requires = "postgres",
        conflicts_with = "embedded"
    )]
    kafka: Option<String>,
    /// The store, instead of a configuration.
    #[arg(long, value_name = "URL", requires = "kafka", conflicts_with = "embedded")]
    postgres: Option<String>,
    /// An in-process broker and SQLite, everything in this process.
    #[arg(long)]
    embedded: bool,
    /// How many requests are measured.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    requests: u64,
    /// How many simulated processors, each of which gets a task of every request.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1000))]
    processors: u32,
    /// How the processors are asked.
    #[arg(long, value_enum, default_value_t)]
    transport: Asked,
    /// The database that the agent erases people from, in a schema of its own (--transport agent-sql).
    #[arg(long, value_name = "URL")]
    sql: Option<String>,
    /// How many people that database has (--transport agent-sql).
    #[arg(long, default_value_t = 5_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    people: u64,
    /// How many of them are dead: they hang, refuse connections, answer 500, or answer a byte a second. What the others get is
    /// measured (--transport webhook).
    #[arg(long, default_value_t = 0, value_name = "N")]
    dead: u32,
    /// Those that answer 500 get well once the others have everything: how fast their queues empty is measured too.
    #[arg(long, requires = "dead")]
    revive: bool,
    /// Calls over TLS: a folder with `cert.pem` and `key.pem` for 127.0.0.1, and `ca.pem` (--transport webhook).
    #[arg(long, value_name = "FOLDER")]
    tls: Option<PathBuf>,
    /// Commands come as events of a source, whose fields are mapped: what that costs shows beside a run without it.
    #[arg(long)]
    source: bool,
    /// The ids of commands and requests: time-ordered, or random ones, which fall anywhere into every index.
    #[arg(long, value_enum, default_value_t)]
    ids: Ids,
    /// Requests offered a second; without it as many as the window allows.
    #[arg(long, value_parser = positive)]
    rate: Option<f64>,
    /// Requests that warm the broker, the store and the worker first, and count for nothing; without it rounds of 20,000
    /// until the broker is as fast as it gets.
    #[arg(long, value_name = "N")]
    warm: Option<u64>,
    /// How long the deployment rests between warming and measuring, in seconds: what a million requests left behind, such as
    /// vacuum, is then not measured.
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    rest: u64,
    /// How many requests may be open at a time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    window: Option<u64>,
    /// The longest time that a simulated processor takes to answer, in milliseconds: from nothing to this, evenly.
    #[arg(long, default_value_t = DEFAULT_SPREAD, value_name = "MS")]
    spread: u64,
    /// Measures the least SQL as well that any such orchestrator needs, on the same PostgreSQL.
    #[arg(long, conflicts_with = "embedded")]
    floor: bool,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
    /// The broker's process, where its port does not tell.
    #[arg(long, value_name = "PID")]
    broker_pid: Option<u32>,
    /// The PostgreSQL server's first process, where its port does not tell.
    #[arg(long, value_name = "PID")]
    postgres_pid: Option<u32>,
    /// Ends after so many seconds in any case.
    #[arg(long, default_value_t = 900, value_name = "SECONDS")]
    limit: u64,
}

/// What a benchmark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Scenario {
    /// Requests from command to completion.
    Main,
    /// Millions of parked jobs: what they cost, and how fast many of them move at once.
    Deferred,
}

/// Why a benchmark came to nothing.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Config(Problems),
    #[error("{0}")]
    Usage(&'static str),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error("PostgreSQL")]
    Sql(#[from] sqlx::Error),
    #[error("the agent: {0}")]
    Agent(String),
    #[error("the store")]
    Store(#[from] crate::store::StoreError),
    #[error("interrupted")]
    Interrupted,
    #[error("a thread of the benchmark panicked")]
    Panicked,
    #[error("the worker did not finish {0}; its last lines:\n{1}")]
    Unfinished(&'static str, String),
    #[error(transparent)]
    Output(#[from] Failure),
}

/// Processors answer within this, in milliseconds, unless it is said otherwise.
const DEFAULT_SPREAD: u64 = 50;

/// Runs it.
pub fn run(args: Args) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            aside(&error);
            return Exit::NotSo;
        }
    };
    let ended = runtime.block_on(measured(args));
    // Whatever the Kafka client has not ended by now ends with the process.
    runtime.shutdown_background();
    match ended {
        Ok(exit) => exit,
        Err(BenchError::Output(failure)) => finish(Err(failure)),
        Err(error) => {
            aside(with_sources(&error));
            match error {
                BenchError::Config(_) | BenchError::Usage(_) => Exit::Usage,
                BenchError::Sql(_) => Exit::Unreachable,
                BenchError::App(error) if error.is_unreachable() => Exit::Unreachable,
                BenchError::Kafka(KafkaError::Unreachable { .. } | KafkaError::Client { .. }) => {
                    Exit::Unreachable
                }
                _ => Exit::NotSo,
            }
        }
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

/// Measures, and says what.
async fn measured(args: Args) -> Result<Exit, BenchError> {
    if args.scenario == Scenario::Deferred {
        if args.embedded {
            return Err(BenchError::Usage(
                "--scenario deferred measures PostgreSQL: leave out --embedded",
            ));
        }
        if args.ids == Ids::V4 {
            return Err(BenchError::Usage(
                "--scenario deferred makes its requests itself, with time-ordered ids: leave out --ids v4",
            ));
        }
        return deferred::show(&deferred::bench(&args).await?, args.json);
    }
    if args.transport == Asked::AgentSql {
        return agent_sql::show(&args).await;
    }
    let json = args.json;
    let figures = bench(args).await?;
    let mut out = Out::stdout();
    if json {
        out.line(report::json(&figures))?;
    } else {
        report::print(&mut out, &figures)?;
    }
    out.end()?;
    Ok(if figures.is_complete() {
        Exit::Ok
    } else {
        Exit::NotSo
    })
}

/// Ends a benchmark that somebody wants to end.
fn go_on(interrupt: &Interrupt) -> Result<(), BenchError> {
    if interrupt.is_set() {
        Err(BenchError::Interrupted)
    } else {
        Ok(())
    }
}

async fn bench(args: Args) -> Result<Figures, BenchError> {
    let interrupt = Interrupt::listen();
    let (receiver, registry) = processors::set_up(&args).await?;
    let mut deployment = if args.embedded {
        Deployment::embedded(&registry, args.source).await?
    } else {
        Deployment::beside(&base(&args)?, &registry, args.source).await?
    };
    let measured = measure(&args, &mut deployment, receiver, &interrupt).await;
    if let Err(error) = deployment.remove().await {
        aside(format_args!(
            "what the benchmark made could not be removed: {}",
            with_sources(&error)
        ));
    }
    measured
}

/// The configuration whose connections are used.
fn base(args: &Args) -> Result<Config, BenchError> {
    let (Some(kafka), Some(postgres)) = (&args.kafka, &args.postgres) else {
        return Config::load(&args.config).map_err(BenchError::Config);
    };
    let quoted = |text: &str| toml_edit::Value::from(text).to_string();
    let text = format!(
        "[kafka]\nbootstrap_servers = {}\n[store]\nurl = {}\n",
        quoted(kafka),
        quoted(postgres)
    );
    let config = Config::read_text("the command line", std::path::Path::new(""), &text, &|_| None);
    let config = config.map_err(BenchError::Config)?;
    match (&config.kafka.bootstrap_servers, &config.store.url) {
        (Brokers::Servers(_), StoreUrl::Postgres(_)) => Ok(config),
        _ => Err(BenchError::Usage(
            "expected a broker and a PostgreSQL: --embedded measures the other pair",
        )),
    }
}

async fn measure(
    args: &Args,
    deployment: &mut Deployment,
    receiver: Option<Receiver>,
    interrupt: &Interrupt,
) -> Result<Figures, BenchError> {
    let parts = parts(args, deployment);
    let character = |spread| Character::Spread {
        within: Duration::from_millis(spread),
    };
    // Warming is about work, not about waiting.
    let warming = character(args.spread.min(DEFAULT_SPREAD));
    let answering = match receiver {
        Some(receiver) => Answering::Receiver(receiver),
        None => Answering::Fleet(Fleet::start(
            &deployment.cluster,
            &format!("{}.processors", deployment.topics.acks),
            processors::simulated(args.processors, &deployment.topics.tasks_prefix, warming),
            1,
        )?),
    };
    let (cluster, topics) = (deployment.cluster.clone(), deployment.topics.clone());
    let (ids, input) = (args.ids, deployment.input.clone());
    let driver = tokio::task::spawn_blocking(move || {
        let driver = Driver::new(&cluster, &input, &topics.status, rand::random())?;
        Ok::<_, KafkaError>(driver.with_ids(ids))
    });
    let driver = driver.await.map_err(|_| BenchError::Panicked)??;
    let mut bench = measure::Bench {
        deployment,
        parts,
        driver: Some(driver),
        answering: &answering,
        well: args.processors - args.dead,
        has_dead: args.dead > 0,
        revives: args.revive,
        character: character(args.spread),
        ids,
        interrupt,
        quiet: args.json,
    };
    let figures = bench.run(&loads(args), args.processors, args.floor).await;
    if let Answering::Fleet(fleet) = answering {
        tokio::task::spawn_blocking(move || fleet.stop())
            .await
            .map_err(|_| BenchError::Panicked)??;
    }
    figures
}

/// The processes whose CPU time is told apart.
fn parts(args: &Args, deployment: &Deployment) -> Parts {
    let listening = |address: Option<u16>| address.and_then(Process::listening_on);
    let servers = deployment.cluster.servers.split(',').next();
    let broker_port = servers.and_then(|server| server.rsplit_once(':')?.1.parse().ok());
    let postgres_port = deployment
        .postgres
        .as_ref()
        .and_then(|url| url.parse::<sqlx::postgres::PgConnectOptions>().ok())
        .map(|options| options.get_port());
    let broker = args.broker_pid.map(Process).or_else(|| listening(broker_port));
    Parts {
        worker: deployment.worker(),
        // The embedded broker is a part of this process.
        broker: broker.filter(|broker| *broker != Process::own()),
        database: args
            .postgres_pid
            .map(Process)
            .or_else(|| listening(postgres_port)),
        own: Process::own(),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
        _ => Err("expected a number above 0".to_owned()),
    }
}
