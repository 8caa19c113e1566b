//! How old the gauges are that come from the store.
//!
//! They are read in the background, each kind by a query of its own. One that is slow or fails keeps what it said last,
//! and its age says so; one that was never read is not shown at all, because its zero would be an answer.

use std::sync::{Mutex, PoisonError};

use crate::clock::Stopwatch;

/// Gauges that are read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GaugeGroup {
    /// What the counters of the store count: requests, tasks, deferred tasks, sealed identifiers.
    Counters,
    /// The leaves of the ledger.
    Ledger,
    /// The oldest request that is not closed.
    OldestOpen,
    /// Open dead letters.
    DeadLetters,
    /// Deferred tasks whose date has passed.
    DeferredOverdue,
    /// How far sweeps have to go.
    Sweeps,
    /// How the lanes of processors stand.
    Lanes,
    /// What is due and not taken yet.
    Due,
    /// When backup systems told something last.
    Backups,
}

impl GaugeGroup {
    /// Whether a metric is read from the store, so that every worker says the same of it.
    pub fn has(metric: &str) -> bool {
        let name = metric.strip_prefix("lacuna_").unwrap_or(metric);
        Self::ALL.iter().any(|group| group.metrics().contains(&name))
    }

    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Counters,
        Self::Ledger,
        Self::OldestOpen,
        Self::DeadLetters,
        Self::DeferredOverdue,
        Self::Sweeps,
        Self::Lanes,
        Self::Due,
        Self::Backups,
    ];

    /// The label of its age.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counters => "counters",
            Self::Ledger => "ledger",
            Self::OldestOpen => "oldest_open",
            Self::DeadLetters => "dead_letters",
            Self::DeferredOverdue => "deferred_overdue",
            Self::Sweeps => "sweeps",
            Self::Lanes => "lanes",
            Self::Due => "due",
            Self::Backups => "backups",
        }
    }

    /// The task that reads it.
    pub const fn task(self) -> &'static str {
        match self {
            Self::Counters => "gauges.counters",
            Self::Ledger => "gauges.ledger",
            Self::OldestOpen => "gauges.oldest_open",
            Self::DeadLetters => "gauges.dead_letters",
            Self::DeferredOverdue => "gauges.deferred_overdue",
            Self::Sweeps => "gauges.sweeps",
            Self::Lanes => "gauges.lanes",
            Self::Due => "gauges.due",
            Self::Backups => "gauges.backups",
        }
    }

    /// The metrics that it consists of.
    pub const fn metrics(self) -> &'static [&'static str] {
        match self {
            Self::Counters => &[
                "requests",
                "requests_overdue",
                "requests_at_risk",
                "tasks",
                "abandoned_tasks",
                "undeliverable_tasks",
                "queued_tasks",
                "circuit_open",
                "deferred",
                "vault_sealed_requests",
                "open_requests",
                "exposure",
                "gate_oldest_seconds",
                "overdue_tasks",
            ],
            Self::Ledger => &["ledger_entries"],
            Self::OldestOpen => &["oldest_open_request_seconds", "drop_fetch_due_timestamp_seconds"],
            Self::DeadLetters => &[
                "dead_letters_open",
                "dead_letter_oldest_open_seconds",
                "dead_lettered_erasures_open",
                "dead_lettered_erasure_oldest_open_seconds",
            ],
            Self::DeferredOverdue => &["deferred_overdue"],
            Self::Sweeps => &["sweep_remaining"],
            Self::Lanes => &[
                "lane_paused",
                "brake",
                "oldest_unanswered_seconds",
                "lane_oldest_waiting_seconds",
                "not_found_share",
                "not_found_share_usual",
                "manual_open",
                "manual_oldest_seconds",
            ],
            Self::Due => &["due_requests", "due_tasks"],
            Self::Backups => &["backup_last_event_timestamp_seconds"],
        }
    }
}

/// When each of them was read.
#[derive(Debug)]
pub(super) struct Freshness {
    started: Stopwatch,
    read: Mutex<[Option<Stopwatch>; GaugeGroup::ALL.len()]>,
}

impl Freshness {
    pub(super) fn start() -> Self {
        Self {
            started: Stopwatch::start(),
            read: Mutex::default(),
        }
    }

    /// Shows what was read, which is fresh from now on. What is half shown is not seen.
    pub(super) fn show(&self, group: GaugeGroup, show: impl FnOnce()) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        show();
        read[group as usize] = Some(Stopwatch::start());
    }

    /// Takes a picture while nothing is half shown: it is told how old each group is, in seconds, and whether it was read
    /// at all. One that was not is as old as the process.
    pub(super) fn look<T>(&self, look: impl FnOnce(&[(GaugeGroup, u64, bool)]) -> T) -> T {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let ages = GaugeGroup::ALL.map(|group| {
            let since = read[group as usize];
            (
                group,
                since.unwrap_or(self.started).elapsed().as_secs(),
                since.is_some(),
            )
        });
        look(&ages)
    }
}
