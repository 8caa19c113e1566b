//! The report of a period, as it is handed out. It has numbers, and the names of processors, tenants and regimes: nothing of
//! any person.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::{
    calendar::Regime,
    ids::{Label, ProcessorId, Tenant},
    time::At,
    words::{ExtensionReason, Outcome, ProcessorKind, RefusalBasis, Status, Why},
};

/// What has become of the requests that were received in a period.
///
/// Counts are of requests received from `from` on and before `to`; `exempt`, `deferred` and what stands under `processors` are
/// counts of tasks. Quantiles are by nearest rank, in seconds, and null where nothing got there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// When the period begins.
    pub from: At,
    /// When it ends; what was received then belongs to the next one.
    pub to: At,
    /// The zone in which its days and months are counted.
    pub time_zone: String,
    /// The tenant whose requests are counted; null: all that the caller may see.
    pub tenant: Option<Tenant>,
    /// The regime whose requests are counted; null: all.
    pub regime: Option<Regime>,
    /// When it was made: everything is as of then.
    pub made_at: At,
    /// All requests.
    pub received: u64,
    /// Done everywhere.
    pub completed: u64,
    /// Come to their end with something that was not erased.
    pub closed_with_exceptions: u64,
    /// Refused, by the legal ground.
    pub refused: BTreeMap<RefusalBasis, u64>,
    /// Withdrawn.
    pub cancelled: u64,
    /// Part of another request.
    pub merged: u64,
    /// Not at their end yet.
    pub open: u64,
    /// Open, past the deadline, and live systems are not clean.
    pub overdue: u64,
    /// Answered by the deadline: live systems were clean, or it came to its end otherwise.
    pub on_time: u64,
    /// Answered after the deadline.
    pub late: u64,
    /// By how much those were late.
    pub late_seconds: Quantiles,
    /// Requests of which a task was closed by the term that its processor has published, and by nobody's word.
    pub attested: u64,
    /// Exempt tasks, by their basis.
    pub exempt: BTreeMap<Label, u64>,
    /// From the receipt until live systems were clean.
    pub live_clean_seconds: Quantiles,
    /// The same, by days.
    pub live_clean_days: Vec<DaysColumn>,
    /// From the receipt to the end, of those that were completed or closed with exceptions.
    pub complete_seconds: Quantiles,
    /// The same, by days.
    pub complete_days: Vec<DaysColumn>,
    /// By processor, in order of their ids.
    pub processors: Vec<ProcessorFigures>,
    /// Deferred tasks, by the reason.
    pub deferred: BTreeMap<Why, u64>,
    /// The same, by the month that they fall in; what has no date comes first.
    pub deferred_months: Vec<DeferredMonth>,
    /// Requests of which a legal hold has kept something back, now or before.
    pub held_requests: u64,
    /// Requests that were one too many of their person (`policy.duplicates`).
    pub repeats: u64,
    /// Extended deadlines, by the reason.
    pub extensions: BTreeMap<ExtensionReason, u64>,
    /// Requests that were opened again because a backup was put back.
    pub restored: u64,
    /// By regime: what California's rules want to be published of a year, under `ccpa` and `drop`.
    pub regimes: BTreeMap<Regime, RegimeFigures>,
    /// Requests of the period whose rows have gone since, after `vault.records_keep`: they are in none of the counts above.
    pub forgotten: Forgotten,
    /// What all this stands on.
    pub evidence: EvidenceFigures,
}

/// Lengths of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// How many there are.
    pub count: u64,
    /// Half of them are no longer.
    pub p50: Option<f64>,
    /// Nine of ten are no longer.
    pub p90: Option<f64>,
    /// 99 of a hundred are no longer.
    pub p99: Option<f64>,
    /// None is longer.
    pub max: Option<f64>,
}

/// A column of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DaysColumn {
    /// Up to how many days, and more than those of the column before; null: more than all others.
    pub up_to: Option<u16>,
    /// How many.
    pub count: u64,
}

/// What a processor has done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessorFigures {
    /// Its id.
    pub id: ProcessorId,
    /// Its name; null: it is registered no more.
    pub name: Option<String>,
    /// What it is to the controller.
    pub kind: Option<ProcessorKind>,
    /// All tasks.
    pub tasks: u64,
    /// Proved as erased.
    pub erased: u64,
    /// Proved as anonymized.
    pub anonymized: u64,
    /// Proved as pseudonymised, where the registry says that this will do.
    pub pseudonymised: u64,
    /// It had no data.
    pub not_found: u64,
    /// Closed by the term that it has published.
    pub attested: u64,
    /// Exempt.
    pub exempt: u64,
    /// Given up until somebody acts.
    pub abandoned: u64,
    /// Done without.
    pub waived: u64,
    /// Withdrawn before they were sent.
    pub cancelled: u64,
    /// Not at their end yet, given up ones too.
    pub open: u64,
    /// From a send to the first answer to it.
    pub ack_seconds: Quantiles,
    /// Answers that were no success, by what they said.
    pub failures: BTreeMap<Outcome, u64>,
    /// Sends that were not answered in time.
    pub unanswered: u64,
    /// The share of `not_found` in what was proved; null: nothing was.
    pub not_found_share: Option<f64>,
    /// The share of `attested` in what is done; null: nothing is.
    pub attested_share: Option<f64>,
    /// The categories of data that it holds; none: it names none.
    pub categories: Vec<Label>,
    /// What it has to keep, and for how long: the time limits of the record of processing (Art. 30(1)(f) GDPR).
    pub keeps: Vec<Keeps>,
}

/// A time limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Keeps {
    /// The categories of data; none: whatever is in its copies.
    pub categories: Vec<Label>,
    /// The legal basis; `backup_rotation` where copies grow old.
    pub basis: Label,
    /// For how long, such as `5y`.
    pub keep: String,
}

/// Deferred tasks that fall into one month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeferredMonth {
    /// The month, such as `2026-12`; null: no date is known.
    pub month: Option<String>,
    /// Why.
    pub reason: Why,
    /// How many.
    pub tasks: u64,
}

/// The requests of a regime.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RegimeFigures {
    /// Received.
    pub received: u64,
    /// Complied with in whole.
    pub complied_in_whole: u64,
    /// Complied with in part.
    pub complied_in_part: u64,
    /// Denied.
    pub denied: u64,
    /// Denied, by the ground.
    pub denied_by: BTreeMap<RefusalBasis, u64>,
    /// Withdrawn.
    pub withdrawn: u64,
    /// Part of another request.
    pub merged: u64,
    /// Not at their end yet.
    pub open: u64,
    /// After how many days of the calendar half of them were answered, by nearest rank.
    pub median_days: Option<u16>,
    /// After how many days of the calendar they were answered on average, to a tenth.
    pub mean_days: Option<f64>,
}

/// Requests whose rows have gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Forgotten {
    /// How many, as far as it was written down; to the hour in which they were received.
    pub requests: u64,
    /// By the status that they had ended with.
    pub statuses: BTreeMap<Status, u64>,
}

/// What the numbers stand on (Art. 5(2) GDPR).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceFigures {
    /// Leaves of the ledger about these requests.
    pub ledger_leaves: u64,
    /// Answers that have brought evidence.
    pub proofs: u64,
    /// How many records those say they have affected.
    pub records: u64,
    /// The first revision of the registry that a plan of theirs is pinned to.
    pub first_registry_revision: Option<u32>,
    /// The last one.
    pub last_registry_revision: Option<u32>,
}
