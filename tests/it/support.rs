//! What the tests run against: the services that `tests/run` starts, and the real binary.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use lacuna::clock::Stopwatch;

/// A setting that `tests/run` exports. A test never passes without it.
pub fn service(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests through tests/run"))
}

/// A name that no other test uses.
pub fn unique(prefix: &str) -> String {
    let random: String = uuid::Uuid::now_v7().simple().to_string();
    format!("{prefix}{}", &random[random.len() - 12..])
}

/// Waits until something is so, and says what was not when it takes too long.
pub fn wait_for<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Stopwatch::start();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < within, "not within {within:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// A deployment of its own: a folder with configuration, registry and keyring; topics and tables under its own names.
pub struct Deployment {
    pub folder: tempfile::TempDir,
    pub prefix: String,
    pub http: u16,
    store: Store,
}

enum Store {
    Sqlite,
    Postgres {
        schema: String,
    },
    /// A database of the test's own, at this URL.
    At(String),
}

/// Where a deployment keeps its requests.
#[derive(Clone, Copy, Debug)]
pub enum StoreKind {
    Sqlite,
    Postgres,
}

impl Deployment {
    /// Writes the configuration, makes keyring, tables and topics through the command line.
    pub fn new(store: StoreKind, registry: &str) -> Self {
        let prefix = unique("t");
        let store = match store {
            StoreKind::Sqlite => Store::Sqlite,
            StoreKind::Postgres => {
                psql(&format!("create schema {prefix}"));
                Store::Postgres {
                    schema: prefix.clone(),
                }
            }
        };
        Self::over(store, prefix, registry)
    }

    /// The same on a database of the test's own.
    pub fn at(url: &str, registry: &str) -> Self {
        Self::over(Store::At(url.to_owned()), unique("t"), registry)
    }

    fn over(store: Store, prefix: String, registry: &str) -> Self {
        let deployment = Self {
            folder: tempfile::tempdir().unwrap(),
            prefix,
            http: free_port(),
            store,
        };
        deployment.write("processors.toml", registry);
        deployment.write("lacuna.toml", &deployment.config());
        if !matches!(deployment.store, Store::Sqlite) {
            deployment.lacuna_ok(&["keys", "init"]);
            deployment.lacuna_ok(&["migrate"]);
        }
        deployment.lacuna_ok(&["topics", "create"]);
        deployment
    }

    fn config(&self) -> String {
        let (prefix, http) = (&self.prefix, self.http);
        let store = match &self.store {
            Store::Sqlite => "sqlite:lacuna.db".to_owned(),
            Store::Postgres { schema } => {
                format!(
                    "{}?options=-csearch_path%3D{schema}",
                    service("LACUNA_TEST_POSTGRES")
                )
            }
            Store::At(url) => url.clone(),
        };
        let kafka = service("LACUNA_TEST_KAFKA");
        format!(
            r#"
[kafka]
bootstrap_servers = "{kafka}"
group_id = "{prefix}"
topics = {{ commands = "{prefix}.commands", control = "{prefix}.control", acks = "{prefix}.acks", backups = "{prefix}.backups", status = "{prefix}.status", dead_letters = "{prefix}.dead-letters", tasks_prefix = "{prefix}.tasks." }}
[store]
url = "{store}"
[http]
listen = "127.0.0.1:{http}"
[dispatch]
lease = "9s"
clock_skew = "1s"
"#
        )
    }

    /// A topic of this deployment.
    pub fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The binary, in this deployment's folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lacuna"));
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    /// Runs a subcommand.
    pub fn lacuna(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a subcommand that has to succeed; the answer is its stdout.
    pub fn lacuna_ok(&self, arguments: &[&str]) -> String {
        let output = self.lacuna(arguments);
        assert!(
            output.status.success(),
            "lacuna {arguments:?} ended with {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts the worker, and waits until it is ready; its log goes to a file of the folder.
    pub fn serve(&self) -> Worker {
        let worker = self.start();
        self.wait_until_ready(self.http);
        worker
    }

    /// Starts another worker of the same deployment, with a port of its own, and waits until it is ready.
    pub fn serve_another(&self) -> (Worker, u16) {
        let port = free_port();
        let listens = |port: u16| format!("listen = \"127.0.0.1:{port}\"");
        let config = std::fs::read_to_string(self.path("lacuna.toml")).unwrap();
        self.write(
            "another.toml",
            &config.replace(&listens(self.http), &listens(port)),
        );
        let worker = self.start_with("another.toml");
        self.wait_until_ready(port);
        (worker, port)
    }

    pub fn wait_until_ready(&self, port: u16) {
        wait_for("the worker is ready", Duration::from_secs(60), || {
            get(port, "/readyz").filter(|(status, _)| *status == 200)
        });
    }

    /// Starts the worker, and waits for nothing; its log goes to a file of the folder.
    pub fn start(&self) -> Worker {
        self.start_with("lacuna.toml")
    }

    /// The same, with another configuration of the folder.
    pub fn start_with(&self, config: &str) -> Worker {
        let log = self.path("serve.log");
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = self
            .command(&["serve", "--config", config, "--log-format", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        Worker { child, log }
    }

    /// Runs a statement in the store, beside the worker.
    pub fn execute(&self, statement: &str) {
        match &self.store {
            Store::Postgres { schema } => psql(&format!("set search_path to {schema}; {statement}")),
            Store::At(url) => panic!("whoever made {url} asks there"),
            Store::Sqlite => {
                let url = format!("sqlite:{}", self.path("lacuna.db").display());
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(async {
                    use sqlx::Connection as _;
                    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
                    let sql = sqlx::AssertSqlSafe(statement.to_owned());
                    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
                    connection.close().await.unwrap();
                });
            }
        }
    }

    /// What a question has as its answer in the store, which is a number.
    pub fn number(&self, question: &str) -> i64 {
        match &self.store {
            Store::At(url) => panic!("whoever made {url} asks there"),
            Store::Postgres { schema } => {
                let question = format!("set search_path to {schema}; {question}");
                let output = Command::new("psql")
                    .args(["-qXAtc", &question, &service("LACUNA_TEST_POSTGRES")])
                    .output()
                    .unwrap();
                String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
            }
            Store::Sqlite => {
                let url = format!("sqlite:{}", self.path("lacuna.db").display());
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(async {
                    use sqlx::Connection as _;
                    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
                    let sql = sqlx::AssertSqlSafe(question.to_owned());
                    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
                })
            }
        }
    }

    /// Copies the store aside, as a backup of it does. No worker may run.
    pub fn copy_store(&self) {
        self.for_each_table("create table copy_of_{} as select * from {};");
    }

    /// Puts the copy back.
    pub fn put_store_back(&self) {
        self.for_each_table("delete from {}; insert into {} select * from copy_of_{};");
    }

    fn for_each_table(&self, statement: &str) {
        const TABLES: &[&str] = &[
            "request",
            "state",
            "inbox",
            "subject",
            "ledger",
            "ledger_batch",
            "agenda",
            "position",
            "dead_letter",
            "counter",
            "outbox",
            "fact",
            "sweep",
        ];
        let statements: String = TABLES
            .iter()
            .map(|table| statement.replace("{}", table))
            .collect();
        self.execute(&statements);
    }

    /// Asks the worker; `None`: it does not answer.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        get(self.http, path)
    }

    /// Waits until a gauge of the store shows this: it is read in the background, and never in between.
    pub fn gauge_shows(&self, series: &str, value: f64) {
        let what = format!("{series} is {value}");
        wait_for(&what, Duration::from_secs(30), || {
            (self.metric(series) == Some(value)).then_some(())
        });
    }

    /// The value of a metric's series, as `/metrics` has it.
    pub fn metric(&self, series: &str) -> Option<f64> {
        metric(self.http, series)
    }
}

/// Asks the worker that listens on a port; `None`: it does not answer.
pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let url = format!("http://127.0.0.1:{port}{path}");
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let answer = reqwest::Client::builder()
                .timeout(Duration::from_secs(5))
                .build()
                .unwrap()
                .get(url)
                .send()
                .await
                .ok()?;
            let status = answer.status().as_u16();
            Some((status, answer.text().await.ok()?))
        })
}

/// The value of a metric's series, as `/metrics` of the worker on a port has it.
pub fn metric(port: u16, series: &str) -> Option<f64> {
    let (_, text) = get(port, "/metrics")?;
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

impl Drop for Deployment {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.path("serve.log")).unwrap_or_default();
            eprintln!("the worker's log:\n{log}");
            eprintln!(
                "{}",
                self.get("/metrics").map(|(_, text)| text).unwrap_or_default()
            );
        }
        if let Store::Postgres { schema } = &self.store {
            psql(&format!("drop schema {schema} cascade"));
        }
    }
}

/// A running worker. Dropped, it is killed.
pub struct Worker {
    child: Child,
    pub log: PathBuf,
}

impl Worker {
    /// SIGKILL: nothing of it goes on.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// SIGTERM: it has to end by itself, with exit code 0.
    pub fn stop(mut self) {
        self.signal("-TERM");
        let status = wait_for("the worker ends", Duration::from_secs(40), || {
            self.child.try_wait().unwrap()
        });
        assert!(
            status.success(),
            "{status}\n{}",
            std::fs::read_to_string(&self.log).unwrap()
        );
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Another program that is killed when it is dropped.
pub struct Program(Child);

impl Program {
    pub fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A port that nobody listens on, from below the range that the system gives to outgoing connections: one of those could
/// take it before whoever asked for it does.
pub fn free_port() -> u16 {
    let listener = (0..100).find_map(|_| {
        let port = 20_000 + rand::random::<u16>() % 12_000;
        std::net::TcpListener::bind(("127.0.0.1", port)).ok()
    });
    listener.expect("a free port").local_addr().unwrap().port()
}

pub fn psql(statement: &str) {
    let output = Command::new("psql")
        .args(["-qXc", statement, &service("LACUNA_TEST_POSTGRES")])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{statement}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
