//! The registered processors: what each holds, can do, and how it is asked.

mod cycle;
mod dialect;
mod transport;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::cycle::cycle_in_after;
pub use self::dialect::{Dialect, IdentityFormat, RequestState, Setting, SettingPlace, Shape, StatusCall};
pub use self::transport::{
    HttpAuth, HttpOptions, Manual, OpenDsr, OpenDsrDialect, SecretRef, SettingValue, Transport, Vendor,
    Webhook,
};
use super::{
    calendar::Period,
    ids::{AnchorName, IdentityType, Label, ProcessorId},
    words::{Action, ProcessorKind},
};

/// The revision of a registry, counted by the store from 1.
pub type RegistryRevision = u32;

/// Every registered processor, in the order of the file. Its checks have passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registry {
    /// The processors; ids are unique and `after` has no cycle.
    pub processors: Vec<Processor>,
}

impl Registry {
    /// The processor of this id.
    pub fn get(&self, id: &ProcessorId) -> Option<&Processor> {
        self.processors.iter().find(|p| p.id == *id)
    }
}

/// A registered downstream system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Processor {
    /// Its id, which never changes.
    pub id: ProcessorId,
    /// Its name for people.
    pub name: String,
    /// What it is.
    pub kind: ProcessorKind,
    /// How it is asked.
    pub transport: Transport,
    /// What it can do: `erase`, `anonymize`.
    pub actions: Vec<Action>,
    /// The identity types that it is sent, and no others.
    pub identities: Vec<IdentityType>,
    /// The identity types that its answer may bring for processors that come after it.
    #[serde(default)]
    pub provides: Vec<IdentityType>,
    /// What happens when the subject has none of them.
    pub missing_identity: MissingIdentity,
    /// Whether it erases only what was collected before `data_before`.
    pub honours_cutoff: bool,
    /// Whether the same task twice is harmless.
    pub idempotent: bool,
    /// What an anonymize command means to one that can only erase.
    pub anonymize_fallback: AnonymizeFallback,
    /// Whether `anonymized` settles an erase task.
    pub accept_anonymized: bool,
    /// Whether an anonymization that is only pseudonymisation by its method settles a task.
    #[serde(default)]
    pub accept_pseudonymised: bool,
    /// The fields of evidence without which an ack does not settle.
    pub require_evidence: Vec<EvidenceField>,
    /// The methods one of which the evidence has to name; empty: any, or none.
    #[serde(default)]
    pub require_method: Vec<Label>,
    /// The purposes it processes for; empty: none that a command could be limited to.
    pub purposes: Vec<Label>,
    /// The categories of data it holds; empty: all.
    pub categories: Vec<Label>,
    /// The regions whose subjects it holds; empty: all.
    pub regions: Vec<Label>,
    /// Dispatched when these are done.
    pub after: Vec<ProcessorId>,
    /// How long an answer may take.
    pub ack_timeout: Duration,
    /// When it is asked again.
    pub retry: Retry,
    /// How many sends may be in flight; for Kafka, produces that are not confirmed. Never tasks that are not acked.
    pub concurrency: u32,
    /// What it has to keep, by category, and for how long.
    #[serde(default)]
    pub retention: Vec<Retention>,
    /// What it is as a backup set; `None`: it is none.
    #[serde(default)]
    pub backup: Option<BackupSet>,
    /// How long after a proof it is asked to erase once more what has come in late.
    #[serde(default)]
    pub sweep_after: Option<Period>,
    /// How long after a proof it is asked whether the data is really gone.
    #[serde(default)]
    pub verify_after: Option<Period>,
    /// How many tasks it is sent within a time; `None`: as fast as it takes them.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// When its lane stops by itself.
    #[serde(default)]
    pub breaker: Breaker,
    /// When an answer that says no more than `accepted` counts as done; `None`: never.
    #[serde(default)]
    pub completes_by: Option<CompletesBy>,
    /// A processor that was removed, whose open tasks it takes over.
    #[serde(default)]
    pub replaces: Option<ProcessorId>,
}

/// What a share without categories is called beside those that rules keep: a share that is split always lists its
/// categories, and the one that no rule keeps has to be called something.
pub const UNNAMED_CATEGORY: &str = "other";

/// What a processor has to keep for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Retention {
    /// The categories of data.
    pub categories: Vec<Label>,
    /// The legal basis.
    pub basis: Label,
    /// For how long.
    pub keep: Period,
    /// What is done when the time is over: `Erase` or `Anonymize`.
    pub then: Action,
    /// The command's anchor that the time is counted from; `requested_at` where the command has none of this name.
    pub from: Option<AnchorName>,
}

/// A processor that keeps copies of what others hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BackupSet {
    /// The processors whose data is in it.
    pub sources: Vec<ProcessorId>,
    /// Its name in backup events.
    pub set: Label,
    /// How long a copy lives.
    pub keep: Period,
    /// What proves that the copies are gone.
    pub confirm_by: ConfirmBy,
    /// How long after the horizon a missing proof is overdue.
    pub overdue_after: Period,
    /// Whether the subject's key is destroyed there as soon as the sources have confirmed.
    pub erase_by_key: bool,
}

impl BackupSet {
    /// Whether nothing but the backup system's own answer proves that its copies are gone.
    pub fn is_asked(&self) -> bool {
        self.confirm_by == ConfirmBy::Ack
    }
}

/// What proves that the copies of a backup set are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConfirmBy {
    /// A `backup.rotated` event that passes the horizon.
    Event,
    /// The backup system's own answer, asked for at the horizon.
    Ack,
    /// The declared schedule.
    Schedule,
}

impl Processor {
    /// The rule that keeps these categories, if there still is one.
    pub fn retention_of(&self, categories: &[Label]) -> Option<&Retention> {
        self.retention.iter().find(|rule| {
            rule.categories
                .iter()
                .any(|category| categories.contains(category))
        })
    }
}

/// How the tasks of a processor leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// With the transaction that finds them due: they are born dispatched and nobody claims them, so the relay answers for
    /// them until they are confirmed. This is for a transport that takes tasks as fast as they are decided.
    Relayed,
    /// One after another, as its limits allow: they are queued, and the worker that runs the lane claims them.
    Queued,
    /// When somebody asks for them: they are queued until a person takes them.
    Claimed,
    /// When its agent asks for them, whichever worker it asks.
    Polled,
}

/// How many tasks are sent within a time, by all workers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many.
    pub tasks: u32,
    /// Within this.
    pub per: Duration,
}

/// When a lane stops by itself because its processor fails.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Breaker {
    /// The share of failures from which on it opens.
    pub failure_ratio: f64,
    /// The time that is looked back over.
    pub window: Duration,
    /// How many answers there have to be at least.
    pub min_requests: u32,
    /// How long it stays open before one task tries.
    pub probe_after: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failure_ratio: 0.7,
            window: Duration::from_secs(5 * 60),
            min_requests: 10,
            probe_after: Duration::from_secs(60),
        }
    }
}

/// When an answer that says no more than `accepted` counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CompletesBy {
    /// How long after it: the term that the processor has published.
    pub after: Period,
    /// Whether it is asked first.
    pub probe: bool,
}

impl Processor {
    /// The lane of its tasks. Whatever depends on how a task leaves asks here: whether it is dispatched in the step that
    /// finds it due, and what is republished after a crash.
    pub const fn lane(&self) -> Lane {
        match (&self.transport, self.rate) {
            // The relay sends again whatever nobody has confirmed, which is no harm where the same twice is none.
            (Transport::Kafka { .. }, None) if self.idempotent => Lane::Relayed,
            (Transport::Kafka { .. }, _)
            | (Transport::Webhook(_) | Transport::OpenDsr(_) | Transport::Vendor(_), _) => Lane::Queued,
            (Transport::Manual(_), _) => Lane::Claimed,
            (Transport::Agent, _) => Lane::Polled,
        }
    }

    /// What is known of it where a person does its tasks; `None`: a machine does.
    pub const fn manual(&self) -> Option<&Manual> {
        match &self.transport {
            Transport::Manual(manual) => Some(manual),
            Transport::Kafka { .. }
            | Transport::Webhook(_)
            | Transport::OpenDsr(_)
            | Transport::Vendor(_)
            | Transport::Agent => None,
        }
    }

    /// Whether its tasks go to a topic.
    pub const fn is_on_kafka(&self) -> bool {
        matches!(self.transport, Transport::Kafka { .. })
    }

    /// How long a call to it may take in all; nothing where it is not called.
    pub const fn call_timeout(&self) -> Duration {
        self.transport.call_timeout()
    }

    /// Within which time a task that was claimed has to be answered, or to be back in its queue: a call that a worker makes
    /// is answered at once, unless the worker has died.
    pub fn answer_within(&self, lease: Duration) -> Duration {
        /// For what is done before and after a call.
        const MARGIN: Duration = Duration::from_secs(5);
        match &self.transport {
            Transport::Kafka { .. } => self.ack_timeout,
            Transport::Webhook(Webhook { timeout, .. })
            | Transport::OpenDsr(OpenDsr { timeout, .. })
            | Transport::Vendor(Vendor { timeout, .. }) => lease.max(*timeout + MARGIN),
            Transport::Manual(Manual { due, .. }) => due.unwrap_or(self.ack_timeout),
            // Whoever has fetched it says within the lease that it is done, or by when it will be.
            Transport::Agent => lease,
        }
    }

    /// The topic that its tasks go to: its own, or the one that begins with this prefix; `None`: they go to none.
    pub fn task_topic(&self, prefix: &str) -> Option<String> {
        match &self.transport {
            Transport::Kafka { topic: Some(topic) } => Some(topic.clone()),
            Transport::Kafka { topic: None } => Some(format!("{prefix}{}", self.id)),
            Transport::Webhook(_)
            | Transport::OpenDsr(_)
            | Transport::Vendor(_)
            | Transport::Manual(_)
            | Transport::Agent => None,
        }
    }
}

/// What happens when a subject has none of the identities that a processor needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingIdentity {
    /// The task waits, and the request needs attention, until one is supplied.
    Block,
    /// The task is exempt, listed as `no_identity`.
    Exempt,
}

/// What an anonymize command means to a processor that can only erase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnonymizeFallback {
    /// The task is abandoned as `unsupported`.
    Refuse,
    /// It erases.
    Erase,
}

/// A field of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceField {
    /// How the data was erased.
    Method,
    /// How many records were affected.
    Records,
    /// The processor's own reference.
    Reference,
    /// A digest of the proof.
    Digest,
}

impl EvidenceField {
    /// The name in configuration and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Records => "records",
            Self::Reference => "reference",
            Self::Digest => "digest",
        }
    }
}

/// When a task that failed, or was not answered, is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// The first delay.
    pub initial: Duration,
    /// How much longer each next delay is.
    pub multiplier: f64,
    /// The longest delay.
    pub max: Duration,
    /// The share of a delay by which it varies, 0 to 1.
    pub jitter: f64,
    /// How many attempts count before the task is abandoned.
    pub attempts: u32,
}

impl Default for Retry {
    fn default() -> Self {
        // Ten attempts from 5 s, doubling, at most 1 h apart: about an hour and a half in all.
        Self {
            initial: Duration::from_secs(5),
            multiplier: 2.0,
            max: Duration::from_secs(3600),
            jitter: 0.2,
            attempts: 10,
        }
    }
}
