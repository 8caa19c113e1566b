//! Tables of deadlines, regimes and periods.

mod deadlines;
mod names;
mod periods;

use super::*;
use crate::domain::ids::RegimeName;

fn at(text: &str) -> At {
    At::parse(text).unwrap()
}

fn calendar(zone: &str, holidays: &[&str]) -> Calendar {
    Calendar {
        zone: TimeZone::get(zone).unwrap(),
        holidays: holidays.iter().map(|day| day.parse().unwrap()).collect(),
    }
}

pub(in crate::domain) fn regime(text: &str) -> Regime {
    Regime::parse(text).unwrap()
}

/// A table like Lacuna's own, which the configuration reads and tests.
pub(in crate::domain) fn regimes() -> Regimes {
    let mut table = Regimes::default();
    let mut add = |name: &str, acknowledge: &str, respond: &str, extend: &str, pauses_for_identity| {
        let terms = Terms {
            acknowledge_by: Length::parse(acknowledge),
            respond_by: Length::parse(respond).unwrap(),
            extend_to: Length::parse(extend),
            pauses_for_identity,
            fine_per_day: None,
        };
        table.insert(RegimeName::new(name).unwrap(), terms);
    };
    add("gdpr", "", "months:1", "months:3", true);
    add("uk_gdpr", "", "months:1", "months:3", true);
    add("ccpa", "working_days:10", "days:45", "days:90", false);
    add("drop", "", "days:45", "", false);
    add("lgpd", "", "days:15", "", false);
    table
}

/// The deadline of a request under a regime of that table.
pub(in crate::domain) fn deadline(regime: &Regime, requested_at: At, calendar: &Calendar) -> Deadline {
    let terms = regimes().terms(regime).unwrap();
    terms.respond_by.after(requested_at, calendar)
}
