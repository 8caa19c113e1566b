//! Legal clocks: which deadline a regime gives, to the day.

mod period;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::BTreeSet, fmt};

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Weekday},
    tz::TimeZone,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::time::At;
pub use period::{BadPeriod, Period};

/// The regime whose clock a request runs under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Regime {
    /// EU General Data Protection Regulation, Article 12(3).
    Gdpr,
    /// UK GDPR.
    UkGdpr,
    /// California Consumer Privacy Act.
    Ccpa,
    /// California Delete Act's platform for data brokers.
    Drop,
    /// Brazil's Lei Geral de Proteção de Dados.
    Lgpd,
    /// A policy's own count of calendar days.
    Days(u16),
    /// A policy's own count of working days.
    WorkingDays(u16),
}

impl Regime {
    /// Ten years: beyond it a count is a typing error, not a policy.
    const MAX_DAYS: u16 = 3650;

    /// Reads the name: `gdpr`, `uk_gdpr`, `ccpa`, `drop`, `lgpd`, `days:N` or `working_days:N`, with N from 1 to 3650.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "gdpr" => Some(Self::Gdpr),
            "uk_gdpr" => Some(Self::UkGdpr),
            "ccpa" => Some(Self::Ccpa),
            "drop" => Some(Self::Drop),
            "lgpd" => Some(Self::Lgpd),
            _ => {
                if let Some(days) = text.strip_prefix("days:") {
                    count(days).map(Self::Days)
                } else {
                    text.strip_prefix("working_days:")
                        .and_then(count)
                        .map(Self::WorkingDays)
                }
            }
        }
    }

    /// The tag and the count of the packed form. A tag is stored for years: it is never reused and never renumbered.
    const fn code(self) -> (u8, u16) {
        match self {
            Self::Gdpr => (1, 0),
            Self::UkGdpr => (2, 0),
            Self::Ccpa => (3, 0),
            Self::Drop => (4, 0),
            Self::Lgpd => (5, 0),
            Self::Days(n) => (6, n),
            Self::WorkingDays(n) => (7, n),
        }
    }

    const fn from_code(tag: u8, n: u16) -> Option<Self> {
        match (tag, n) {
            (1, 0) => Some(Self::Gdpr),
            (2, 0) => Some(Self::UkGdpr),
            (3, 0) => Some(Self::Ccpa),
            (4, 0) => Some(Self::Drop),
            (5, 0) => Some(Self::Lgpd),
            (6, 1..=Self::MAX_DAYS) => Some(Self::Days(n)),
            (7, 1..=Self::MAX_DAYS) => Some(Self::WorkingDays(n)),
            _ => None,
        }
    }
}

/// A count in its only spelling: `+30` and `030` are refused, so that one regime has one name.
fn count(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse()
        .ok()
        .filter(|n| plain && (1..=Regime::MAX_DAYS).contains(n))
}

impl fmt::Display for Regime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gdpr => f.write_str("gdpr"),
            Self::UkGdpr => f.write_str("uk_gdpr"),
            Self::Ccpa => f.write_str("ccpa"),
            Self::Drop => f.write_str("drop"),
            Self::Lgpd => f.write_str("lgpd"),
            Self::Days(n) => write!(f, "days:{n}"),
            Self::WorkingDays(n) => write!(f, "working_days:{n}"),
        }
    }
}

impl Serialize for Regime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.code().serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Regime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            // The text itself is not repeated: it came from outside and may hold anything.
            let text = Cow::<'de, str>::deserialize(deserializer)?;
            Self::parse(&text).ok_or_else(|| D::Error::custom(EXPECTED_REGIME))
        } else {
            let (tag, n) = <(u8, u16)>::deserialize(deserializer)?;
            Self::from_code(tag, n)
                .ok_or_else(|| D::Error::custom(format!("no regime has the code {tag}, {n}")))
        }
    }
}

/// What a text that is no regime should have been, for messages.
pub const EXPECTED_REGIME: &str =
    "expected gdpr, uk_gdpr, ccpa, drop, lgpd, days:N or working_days:N (N from 1 to 3650)";

impl schemars::JsonSchema for Regime {
    fn schema_name() -> Cow<'static, str> {
        "Regime".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        // The last group spells 1 to 3650.
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(gdpr|uk_gdpr|ccpa|drop|lgpd|(working_)?days:([1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|36[0-4][0-9]|3650))$"
        })
    }
}

/// The controller's own calendar: where its days begin and end, and which of them nobody works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// The zone in which days are counted.
    pub zone: TimeZone,
    /// Public holidays; Saturdays and Sundays need no mention.
    pub holidays: BTreeSet<Date>,
}

impl Calendar {
    /// Whether people work on this day.
    pub fn is_working_day(&self, date: Date) -> bool {
        !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) && !self.holidays.contains(&date)
    }

    /// This day, or the next one on which people work.
    fn working_day_from(&self, mut date: Date) -> Date {
        while !self.is_working_day(date) {
            match date.tomorrow() {
                Ok(next) => date = next,
                Err(_) => break,
            }
        }
        date
    }

    /// The n-th working day after this one.
    fn working_day_after(&self, mut date: Date, n: u16) -> Date {
        for _ in 0..n {
            match date.tomorrow() {
                Ok(next) => date = self.working_day_from(next),
                Err(_) => break,
            }
        }
        date
    }

    /// The last second of a day, which is 23:59:59 but for the few days on which a zone's clock says otherwise.
    ///
    /// It is found from the next day's beginning: where 23:59:59 comes twice the day ends with the second one, and
    /// where a zone leaves a day out, the deadline falls on the day before it rather than after.
    fn end_of(&self, date: Date) -> At {
        let next_day = date.tomorrow().and_then(|next| next.to_zoned(self.zone.clone()));
        match next_day.and_then(|start| start.timestamp().checked_sub(1.second())) {
            Ok(end) => end.into(),
            Err(_) => Timestamp::MAX.into(),
        }
    }
}

/// When a request has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// The day that the regime names: what is alerted on.
    pub unrolled: At,
    /// The next working day, where that day is none: what the law still allows.
    pub rolled: At,
}

/// The same time of day so many days of the calendar later.
pub fn later_by_days(at: At, days: u16, calendar: &Calendar) -> At {
    if days == 0 {
        return at;
    }
    let start = at.timestamp().to_zoned(calendar.zone.clone());
    start
        .checked_add(i64::from(days).days())
        .map_or(at, |later| later.timestamp().into())
}

/// The days of the calendar between two times, none where the second is not later.
pub fn days_between(start: At, end: At, calendar: &Calendar) -> u16 {
    let date = |at: At| at.timestamp().to_zoned(calendar.zone.clone()).date();
    let days = (date(end) - date(start)).get_days();
    u16::try_from(days).unwrap_or(0)
}

impl Regime {
    /// The deadline of a request that was extended, counted from the start; `None`: the regime knows no extension.
    pub fn extended(self, start: At, calendar: &Calendar) -> Option<Deadline> {
        let day = start.timestamp().to_zoned(calendar.zone.clone()).date();
        let last = match self {
            Self::Gdpr | Self::UkGdpr => day.saturating_add(3.months()),
            Self::Ccpa => day.saturating_add(90.days()),
            Self::Drop | Self::Lgpd | Self::Days(_) | Self::WorkingDays(_) => return None,
        };
        Some(Deadline {
            unrolled: calendar.end_of(last),
            rolled: calendar.end_of(calendar.working_day_from(last)),
        })
    }

    /// Whether its clock stands still while the subject's identity is in doubt.
    pub const fn pauses_for_verification(self) -> bool {
        matches!(self, Self::Gdpr | Self::UkGdpr)
    }
}

/// The deadline of a request that was made at a time.
///
/// The day of the request itself is not counted. A month ends on the same date of the next month, or on that month's
/// last day where it has no such date (Regulation 1182/71).
pub fn deadline(regime: Regime, requested_at: At, calendar: &Calendar) -> Deadline {
    let day = requested_at.timestamp().to_zoned(calendar.zone.clone()).date();
    let last = match regime {
        Regime::Gdpr | Regime::UkGdpr => day.saturating_add(1.month()),
        Regime::Ccpa | Regime::Drop => day.saturating_add(45.days()),
        Regime::Lgpd => day.saturating_add(15.days()),
        Regime::Days(n) => day.saturating_add(i64::from(n).days()),
        Regime::WorkingDays(n) => calendar.working_day_after(day, n),
    };
    Deadline {
        unrolled: calendar.end_of(last),
        rolled: calendar.end_of(calendar.working_day_from(last)),
    }
}
