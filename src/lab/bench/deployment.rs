//! What is measured: a deployment on a broker and a store that exist, with topics, a schema and a worker process of its
//! own, which go away again; or an embedded one, all in this process.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use super::{
    BenchError,
    process::Process,
    workspace::{Workspace, write_private},
};
use crate::{
    app::{self, Roles, Running},
    clock::{Clock, Stopwatch},
    config::{Config, Topics},
    kafka::client::Cluster,
    store::Store,
    terminal::{folder::Folder, output::aside},
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
    folder: Home,
}

/// Where its files are, with all that has to be removed.
enum Home {
    Workspace(Box<Workspace>),
    Folder(Folder),
}

impl Home {
    fn path(&self) -> &Path {
        match self {
            Self::Workspace(workspace) => workspace.folder.path(),
            Self::Folder(folder) => folder.path(),
        }
    }
}

enum Worker {
    Child(Child),
    Here(Box<Running>),
}

impl Deployment {
    /// Sets one up on the broker and the store that a configuration names.
    pub(super) async fn beside(base: &Config, registry: &str) -> Result<Self, BenchError> {
        let workspace = Workspace::beside(base, registry).await?;
        let worker = Worker::Child(spawn(workspace.folder.path())?);
        Ok(Self {
            cluster: workspace.cluster.clone(),
            topics: workspace.config.kafka.topics.clone(),
            store: Arc::clone(&workspace.store),
            postgres: workspace.postgres.clone(),
            worker,
            folder: Home::Workspace(Box::new(workspace)),
        })
    }

    /// Starts one in this process, on the embedded broker and SQLite.
    pub(super) async fn embedded(registry: &str) -> Result<Self, BenchError> {
        let folder = Folder::create("bench")?;
        write_private(&folder.path().join("processors.toml"), registry)?;
        let text = "[kafka]\nbootstrap_servers = \"embedded\"\n[store]\nurl = \"sqlite:lacuna.db\"\n\
                    [http]\nlisten = \"127.0.0.1:0\"\n";
        let config = Config::read_text("the benchmark's configuration", folder.path(), text, &|_| None)
            .map_err(BenchError::Config)?;
        let topics = config.kafka.topics.clone();
        let running = app::start(config, Roles::ALL, Clock::System).await?;
        let cluster = Cluster::embedded(&running.servers);
        let store = Arc::clone(running.engine.store());
        Ok(Self {
            cluster,
            topics,
            store,
            postgres: None,
            worker: Worker::Here(Box::new(running)),
            folder: Home::Folder(folder),
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
            Worker::Child(child) => tokio::task::spawn_blocking(move || end(child))
                .await
                .map_err(|_| BenchError::Panicked)??,
            Worker::Here(running) => running.end().await?,
        }
        drop(self.store);
        match self.folder {
            Home::Workspace(workspace) => workspace.remove().await,
            Home::Folder(_) => Ok(()),
        }
    }
}

fn spawn(folder: &Path) -> Result<Child, BenchError> {
    let log = folder.join("worker.log");
    let log = File::create(log)?;
    let child = Command::new(std::env::current_exe()?)
        .args(["serve", "--config"])
        .arg(folder.join("lacuna.toml"))
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
    aside(format_args!(
        "the worker did not end within {} s and was killed",
        PATIENCE.as_secs()
    ));
    child.kill()?;
    child.wait()?;
    Ok(())
}
