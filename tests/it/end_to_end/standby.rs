//! A PostgreSQL primary and a standby that follows it: real servers of the test's own, on loopback, with their data in a
//! folder that is thrown away.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    forwarder::Forwarder,
    support::{free_port, wait_for},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// What both servers are run with. Only processes die here, and what they have written the machine keeps.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 60
shared_buffers = 64MB
fsync = off
wal_keep_size = 256MB
";

/// Both of them.
pub struct Pair {
    pub primary: Server,
    pub standby: Server,
    /// The way from the primary to the standby.
    pub replication: Forwarder,
    password: String,
    _folder: tempfile::TempDir,
}

/// A running server. Dropped, it is ended.
pub struct Server {
    pub port: u16,
    home: PathBuf,
    child: Child,
}

impl Pair {
    /// Starts both; the standby follows, asynchronously at first.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The user that the servers run as has to reach its own folders in it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let password = hex::encode(rand::random::<[u8; 16]>());
        let home = home_in(folder.path(), "primary");
        let secret = home.join("password");
        fs::write(&secret, &password).unwrap();
        own(&home);
        let data = home.join("data");
        run(program("initdb")
            .arg("--pgdata")
            .arg(&data)
            .arg("--pwfile")
            .arg(&secret)
            .args(["--username=lacuna", "--auth=password", "--no-sync"])
            .args(["--encoding=UTF8", "--locale=C.UTF-8"]));
        let mut config = OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .unwrap();
        config.write_all(SETTINGS.as_bytes()).unwrap();
        let primary = Server::start(home, &[]);
        let replication = Forwarder::to(primary.port);
        let home = home_in(folder.path(), "standby");
        own(&home);
        run(program("pg_basebackup")
            .env("PGPASSWORD", &password)
            .args(["-h", "127.0.0.1", "-U", "lacuna", "-p"])
            .arg(replication.port().to_string())
            .arg("-D")
            .arg(home.join("data"))
            .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]));
        // It is nobody's primary yet, and once it is it has no standby to wait for.
        let standby = Server::start(home, &["-c", "synchronous_standby_names="]);
        let pair = Self {
            primary,
            standby,
            replication,
            password,
            _folder: folder,
        };
        pair.is_followed("async");
        pair
    }

    /// From now on a commit is acknowledged once the standby has it.
    pub fn follow_synchronously(&self) {
        self.ask(&self.primary, "alter system set synchronous_standby_names = '*'");
        self.ask(&self.primary, "select pg_reload_conf()");
        self.is_followed("sync");
    }

    fn is_followed(&self, how: &str) {
        let state = "select count(*) from pg_stat_replication where state = 'streaming' and sync_state = ";
        wait_for("the standby follows", PATIENCE, || {
            (self.ask(&self.primary, &format!("{state}'{how}'")) == "1").then_some(())
        });
    }

    /// SIGKILL to every process of the primary.
    pub fn kill_primary(&mut self) {
        self.primary.kill();
    }

    /// The standby follows nobody any more, and takes writes.
    pub fn promote(&self) {
        assert_eq!(self.ask(&self.standby, "select pg_promote(true, 60)"), "t");
    }

    /// The URL of a store that is reached at this port.
    pub fn url(&self, port: u16) -> String {
        format!("postgres://lacuna:{}@127.0.0.1:{port}/postgres", self.password)
    }

    /// Asks a server; the answer is one value.
    pub fn ask(&self, server: &Server, sql: &str) -> String {
        let output = Command::new("psql")
            .args(["-qAtXc", sql, &self.url(server.port)])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Server {
    fn start(home: PathBuf, arguments: &[&str]) -> Self {
        // Between the look for a free port and its use, another process can take it.
        for _ in 0..3 {
            if let Some(server) = Self::try_start(&home, arguments) {
                return server;
            }
        }
        panic!("a server does not start:\n{}", log_of(&home));
    }

    fn try_start(home: &Path, arguments: &[&str]) -> Option<Self> {
        let port = free_port();
        let log = File::create(home.join("log")).unwrap();
        let child = program("postgres")
            .arg("-D")
            .arg(home.join("data"))
            .args(["-p", &port.to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        let mut server = Self {
            port,
            home: home.to_owned(),
            child,
        };
        let is_ready = wait_for("a server starts", PATIENCE, || {
            if server.child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            // The server itself writes its state into this line, so nobody else's server is taken for ours.
            let state = fs::read_to_string(home.join("data/postmaster.pid")).ok()?;
            let line = state.lines().nth(7)?.trim();
            ["ready", "standby"].contains(&line).then_some(true)
        });
        if !is_ready {
            assert!(
                log_of(home).contains("Address already in use"),
                "{}",
                log_of(home)
            );
            return None;
        }
        Some(server)
    }

    fn kill(&mut self) {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        // The first one first: it would start others anew.
        let pids = std::iter::once(pid.to_string()).chain(children.split_whitespace().map(str::to_owned));
        // Some of them end by themselves meanwhile.
        let _some_ended = Command::new("kill").arg("-KILL").args(pids).output().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.kill();
        }
        if std::thread::panicking() {
            eprintln!("{}:\n{}", self.home.display(), log_of(&self.home));
        }
    }
}

fn log_of(home: &Path) -> String {
    fs::read_to_string(home.join("log")).unwrap_or_default()
}

fn home_in(folder: &Path, name: &str) -> PathBuf {
    let home = folder.join(name);
    fs::create_dir(&home).unwrap();
    home
}

/// A server refuses to run as root: then it is the user `postgres`, and its folder is that user's.
fn own(home: &Path) {
    if is_root() {
        run(Command::new("chown").args(["-R", "postgres:"]).arg(home));
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A program of the newest PostgreSQL here, as whoever may run it. It ends with the thread that starts it, even when that
/// is killed outright.
fn program(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    command.args(["--pdeathsig", "KILL"]).arg(programs().join(name));
    command.current_dir("/");
    command
}

/// Debian keeps them off the PATH. The same rule as in `tests/support/install.sh`.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = versions
        .filter_map(|entry| {
            let path = entry.unwrap().path().join("bin");
            let version: u32 = path.parent()?.file_name()?.to_str()?.parse().ok()?;
            path.join("initdb").exists().then_some((version, path))
        })
        .max();
    if let Some((_, path)) = newest {
        return path;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
        .expect("tests/run installs a PostgreSQL server")
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
