//! Statuses: what outsiders see of a request.
//!
//! The status topic is compacted and kept, so it must never hold an identifier, a free text or anything else of the
//! subject.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::fields::RegimeName;
use crate::domain::{
    calendar::Regime,
    ids::{ProcessorId, RequestId, Tenant},
    time::At,
    words::{Action, RefusalBasis, Status, TaskStateName, Why},
};

/// The type of the event that carries a status.
pub const EVENT_TYPE: &str = "dev.lacuna.status.v1";

/// The state of a request. Of one key, the record of the highest revision is the current one. A tombstone says that the
/// request was kept for as long as `vault.records_keep` says: its revisions are to be forgotten with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusMessage<'a> {
    /// The request.
    pub request_id: RequestId,
    /// The tenant.
    pub tenant: Cow<'a, Tenant>,
    /// The state.
    pub status: Status,
    /// What was asked for.
    pub action: Action,
    /// The regime that gives the deadline.
    #[serde(serialize_with = "regime_name", deserialize_with = "regime_of_name")]
    #[schemars(with = "RegimeName")]
    pub regime: Regime,
    /// When the command was received.
    pub received_at: At,
    /// The legal deadline, not rolled over holidays.
    pub deadline: At,
    /// When the last task was done.
    pub completed_at: Option<At>,
    /// Whether the deadline has passed and live systems are not clean.
    pub overdue: bool,
    /// How many tasks there are, and how far they are.
    pub tasks: TaskCounts,
    /// How the tasks that are done ended.
    pub outcomes: OutcomeCounts,
    /// Since when live systems are clean: what can go now is done or exempt at every processor that is no backup.
    pub live_clean_at: Option<At>,
    /// Whether little of the period is left.
    pub at_risk: bool,
    /// Whether a person has to look at it.
    pub needs_attention: bool,
    /// What a person should know.
    #[serde(borrow)]
    pub notice: Option<Cow<'a, str>>,
    /// Everything that is not done, and why.
    #[serde(borrow)]
    pub waiting_for: Vec<WaitingFor<'a>>,
    /// Grows with every change.
    #[schemars(range(min = 1))]
    pub revision: u64,
    /// The open request that covers this one, where the state is `merged`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<RequestId>,
    /// The legal ground, where the state is `refused`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_on: Option<RefusalBasis>,
}

/// How many tasks a request has, exempt ones too, and how far they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskCounts {
    /// All.
    pub total: u32,
    /// Proved done.
    pub done: u32,
    /// Waiting for a date or an event.
    pub parked: u32,
    /// Given up until an operator decides.
    pub abandoned: u32,
}

/// How the tasks that are done ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeCounts {
    /// Erased.
    pub erased: u32,
    /// Anonymized.
    pub anonymized: u32,
    /// There was nothing.
    pub not_found: u32,
    /// Exempt on a legal basis.
    pub exempt: u32,
}

/// One thing that is not done. A gate of the request has no processor and no state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitingFor<'a> {
    /// The processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<Cow<'a, ProcessorId>>,
    /// The state of its task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<TaskStateName>,
    /// Why it is not done.
    pub why: Why,
    /// Until when, where that is known.
    pub until: Option<At>,
}

fn regime_name<S: Serializer>(regime: &Regime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(regime)
}

fn regime_of_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Regime, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    Regime::parse(&text).ok_or_else(|| D::Error::custom("expected a regime"))
}
