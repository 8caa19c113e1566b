//! Months and days of the controller's zone.

use std::fmt;

use jiff::{ToSpan, civil::Date, tz::TimeZone};

use crate::domain::time::At;

/// A month of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    year: i16,
    month: i8,
}

impl Month {
    /// The month that it is in a zone.
    pub fn of(at: At, zone: &TimeZone) -> Self {
        let date = at.timestamp().to_zoned(zone.clone()).date();
        Self {
            year: date.year(),
            month: date.month(),
        }
    }
}

/// `2026-11`
impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

/// When a day begins in a zone; the end of time for the days after it.
pub fn start_of_day(date: Date, zone: &TimeZone) -> At {
    date.to_zoned(zone.clone())
        .map_or(At::from_millis(i64::MAX), |start| start.timestamp().into())
}

/// The last month that is over: when it began, and when the one after it did.
pub fn last_whole_month(now: At, zone: &TimeZone) -> (At, At) {
    let this = now.timestamp().to_zoned(zone.clone()).date().first_of_month();
    // Before the first month of the calendar there is none.
    let last = this.checked_sub(1.month()).unwrap_or(this);
    (start_of_day(last, zone), start_of_day(this, zone))
}

/// A time of RFC 3339, or a day such as `2026-11-01`, which begins when it does in the zone.
pub fn day_or_time(text: &str, zone: &TimeZone) -> Option<At> {
    let day = || {
        text.parse::<Date>()
            .ok()
            .filter(|_| text.len() == "2026-11-01".len())
    };
    At::parse(text)
        .ok()
        .or_else(|| day().map(|date| start_of_day(date, zone)))
}

/// The period that is meant: the last whole month where nothing is said, until now where no end is said.
pub fn period(from: Option<&str>, to: Option<&str>, now: At, zone: &TimeZone) -> Result<(At, At), BadPeriod> {
    let read = |text: &str| day_or_time(text, zone);
    let (from, to) = match (from, to) {
        (None, None) => last_whole_month(now, zone),
        (None, Some(_)) => return Err(BadPeriod::From),
        (Some(from), None) => (read(from).ok_or(BadPeriod::From)?, now),
        (Some(from), Some(to)) => (read(from).ok_or(BadPeriod::From)?, read(to).ok_or(BadPeriod::To)?),
    };
    if from < to {
        Ok((from, to))
    } else {
        Err(BadPeriod::Empty)
    }
}

/// What is wrong with a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPeriod {
    /// Its beginning.
    #[error("from: expected a day such as 2026-11-01, or a time of RFC 3339 such as 2026-11-01T00:00:00Z")]
    From,
    /// Its end.
    #[error("to: expected a day such as 2026-12-01, or a time of RFC 3339 such as 2026-12-01T00:00:00Z")]
    To,
    /// There is nothing between them.
    #[error("to: expected a time after from")]
    Empty,
}

impl BadPeriod {
    /// Which of both is at fault.
    pub const fn field(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To | Self::Empty => "to",
        }
    }
}
