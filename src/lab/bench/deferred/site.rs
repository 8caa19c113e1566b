//! The worker that is measured: in this process, on a clock that is turned by hand, with simulated processors beside it.

use std::sync::Arc;

use sqlx::{Connection, PgConnection};

use crate::{
    app::{self, Roles, Running},
    clock::{Clock, ManualClock},
    config::Config,
    domain::time::At,
    engine::Engine,
    kafka::client::Cluster,
    lab::{
        bench::{BenchError, workspace::Workspace},
        sim::{Character, Fleet, Simulated},
    },
    store::Store,
    telemetry::metrics::Metrics,
};

/// Two processors whose copies are kept, with a rule for invoices, and two that nothing defers.
const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email", "customer_id"]

[[processor]]
id = "payments"
kind = "payments"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]
retention = [{ categories = ["invoices"], basis = "tax_law", keep = "5y", then = "erase", from = "account_closed_at" }]

[[processor]]
id = "desk"
kind = "support"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email", "customer_id"]

[[processor]]
id = "mail"
kind = "messaging"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]

[[processor]]
id = "nightly-backup"
kind = "backup"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]
backup = { sources = ["crm"], set = "nightly", keep = "35d", confirm_by = "event" }

[[processor]]
id = "archive-backup"
kind = "backup"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]
backup = { sources = ["crm"], set = "archive", keep = "1y", confirm_by = "event" }
"#;

/// Those that are asked through the broker.
const ASKED: [&str; 4] = ["crm", "payments", "desk", "mail"];

/// Everything that is measured.
pub(super) struct Site {
    pub engine: Arc<Engine>,
    pub store: Arc<dyn Store>,
    pub clock: ManualClock,
    pub cluster: Cluster,
    pub config: Config,
    /// When it was begun.
    pub start: At,
    running: Running,
    fleet: Fleet,
    workspace: Workspace,
    postgres: String,
}

impl Site {
    /// Sets it up.
    pub(super) async fn open(base: &Config) -> Result<Self, BenchError> {
        let workspace = Workspace::beside(base, REGISTRY).await?;
        let Some(postgres) = workspace.postgres.clone() else {
            return Err(BenchError::Usage("--scenario deferred needs PostgreSQL"));
        };
        let start = Clock::System.now();
        let clock = ManualClock::starting_at(start);
        let metrics = Arc::new(Metrics::new().map_err(app::AppError::from)?);
        let connected = app::connect(
            &workspace.config,
            Clock::Manual(clock.clone()),
            metrics,
            app::PATIENCE,
        )
        .await?;
        let roles = Roles {
            api: false,
            ..Roles::ALL
        };
        let running = app::start_connected(workspace.config.clone(), roles, connected).await?;
        let prefix = &workspace.config.kafka.topics.tasks_prefix;
        let simulated = ASKED.map(|id| Simulated {
            topic: format!("{prefix}{id}"),
            character: Character::Fast,
        });
        let group = format!("{}.processors", workspace.config.kafka.topics.acks);
        let fleet = Fleet::start(&workspace.cluster, &group, simulated.into(), 1)?;
        Ok(Self {
            engine: Arc::clone(&running.engine),
            store: Arc::clone(running.engine.store()),
            clock,
            cluster: workspace.cluster.clone(),
            config: workspace.config.clone(),
            start,
            running,
            fleet,
            workspace,
            postgres,
        })
    }

    /// Ends and removes it.
    pub(super) async fn remove(self) -> Result<(), BenchError> {
        let fleet = self.fleet;
        tokio::task::spawn_blocking(move || fleet.stop())
            .await
            .map_err(|_| BenchError::Panicked)??;
        let ended = self.running.end().await;
        drop((self.engine, self.store));
        self.workspace.remove().await?;
        Ok(ended?)
    }

    /// Whether the worker or the processors have given up.
    pub(super) fn has_ended(&self) -> bool {
        self.running.shutdown.is_cancelled() || !self.fleet.is_running()
    }

    /// How many tasks are deferred for a reason.
    pub(super) async fn deferred(&self, reason: &str) -> Result<i64, BenchError> {
        self.counted("deferred", reason).await
    }

    /// How many requests are completed.
    pub(super) async fn completed(&self) -> Result<i64, BenchError> {
        self.counted("requests", "completed").await
    }

    async fn counted(&self, kind: &str, of: &str) -> Result<i64, BenchError> {
        let counters = self.store.counters().await?;
        let mine = counters.iter().filter(|(key, _)| key.kind == kind && key.b == of);
        Ok(mine.map(|(_, n)| n).sum())
    }

    /// Whether no sweep goes on.
    pub(super) async fn is_swept(&self) -> Result<bool, BenchError> {
        Ok(self.store.sweeps(true, 1).await?.is_empty())
    }

    /// The size of a table with its indexes.
    pub(super) async fn bytes_of(&self, table: &str) -> Result<u64, BenchError> {
        let mut connection = PgConnection::connect(&self.postgres).await?;
        let bytes: i64 = sqlx::query_scalar("select pg_total_relation_size(to_regclass($1))")
            .bind(table)
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        Ok(bytes.unsigned_abs())
    }
}
