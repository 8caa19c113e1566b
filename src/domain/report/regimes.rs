//! What some laws want to be published, counted for each regime: California's rules want it of a year (11 CCR 7102(a)(1)(B)
//! and (F) of businesses; Cal. Civ. Code 1798.99.85 of data brokers).

use std::collections::BTreeMap;

use crate::domain::{
    calendar::{Calendar, days_between},
    request::Request,
    time::At,
    words::{RefusalBasis, Status},
};

/// The requests of one regime.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfRegime {
    /// All of them.
    pub received: u64,
    /// Complied with in whole.
    pub in_whole: u64,
    /// Complied with in part.
    pub in_part: u64,
    /// Denied, by the ground.
    pub denied: BTreeMap<RefusalBasis, u64>,
    /// Withdrawn.
    pub withdrawn: u64,
    /// Part of another request.
    pub merged: u64,
    /// Not answered yet.
    pub open: u64,
    /// How many were answered after how many days of the calendar.
    days: BTreeMap<u16, u64>,
}

impl OfRegime {
    pub(super) fn add(&mut self, request: &Request, answered_at: Option<At>, calendar: &Calendar) {
        self.received += 1;
        match request.life.status {
            Status::Completed => self.in_whole += 1,
            Status::ClosedWithExceptions => self.in_part += 1,
            Status::Refused => {
                if let Some(basis) = request.life.refused {
                    *self.denied.entry(basis).or_default() += 1;
                }
            }
            Status::Cancelled => self.withdrawn += 1,
            Status::Merged => self.merged += 1,
            Status::AwaitingVerification
            | Status::AwaitingApproval
            | Status::Scheduled
            | Status::InProgress
            | Status::Deferred => self.open += 1,
        }
        if let Some(at) = answered_at {
            let days = days_between(request.head.received_at, at, calendar);
            *self.days.entry(days).or_default() += 1;
        }
    }

    /// How many were answered.
    pub fn answered(&self) -> u64 {
        self.days.values().sum()
    }

    /// After how many days half of them were answered, by nearest rank.
    pub fn median_days(&self) -> Option<u16> {
        let rank = self.answered().div_ceil(2);
        let mut seen = 0;
        let found = self.days.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        found.map(|(days, _)| *days)
    }

    /// After how many days they were answered on average, in tenths.
    pub fn mean_tenths(&self) -> Option<u64> {
        let sum: u64 = self
            .days
            .iter()
            .map(|(days, count)| u64::from(*days) * count)
            .sum();
        let answered = self.answered();
        // Rounded to the nearest tenth.
        (answered > 0).then(|| (sum * 20 + answered) / (answered * 2))
    }
}
