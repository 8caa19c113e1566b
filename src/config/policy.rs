//! `[policy]`: the legal clock and the gates before a dispatch.

use jiff::tz::TimeZone;

use super::{
    holidays, not_built,
    reader::{Entry, Section},
    regimes,
    values::Zero,
};
use crate::domain::{
    calendar::{Calendar, Period, Regime, Regimes, Terms},
    ids::RegimeName,
};

pub use crate::domain::request::gates::Approval;

/// The legal clock and the gates before a dispatch.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The regime of a command that names none.
    pub regime: Regime,
    /// Every regime that there is: Lacuna's own and those of the file `regimes`.
    pub regimes: Regimes,
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
    let regimes = regimes::read(section);
    let (regime, terms) = regime(section, &regimes);
    let calendar = Calendar {
        zone: zone(section),
        holidays: holidays::read(section),
    };
    let grace = grace(section, &regime, terms.as_ref(), &calendar);
    Policy {
        regime,
        regimes: regimes.table,
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
    }
}

/// The regime of a command that names none, and what it asks for; `None`: nobody knows, which is reported.
fn regime(section: &Section<'_>, regimes: &regimes::Read) -> (Regime, Option<Terms>) {
    let gdpr = || Regime::Named(RegimeName::new("gdpr").expect("a valid name"));
    let Some(entry) = section.get("regime") else {
        let gdpr = gdpr();
        let terms = regimes.table.terms(&gdpr);
        return (gdpr, terms);
    };
    let Some(named) = entry.checked(|text| Regime::parse(text).ok_or_else(|| regimes.table.expected()))
    else {
        return (gdpr(), None);
    };
    let terms = regimes.table.terms(&named);
    // A regime whose file is broken is reported once, where it is broken.
    if terms.is_none() && regimes.complete {
        entry.problem(&regimes.table.expected());
    }
    (named, terms)
}

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

/// The longest grace window in whole days is said, so that nobody has to guess.
fn grace(section: &Section<'_>, regime: &Regime, terms: Option<&Terms>, calendar: &Calendar) -> Period {
    let Some(entry) = section.get("grace") else {
        return Period::ZERO;
    };
    let grace = entry.period(Zero::Allowed).unwrap_or(Period::ZERO);
    // The grace window consumes the statutory time: what does not fit into a period can never be kept.
    if let Some(terms) = terms
        && !grace.is_zero()
        && !terms.leaves_time_after(|start| grace.add_to(start, &calendar.zone), calendar)
    {
        const DAY: u64 = 24 * 3600;
        let most = terms.shortest(calendar).as_secs().saturating_sub(1) / DAY;
        entry.problem(&format!(
            "expected less than the regime's period, which the grace window consumes: at most {most}d under {regime}"
        ));
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
