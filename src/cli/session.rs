//! What commands share: the configuration, a runtime, the store, the cluster.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::Failure;
use crate::{
    app::{self, AppError},
    clock::Clock,
    config::{Brokers, Config, Keyring as KeyringPlace, StoreUrl},
    engine::Engine,
    kafka::client::Cluster,
    store::{Store, StoreError},
    telemetry::metrics::Metrics,
    vault::{Keyring, KeyringError, Vault},
};

/// The option that every command has.
#[derive(Debug, clap::Args)]
pub struct ConfigArg {
    /// The configuration; lacuna.toml where it is absent.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl ConfigArg {
    /// Reads it.
    pub(super) fn load(&self) -> Result<Config, Failure> {
        Ok(Config::load(self.path())?)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new("lacuna.toml"))
    }
}

/// Runs a command that asks and answers. What blocks a thread of the client libraries is not waited for at the end.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(of_system("start the runtime"))?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(Duration::from_millis(200));
    done
}

/// Names what the operating system refused.
pub(super) fn of_system(action: &'static str) -> impl FnOnce(std::io::Error) -> Failure {
    move |source| Failure::System { action, source }
}

/// Opens the store and makes sure that it has the schema of this version.
pub(super) async fn open_store(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    // SQLite would make a new file, and a question asked in the wrong folder would find an empty store there.
    if let StoreUrl::Sqlite(path) = &config.store.url
        && !path.exists()
    {
        return Err(Failure::Usage(format!(
            "there is no store at {}: `lacuna migrate` or `lacuna serve` creates it",
            path.display()
        )));
    }
    let store = connect_store(config).await?;
    store
        .check_schema()
        .await
        .map_err(|source| of_store(config, source))?;
    Ok(store)
}

/// The keys that open what is sealed. A keyring is never made here: a new one would open nothing.
pub(super) fn vault(config: &Config) -> Result<Vault, Failure> {
    Ok(Vault::new(keyring(config)?))
}

/// Opens the keyring. Where it is missing and the store is in use, it says that it was lost.
pub(super) fn keyring(config: &Config) -> Result<Keyring, Failure> {
    let KeyringPlace::File(path) = &config.vault.keyring;
    match Keyring::open(path) {
        Err(KeyringError::Missing { path }) => {
            // On a thread of its own: whoever wants the keyring may be on a runtime, which cannot wait for another one.
            let asked = std::thread::scope(|scope| {
                let ask = || block_on(async { Ok(store_in_use(config).await) });
                scope.spawn(ask).join()
            });
            let in_use = asked.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            Err(if in_use == Some(true) {
                AppError::LostKeyring(path).into()
            } else {
                KeyringError::Missing { path }.into()
            })
        }
        opened => Ok(opened?),
    }
}

/// How long a store may take to say whether it is in use: where it is away, that has to be said without it.
const GLANCE: Duration = Duration::from_secs(5);

/// Whether the store is in use; `None`: it cannot be asked.
pub(super) async fn store_in_use(config: &Config) -> Option<bool> {
    ask_store_in_use(config).await.ok()
}

/// Whether the store is in use, or why it cannot be asked.
pub(super) async fn ask_store_in_use(config: &Config) -> Result<bool, Failure> {
    if let StoreUrl::Sqlite(path) = &config.store.url
        && !path.exists()
    {
        return Ok(false);
    }
    let asked = async {
        let store = app::open_store_within(config, &Clock::System, false, GLANCE).await?;
        Ok(app::is_in_use(store.as_ref()).await?)
    };
    let away = || AppError::Store(StoreError::Unreachable(sqlx::Error::PoolTimedOut));
    let asked = tokio::time::timeout(2 * GLANCE, asked).await;
    asked
        .unwrap_or_else(|_| Err(away()))
        .map_err(|error| named(config, error))
}

/// An engine over the store. What its decisions have to be produced, the outbox remembers, and a worker produces it.
pub(super) async fn engine(config: &Config) -> Result<Engine, Failure> {
    // A keyring that is missing, or another one's, is told before anything is made.
    let vault = vault(config)?;
    let store = open_store(config).await?;
    check_keyring(config, &vault, store.as_ref()).await?;
    let metrics = Arc::new(Metrics::new().map_err(|error| Failure::NotSo(error.to_string()))?);
    let engine = app::open_engine(config, Clock::System, metrics, store, Arc::from("")).await?;
    engine.load_registry().await?;
    engine.refresh_facts().await?;
    Ok(engine)
}

/// Who it is that decides: whoever is named, else the user of this shell. Nobody decides namelessly.
pub(super) fn deciding(named: Option<String>) -> Result<String, Failure> {
    let user = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok();
    let by_shell = || Some(format!("command line: {}", user()?));
    named.or_else(by_shell).ok_or_else(|| {
        Failure::Usage("--actor: say who decides: this shell has no name for you (USER)".to_owned())
    })
}

/// Who it is that does something: whoever is named, else the user of this shell, as far as it says.
pub(super) fn actor_or_user(named: Option<String>) -> String {
    named.unwrap_or_else(|| {
        let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
        format!("command line: {}", user.as_deref().unwrap_or("unknown user"))
    })
}

/// Refuses a keyring that is not the store's: it would find nobody, and say so with conviction.
pub(super) async fn check_keyring(config: &Config, vault: &Vault, store: &dyn Store) -> Result<(), Failure> {
    let KeyringPlace::File(path) = &config.vault.keyring;
    Ok(app::check_keyring(path, vault, store).await?)
}

/// Opens the store, whatever schema it has.
pub(super) async fn connect_store(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    app::open_store(config, &Clock::System, false)
        .await
        .map_err(|error| named(config, error))
}

fn named(config: &Config, error: AppError) -> Failure {
    match error {
        AppError::Store(source) => of_store(config, source),
        other => other.into(),
    }
}

/// Names the store in an error.
pub(super) fn of_store(config: &Config, source: StoreError) -> Failure {
    Failure::Store {
        url: config.store.url.to_string(),
        source,
    }
}

/// Where Kafka is. The embedded broker lives in the process of `serve`, which no other one can reach.
pub(super) fn cluster(config: &Config) -> Result<Cluster, Failure> {
    app::remote_cluster(config).ok_or_else(|| {
        Failure::Usage(
            "kafka.bootstrap_servers is \"embedded\": that broker lives inside `lacuna serve`, and no other process can \
             reach it; name a real broker, or use the HTTP API of `lacuna serve`"
                .to_owned(),
        )
    })
}

/// How the brokers are shown.
pub(super) fn brokers(config: &Config) -> &str {
    match &config.kafka.bootstrap_servers {
        Brokers::Servers(servers) => servers,
        Brokers::Embedded => "embedded",
    }
}
