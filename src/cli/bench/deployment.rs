//! What is measured: a deployment on a broker and a store that exist, with topics, a schema and a worker process of its
//! own, which go away again; or an embedded one, all in this process.

use std::{
    fmt::Write,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{BenchError, process::Process};
use crate::{
    app::{self, Roles, Running, topics},
    cli::folder::Folder,
    clock::{Clock, Stopwatch},
    config::{Brokers, Config, StoreUrl, Topics, registry_file},
    kafka::{admin::Admin, client::Cluster},
    store::Store,
    vault::Keyring,
};

/// A worker with all that belongs to it.
pub(super) struct Deployment {
    /// Where the broker is.
    pub cluster: Cluster,
    /// The topics that the worker uses.
    pub topics: Topics,
    /// The store, for asking how large it is.
    pub store: Arc<dyn Store>,
    /// The store's URL, where it is PostgreSQL's.
    pub postgres: Option<String>,
    worker: Worker,
    schema: Option<Schema>,
    folder: Folder,
}

enum Worker {
    Child(Child),
    Here(Box<Running>),
}

/// A schema in a database of somebody else's.
struct Schema {
    url: String,
    name: String,
}

impl Deployment {
    /// Sets one up on the broker and the store that a configuration names.
    pub(super) async fn beside(base: &Config, processors: u32) -> Result<Self, BenchError> {
        let folder = Folder::create("bench")?;
        let tag = format!("lacuna_bench_{}", hex::encode(rand::random::<[u8; 4]>()));
        let Brokers::Servers(servers) = &base.kafka.bootstrap_servers else {
            return Err(BenchError::Usage(
                "the configuration names the embedded broker: use --embedded",
            ));
        };
        let properties = base
            .kafka
            .properties
            .iter()
            .map(|(k, v)| (k.clone(), v.expose().to_owned()))
            .collect();
        let cluster = Cluster {
            servers: servers.clone(),
            properties,
            embedded: false,
        };
        let (url, schema) = store_of_our_own(base, &tag).await?;
        write_private(&folder.path().join("processors.toml"), &registry(processors))?;
        let text = configuration(base, &cluster, &url, &tag);
        write_private(&folder.path().join("lacuna.toml"), &text)?;
        let config = Config::load(&folder.path().join("lacuna.toml")).map_err(BenchError::Config)?;
        let registry = registry_file::read(&config.registry.path).map_err(BenchError::Config)?;
        let needed = topics::needed(&config.kafka.topics, &registry);
        // The broker's own default for how often a topic is kept.
        Admin::new(&cluster)?.create(&needed, -1).await?;
        let clock = Clock::System;
        Keyring::open_or_init(&folder.path().join("lacuna.keys"), clock.now())
            .map_err(app::AppError::from)?;
        let store = app::open_store(&config, &clock, false).await?;
        store.migrate().await.map_err(app::AppError::from)?;
        let postgres = matches!(config.store.url, StoreUrl::Postgres(_)).then(|| url.clone());
        let worker = Worker::Child(spawn(&folder)?);
        Ok(Self {
            cluster,
            topics: config.kafka.topics,
            store,
            postgres,
            worker,
            schema,
            folder,
        })
    }

    /// Starts one in this process, on the embedded broker and SQLite.
    pub(super) async fn embedded(processors: u32) -> Result<Self, BenchError> {
        let folder = Folder::create("bench")?;
        write_private(&folder.path().join("processors.toml"), &registry(processors))?;
        let text = "[kafka]\nbootstrap_servers = \"embedded\"\n[store]\nurl = \"sqlite:lacuna.db\"\n\
                    [http]\nlisten = \"127.0.0.1:0\"\n";
        let config = Config::read_text("the benchmark's configuration", folder.path(), text, &|_| None)
            .map_err(BenchError::Config)?;
        let topics = config.kafka.topics.clone();
        let running = app::start(config, Roles::ALL, Clock::System).await?;
        let cluster = Cluster::embedded(&running.servers);
        let store = Arc::clone(&running.engine.store);
        Ok(Self {
            cluster,
            topics,
            store,
            postgres: None,
            worker: Worker::Here(Box::new(running)),
            schema: None,
            folder,
        })
    }

    /// The worker, where it is a process of its own.
    pub(super) fn worker(&self) -> Option<Process> {
        match &self.worker {
            Worker::Child(child) => Some(Process(child.id())),
            Worker::Here(_) => None,
        }
    }

    /// Whether the worker still runs.
    pub(super) fn is_running(&mut self) -> bool {
        match &mut self.worker {
            Worker::Child(child) => matches!(child.try_wait(), Ok(None)),
            Worker::Here(running) => !running.shutdown.is_cancelled(),
        }
    }

    /// The last lines that the worker has logged.
    pub(super) fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("worker.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines
            .iter()
            .skip(lines.len().saturating_sub(20))
            .copied()
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Ends the worker and removes what was made for it.
    pub(super) async fn remove(self) -> Result<(), BenchError> {
        match self.worker {
            Worker::Child(child) => {
                tokio::task::spawn_blocking(move || end(child))
                    .await
                    .map_err(|_| BenchError::Panicked)??;
                let ours = Admin::new(&self.cluster)?;
                let prefix = topic_prefix(&self.topics);
                let listed = tokio::task::spawn_blocking(move || (ours.list(), ours)).await;
                let (there, ours) = listed.map_err(|_| BenchError::Panicked)?;
                let names: Vec<String> = there?
                    .into_keys()
                    .filter(|name| name.starts_with(&prefix))
                    .collect();
                ours.delete(&names).await?;
            }
            Worker::Here(running) => running.end().await?,
        }
        drop(self.store);
        if let Some(Schema { url, name }) = self.schema {
            let mut connection = PgConnection::connect(&url).await?;
            sqlx::query(AssertSqlSafe(format!("drop schema {name} cascade")))
                .execute(&mut connection)
                .await?;
            connection.close().await?;
        }
        Ok(())
    }
}

/// Every topic of ours begins with this.
fn topic_prefix(topics: &Topics) -> String {
    topics
        .commands
        .strip_suffix("commands")
        .unwrap_or(&topics.commands)
        .to_owned()
}

async fn store_of_our_own(base: &Config, tag: &str) -> Result<(String, Option<Schema>), BenchError> {
    let StoreUrl::Postgres(url) = &base.store.url else {
        return Ok(("sqlite:lacuna.db".to_owned(), None));
    };
    let url = url.expose().to_owned();
    let mut connection = PgConnection::connect(&url).await?;
    sqlx::query(AssertSqlSafe(format!("create schema {tag}")))
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    let separator = if url.contains('?') { '&' } else { '?' };
    Ok((
        format!("{url}{separator}options[search_path]={tag}"),
        Some(Schema {
            url,
            name: tag.to_owned(),
        }),
    ))
}

/// The worker's configuration: the deployment's own connections, and names that nobody else uses.
fn configuration(base: &Config, cluster: &Cluster, url: &str, tag: &str) -> String {
    let quoted = |text: &str| toml_edit::Value::from(text).to_string();
    let mut text = format!(
        "[kafka]\nbootstrap_servers = {}\ngroup_id = {}\n",
        quoted(&cluster.servers),
        quoted(tag)
    );
    // Writing to a `String` cannot fail.
    for (name, value) in &cluster.properties {
        writeln!(text, "properties.{} = {}", quoted(name), quoted(value)).unwrap_or_default();
    }
    for (key, name) in [
        ("commands", "commands"),
        ("control", "control"),
        ("acks", "acks"),
        ("backups", "backups"),
        ("status", "status"),
        ("dead_letters", "dead-letters"),
        ("tasks_prefix", "tasks."),
    ] {
        writeln!(text, "topics.{key} = {}", quoted(&format!("{tag}.{name}"))).unwrap_or_default();
    }
    writeln!(
        text,
        "[store]\nurl = {}\n[http]\nlisten = \"127.0.0.1:0\"\n[dispatch]\nmax_in_flight = {}",
        quoted(url),
        base.dispatch.max_in_flight
    )
    .unwrap_or_default();
    text
}

/// So many processors, all alike: each takes the usual two identities.
fn registry(processors: u32) -> String {
    let mut text = String::new();
    for n in 1..=processors {
        writeln!(
            text,
            "[[processor]]\nid = \"{}\"\nkind = \"other\"\ntransport = {{ type = \"kafka\" }}\nactions = [\"erase\"]\n\
             identities = [\"email\", \"customer_id\"]\n",
            processor_id(n)
        )
        .unwrap_or_default();
    }
    text
}

/// The id of the n-th processor.
pub(super) fn processor_id(n: u32) -> String {
    format!("p{n:02}")
}

fn write_private(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(text.as_bytes())
}

fn spawn(folder: &Folder) -> Result<Child, BenchError> {
    let log: PathBuf = folder.path().join("worker.log");
    let log = File::create(log)?;
    let child = Command::new(std::env::current_exe()?)
        .args(["serve", "--config"])
        .arg(folder.path().join("lacuna.toml"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    Ok(child)
}

/// SIGTERM, then a while, then SIGKILL.
fn end(mut child: Child) -> Result<(), BenchError> {
    const PATIENCE: Duration = Duration::from_secs(35);
    // The standard library knows SIGKILL only.
    let asked = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .stderr(Stdio::null())
        .status();
    let waiting = Stopwatch::start();
    while asked.is_ok() && waiting.elapsed() < PATIENCE {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    eprintln!(
        "the worker did not end within {} s and was killed",
        PATIENCE.as_secs()
    );
    child.kill()?;
    child.wait()?;
    Ok(())
}
