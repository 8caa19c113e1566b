//! A place of our own on a broker and a store of somebody else's: topics, a schema, a configuration, which go away again.

use std::{fmt::Write, fs, path::Path, sync::Arc};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::BenchError;
use crate::{
    app::{self, topics},
    clock::Clock,
    config::{Brokers, Config, StoreUrl, Topics, registry_file},
    kafka::{admin::Admin, client::Cluster},
    store::Store,
    terminal::folder::Folder,
    vault::Keyring,
};

/// Where a worker can be run without touching what is somebody else's.
pub(super) struct Workspace {
    /// Where the broker is.
    pub cluster: Cluster,
    /// What a worker is configured with.
    pub config: Config,
    /// The store, migrated and empty.
    pub store: Arc<dyn Store>,
    /// The store's URL, where it is PostgreSQL's.
    pub postgres: Option<String>,
    /// Where the files are.
    pub folder: Folder,
    schema: Option<Schema>,
}

/// A schema in a database of somebody else's.
struct Schema {
    url: String,
    name: String,
}

impl Workspace {
    /// Makes one on the broker and the store that a configuration names.
    pub(super) async fn beside(base: &Config, registry: &str) -> Result<Self, BenchError> {
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
        write_private(&folder.path().join("processors.toml"), registry)?;
        let text = configuration(base, &cluster, &url, &tag);
        write_private(&folder.path().join("lacuna.toml"), &text)?;
        let config = Config::load(&folder.path().join("lacuna.toml")).map_err(BenchError::Config)?;
        let registry = registry_file::read(&config.registry.path).map_err(BenchError::Config)?;
        let needed = topics::needed(&config.kafka.topics, &registry);
        // The broker's own default for how often a topic is kept.
        let admin = Admin::new(&cluster)?;
        admin.create(&needed, -1).await?;
        let ready = tokio::task::spawn_blocking(move || admin.await_leaders(&needed)).await;
        ready.map_err(|_| BenchError::Panicked)??;
        let clock = Clock::System;
        Keyring::open_or_init(&folder.path().join("lacuna.keys"), clock.now())
            .map_err(app::AppError::from)?;
        let store = app::open_store(&config, &clock, false).await?;
        store.migrate().await.map_err(app::AppError::from)?;
        let postgres = matches!(config.store.url, StoreUrl::Postgres(_)).then(|| url.clone());
        Ok(Self {
            cluster,
            config,
            store,
            postgres,
            folder,
            schema,
        })
    }

    /// Removes what was made, once nobody uses it any more.
    pub(super) async fn remove(self) -> Result<(), BenchError> {
        // A broker that is gone must not leave the schema behind.
        let topics = self.remove_topics().await;
        drop(self.store);
        if let Some(Schema { url, name }) = self.schema {
            let mut connection = PgConnection::connect(&url).await?;
            sqlx::query(AssertSqlSafe(format!("drop schema {name} cascade")))
                .execute(&mut connection)
                .await?;
            connection.close().await?;
        }
        topics
    }

    async fn remove_topics(&self) -> Result<(), BenchError> {
        let ours = Admin::new(&self.cluster)?;
        let prefix = topic_prefix(&self.config.kafka.topics);
        let listed = tokio::task::spawn_blocking(move || (ours.list(), ours)).await;
        let (there, ours) = listed.map_err(|_| BenchError::Panicked)?;
        let names: Vec<String> = there?
            .into_keys()
            .filter(|name| name.starts_with(&prefix))
            .collect();
        Ok(ours.delete(&names).await?)
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

/// Writes a file that nobody else may read.
pub(super) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(text.as_bytes())
}
