//! What all answers about a person come to.

/// What a run comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The person is erased.
    Erased {
        /// How many of the vendor's records.
        records: u64,
    },
    /// The vendor does not know the person.
    NotFound,
    /// The vendor will do it.
    Accepted,
    /// A job goes on.
    Pending,
    /// The vendor has to keep it.
    Retained {
        /// Why.
        basis: String,
    },
    /// Once more, later.
    Retry(String),
    /// Later; the attempt does not count.
    RateLimited(String),
    /// The vendor does not let us in, or does not know the account.
    Unauthorised(String),
    /// The vendor will not do it.
    Rejected(String),
    /// It did not work.
    Failed(String),
    /// The person is still there.
    Present,
    /// The person is not there.
    Absent,
}

/// What last steps, polls and probes have said so far, each of one of the person's identifiers.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) erased: u64,
    pub(super) not_found: u64,
    /// Not found by the last step, and found by one just before it.
    pub(super) vanished: u64,
    pub(super) accepted: u64,
    pub(super) pending: u64,
    pub(super) absent: u64,
    pub(super) present: bool,
    pub(super) retained: Option<String>,
}

impl Tally {
    /// What it comes to: of several identifiers, what is furthest from being over. `None`: nothing was said.
    ///
    /// `is_asked_about`: whether what is accepted is asked about later; what the vendor keeps is remembered until then.
    pub(super) fn settled(&self, is_asked_about: bool) -> Option<Settled> {
        if self.present {
            return Some(Settled::Present);
        }
        if self.vanished > 0 {
            let why = "the last step does not find what an earlier one has just found";
            return Some(Settled::Retry(why.to_owned()));
        }
        if self.pending > 0 {
            return Some(Settled::Pending);
        }
        if self.accepted > 0 && (is_asked_about || self.retained.is_none()) {
            return Some(Settled::Accepted);
        }
        if let Some(basis) = &self.retained {
            return Some(Settled::Retained { basis: basis.clone() });
        }
        if self.erased > 0 {
            return Some(Settled::Erased { records: self.erased });
        }
        if self.absent > 0 {
            return Some(Settled::Absent);
        }
        (self.not_found > 0).then_some(Settled::NotFound)
    }
}
