//! Windows before the first dispatch: how long a request can be withdrawn, and how long somebody who was away has to come back.

use super::{reader::Section, values::Zero};
use crate::domain::calendar::{Calendar, Period, Regime, Regimes};

/// The longest grace window in whole days is said, so that nobody has to guess.
///
/// The grace window consumes the statutory time: what does not fit into a period can never be kept. Any command may name
/// any regime of the table. Under a count that only a command knows, it is refused when it comes.
pub(super) fn grace(
    section: &Section<'_>,
    regime: &Regime,
    regimes: &Regimes,
    calendar: &Calendar,
) -> Option<Period> {
    let entry = section.get("grace")?;
    let grace = entry.period(Zero::Allowed).unwrap_or(Period::ZERO);
    if let Some(fault) = consumed(grace, regime, regimes, calendar) {
        entry.problem(&fault);
    }
    Some(grace)
}

/// India's rules want 48 hours: Digital Personal Data Protection Rules 2025, rule 8(2).
pub(super) const INACTIVITY_NOTICE: Period = Period::days(2);

pub(super) fn inactivity_notice(
    section: &Section<'_>,
    regime: &Regime,
    regimes: &Regimes,
    calendar: &Calendar,
) -> Option<Period> {
    let entry = section.get("inactivity_notice")?;
    let notice = entry.period(Zero::Allowed)?;
    if let Some(fault) = consumed(notice, regime, regimes, calendar) {
        entry.problem(&fault);
    }
    Some(notice)
}

/// What is wrong with a grace window that leaves nothing of some period; `None`: it leaves something of each.
pub(super) fn consumed(
    grace: Period,
    regime: &Regime,
    regimes: &Regimes,
    calendar: &Calendar,
) -> Option<String> {
    const DAY: u64 = 24 * 3600;
    if grace.is_zero() {
        return None;
    }
    let own = regimes.terms(regime).map(|terms| (regime.to_string(), terms));
    let named = regimes.iter().map(|(name, terms)| (name.to_string(), *terms));
    let (shortest, name) = own
        .into_iter()
        .chain(named)
        .filter(|(_, terms)| !terms.leaves_time_after(|start| grace.add_to(start, &calendar.zone), calendar))
        .map(|(name, terms)| (terms.shortest(calendar), name))
        .min_by_key(|(shortest, _)| *shortest)?;
    let most = shortest.as_secs().saturating_sub(1) / DAY;
    Some(format!(
        "expected less than the period of every regime that a command can name, which the grace window consumes: \
         at most {most}d, because of {name}"
    ))
}
