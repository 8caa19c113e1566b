//! `lacuna registry`: shows the active revision, compares the file with it, and activates the file.

mod backfill;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::{
    Exit, Failure,
    output::Out,
    session::{self, ConfigArg, block_on},
};
use crate::{
    app::{
        remote_cluster,
        topics::{check_tasks, missing_tasks},
    },
    clock::Clock,
    config::{Config, registry_file},
    domain::registry::{Registry, RegistryRevision},
    engine::registry::{Applied, apply, read},
    kafka::{
        admin::{Admin, Topic},
        client::PATIENCE,
    },
    store::Store,
    view::registry as registry_text,
};

/// Arguments of `lacuna registry`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lacuna registry diff && echo 'nothing to activate'")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Prints the active revision, as a file that could be activated again.
    #[command(
        after_help = "Exit code 1: none is active.\n\nExample:\n  lacuna registry show > processors.active.toml"
    )]
    Show {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Compares the file with the active revision. Exit code 1: they differ.
    #[command(
        after_help = "- stands before what is active, + before what the file says.\n\n\
        Example:\n  lacuna registry diff processors.new.toml"
    )]
    Diff {
        #[command(flatten)]
        config: ConfigArg,
        /// The registry; the configured one where it is absent.
        file: Option<PathBuf>,
    },
    /// Activates the file for all workers.
    #[command(
        after_help = "Plans that are made already keep what they pinned. The topic of every processor has to be there: \
        `lacuna topics create` makes those that are missing, and so does --create-topics.\n\n\
        Exit code 2: the file has mistakes, or topics are missing. 3: Kafka or the store cannot be reached.\n\n\
        Example:\n  lacuna registry apply"
    )]
    Apply {
        #[command(flatten)]
        config: ConfigArg,
        /// Makes the topics of processors that are missing, as `lacuna topics create` does.
        #[arg(long, conflicts_with = "offline")]
        create_topics: bool,
        /// Does not ask Kafka whether the topics are there: the tasks of a processor whose topic is missing wait for it.
        #[arg(long)]
        offline: bool,
        /// The registry; the configured one where it is absent.
        file: Option<PathBuf>,
    },
    /// Offers a processor that was registered later the requests that were planned without it.
    Backfill(backfill::Args),
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    match args.action {
        Action::Backfill(args) => backfill::run(&args),
        Action::Show { config } => show(&config.load()?),
        Action::Diff { config, file } => diff(&load(&config, file)?),
        Action::Apply {
            config,
            file,
            create_topics,
            offline,
        } => {
            let topics = match (create_topics, offline) {
                (_, true) => Topics::Unasked,
                (true, false) => Topics::Made,
                (false, false) => Topics::Needed,
            };
            activate(&load(&config, file)?, topics)
        }
    }
}

/// The configuration, with another registry's path where one is named.
fn load(arg: &ConfigArg, file: Option<PathBuf>) -> Result<Config, Failure> {
    let mut config = arg.load()?;
    if let Some(file) = file {
        config.registry.path = file;
    }
    Ok(config)
}

fn read_file(config: &Config) -> Result<Registry, Failure> {
    let registry = registry_file::read(&config.registry)?;
    config.check_registry(&registry)?;
    Ok(registry)
}

async fn active(store: &dyn Store) -> Result<Option<(RegistryRevision, Registry)>, Failure> {
    let Some(stored) = store.registry().await? else {
        return Ok(None);
    };
    Ok(Some((stored.revision, read(&stored.text)?)))
}

fn show(config: &Config) -> Result<Exit, Failure> {
    let stored = block_on(async { Ok(session::open_store(config).await?.registry().await?) })?;
    let Some(stored) = stored else {
        return Err(none_active(&config.registry.path));
    };
    let mut out = Out::stdout();
    out.line(format_args!(
        "# Revision {}, active since {}.",
        stored.revision, stored.activated_at
    ))?;
    out.bytes(registry_text::whole(&read(&stored.text)?).as_bytes())?;
    out.end()?;
    Ok(Exit::Ok)
}

fn none_active(path: &Path) -> Failure {
    Failure::NotSo(format!(
        "no registry is active: `lacuna registry apply` activates {}, and so does the first `lacuna serve`",
        path.display()
    ))
}

fn diff(config: &Config) -> Result<Exit, Failure> {
    let file = read_file(config)?;
    let active = block_on(async { active(session::open_store(config).await?.as_ref()).await })?;
    let (revision, before) = active.map_or_else(
        || {
            (
                "nothing (no registry is active)".to_owned(),
                Registry {
                    processors: Vec::new(),
                },
            )
        },
        |(revision, registry)| (format!("revision {revision}"), registry),
    );
    let changes = registry_text::changes(&before, &file);
    let mut out = Out::stdout();
    if changes.is_empty() {
        out.line(format_args!(
            "{} is what is active: {revision}",
            config.registry.path.display()
        ))?;
    } else {
        out.line(format_args!("--- {revision}"))?;
        out.line(format_args!("+++ {}", config.registry.path.display()))?;
        changes.iter().try_for_each(|change| out.line(change))?;
    }
    out.end()?;
    Ok(if changes.is_empty() { Exit::Ok } else { Exit::NotSo })
}

/// What becomes of topics that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topics {
    /// Without them nothing is activated.
    Needed,
    /// They are made.
    Made,
    /// Nobody asks for them.
    Unasked,
}

/// Sees to it that the topics of the processors are there. The embedded broker is out of reach, and makes them itself.
async fn see_to_topics(config: &Config, file: &Registry, topics: Topics) -> Result<(), Failure> {
    let Some(cluster) = remote_cluster(config).filter(|_| topics != Topics::Unasked) else {
        return Ok(());
    };
    if topics == Topics::Made {
        let missing = missing_tasks(&config.kafka.topics, file, &cluster, PATIENCE).await?;
        let missing: Vec<Topic> = missing.into_iter().map(|(_, topic)| topic).collect();
        if !missing.is_empty() {
            // -1: the broker's own default.
            Admin::new(&cluster)?.create(&missing, -1).await?;
        }
        return Ok(());
    }
    Ok(check_tasks(&config.kafka.topics, file, &cluster, PATIENCE).await?)
}

fn activate(config: &Config, topics: Topics) -> Result<Exit, Failure> {
    let file = read_file(config)?;
    let (applied, before) = block_on(async {
        see_to_topics(config, &file, topics).await?;
        let store = session::open_store(config).await?;
        let before = active(store.as_ref()).await?.map(|(_, registry)| registry);
        Ok((apply(store.as_ref(), &file, &Clock::System).await?, before))
    })?;
    let mut out = Out::stdout();
    match applied {
        Applied::Unchanged(revision) => out.line(format_args!("revision {revision} was active already"))?,
        Applied::Activated(revision) => {
            let before = before.unwrap_or(Registry {
                processors: Vec::new(),
            });
            registry_text::changes(&before, &file)
                .iter()
                .try_for_each(|change| out.line(change))?;
            out.line(format_args!(
                "revision {revision} is active; workers take it over within seconds"
            ))?;
        }
    }
    out.end()?;
    Ok(Exit::Ok)
}
