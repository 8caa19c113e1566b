//! A request's legal clock: what its regime's terms come to, in dates.

use serde::{Deserialize, Serialize};

use super::gates::Rulebook;
use crate::domain::{
    calendar::{Terms, later_by_days},
    time::At,
};

/// The legal clock of a request. Its dates are kept: they hold also when its regime is not in the table any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegalClock {
    /// What it counts from: when the subject asked, later by the days that it stood still.
    pub start: At,
    /// By when the person has to be told that the request has come in, where the regime asks for that.
    pub acknowledge_by: Option<At>,
    /// The end of the first period, which is the deadline unless it was extended. An extension has to be announced by
    /// then.
    pub first_due: At,
    /// The deadline that alerts go by.
    pub due: At,
    /// The deadline, rolled to a working day.
    pub rolled: At,
    /// From when on it is at risk.
    pub at_risk_from: At,
    /// Whether it stands still while the subject's identity is in doubt. The dates move once the doubt is over.
    pub pauses_for_identity: bool,
    /// Whether it can be extended, or was.
    pub extension: Extension,
    /// How many days it stood still while the subject's identity was in doubt.
    pub paused_days: u16,
}

/// Whether a deadline can be extended: that is possible once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extension {
    /// The regime knows no extension.
    Unknown,
    /// It can be, until the end of the first period.
    Possible,
    /// It was.
    Made,
}

impl LegalClock {
    /// Whether it was extended.
    pub fn is_extended(&self) -> bool {
        self.extension == Extension::Made
    }

    /// Until when an extension can be announced; `None`: there is none, or it was made.
    pub fn extensible_until(&self) -> Option<At> {
        (self.extension == Extension::Possible).then_some(self.first_due)
    }
}

impl Rulebook<'_> {
    /// The clock of a request that was made at a time, and stood still for so many days.
    pub(super) fn clock(
        &self,
        terms: &Terms,
        requested_at: At,
        paused_days: u16,
        extended: bool,
    ) -> LegalClock {
        let start = later_by_days(requested_at, paused_days, self.calendar);
        let first = terms.respond_by.after(start, self.calendar);
        let (last, extension) = match terms.extend_to {
            // With holidays enough, working days can be later than the days of an extension: it never takes any away.
            Some(longer) if extended => {
                let last = longer.after(start, self.calendar);
                let last = if last.unrolled > first.unrolled {
                    last
                } else {
                    first
                };
                (last, Extension::Made)
            }
            Some(_) => (first, Extension::Possible),
            None => (first, Extension::Unknown),
        };
        LegalClock {
            start,
            // That a request has come in can be said while its subject is in doubt.
            acknowledge_by: terms
                .acknowledge_by
                .map(|length| length.after(requested_at, self.calendar).unrolled),
            first_due: first.unrolled,
            due: last.unrolled,
            rolled: last.rolled,
            at_risk_from: at_risk_from(requested_at, last.unrolled, self.at_risk),
            pauses_for_identity: terms.pauses_for_identity,
            extension,
            paused_days,
        }
    }
}

/// The time at which only this share of the period is left.
fn at_risk_from(start: At, end: At, share: f64) -> At {
    let left = end.since(start).mul_f64(share.clamp(0.0, 1.0));
    At::from_millis(
        end.millis()
            .saturating_sub(i64::try_from(left.as_millis()).unwrap_or(i64::MAX)),
    )
}
