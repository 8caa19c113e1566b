//! The use cases, one file each. Every one of them is a transaction over the pure domain, followed by an
//! [`effects::Emission`]: what has to be produced once the transaction has committed.
//!
//! The engine never produces anything itself, never sleeps until something is due, and never decides: it loads, lets
//! the domain decide, and writes.

pub mod agenda;
pub mod capsules;
pub mod clock_guard;
mod contained;
mod counters;
pub mod current;
pub mod decisions;
pub mod early;
pub mod effects;
pub mod expiry;
pub mod facts;
pub mod gauges;
pub mod hold;
pub mod identifying;
pub mod intake;
mod known;
pub mod lanes;
pub mod letters;
pub mod looks;
pub mod operate;
pub mod pace;
pub mod positions;
pub mod prepare;
pub mod questions;
pub mod registry;
pub mod rehearsal;
mod routes;
pub mod schedule;
pub mod settle;
pub mod status;
pub mod suppression;
pub mod sweep;
pub mod tombstones;
pub mod undeliverable;
pub mod work;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use crate::{
    clock::Clock,
    domain::{
        early::EarlyCommands,
        identity::Placeholders,
        ids::{Label, ProcessorId, RequestId, Tenant},
        registry::{Registry, RegistryRevision},
        request::{expiry::Keeps, gates::Approval, open::Rules, operate::Refused, refusal::ComplaintBodies},
        task::IllegalEvent,
        time::At,
    },
    store::{Chain, Head, Store, StoreError, StoreFailure},
    telemetry::{logs::chain, metrics::Metrics, readiness::Troubles},
    vault::{Vault, VaultError},
};

use self::clock_guard::ClockGuard;

/// What can go wrong in a use case.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A packed body.
    #[error("a request's body: {0}")]
    Body(#[from] crate::domain::body::BodyError),
    /// A ledger leaf.
    #[error(transparent)]
    Leaf(#[from] crate::domain::entry::LeafError),
    /// A message that cannot be written.
    #[error("a message cannot be written")]
    Message(#[from] serde_json::Error),
    /// A fault of the state machine: the transaction is rolled back.
    #[error(transparent)]
    Illegal(#[from] IllegalEvent),
    /// A request without its body: rows are missing.
    #[error("request {0} has no body")]
    NoBody(RequestId),
    /// A message needs identifiers that are no longer readable.
    #[error("the identifiers of request {0} are no longer readable")]
    Shredded(RequestId),
    /// A decision panicked: the transaction is rolled back.
    #[error("a decision panicked")]
    Panicked,
    /// There is no time to decide by.
    #[error(transparent)]
    Clock(#[from] clock_guard::Mistrust),
    /// No registry is active yet.
    #[error("no registry is active: run `lacuna registry apply`, or start `lacuna serve` once")]
    NoRegistry,
}

impl StoreFailure for EngineError {
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl EngineError {
    /// Whether waiting helps, whatever is decided; otherwise the batch itself may be at fault.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Store(error) => error.is_outage() || error.is_retryable(),
            Self::Clock(_) | Self::NoRegistry => true,
            _ => false,
        }
    }

    /// Whether the store could not be reached, rather than a mistake having been made.
    pub fn is_unreachable(&self) -> bool {
        self.store_error()
            .is_some_and(|error| error.is_unreachable() || error.is_retryable())
    }

    /// Whether another worker has taken the batch in.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Store(StoreError::Fenced { .. }))
    }
}

/// Why an operator's decision, or a question about one request, has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// There is no such request or task.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// Its state does not allow it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The same key was used for something else.
    #[error("this command_id, or Idempotency-Key, was taken with another payload")]
    Conflicting,
    /// Something failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<StoreError> for OperateError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl StoreFailure for OperateError {
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Engine(error) => error.store_error(),
            Self::Unknown(_) | Self::Refused(_) | Self::Conflicting => None,
        }
    }
}

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
    /// Whom a person can complain to about a refusal.
    pub complaint_bodies: ComplaintBodies,
    /// How long commands wait that come before their request.
    pub early: EarlyCommands,
    /// How long identifiers stay readable after the end.
    pub keep_after_completion: Duration,
    /// How long closed requests are kept, and what finds their subjects again.
    pub keeps: Keeps,
    /// How much is kept of messages that could not be taken in.
    pub letters: letters::LetterLimits,
    /// How far the clocks of Lacuna and of backup systems may be apart.
    pub clock_skew: Duration,
    /// How many tasks may be out at a processor while a restore is replayed into it.
    pub max_in_flight: u32,
    /// Whether a backup event on the topic has to bring its processor's token.
    pub backup_tokens: bool,
    /// The Kafka cluster that positions are kept for.
    pub cluster: Arc<str>,
}

/// The registry that is active, with what is derived from it once.
#[derive(Debug)]
pub struct ActiveRegistry {
    /// Its revision.
    pub revision: RegistryRevision,
    /// The hash over it and those before it.
    chain: Chain,
    /// The processors.
    pub registry: Registry,
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
    placeholders: Placeholders,
    rules: Rules,
    approval: Approval,
    complaint_bodies: ComplaintBodies,
    early: EarlyCommands,
    keep_after_completion: Duration,
    keeps: Keeps,
    letters: letters::LetterLimits,
    letter_bytes: letters::LetterBytes,
    clock_skew: Duration,
    max_in_flight: u32,
    backup_tokens: bool,
    cluster: Arc<str>,
    learned: RwLock<known::Learned>,
    clock_guard: ClockGuard,
    /// What a use case has failed at lately, or waits for.
    pub troubles: Troubles,
    active: RwLock<Option<Arc<ActiveRegistry>>>,
    /// The processors that have enough to do with what is being replayed into them, when the pace was looked at last.
    full: RwLock<Arc<BTreeSet<ProcessorId>>>,
    /// The lanes whose topic takes nothing.
    lanes: lanes::Lanes,
    ack_partitions: RwLock<AckPartitions>,
    /// Where answers were seen to come.
    habits: Mutex<routes::Habits>,
    slot: u16,
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
        let Settings {
            ack_topic,
            has_suppression_topic,
            region,
            tenant_default,
            tenants,
            placeholders,
            rules,
            approval,
            complaint_bodies,
            early,
            keep_after_completion,
            keeps,
            letters,
            clock_skew,
            max_in_flight,
            backup_tokens,
            cluster,
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
            placeholders,
            rules,
            approval,
            complaint_bodies,
            early,
            keep_after_completion,
            keeps,
            letters,
            letter_bytes: letters::LetterBytes::default(),
            clock_skew,
            max_in_flight,
            backup_tokens,
            cluster,
            learned: RwLock::default(),
            clock_guard,
            troubles: Troubles::default(),
            active: RwLock::new(None),
            full: RwLock::default(),
            lanes: lanes::Lanes::default(),
            ack_partitions: RwLock::default(),
            habits: Mutex::default(),
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

    fn slot_of(&self, use_case: work::UseCase) -> u16 {
        self.slot * 3 + use_case as u16
    }

    fn ack_partitions(&self) -> AckPartitions {
        *self.ack_partitions.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn habits(&self) -> MutexGuard<'_, routes::Habits> {
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
