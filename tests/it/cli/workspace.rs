//! A folder of its own for each test, and the binary that runs in it.

use std::{path::PathBuf, process::Stdio, time::Duration};

use tokio::{io::AsyncWriteExt as _, process::Command};
use uuid::Uuid;

/// No command takes longer, whatever is unreachable; only `serve` does.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with configuration files.
#[derive(Debug)]
pub struct Workspace {
    dir: tempfile::TempDir,
}

/// What came of a command.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// Expects an exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }
}

/// A registry of two processors.
pub const REGISTRY: &str = r#"
[[processor]]
id = "billing"
kind = "payments"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]

[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase", "anonymize"]
identities = ["email"]
missing_identity = "exempt"
ack_timeout = "90s"
"#;

impl Workspace {
    /// An empty one.
    pub fn empty() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// One with this configuration and a registry.
    pub fn with(config: &str) -> Self {
        let this = Self::empty();
        this.write("lacuna.toml", config);
        this.write("processors.toml", REGISTRY);
        this
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The binary, to be run here.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lacuna"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs it to its end.
    pub async fn run(&self, arguments: &[&str]) -> Done {
        self.run_with(arguments, b"").await
    }

    /// Runs it with something on stdin.
    pub async fn run_with(&self, arguments: &[&str], input: &[u8]) -> Done {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that does not read closes the pipe: that is its affair.
        stdin.write_all(input).await.unwrap_or_default();
        drop(stdin);
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
            .await
            .unwrap_or_else(|_| panic!("{arguments:?} takes for ever"))
            .unwrap();
        Done {
            code: output
                .status
                .code()
                .unwrap_or_else(|| panic!("{arguments:?} was killed: {output:?}")),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// What `tests/run` exports.
pub fn service(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run tests/run, which starts what it names"))
}

/// A configuration for a real broker, with topics of its own. `store` is a line of `[store]`.
pub fn real_config(store: &str) -> (String, String) {
    let prefix = format!("cli-{}", Uuid::now_v7().simple());
    let config = format!(
        r#"
        [kafka]
        bootstrap_servers = "{}"
        group_id = "{prefix}"
        [kafka.topics]
        commands = "{prefix}.commands"
        control = "{prefix}.control"
        acks = "{prefix}.acks"
        backups = "{prefix}.backups"
        status = "{prefix}.status"
        dead_letters = "{prefix}.dead-letters"
        tasks_prefix = "{prefix}.tasks."
        [store]
        {store}
        [http]
        listen = "127.0.0.1:0"
        "#,
        service("LACUNA_TEST_KAFKA")
    );
    (prefix, config)
}
