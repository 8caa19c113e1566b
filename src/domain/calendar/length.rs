//! How long a legal period is, in the units that laws count in.

use std::fmt;

use jiff::{ToSpan, civil::Date};

use super::{Calendar, Deadline};
use crate::domain::time::At;

/// The length of a legal period, counted from the day on which a request was made. That day itself is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Length {
    /// Days of the calendar.
    Days(u16),
    /// Days on which people work.
    WorkingDays(u16),
    /// Months: to the same date, or to the month's last day where it has no such date (Regulation 1182/71).
    Months(u16),
}

/// What a text that is no length should have been, for messages.
pub const EXPECTED_LENGTH: &str =
    "expected days:N or working_days:N (N from 1 to 3650), or months:N (N from 1 to 120)";

/// Ten years: beyond it a count is a typing error, not a policy.
const MAX_DAYS: u16 = 3650;
const MAX_MONTHS: u16 = 120;

impl Length {
    /// Reads `days:N`, `working_days:N` or `months:N`. A count has one spelling, so that a regime has one name: `+30` and
    /// `030` are refused.
    pub fn parse(text: &str) -> Option<Self> {
        let (unit, digits) = text.split_once(':')?;
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        let n: u16 = digits.parse().ok().filter(|_| plain)?;
        match unit {
            "days" if n <= MAX_DAYS => Some(Self::Days(n)),
            "working_days" if n <= MAX_DAYS => Some(Self::WorkingDays(n)),
            "months" if n <= MAX_MONTHS => Some(Self::Months(n)),
            _ => None,
        }
    }

    /// The deadline of a request that was made at a time.
    pub fn after(self, start: At, calendar: &Calendar) -> Deadline {
        let last = self.last_day(calendar.day_of(start), calendar);
        Deadline {
            unrolled: calendar.end_of(last),
            rolled: calendar.end_of(calendar.working_day_from(last)),
        }
    }

    fn last_day(self, day: Date, calendar: &Calendar) -> Date {
        match self {
            Self::Days(n) => day.saturating_add(i64::from(n).days()),
            Self::WorkingDays(n) => calendar.working_day_after(day, n),
            Self::Months(n) => day.saturating_add(i64::from(n).months()),
        }
    }

    /// Whether it is longer than another one, whenever both begin. Holidays are left out of account.
    pub fn is_longer_than(self, other: Self) -> bool {
        match (self, other) {
            (Self::Days(ours), Self::Days(theirs))
            | (Self::WorkingDays(ours), Self::WorkingDays(theirs))
            | (Self::Months(ours), Self::Months(theirs)) => ours > theirs,
            _ => self.days().0 > other.days().1,
        }
    }

    /// The fewest and the most days that it can be.
    fn days(self) -> (u32, u32) {
        match self {
            Self::Days(n) => (n.into(), n.into()),
            Self::WorkingDays(n) => {
                // Five to a week; what is left of a week may have a weekend in it, or one at each end.
                let weeks = u32::from(n) / 5;
                (
                    u32::from(n) + 2 * weeks.saturating_sub(1),
                    u32::from(n) + 2 * weeks + 3,
                )
            }
            // The long months make up for every February but one.
            Self::Months(n) => ((u32::from(n) * 30).saturating_sub(2), u32::from(n) * 31),
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(n) => write!(f, "days:{n}"),
            Self::WorkingDays(n) => write!(f, "working_days:{n}"),
            Self::Months(n) => write!(f, "months:{n}"),
        }
    }
}
