//! The use cases, by who asks for them in `use_cases.rs`, and what they share. Every one of them is a unit of work over the pure
//! domain, followed by [`effects::Effects`]: what has to be produced once the transaction has committed.
//!
//! The engine never produces anything itself, never sleeps until something is due, and never decides: it loads, lets
//! the domain decide, and writes.

pub mod accepted;
mod ack_partitioning;
mod active_registry;
pub mod agenda;
mod batch;
pub mod breaker;
pub mod bulk;
pub mod capsules;
mod catch_panic;
pub mod circuits;
pub mod clock_guard;
mod counter_slot;
mod counters;
pub mod current;
pub mod dead_letters;
mod decision_inputs;
pub mod decisions;
pub mod disclosures;
pub mod dry_run;
pub mod early;
pub mod effects;
mod error;
pub mod facts;
pub mod fitness;
pub mod gauges;
pub mod hold;
pub mod identifying;
pub mod intake;
pub mod lane_states;
pub mod lanes;
pub mod lists;
pub mod manual;
pub mod masking;
pub mod notes;
pub mod operations;
pub mod outcomes;
mod policy;
pub mod polls;
pub mod positions;
pub mod prepare;
pub mod questions;
pub mod queues;
pub mod registry;
pub mod replay_throttle;
pub mod report;
pub mod retention;
pub mod schedule;
pub mod sessions;
mod set_aside;
pub mod settlement;
pub mod status;
pub mod status_callbacks;
pub mod stop;
pub mod succession;
mod suppression;
pub mod sweep;
pub mod tenant_rules;
pub mod tombstones;
pub mod traced;
pub mod undeliverable;
mod unit_of_work;
mod use_cases;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::{
    clock::Clock,
    domain::{
        early::EarlyCommands,
        identity::Placeholders,
        ids::{Label, ProcessorId, Tenant},
        registry::Registry,
        request::{expiry::Keeps, gates::Approval, open::Rules, refusal::ComplaintBodies},
        time::At,
    },
    store::{Head, Store},
    telemetry::{logs::chain, metrics::Metrics, readiness::Troubles, traces::Traces},
    vault::Vault,
};

pub use self::{
    active_registry::ActiveRegistry,
    error::{EngineError, OperateError},
    use_cases::{
        Agenda, BackupEvents, Bulk, Gauges, Intake, Manual, Operations, Queues, Retention, Settlement, Sweeps,
    },
};
use self::{
    clock_guard::ClockGuard,
    policy::{CurrentPolicy, Policy},
    tenant_rules::TenantRules,
};

/// What the engine is set to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The topic that answers come in on.
    pub ack_topic: Arc<str>,
    /// Whether a topic says who is suppressed.
    pub has_suppression_topic: bool,
    /// The region whose commands are taken; `None`: every one.
    pub region: Option<Label>,
    /// The tenant of a command that names none.
    pub tenant_default: Tenant,
    /// The tenants that are served; empty: every one.
    pub tenants: Vec<Tenant>,
    /// Values that are nobody's identifiers.
    pub placeholders: Placeholders,
    /// The controller's rules.
    pub rules: Rules,
    /// When a second person has to approve a request.
    pub approval: Approval,
    /// The rules of tenants that have their own.
    pub tenant_rules: BTreeMap<Tenant, TenantRules>,
    /// Whom a person can complain to about a refusal.
    pub complaint_bodies: ComplaintBodies,
    /// How long commands wait that come before their request.
    pub early: EarlyCommands,
    /// How long identifiers stay readable after the end.
    pub keep_after_completion: Duration,
    /// How long closed requests are kept, and what finds their subjects again.
    pub keeps: Keeps,
    /// How much is kept of messages that could not be taken in.
    pub dead_letters: dead_letters::DeadLetterLimits,
    /// How far the clocks of Lacuna and of backup systems may be apart.
    pub clock_skew: Duration,
    /// How many tasks may be out at a processor while a restore is replayed into it.
    pub max_in_flight: u32,
    /// Whether a backup event on the topic has to bring its processor's token.
    pub backup_tokens: bool,
    /// For how long a worker has to send what it has claimed of the queue of a lane.
    pub lease: Duration,
    /// The Kafka cluster that positions are kept for.
    pub cluster: Arc<str>,
}

/// The use cases and what they share.
#[derive(Debug)]
pub struct Engine {
    store: Arc<dyn Store>,
    /// The vault.
    pub vault: Vault,
    /// The clock.
    pub clock: Clock,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The tenant of a command that names none.
    pub tenant_default: Tenant,
    ack_topic: Arc<str>,
    has_suppression_topic: bool,
    region: Option<Label>,
    tenants: Vec<Tenant>,
    policy: CurrentPolicy,
    keep_after_completion: Duration,
    keeps: Keeps,
    dead_letters: dead_letters::DeadLetterLimits,
    dead_letter_bytes: dead_letters::DeadLetterBytes,
    clock_skew: Duration,
    max_in_flight: u32,
    backup_tokens: bool,
    lease: Duration,
    cluster: Arc<str>,
    learned: RwLock<decision_inputs::Learned>,
    clock_guard: ClockGuard,
    /// What a use case has failed at lately, or waits for.
    pub troubles: Troubles,
    active: RwLock<Option<Arc<ActiveRegistry>>>,
    /// The processors that have enough to do with what is being replayed into them, when the pace was looked at last.
    full: RwLock<Arc<BTreeSet<ProcessorId>>>,
    /// The lanes whose topic takes nothing.
    lanes: lanes::Lanes,
    /// The lanes whose circuit is open, as this worker heard last.
    circuits: circuits::Circuits,
    /// Rung when a transaction of this worker has put tasks into queues.
    queued: tokio::sync::Notify,
    /// The lanes whose agents ask for their tasks, as this worker knows them.
    polled: polls::PolledLanes,
    /// What processors have answered, as far as it is not in the store yet.
    tallies: outcomes::Tallies,
    ack_partitions: RwLock<AckPartitions>,
    /// Where answers were seen to come.
    habits: Mutex<ack_partitioning::Habits>,
    said: SaidOnce,
    /// Held by whoever makes a report: each reads a lot.
    reporting: tokio::sync::Mutex<()>,
    /// Whether every request has what lists find it by.
    lists_filled: AtomicBool,
    slot: u16,
}

/// What is said once, after the engine was put together and before it decides anything.
#[derive(Debug, Default)]
struct SaidOnce {
    /// Whether controllers are told how their requests stand.
    tells_controllers: AtomicBool,
    /// From when a request has to have been received to be counted by regime and gate: 0 in a store that has always done so.
    census: AtomicI64,
    /// Where it is seen what was done about messages.
    traces: OnceLock<Arc<Traces>>,
}

/// How many partitions the ack topic has, as of a time: all of them must have been read past a time before an ack is missing,
/// and one that was added later may hold an answer as well.
#[derive(Debug, Clone, Copy, Default)]
struct AckPartitions {
    count: i32,
    at: At,
    /// When their number was seen to be another one than before.
    grown: Option<At>,
}

impl Engine {
    /// Puts the engine together. `slot`: which of the counter rows this worker writes to.
    pub fn new(
        store: Arc<dyn Store>,
        vault: Vault,
        clock: Clock,
        metrics: Arc<Metrics>,
        settings: Settings,
        slot: u16,
    ) -> Self {
        let policy = CurrentPolicy::new(Policy::of(settings.clone()));
        let Settings {
            ack_topic,
            has_suppression_topic,
            region,
            tenant_default,
            tenants,
            keep_after_completion,
            keeps,
            dead_letters,
            clock_skew,
            max_in_flight,
            backup_tokens,
            lease,
            cluster,
            ..
        } = settings;
        let clock_guard = ClockGuard::new(&clock);
        Self {
            store,
            vault,
            clock,
            metrics,
            tenant_default,
            ack_topic,
            has_suppression_topic,
            region,
            tenants,
            policy,
            keep_after_completion,
            keeps,
            dead_letters,
            dead_letter_bytes: dead_letters::DeadLetterBytes::default(),
            clock_skew,
            max_in_flight,
            backup_tokens,
            lease,
            cluster,
            learned: RwLock::default(),
            clock_guard,
            troubles: Troubles::default(),
            active: RwLock::new(None),
            full: RwLock::default(),
            lanes: lanes::Lanes::default(),
            circuits: circuits::Circuits::default(),
            queued: tokio::sync::Notify::new(),
            polled: polls::PolledLanes::default(),
            tallies: outcomes::Tallies::default(),
            ack_partitions: RwLock::default(),
            habits: Mutex::default(),
            said: SaidOnce::default(),
            reporting: tokio::sync::Mutex::default(),
            lists_filled: AtomicBool::new(false),
            slot,
        }
    }

    /// The store itself, for the laboratory and for tests, which look behind what the engine says. Whoever serves people asks
    /// the engine: a test of the architecture sees to it.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The registry that is active.
    pub fn active(&self) -> Result<Arc<ActiveRegistry>, EngineError> {
        self.active
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or(EngineError::NoRegistry)
    }

    /// Makes a registry the active one of this worker.
    fn activate(&self, head: Head, registry: Registry) {
        *self.active.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(ActiveRegistry {
            revision: head.number,
            chain: head.chain,
            registry,
        }));
    }

    /// Remembers whether a use case could be done at all, for whoever asks if this worker is ready.
    fn note<T>(&self, name: &'static str, done: Result<T, EngineError>) -> Result<T, EngineError> {
        match &done {
            Ok(_) => self.troubles.over(name),
            Err(error) if error.is_outage() => self.troubles.failed(name, chain(error)),
            Err(_) => {}
        }
        done
    }

    /// Says how many partitions the ack topic has for good, where nobody can add any.
    pub fn set_ack_partitions(&self, count: i32) {
        let at = At::from_millis(i64::MAX);
        let grown = None;
        *self
            .ack_partitions
            .write()
            .unwrap_or_else(PoisonError::into_inner) = AckPartitions { count, at, grown };
    }

    /// Says how many partitions the ack topic had at a time.
    pub fn know_ack_partitions(&self, count: i32, at: At) {
        let mut known = self
            .ack_partitions
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let has_changed = known.count != 0 && known.count != count;
        let grown = if has_changed { Some(at) } else { known.grown };
        *known = AckPartitions { count, at, grown };
    }

    /// Says that controllers are told how their requests stand: from now on, what moves makes their addresses due.
    pub fn tell_controllers(&self) {
        self.said.tells_controllers.store(true, Ordering::Relaxed);
    }

    fn tells_controllers(&self) -> bool {
        self.said.tells_controllers.load(Ordering::Relaxed)
    }

    /// Learns from when on the store counts requests by regime and gate. Whoever decides anything has to have done so.
    pub async fn learn_census(&self) -> Result<(), EngineError> {
        let since = counters::census_since(&self.store.counters().await?);
        self.said.census.store(since.millis(), Ordering::Relaxed);
        Ok(())
    }

    fn census(&self) -> At {
        At::from_millis(self.said.census.load(Ordering::Relaxed))
    }

    fn slot_of(&self, slot: counter_slot::CounterSlot) -> u16 {
        self.slot * 3 + slot as u16
    }

    fn ack_partitions(&self) -> AckPartitions {
        *self.ack_partitions.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn habits(&self) -> MutexGuard<'_, ack_partitioning::Habits> {
        self.habits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The topic that answers come in on.
    pub fn ack_topic(&self) -> &str {
        &self.ack_topic
    }

    /// The cluster that positions are kept for.
    pub fn cluster(&self) -> &Arc<str> {
        &self.cluster
    }

    /// How far the clocks of Lacuna and of backup systems may be apart.
    pub const fn clock_skew(&self) -> Duration {
        self.clock_skew
    }
}

/// A time-ordered id.
pub(crate) fn time_ordered_id(at: At) -> uuid::Uuid {
    let millis = u64::try_from(at.millis()).unwrap_or(0);
    let nanos = u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000;
    uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, millis / 1000, nanos))
}
