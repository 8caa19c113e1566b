//! What is kept of a closed request, and for how long: first the digests by which its subject is found again go, then
//! its rows. The ledger stays.

use jiff::tz::TimeZone;

use super::{Context, Request, operate::DecisionError};
use crate::domain::{calendar::Period, entry::Entry, time::At};

/// How long after its end something of a request is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeps {
    /// The keyed digests by which its subject is found again.
    pub lookups: Period,
    /// Its rows.
    pub records: Period,
}

/// What becomes of something whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes.
    Goes,
    /// Somebody still needs it: it is looked at again later.
    Stays,
    /// Its time has not come: the request is open again, or came to its end later than was believed. Its next end counts.
    Counts,
}

impl Keeps {
    /// When the digests of a request go that came to its end at this time: with its rows at the latest.
    pub fn lookups_until(&self, end: At, zone: &TimeZone) -> At {
        self.lookups.add_to(end, zone).min(self.records.add_to(end, zone))
    }

    /// When the rows of a request go that came to its end at this time.
    pub fn records_until(&self, end: At, zone: &TimeZone) -> At {
        self.records.add_to(end, zone)
    }
}

impl Request {
    /// What becomes of the digests of its identifiers. A legal hold needs them: what comes in of the same person must
    /// be found with what is held.
    pub fn fate_of_lookups(&self, keeps: &Keeps, context: &Context<'_>) -> Fate {
        if !self.has_ended_before(
            |end| keeps.lookups_until(end, context.zones.controller()),
            context.now,
        ) {
            Fate::Counts
        } else if self.is_held(context) {
            Fate::Stays
        } else {
            Fate::Goes
        }
    }

    /// What becomes of its rows. They stay as long as a hold covers it, and as long as it can be named: because its
    /// identifiers are kept, or because a restore could still bring back what it has erased.
    pub fn fate_of_records(&self, keeps: &Keeps, context: &Context<'_>) -> Fate {
        if !self.has_ended_before(
            |end| keeps.records_until(end, context.zones.controller()),
            context.now,
        ) {
            Fate::Counts
        } else if self.is_held(context) || self.can_be_named(context) {
            Fate::Stays
        } else {
            Fate::Goes
        }
    }

    /// Refuses to have its rows deleted before their time, where somebody still needs them.
    pub fn check_forgettable(&self, context: &Context<'_>) -> Result<(), DecisionError> {
        // One that was merged is closed once the request that covers it is: until then it may have to go on alone.
        let why = if !self.life.status.is_final() || self.life.completed_at.is_none() {
            "it is not closed"
        } else if self.bookkeeping.followers > 0 && (self.is_withdrawn() || self.life.live_clean_at.is_none())
        {
            "requests that were merged into it may have to go on without it, and read here that they have to"
        } else if self.is_held(context) {
            "a legal hold covers it"
        } else if self.can_be_named(context) {
            "its identifiers are kept still, because a backup could bring back what it has erased"
        } else {
            return Ok(());
        };
        Err(DecisionError::NotNow(why))
    }

    fn has_ended_before(&self, until: impl Fn(At) -> At, now: At) -> bool {
        let end = self.life.completed_at.filter(|_| self.life.status.is_final());
        end.is_some_and(|end| until(end) <= now)
    }

    fn is_held(&self, context: &Context<'_>) -> bool {
        let holds = context.facts.holds();
        !holds.on_request(self, context.registry).is_empty()
    }

    /// The last entry that the ledger has of it.
    pub const fn purged(&self) -> Entry {
        Entry::Purged {
            status: self.life.status,
        }
    }
}
