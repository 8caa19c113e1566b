//! `lacuna check`: is everything that a worker needs right, and is it there?

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    time::Duration,
};

use super::{
    Exit, Failure,
    output::{Out, Table},
    session::{self, ConfigArg, block_on, brokers, of_store},
    sources,
};
use crate::{
    app::{self, AppError, topics},
    clock::{Clock, Stopwatch},
    config::{Config, Keyring as KeyringPlace, Policy, StoreUrl, registry_file},
    domain::{
        calendar::{Calendar, Regime},
        registry::{Processor, Registry},
    },
    http::tls::{self, TlsError},
    kafka::{KafkaError, admin::Admin, client::Cluster},
    transport::http_client::{Guard, refusal_of},
    vault::{Keyring, KeyringError, Vault},
};

/// Arguments of `lacuna check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 2: there are mistakes, or topics, tables or keys are missing. 3: Kafka or the store \
    cannot be reached.\n\nExample:\n  lacuna check --connect"
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// Also reaches Kafka (do all topics exist?), the store (is its schema this version's?) and the keyring.
    #[arg(long)]
    connect: bool,
    /// Prints a configuration with every key, its default and a comment.
    #[arg(long, conflicts_with = "connect")]
    print_default: bool,
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    let mut out = Out::stdout();
    if args.print_default {
        out.bytes(Config::print_default().as_bytes())?;
        out.end()?;
        return Ok(Exit::Ok);
    }
    let (config, registry) = Config::load_with_registry(args.config.path())?;
    app::client_settings(&config).check(&config.kafka.group_id, config.dispatch.lease)?;
    if let Some(files) = &config.http.tls {
        tls::check(files, Clock::System.now())
            .map_err(|error: TlsError| Failure::Usage(format!("http.tls: {error}")))?;
    }
    app::opendsr::signer(&config, &Clock::System)?;
    app::senders::check(&config, &registry, Clock::System.now())?;
    app::sources::check(&config)?;
    summarise(&mut out, &args, &config, &registry)?;
    let failures = if args.connect {
        // What was found in the files shows while the network is waited for.
        out.flush()?;
        block_on(connect(&mut out, &config, &registry))?
    } else {
        lost_keyring(&config)?.into_iter().collect()
    };
    out.end()?;
    if failures.is_empty() {
        Ok(Exit::Ok)
    } else {
        Err(Failure::Several(failures))
    }
}

fn summarise(out: &mut Out, args: &Args, config: &Config, registry: &Registry) -> Result<(), Failure> {
    let KeyringPlace::File(keyring) = &config.vault.keyring;
    let access = match &config.auth {
        Some(auth) => format!("{} tokens", auth.tokens.len()),
        None => "no [auth]: everyone on this machine has every role".to_owned(),
    };
    out.line(format_args!(
        "configuration  {}: no mistakes",
        args.config.path().display()
    ))?;
    out.line(format_args!(
        "registry       {}: no mistakes",
        config.registry.path.display()
    ))?;
    out.line(format_args!("store          {}", config.store.url))?;
    out.line(format_args!(
        "kafka          {} (group {})",
        brokers(config),
        config.kafka.group_id
    ))?;
    out.line(format_args!("http           {} ({access})", config.http.listen))?;
    out.line(format_args!("keyring        {}", keyring.display()))?;
    out.line(format_args!("legal clock    {}", legal_clock(&config.policy)))?;
    for (tenant, own) in &config.policy.tenants {
        let clock = clock_of(&own.regime, &own.calendar, &config.policy);
        out.line(format_args!("  of {tenant:<10} {clock}"))?;
    }
    for (key, variable) in Config::set_by_environment() {
        out.line(format_args!("environment    {key} is set by {variable}"))?;
    }
    let warnings = registry_file::warnings(registry).into_iter();
    let warnings = warnings.chain(config.warnings_of_bearers(registry));
    for warning in warnings.chain(never_called(config, registry)) {
        out.line(format_args!("warning        {warning}"))?;
    }
    out.line("")?;
    let mut table = Table::new(&["processor", "kind", "actions", "sent to"]);
    for processor in &registry.processors {
        let actions: Vec<&str> = processor.actions.iter().map(|action| action.as_str()).collect();
        table.row([
            processor.id.to_string(),
            processor.kind.to_string(),
            actions.join(","),
            destination_of(config, processor),
        ]);
    }
    out.table(&table)?;
    out.line("")?;
    let mut table = Table::new(&["topic", "purpose"]);
    for (key, name) in config.kafka.topics.own() {
        table.row([name.to_owned(), key.replace('_', " ")]);
    }
    out.table(&table)?;
    show_sources(out, config)
}

/// The upstreams whose events become commands.
fn show_sources(out: &mut Out, config: &Config) -> Result<(), Failure> {
    if config.sources.is_empty() {
        return Ok(());
    }
    out.line("")?;
    let mut table = Table::new(&["source", "from", "format"]);
    for source in &config.sources {
        let format = source.definition.format.as_str().to_owned();
        table.row([source.name().to_owned(), sources::place(source), format]);
    }
    out.table(&table)
}

/// The processors that are never called as things stand: their address is one of the inside.
fn never_called(config: &Config, registry: &Registry) -> Vec<String> {
    let guard = Guard {
        allow_private: config.webhook.allow_private,
    };
    let refused = |processor: &Processor| {
        let why = refusal_of(processor.transport.url()?, guard)?;
        Some(format!("processor {}: transport.url: {why}", processor.id))
    };
    registry.processors.iter().filter_map(refused).collect()
}

/// What its tasks are sent to.
fn destination_of(config: &Config, processor: &Processor) -> String {
    let topic = config.kafka.topics.tasks_of(processor);
    topic.unwrap_or_else(|| processor.transport.kind().to_owned())
}

/// The regime of a command that names none, and how many holidays were read: a wrong file shows here.
fn legal_clock(policy: &Policy) -> String {
    clock_of(&policy.regime, &policy.calendar, policy)
}

fn clock_of(regime: &Regime, calendar: &Calendar, policy: &Policy) -> String {
    let mut clock = regime.to_string();
    if let Some(terms) = policy.regimes.terms(regime) {
        clock += &format!(": respond_by {}", terms.respond_by);
        if let Some(longer) = terms.extend_to {
            clock += &format!(", extend_to {longer}");
        }
    }
    let zone = calendar.zone.iana_name().unwrap_or("UTC");
    format!("{clock} ({zone}, {} holidays)", calendar.holidays.len())
}

/// Tries everything, so that one run names all that is missing.
async fn connect(out: &mut Out, config: &Config, registry: &Registry) -> Result<Vec<Failure>, Failure> {
    let mut failures = Vec::new();
    out.line("")?;
    match waited_for(format!("the store {}", config.store.url), store(config)).await {
        Ok((found, warnings)) => {
            out.line(format_args!("store     {found}"))?;
            for warning in warnings {
                out.line(format_args!("warning   {warning}"))?;
            }
        }
        Err(failure) => failures.push(failure),
    }
    match keyring(config).await {
        Ok(found) => out.line(format_args!("keyring   {found}"))?,
        Err(failure) => failures.push(failure),
    }
    if let Err(failure) = same_keyring(config).await {
        failures.push(failure);
    }
    match session::cluster(config) {
        Err(_) => out.line("kafka     embedded: starts with `lacuna serve`, in memory only")?,
        Ok(cluster) => match waited_for(
            format!("Kafka at {}", brokers(config)),
            kafka(config, registry, cluster),
        )
        .await
        {
            Ok(found) => out.line(format_args!("kafka     {found}"))?,
            Err(failure) => failures.push(failure.into()),
        },
    }
    for source in &config.sources {
        let Some(registry) = app::sources::schema_registry(config, source)? else {
            continue;
        };
        let name = source.name();
        match waited_for(format!("the schema registry of source {name}"), registry.reach()).await {
            Ok(()) => out.line(format_args!("schemas   the registry of source {name} answers"))?,
            Err(away) => failures.push(Failure::Unreachable(format!("source {name:?}: {away}"))),
        }
    }
    Ok(failures)
}

/// Says on stderr what is waited for, where it takes longer than a person expects.
async fn waited_for<T>(what: String, work: impl Future<Output = T>) -> T {
    const SAY_EVERY: Duration = Duration::from_secs(2);
    let mut work = std::pin::pin!(work);
    let since = Stopwatch::start();
    loop {
        match tokio::time::timeout(SAY_EVERY, &mut work).await {
            Ok(done) => return done,
            Err(_) => {
                let line = format!("waiting for {what} ({} s so far)\n", since.elapsed().as_secs());
                // Without a stderr there is nobody to tell.
                io::stderr().write_all(line.as_bytes()).unwrap_or_default();
            }
        }
    }
}

/// What was found, and what the database is set to that somebody should know.
async fn store(config: &Config) -> Result<(String, Vec<String>), Failure> {
    if let StoreUrl::Sqlite(path) = &config.store.url
        && !path.exists()
    {
        return Ok(("not there yet: `lacuna serve` creates it".to_owned(), Vec::new()));
    }
    let store = session::connect_store(config).await?;
    store
        .check_schema()
        .await
        .map_err(|source| of_store(config, source))?;
    let active = store.registry().await?;
    let registry = active.map_or_else(
        || "no registry is active yet".to_owned(),
        |active| format!("registry revision {}", active.revision),
    );
    let warnings = store.warnings().await?;
    Ok((format!("reached, schema up to date, {registry}"), warnings))
}

/// What can be seen on this machine alone: a store that is a file and has lost its keyring.
fn lost_keyring(config: &Config) -> Result<Option<Failure>, Failure> {
    let KeyringPlace::File(path) = &config.vault.keyring;
    let is_file = matches!(config.store.url, StoreUrl::Sqlite(_));
    let is_lost = is_file
        && !path.exists()
        && block_on(async { Ok(session::store_in_use(config).await) })? == Some(true);
    Ok(is_lost.then(|| AppError::LostKeyring(path.clone()).into()))
}

/// Whether the keyring is the store's, as far as both are there: what is not is said elsewhere.
async fn same_keyring(config: &Config) -> Result<(), Failure> {
    let KeyringPlace::File(path) = &config.vault.keyring;
    if let (Ok(keyring), Ok(store)) = (Keyring::open(path), session::open_store(config).await) {
        let vault = Vault::new(keyring);
        session::check_keyring(config, &vault, store.as_ref()).await?;
    }
    Ok(())
}

async fn keyring(config: &Config) -> Result<String, Failure> {
    let KeyringPlace::File(path) = &config.vault.keyring;
    match (Keyring::open(path), &config.store.url) {
        (Ok(keyring), _) => Ok(format!("opened, {} epochs", keyring.list().len())),
        (Err(KeyringError::Missing { path }), _) if session::store_in_use(config).await == Some(true) => {
            Err(AppError::LostKeyring(path).into())
        }
        (Err(KeyringError::Missing { .. }), StoreUrl::Sqlite(_)) => {
            Ok("not there yet: `lacuna serve` creates it".to_owned())
        }
        (Err(error), _) => Err(error.into()),
    }
}

async fn kafka(config: &Config, registry: &Registry, cluster: Cluster) -> Result<String, KafkaError> {
    let admin = Admin::new(&cluster)?;
    let there: BTreeMap<String, i32> = tokio::task::spawn_blocking(move || Admin::new(&cluster)?.list())
        .await
        .map_err(|_| KafkaError::Ended("listing topics"))??;
    let needed = topics::needed(&config.kafka.topics, registry);
    let missing: Vec<&str> = needed
        .iter()
        .map(|topic| topic.name.as_str())
        .filter(|name| !there.contains_key(*name))
        .collect();
    if !missing.is_empty() {
        return Err(KafkaError::MissingTopics(missing.join(", ")));
    }
    let upstream = config.sources.iter().filter_map(|source| {
        let topic = source.topic()?;
        (!there.contains_key(topic)).then(|| format!("{topic} (source {:?})", source.name()))
    });
    let upstream: Vec<String> = upstream.collect();
    if !upstream.is_empty() {
        return Err(KafkaError::MissingUpstream(upstream.join(", ")));
    }
    admin.check_session(config.dispatch.lease).await?;
    let of_sources = config
        .sources
        .iter()
        .filter(|source| source.topic().is_some())
        .count();
    Ok(match of_sources {
        0 => format!("reached, all {} topics exist", needed.len()),
        count => format!(
            "reached, all {} topics exist, and those of {count} sources",
            needed.len()
        ),
    })
}
