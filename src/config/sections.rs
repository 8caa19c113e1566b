//! The small sections: `[vault]`, `[dispatch]`, `[webhook]`, `[registry]`.

use std::{path::PathBuf, time::Duration};

use super::{
    reader::{Entry, Section},
    values::Zero,
};
use crate::domain::calendar::Period;

/// How long identifiers and what is kept of requests live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vault {
    /// How long a key-encryption key is the current one.
    pub epoch: Period,
    /// How long backups of Lacuna's own database live.
    pub own_backups_keep: Period,
    /// How long keyed digests are kept, for "same person again" and suppression.
    pub lookups_keep: Period,
    /// How long a closed request's rows are kept.
    pub records_keep: Period,
    /// How long the payload of a dead letter is kept, where it asks for no erasure and nobody has dealt with it.
    pub dead_letters_keep: Period,
    /// How many open dead letters are kept of a topic, those that ask for an erasure apart.
    pub dead_letters_count: u32,
    /// How many MiB of payloads are kept of a topic.
    pub dead_letters_mib: u32,
    /// Where the keys are.
    pub keyring: Keyring,
    /// How long identifiers outlive the completion of their request.
    pub keep_after_completion: Period,
}

/// Where the keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keyring {
    /// `file:PATH`.
    File(PathBuf),
}

/// How work is given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// After a crash, the work of the dead worker is taken over within this.
    pub lease: Duration,
    /// How many messages may be unconfirmed, and how many tasks out at a processor while a restore is replayed into it.
    pub max_in_flight: u32,
    /// What clocks of Lacuna and of backup systems may differ by.
    pub clock_skew: Duration,
}

/// What webhooks may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Whether loopback and private addresses are allowed.
    pub allow_private: bool,
}

/// Where the processors are registered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryFile {
    /// The file.
    pub path: PathBuf,
    /// The folder of connectors of one's own: `[connectors] path`.
    pub connectors: Option<PathBuf>,
}

impl RegistryFile {
    /// One that names no connectors but those that the program brings along.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            connectors: None,
        }
    }
}

pub(super) fn vault(section: &Section<'_>) -> Vault {
    Vault {
        epoch: section.period_or("epoch", Zero::Refused, Period::days(7)),
        own_backups_keep: section.period_or("own_backups_keep", Zero::Allowed, Period::days(14)),
        lookups_keep: section.period_or("lookups_keep", Zero::Refused, Period::days(365)),
        records_keep: section.period_or("records_keep", Zero::Refused, Period::years(3)),
        dead_letters_keep: section.period_or("dead_letters_keep", Zero::Allowed, Period::days(90)),
        dead_letters_count: section.integer_or("dead_letters_count", 1..=10_000_000, 100_000),
        dead_letters_mib: section.integer_or("dead_letters_mib", 1..=1_000_000, 256),
        keyring: section
            .get("keyring")
            .and_then(|e| keyring(&e))
            .unwrap_or_else(|| Keyring::File(section.folder().join("lacuna.keys"))),
        keep_after_completion: section.period_or("keep_after_completion", Zero::Allowed, Period::ZERO),
    }
}

fn keyring(entry: &Entry<'_>) -> Option<Keyring> {
    let path = entry
        .line_of_text()?
        .strip_prefix("file:")
        .filter(|path| !path.is_empty());
    match path {
        Some(path) => Some(Keyring::File(entry.source.folder.join(path))),
        None => entry.refused("expected file: followed by a path"),
    }
}

impl Dispatch {
    /// The shortest lease: a worker's session in its Kafka group is 0.7 of it, and brokers take none under 6 s unless they
    /// are told to.
    pub const SHORTEST_LEASE: Duration = Duration::from_secs(9);

    /// The longest one: brokers take no session over 30 minutes.
    pub const LONGEST_LEASE: Duration = Duration::from_secs(42 * 60);
}

fn lease(section: &Section<'_>) -> Duration {
    let lease = section.duration_or("lease", Zero::Refused, Duration::from_secs(30));
    if !(Dispatch::SHORTEST_LEASE..=Dispatch::LONGEST_LEASE).contains(&lease) {
        section.problem(
            "lease",
            "expected 9s to 42m: the session.timeout.ms of a worker is 0.7 of it, and Kafka takes 6 s to 30 min \
             (group.min.session.timeout.ms and group.max.session.timeout.ms of the brokers)",
        );
    }
    lease
}

pub(super) fn dispatch(section: &Section<'_>) -> Dispatch {
    Dispatch {
        lease: lease(section),
        max_in_flight: section.integer_or("max_in_flight", 1..=1_000_000, 5000),
        clock_skew: section.duration_or("clock_skew", Zero::Allowed, Duration::from_secs(5 * 60)),
    }
}

/// Private addresses are open by default only while nobody else can reach the API.
pub(super) fn webhook(section: &Section<'_>, on_loopback: bool) -> Webhook {
    Webhook {
        allow_private: section.boolean_or("allow_private", on_loopback),
    }
}

pub(super) fn registry(section: &Section<'_>) -> RegistryFile {
    let path = section.get("path").and_then(|e| e.path());
    RegistryFile {
        path: path.unwrap_or_else(|| section.folder().join("processors.toml")),
        connectors: None,
    }
}

/// The folder of connectors of one's own.
pub(super) fn connectors(section: &Section<'_>) -> Option<PathBuf> {
    section.get("path").and_then(|e| e.path())
}
