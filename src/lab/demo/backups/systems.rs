//! The simulated world: what live systems hold of whom, and what the copies of backups hold of them. It is what the
//! ledger's claims are checked against, so it knows nothing of Lacuna but the messages of the contract.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::{
    domain::{calendar::Period, time::At},
    lab::{
        demo::DemoError,
        sim::{Says, reply},
    },
};

/// Something that is held of a person: where, of whom, what.
pub(super) type Held = (String, String, String);

/// A backup set.
#[derive(Debug, Clone)]
pub(super) struct Set {
    /// The backup processor.
    pub processor: &'static str,
    /// Its name in events.
    pub set: &'static str,
    /// Whose data is in it.
    pub sources: &'static [&'static str],
    /// How long a copy lives.
    pub keep: Period,
    /// In which months a copy is taken.
    months: std::ops::RangeInclusive<i8>,
}

/// Every set.
pub(super) const SETS: [Set; 3] = [
    Set {
        processor: "nightly-backup",
        set: "nightly",
        sources: &["hosting", "crm", "payments"],
        keep: Period::days(35),
        months: 1..=12,
    },
    Set {
        processor: "yearly-archive",
        set: "archive",
        sources: &["hosting", "crm"],
        keep: Period::years(1),
        months: 1..=1,
    },
    Set {
        processor: "snapshots",
        set: "hourly",
        sources: &["analytics"],
        keep: Period::days(7),
        months: 1..=12,
    },
];

/// A copy that was taken.
#[derive(Debug)]
struct Copy {
    set: &'static str,
    taken_at: At,
    holds: BTreeSet<Held>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Systems {
    live: BTreeSet<Held>,
    copies: Vec<Copy>,
    /// Copies that nobody knows of any more.
    overlooked: Vec<Copy>,
}

/// What a processor reads of a task.
#[derive(Deserialize)]
struct Task {
    processor: String,
    identities: Vec<Identity>,
    scope: Scope,
}

#[derive(Deserialize)]
struct Identity {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

#[derive(Deserialize)]
struct Scope {
    #[serde(default)]
    categories: Vec<String>,
}

impl Systems {
    /// A person's data comes to be somewhere.
    pub(super) fn store(&mut self, processor: &str, customer: &str, category: &str) {
        self.live
            .insert((processor.to_owned(), customer.to_owned(), category.to_owned()));
    }

    /// Works a task off and answers it: what its scope names of the person goes.
    pub(super) fn work_off(&mut self, task: &[u8], at: At) -> Result<Vec<u8>, DemoError> {
        let asked: Task = serde_json::from_slice(task)?;
        let is_asked = |(processor, customer, category): &Held| {
            *processor == asked.processor
                && (asked.scope.categories.is_empty() || asked.scope.categories.contains(category))
                && asked
                    .identities
                    .iter()
                    .any(|identity| identity.kind == "customer_id" && identity.value == *customer)
        };
        let before = self.live.len();
        self.live.retain(|held| !is_asked(held));
        let says = if self.live.len() < before {
            Says::Erased
        } else {
            Says::NotFound
        };
        let records = u64::try_from(before - self.live.len()).unwrap_or_default();
        Ok(reply(task, says, records, at)?)
    }

    /// Takes the month's copies, and deletes those that have lived long enough. The oldest that is left of each set.
    pub(super) fn back_up(&mut self, now: At) -> Vec<(Set, At)> {
        let month = now.timestamp().to_zoned(TimeZone::UTC).month();
        let mut oldest = Vec::new();
        for set in SETS {
            self.copies
                .retain(|copy| copy.set != set.set || set.keep.add_to(copy.taken_at, &TimeZone::UTC) > now);
            if set.months.contains(&month) {
                self.copies.push(self.copy(&set, now));
            }
            let left = self.copies.iter().filter(|copy| copy.set == set.set);
            oldest.extend(left.map(|copy| copy.taken_at).min().map(|at| (set, at)));
        }
        oldest
    }

    fn copy(&self, set: &Set, taken_at: At) -> Copy {
        let is_source = |held: &&Held| set.sources.contains(&held.0.as_str());
        Copy {
            set: set.set,
            taken_at,
            holds: self.live.iter().filter(is_source).cloned().collect(),
        }
    }

    /// Somebody forgets the copies of a set, and nobody deletes them.
    pub(super) fn overlook(&mut self, set: &str) {
        let (forgotten, known) = std::mem::take(&mut self.copies)
            .into_iter()
            .partition(|copy| copy.set == set);
        self.copies = known;
        self.overlooked.extend::<Vec<Copy>>(forgotten);
    }

    /// Puts the oldest copy of a set back, an overlooked one before all: what it holds of these processors is there
    /// again. When it had been taken.
    pub(super) fn put_back(&mut self, set: &str, into: &[&str]) -> Option<At> {
        let mut found = self.overlooked.iter().chain(&self.copies);
        let copy = found.find(|copy| copy.set == set)?;
        let back = copy.holds.iter().filter(|held| into.contains(&held.0.as_str()));
        self.live.extend(back.cloned());
        let taken_at = copy.taken_at;
        // Somebody has come across it now, and deletes it.
        self.overlooked.clear();
        Some(taken_at)
    }

    /// Whether a live system holds this.
    pub(super) fn holds(&self, processor: &str, customer: &str, category: &str) -> bool {
        self.live
            .contains(&(processor.to_owned(), customer.to_owned(), category.to_owned()))
    }

    /// What the copies of a set hold of a person that no live system holds any more.
    pub(super) fn left_in_copies(&self, set: &str, customer: &str) -> usize {
        let copies = self.copies.iter().filter(|copy| copy.set == set);
        copies
            .flat_map(|copy| &copy.holds)
            .filter(|held| held.1 == customer && !self.live.contains(*held))
            .count()
    }

    /// Whether nothing is left of anybody, anywhere.
    pub(super) fn is_empty(&self) -> bool {
        let copies = self.copies.iter().chain(&self.overlooked);
        self.live.is_empty() && copies.map(|copy| copy.holds.len()).sum::<usize>() == 0
    }
}
