//! Periods as people write them in the configuration: `30s`, `14d`, `1y6mo`.

use std::{fmt, time::Duration};

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::domain::time::At;

/// A period: months, whose length depends on the calendar, and seconds, whose length does not.
///
/// `1y` is twelve months, and `d` and `w` are exactly 24 hours and seven times that, so `90m` equals `1h30m`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Period {
    months: u32,
    seconds: u64,
}

/// Why a text is no period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPeriod {
    /// There is no number where one belongs, or no unit after it.
    #[error("expected a duration such as 30s, 24h, 14d or 1y6mo")]
    Shape,
    /// The unit is none of ours.
    #[error(
        "expected a duration with the units s m h d w mo y (m is minutes, mo is months), such as 24h or 1y6mo"
    )]
    Unit,
    /// More than a thousand years.
    #[error("expected a duration of at most 1000 years")]
    TooLong,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;

/// The mean length of a month of the Gregorian calendar, in seconds: only to compare a period with the limit.
const MEAN_MONTH: u64 = 2_629_746;

/// A thousand years. Beyond it a number is a typing error, and below it no sum in milliseconds can overflow.
const MAX_SECONDS: u64 = 12_000 * MEAN_MONTH;

impl Period {
    /// No time at all.
    pub const ZERO: Self = Self {
        months: 0,
        seconds: 0,
    };

    /// A number of seconds.
    pub const fn seconds(n: u32) -> Self {
        Self {
            months: 0,
            seconds: n as u64,
        }
    }

    /// A number of days of 24 hours.
    pub const fn days(n: u16) -> Self {
        Self {
            months: 0,
            seconds: n as u64 * DAY,
        }
    }

    /// A number of years of the calendar.
    pub const fn years(n: u8) -> Self {
        Self {
            months: n as u32 * 12,
            seconds: 0,
        }
    }

    /// Reads numbers with their units, summed in any order: `1y6mo`, `24h`, `0d`.
    pub fn parse(text: &str) -> Result<Self, BadPeriod> {
        let (mut months, mut seconds, mut rest) = (0_u64, 0_u64, text);
        loop {
            let (digits, after) = split(rest, |b| b.is_ascii_digit());
            let (unit, after) = split(after, |b| b.is_ascii_alphabetic());
            if digits.is_empty() || unit.is_empty() {
                return Err(BadPeriod::Shape);
            }
            let (sum, scale) = match unit {
                "s" => (&mut seconds, 1),
                "m" => (&mut seconds, MINUTE),
                "h" => (&mut seconds, HOUR),
                "d" => (&mut seconds, DAY),
                "w" => (&mut seconds, WEEK),
                "mo" => (&mut months, 1),
                "y" => (&mut months, 12),
                _ => return Err(BadPeriod::Unit),
            };
            // Only digits are left to fail, and only by being too many.
            let number: u64 = digits.parse().map_err(|_| BadPeriod::TooLong)?;
            *sum = number
                .checked_mul(scale)
                .and_then(|n| sum.checked_add(n))
                .ok_or(BadPeriod::TooLong)?;
            rest = after;
            if rest.is_empty() {
                return Self::bounded(months, seconds);
            }
        }
    }

    fn bounded(months: u64, seconds: u64) -> Result<Self, BadPeriod> {
        let mean = months
            .checked_mul(MEAN_MONTH)
            .and_then(|m| m.checked_add(seconds))
            .ok_or(BadPeriod::TooLong)?;
        if mean > MAX_SECONDS {
            return Err(BadPeriod::TooLong);
        }
        Ok(Self {
            months: u32::try_from(months).map_err(|_| BadPeriod::TooLong)?,
            seconds,
        })
    }

    /// Whether it is no time at all.
    pub const fn is_zero(&self) -> bool {
        self.months == 0 && self.seconds == 0
    }

    /// Its length, if it has no months or years, whose length depends on the calendar.
    pub fn exact(&self) -> Option<Duration> {
        (self.months == 0).then(|| Duration::from_secs(self.seconds))
    }

    /// The time that is this period later: first the months in the zone, clamped to the month's end, then the rest.
    #[must_use]
    pub fn add_to(&self, at: At, zone: &TimeZone) -> At {
        let moved = if self.months == 0 {
            at
        } else {
            let start = at.timestamp().to_zoned(zone.clone());
            match start.checked_add(i64::from(self.months).months()) {
                Ok(later) => later.timestamp().into(),
                Err(_) => Timestamp::MAX.into(),
            }
        };
        moved.plus(Duration::from_secs(self.seconds))
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl schemars::JsonSchema for Period {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Period".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "A length of time, such as 30d, 12h or 1y6mo." })
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The longest beginning of which every byte is one of those, and what comes after it.
fn split(text: &str, wanted: fn(&u8) -> bool) -> (&str, &str) {
    let length = text.bytes().take_while(wanted).count();
    text.split_at_checked(length).unwrap_or((text, ""))
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0s");
        }
        let parts = [
            (u64::from(self.months / 12), "y"),
            (u64::from(self.months % 12), "mo"),
            (self.seconds / DAY, "d"),
            (self.seconds % DAY / HOUR, "h"),
            (self.seconds % HOUR / MINUTE, "m"),
            (self.seconds % MINUTE, "s"),
        ];
        for (number, unit) in parts {
            if number > 0 {
                write!(f, "{number}{unit}")?;
            }
        }
        Ok(())
    }
}
