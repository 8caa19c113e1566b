//! `[policy]`: the legal clock and the gates before a dispatch.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::{
    not_built,
    reader::{Entry, Section},
    values::Zero,
};
use crate::domain::{
    calendar::{Calendar, EXPECTED_REGIME, Period, Regime, deadline},
    early::EarlyCommands,
    time::At,
};

pub use crate::domain::request::{gates::Approval, refusal::ComplaintBodies};

/// The legal clock and the gates before a dispatch.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The regime of a command that names none.
    pub regime: Regime,
    /// `time_zone` and `holidays`.
    pub calendar: Calendar,
    /// Whether nothing is dispatched before the subject's identity is verified.
    pub require_identity_verification: bool,
    /// When a person has to approve a request.
    pub approval: Approval,
    /// How long a request can be withdrawn before its first dispatch.
    pub grace: Period,
    /// The share of the period that is left when a request counts as at risk.
    pub at_risk: f64,
    /// What becomes of a request like one before it.
    pub duplicates: Duplicates,
    /// Whom a person can complain to about a refusal.
    pub complaint_bodies: ComplaintBodies,
    /// How long commands wait that come before their request.
    pub early_commands: EarlyCommands,
}

/// What becomes of a request like one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// It is refused.
    Refuse,
    /// It may be merged, until there are too many.
    Merge(Merge),
}

/// How requests like one another are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    /// Whether a request is merged into an open one that covers it.
    pub merge_open: bool,
    /// How old that one may be.
    pub merge_window: Period,
    /// How many are too many.
    pub repeat_limit: RepeatLimit,
}

/// How many requests of one subject are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepeatLimit {
    /// The number that is still taken.
    pub count: u32,
    /// In this time.
    pub per: Period,
    /// What happens to the next.
    pub then: OverLimit,
}

/// What happens to a request over the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverLimit {
    /// A person has to approve it.
    Approval,
    /// It is refused as excessive.
    Refuse,
}

pub(super) fn read(section: &Section<'_>) -> Policy {
    let regime = section.get("regime").and_then(|e| regime(&e));
    let holidays = section.get("holidays").and_then(|e| e.list()).unwrap_or_default();
    let calendar = Calendar {
        zone: zone(section),
        holidays: holidays.iter().filter_map(Entry::date).collect(),
    };
    let regime = regime.unwrap_or(Regime::Gdpr);
    let grace = grace(section, regime, &calendar);
    Policy {
        regime,
        calendar,
        require_identity_verification: verification(section),
        approval: section
            .get("approval")
            .and_then(|e| approval(&e))
            .unwrap_or(Approval::Never),
        grace,
        at_risk: section.number_or("at_risk", 0.0..=1.0, 0.2),
        duplicates: section
            .get("duplicates")
            .and_then(|e| duplicates(&e))
            .unwrap_or(Duplicates::Merge(DEFAULT_MERGE)),
        complaint_bodies: complaint_bodies(section),
        early_commands: early_commands(section),
    }
}

/// Different topics have no order among them, but what is sent at the same time arrives within seconds.
const EARLY_WAIT: Duration = Duration::from_secs(15);
/// Beyond this a sender waits for too long to hear that it has named nothing.
const LONGEST_EARLY_WAIT: Duration = Duration::from_secs(3600);
/// Far more than come out of order, and little enough for any store: a command that waits has at most 16 KiB.
const MOST_EARLY: u32 = 10_000;

fn early_commands(section: &Section<'_>) -> EarlyCommands {
    let wait = section.duration_or("early_commands", Zero::Allowed, EARLY_WAIT);
    if wait > LONGEST_EARLY_WAIT {
        section.problem("early_commands", "expected at most 1h");
    }
    EarlyCommands {
        wait,
        most: MOST_EARLY,
    }
}

/// The longest text about a complaint body: room for its name, address and page, and little in a status.
const MAX_COMPLAINT_BODY: usize = 500;

fn complaint_bodies(section: &Section<'_>) -> ComplaintBodies {
    let by_regime = |section: &Section<'_>| {
        section.take_any();
        let named = |(key, entry): (&str, Entry<'_>)| match Regime::parse(key) {
            Some(regime) => Some((regime.to_string(), complaint_body(&entry)?)),
            None => entry.refused(EXPECTED_REGIME),
        };
        section.entries().into_iter().filter_map(named).collect()
    };
    ComplaintBodies {
        otherwise: section.get("complaint_body").and_then(|e| complaint_body(&e)),
        by_regime: section
            .get("complaint_bodies")
            .and_then(|e| e.table(by_regime))
            .unwrap_or_default(),
    }
}

/// Nothing stands for no text at all.
fn complaint_body(entry: &Entry<'_>) -> Option<String> {
    if entry.text()?.is_empty() {
        return None;
    }
    let text = entry.line_of_text()?;
    if text.chars().count() > MAX_COMPLAINT_BODY {
        return entry.refused(&format!("expected at most {MAX_COMPLAINT_BODY} characters"));
    }
    Some(text.to_owned())
}

fn regime(entry: &Entry<'_>) -> Option<Regime> {
    entry.checked(|text| Regime::parse(text).ok_or(EXPECTED_REGIME))
}

/// The end of a January: the month that begins then is the shortest there is.
const SHORTEST_MONTH: At = At::from_millis((30 * 24 + 12) * 3_600_000);

const DEFAULT_ZONE: &str = "Europe/Berlin";

fn zone(section: &Section<'_>) -> TimeZone {
    match section.get("time_zone") {
        Some(entry) => entry.text().map(TimeZone::get).map(|zone| {
            zone.unwrap_or_else(|_| {
                entry.problem("expected the name of a time zone in the IANA database, such as Europe/Berlin");
                TimeZone::UTC
            })
        }),
        // The database is the machine's own, which may have none: then no deadline can be trusted.
        None => TimeZone::get(DEFAULT_ZONE)
            .map_err(|_| section.problem("time_zone", NO_DATABASE))
            .ok(),
    }
    .unwrap_or(TimeZone::UTC)
}

const NO_DATABASE: &str =
    "Europe/Berlin is unknown here: this machine has no time zone database (package tzdata)";

fn verification(section: &Section<'_>) -> bool {
    let Some(entry) = section.get("require_identity_verification") else {
        return false;
    };
    entry.boolean().unwrap_or(false)
}

const APPROVALS: &[(&str, Approval)] = &[("never", Approval::Never), ("always", Approval::Always)];

fn approval(entry: &Entry<'_>) -> Option<Approval> {
    if entry.is_table() {
        let count = |section: &Section<'_>| section.need("above_per_hour")?.integer(1..=u32::MAX);
        entry.table(count).flatten().map(Approval::AbovePerHour)
    } else {
        entry.word(APPROVALS)
    }
}

fn grace(section: &Section<'_>, regime: Regime, calendar: &Calendar) -> Period {
    let Some(entry) = section.get("grace") else {
        return Period::ZERO;
    };
    let grace = entry.period(Zero::Allowed).unwrap_or(Period::ZERO);
    // The grace window consumes the statutory time: what does not fit into a period can never be kept.
    if grace.add_to(SHORTEST_MONTH, &calendar.zone) >= deadline(regime, SHORTEST_MONTH, calendar).unrolled {
        entry.problem("expected less than the regime's period, which the grace window consumes");
    }
    grace
}

const DEFAULT_MERGE: Merge = Merge {
    merge_open: true,
    merge_window: Period::days(1),
    repeat_limit: RepeatLimit {
        count: 3,
        per: Period::days(365),
        then: OverLimit::Approval,
    },
};

fn duplicates(entry: &Entry<'_>) -> Option<Duplicates> {
    if entry.is_table() {
        return entry.table(merge).map(Duplicates::Merge);
    }
    let refuse = entry.word(&[("refuse", Duplicates::Refuse)]);
    if refuse.is_some() {
        not_built::refuse(entry, "policy.duplicates");
    }
    refuse
}

fn merge(section: &Section<'_>) -> Merge {
    let merge_open = section.boolean_or("merge_open", DEFAULT_MERGE.merge_open);
    let merge_window = section.period_or("merge_window", Zero::Refused, DEFAULT_MERGE.merge_window);
    let limit = section.get("repeat_limit");
    // Whoever writes it down expects it. Only what asks for nothing passes: an empty table, or `merge_open = false`.
    let asked = [section.get("merge_open"), section.get("merge_window")];
    for entry in asked.iter().flatten().filter(|_| merge_open) {
        not_built::refuse(entry, "policy.duplicates");
    }
    if let Some(entry) = &limit {
        not_built::refuse(entry, "policy.duplicates");
    }
    let repeat_limit = limit
        .and_then(|e| e.table(repeat_limit))
        .unwrap_or(DEFAULT_MERGE.repeat_limit);
    Merge {
        merge_open,
        merge_window,
        repeat_limit,
    }
}

fn repeat_limit(section: &Section<'_>) -> RepeatLimit {
    let default = DEFAULT_MERGE.repeat_limit;
    RepeatLimit {
        count: section.integer_or("count", 1..=u32::MAX, default.count),
        per: section.period_or("per", Zero::Refused, default.per),
        then: section.word_or(
            "then",
            &[("approval", OverLimit::Approval), ("refuse", OverLimit::Refuse)],
            default.then,
        ),
    }
}
