//! `[policy]`: the legal clock and the gates before a dispatch.

use std::{collections::BTreeMap, time::Duration};

use jiff::tz::TimeZone;

use super::{
    holidays,
    reader::{Entry, Section},
    regimes,
    values::Zero,
    windows::{INACTIVITY_NOTICE, consumed, grace, inactivity_notice},
};
use crate::domain::{
    calendar::{Calendar, Period, Regime, Regimes},
    early::EarlyCommands,
    identity::Placeholders,
    ids::{RegimeName, Tenant},
};

pub use crate::domain::request::{
    duplicates::{Duplicates, OverLimit, RepeatLimit},
    gates::Approval,
    refusal::ComplaintBodies,
};

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
    /// How long at the least, where somebody is erased for having been away.
    pub inactivity_notice: Period,
    /// The share of the period that is left when a request counts as at risk.
    pub at_risk: f64,
    /// What becomes of a request like one before it.
    pub duplicates: Duplicates,
    /// Whom a person can complain to about a refusal.
    pub complaint_bodies: ComplaintBodies,
    /// Values that are nobody's identifiers in this house.
    pub placeholders: Placeholders,
    /// How long commands wait that come before their request.
    pub early_commands: EarlyCommands,
    /// What is another rule for one tenant.
    pub tenants: BTreeMap<Tenant, TenantPolicy>,
}

/// The rules of one tenant: those of everybody, with what its own table says differently.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantPolicy {
    /// The regime of a command that names none.
    pub regime: Regime,
    /// `time_zone` and `holidays`.
    pub calendar: Calendar,
    /// Whether nothing is dispatched before the subject's identity is verified.
    pub require_identity_verification: bool,
    /// When a person has to approve a request; `None`: as everybody's, and counted with them.
    pub approval: Option<Approval>,
    /// How long a request can be withdrawn before its first dispatch.
    pub grace: Period,
    /// How long at the least, where somebody is erased for having been away.
    pub inactivity_notice: Period,
    /// The share of the period that is left when a request counts as at risk.
    pub at_risk: f64,
    /// What becomes of a request like one before it.
    pub duplicates: Duplicates,
}

impl Policy {
    /// The calendar of a tenant; `None`: the controller's.
    pub fn calendar_of(&self, tenant: Option<&Tenant>) -> &Calendar {
        tenant
            .and_then(|tenant| self.tenants.get(tenant))
            .map_or(&self.calendar, |own| &own.calendar)
    }

    /// The zones of tenants that have their own.
    pub fn tenant_zones(&self) -> BTreeMap<Tenant, TimeZone> {
        let zone = |(tenant, own): (&Tenant, &TenantPolicy)| (tenant.clone(), own.calendar.zone.clone());
        self.tenants.iter().map(zone).collect()
    }
}

/// `served`: the tenants that are served; none: every one.
pub(super) fn read(section: &Section<'_>, served: &[Tenant]) -> Policy {
    let regimes = regimes::read(section);
    let regime = regime(section, &regimes, default_regime());
    let calendar = Calendar {
        zone: zone(section).unwrap_or_else(|| default_zone(section)),
        holidays: holidays::read(section).unwrap_or_default(),
    };
    let grace = grace(section, &regime, &regimes.table, &calendar).unwrap_or(Period::ZERO);
    let complaint_bodies = complaint_bodies(section, &regimes);
    let common = TenantPolicy {
        regime: regime.clone(),
        calendar: calendar.clone(),
        require_identity_verification: verification(section).unwrap_or(false),
        approval: None,
        grace,
        inactivity_notice: inactivity_notice(section, &regime, &regimes.table, &calendar)
            .unwrap_or(INACTIVITY_NOTICE),
        at_risk: section.number_or("at_risk", 0.0..=1.0, 0.2),
        duplicates: section
            .get("duplicates")
            .and_then(|e| duplicates(&e))
            .unwrap_or_default(),
    };
    let tenants = tenants(section, &regimes, &common, served);
    Policy {
        regime,
        regimes: regimes.table,
        calendar,
        require_identity_verification: common.require_identity_verification,
        approval: section
            .get("approval")
            .and_then(|e| approval(&e))
            .unwrap_or(Approval::Never),
        grace,
        inactivity_notice: common.inactivity_notice,
        at_risk: common.at_risk,
        duplicates: common.duplicates,
        tenants,
        complaint_bodies,
        placeholders: placeholders(section),
        early_commands: early_commands(section),
    }
}

/// `[policy.tenant.NAME]`, each a table of what differs.
fn tenants(
    section: &Section<'_>,
    regimes: &regimes::Read,
    common: &TenantPolicy,
    served: &[Tenant],
) -> BTreeMap<Tenant, TenantPolicy> {
    let read = |(name, entry): (&str, Entry<'_>)| {
        let Ok(tenant) = Tenant::new(name) else {
            return entry.refused("expected the name of a tenant, such as [policy.tenant.acme]");
        };
        if !served.is_empty() && !served.contains(&tenant) {
            entry.problem("expected one of tenants: nothing is served for any other");
        }
        Some((
            tenant,
            entry.table(|section| of_tenant(section, regimes, common))?,
        ))
    };
    let by_name = |section: &Section<'_>| {
        section.take_any();
        section.entries().into_iter().filter_map(read).collect()
    };
    section
        .get("tenant")
        .and_then(|entry| entry.table(by_name))
        .unwrap_or_default()
}

fn of_tenant(section: &Section<'_>, regimes: &regimes::Read, common: &TenantPolicy) -> TenantPolicy {
    let regime = regime(section, regimes, common.regime.clone());
    let calendar = Calendar {
        zone: zone(section).unwrap_or_else(|| common.calendar.zone.clone()),
        holidays: holidays::read(section).unwrap_or_else(|| common.calendar.holidays.clone()),
    };
    let own_grace = grace(section, &regime, &regimes.table, &calendar);
    if own_grace.is_none()
        && let Some(fault) = consumed(common.grace, &regime, &regimes.table, &calendar)
    {
        section.problem("grace", &format!("everybody's applies, and cannot: {fault}"));
    }
    TenantPolicy {
        grace: own_grace.unwrap_or(common.grace),
        inactivity_notice: inactivity_notice(section, &regime, &regimes.table, &calendar)
            .unwrap_or(common.inactivity_notice),
        regime,
        calendar,
        require_identity_verification: verification(section).unwrap_or(common.require_identity_verification),
        approval: section.get("approval").and_then(|e| approval(&e)),
        at_risk: section.number_or("at_risk", 0.0..=1.0, common.at_risk),
        duplicates: section
            .get("duplicates")
            .and_then(|e| duplicates(&e))
            .unwrap_or(common.duplicates),
    }
}

fn default_regime() -> Regime {
    Regime::Named(RegimeName::new("gdpr").expect("a valid name"))
}

/// The regime of a command that names none.
fn regime(section: &Section<'_>, regimes: &regimes::Read, otherwise: Regime) -> Regime {
    let Some(entry) = section.get("regime") else {
        return otherwise;
    };
    let Some(named) = entry.checked(|text| Regime::parse(text).ok_or_else(|| regimes.table.expected()))
    else {
        return otherwise;
    };
    // A regime whose file is broken is reported once, where it is broken.
    if regimes.table.terms(&named).is_none() && regimes.complete {
        entry.problem(&regimes.table.expected());
    }
    named
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

fn complaint_bodies(section: &Section<'_>, regimes: &regimes::Read) -> ComplaintBodies {
    let by_regime = |section: &Section<'_>| {
        section.take_any();
        let is_known = |regime: &Regime| !regimes.complete || regimes.table.terms(regime).is_some();
        let named = |(key, entry): (&str, Entry<'_>)| match Regime::parse(key).filter(is_known) {
            Some(regime) => Some((regime.to_string(), complaint_body(&entry)?)),
            None => entry.refused(&regimes.table.expected()),
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

/// Each command is compared with all of them.
const MAX_PLACEHOLDERS: usize = 1_000;

fn placeholders(section: &Section<'_>) -> Placeholders {
    let Some(entry) = section.get("placeholder_identities") else {
        return Placeholders::default();
    };
    let values = entry
        .set(|entry| entry.line_of_text().map(ToOwned::to_owned))
        .unwrap_or_default();
    if values.len() > MAX_PLACEHOLDERS {
        entry.problem(&format!("expected at most {MAX_PLACEHOLDERS} of them"));
    }
    Placeholders::new(&values)
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

const DEFAULT_ZONE: &str = "Europe/Berlin";

fn zone(section: &Section<'_>) -> Option<TimeZone> {
    let entry = section.get("time_zone")?;
    let zone = TimeZone::get(entry.text()?);
    zone.map_err(|_| {
        entry.problem("expected the name of a time zone in the IANA database, such as Europe/Berlin")
    })
    .ok()
}

/// The database is the machine's own, which may have none: then no deadline can be trusted.
fn default_zone(section: &Section<'_>) -> TimeZone {
    if section.get("time_zone").is_some() {
        // What is wrong with it has been said.
        return TimeZone::UTC;
    }
    TimeZone::get(DEFAULT_ZONE)
        .map_err(|_| section.problem("time_zone", NO_DATABASE))
        .unwrap_or(TimeZone::UTC)
}

const NO_DATABASE: &str =
    "Europe/Berlin is unknown here: this machine has no time zone database (package tzdata)";

fn verification(section: &Section<'_>) -> Option<bool> {
    section
        .get("require_identity_verification")
        .and_then(|entry| entry.boolean())
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

/// A table; or the one word, for all defaults but that what is one too many is refused.
fn duplicates(entry: &Entry<'_>) -> Option<Duplicates> {
    if entry.is_table() {
        return entry.table(merging);
    }
    let refusing = RepeatLimit {
        then: OverLimit::Refuse,
        ..Duplicates::default().repeat_limit
    };
    entry.word(&[(
        "refuse",
        Duplicates {
            repeat_limit: refusing,
            ..Duplicates::default()
        },
    )])
}

fn merging(section: &Section<'_>) -> Duplicates {
    let default = Duplicates::default();
    Duplicates {
        merge_open: section.boolean_or("merge_open", default.merge_open),
        merge_window: section.period_or("merge_window", Zero::Refused, default.merge_window),
        repeat_limit: section
            .get("repeat_limit")
            .and_then(|e| e.table(repeat_limit))
            .unwrap_or(default.repeat_limit),
    }
}

fn repeat_limit(section: &Section<'_>) -> RepeatLimit {
    let default = Duplicates::default().repeat_limit;
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
