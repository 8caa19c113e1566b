//! Legal clocks: which deadline a regime gives, to the day.

mod length;
mod period;
mod regime;
#[cfg(test)]
pub(in crate::domain) mod tests;
mod zones;

use std::collections::BTreeSet;

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Weekday},
    tz::TimeZone,
};

use super::time::At;
pub use length::{EXPECTED_LENGTH, Length};
pub use period::{BadPeriod, Period};
pub use regime::{EXPECTED_REGIME, Fine, Regime, Regimes, Terms};
pub use zones::Zones;

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

    /// The day that it is at a time.
    fn day_of(&self, at: At) -> Date {
        at.timestamp().to_zoned(self.zone.clone()).date()
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
    let days = (calendar.day_of(end) - calendar.day_of(start)).get_days();
    u16::try_from(days).unwrap_or(0)
}
