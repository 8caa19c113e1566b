//! Why a command did not do what it was asked: what failed, why, what to do next, and with which code it ends.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use super::Exit;
use crate::{
    app::AppError,
    config::Problems,
    engine::EngineError,
    kafka::KafkaError,
    store::StoreError,
    telemetry::logs::chain,
    vault::{KeyringError, VaultError},
};

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The thing asked about is not so.
    #[error("{0}")]
    NotSo(String),
    /// The command was not asked properly, or what it was given is wrong.
    #[error("{0}")]
    Usage(String),
    /// A registered system cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// Mistakes in the configuration or the registry.
    #[error("{0}")]
    Config(Problems),
    /// A file.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The store, where it is known which one.
    #[error("the store {url}")]
    Store {
        /// Its address, without its password.
        url: String,
        /// Why it failed.
        #[source]
        source: StoreError,
    },
    /// Whatever the application reports.
    #[error(transparent)]
    App(#[from] AppError),
    /// A sealed thing does not open.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A message cannot be written.
    #[error("cannot write JSON")]
    Json(#[from] serde_json::Error),
    /// The operating system refuses what every process needs.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Stdout.
    #[error("cannot write to stdout")]
    Output(#[from] io::Error),
    /// Several things, each for itself.
    #[error("{} failures", .0.len())]
    Several(Vec<Self>),
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Config(problems)
    }
}

macro_rules! through_app {
    ($($error:ty),+) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::App(error.into())
            }
        })+
    };
}
through_app!(KafkaError, StoreError, EngineError, KeyringError);

impl Failure {
    /// With which code a command ends that failed so. Every error of a command goes through here.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NotSo(_) | Self::Vault(_) => Exit::NotSo,
            // Whoever reads the output has had enough of it: no failure of ours.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::Output(_) | Self::System { .. } => Exit::NotSo,
            Self::Unreachable(_) => Exit::Unreachable,
            Self::Usage(_) | Self::Config(_) | Self::File { .. } | Self::Json(_) => Exit::Usage,
            Self::Store { source, .. } if source.is_unreachable() => Exit::Unreachable,
            Self::Store { .. } => Exit::Usage,
            Self::App(error) if error.is_unreachable() => Exit::Unreachable,
            // It ran, and then it broke.
            Self::App(AppError::Ended(_)) => Exit::NotSo,
            Self::App(_) => Exit::Usage,
            Self::Several(all) => all.iter().map(Self::exit).max().unwrap_or(Exit::Ok),
        }
    }

    /// What to do next, where the error itself does not say it.
    fn next(&self) -> Option<&'static str> {
        let store = |error: &StoreError| match error {
            StoreError::Unreachable(_) => Some("is the database up, and is [store] url right?"),
            StoreError::Refused(_) | StoreError::Unusable(_) => {
                Some("do user, password and database in [store] url exist, with their rights?")
            }
            StoreError::Race(_) | StoreError::Conflict => Some("somebody else was faster: try again"),
            _ => None,
        };
        match self {
            Self::Store { source, .. } | Self::App(AppError::Store(source)) => store(source),
            Self::App(AppError::Engine(EngineError::Store(source))) => store(source),
            Self::App(AppError::Kafka(KafkaError::Unreachable { .. })) => {
                Some("is the broker up, and are [kafka] bootstrap_servers and properties right?")
            }
            Self::App(AppError::Kafka(error)) if error.is_unreachable() => {
                Some("did it not answer in time? Then try again; is the whole cluster up?")
            }
            Self::App(AppError::Listen { .. }) => {
                Some("does another process listen there? Give [http] listen another address")
            }
            Self::App(AppError::Ended(_)) => Some("the log above says why"),
            Self::Config(problems)
                if problems
                    .iter()
                    .any(|problem| problem.message.starts_with("cannot be read")) =>
            {
                Some(
                    "is it there, and may this user read it? --config names the configuration; `lacuna check --print-default` prints one to start from",
                )
            }
            _ => None,
        }
    }

    /// Says it, for people.
    fn complain(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Self::Several(all) => return all.iter().try_for_each(|failure| failure.complain(to)),
            // Each problem is a line of its own, which editors can jump to.
            Self::Config(problems) | Self::App(AppError::Config(problems)) => writeln!(to, "{problems}")?,
            _ => writeln!(to, "error: {}", chain(self))?,
        }
        if let Some(next) = self.next() {
            writeln!(to, "next:  {next}")?;
        }
        Ok(())
    }
}

/// Says what went wrong, if anything did, and with which code the process ends.
pub fn finish(done: Result<Exit, Failure>) -> Exit {
    match done {
        Ok(exit) => exit,
        Err(failure) => {
            // Without a stderr there is nobody to tell; the code still says it.
            failure.complain(&mut io::stderr()).unwrap_or_default();
            failure.exit()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_failure_has_its_code() {
        let unreachable = || KafkaError::Unreachable {
            servers: "localhost:1".into(),
            why: String::new(),
        };
        let cases = [
            (Failure::NotSo(String::new()), Exit::NotSo),
            (Failure::Usage(String::new()), Exit::Usage),
            (Failure::Unreachable(String::new()), Exit::Unreachable),
            (unreachable().into(), Exit::Unreachable),
            (KafkaError::MissingTopics("a".into()).into(), Exit::Usage),
            (StoreError::Schema("old".into()).into(), Exit::Usage),
            (
                StoreError::Unreachable(sqlx::Error::PoolTimedOut).into(),
                Exit::Unreachable,
            ),
            (EngineError::NoRegistry.into(), Exit::Usage),
            (Failure::Output(io::ErrorKind::BrokenPipe.into()), Exit::Ok),
            (
                Failure::Several(vec![Failure::Usage(String::new()), unreachable().into()]),
                Exit::Unreachable,
            ),
        ];
        for (failure, exit) in cases {
            assert_eq!(failure.exit(), exit, "{failure:?}");
        }
    }

    #[test]
    fn a_failure_says_what_failed_why_and_what_to_do_next() {
        let failure = Failure::Store {
            url: "postgres://db/lacuna".into(),
            source: StoreError::Unreachable(sqlx::Error::Io(io::ErrorKind::ConnectionRefused.into())),
        };
        let mut said = Vec::new();
        failure.complain(&mut said).unwrap();
        let said = String::from_utf8(said).unwrap();
        assert!(
            said.starts_with("error: the store postgres://db/lacuna: the store cannot be reached: "),
            "{said}"
        );
        assert!(
            said.contains("connection refused\nnext:  is the database up"),
            "{said}"
        );
    }
}
