//! What has become of the requests of a period: counted from each request and its leaves of the ledger, one after the other.
//!
//! What a request is comes from the request; what has happened to it, and when, from the ledger. A tally holds numbers and no
//! request, so that a period may have any number of them.

mod durations;
mod history;
mod lanes;
mod months;
mod regimes;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

pub use self::{
    durations::{Days, Durations, UP_TO_DAYS},
    lanes::Lane,
    months::{BadPeriod, Month, last_whole_month, period},
    regimes::OfRegime,
};
use self::{history::History, lanes::Lanes};
use super::{
    calendar::{Calendar, Regime},
    entry::Leaf,
    ids::{Label, ProcessorId},
    registry::RegistryRevision,
    request::Request,
    task::TaskState,
    time::At,
    words::{ExtensionReason, Proof, RefusalBasis, Status, Why},
};

/// Everything that is counted of the requests of a period.
#[derive(Debug, Default)]
pub struct Tally {
    /// All of them.
    pub received: u64,
    /// How many stand where.
    pub statuses: BTreeMap<Status, u64>,
    /// How many were refused, on which ground.
    pub refused: BTreeMap<RefusalBasis, u64>,
    /// Open ones past their deadline whose live systems are not clean.
    pub overdue: u64,
    /// Answered by their deadline.
    pub on_time: u64,
    /// Answered after it.
    pub late: u64,
    /// By how much.
    pub late_by: Durations,
    /// Requests of which a task was closed by a published term.
    pub attested: u64,
    /// Exempt tasks, by their basis.
    pub exempt: BTreeMap<Label, u64>,
    /// From the receipt until live systems were clean.
    pub live_clean: Durations,
    /// The same, by days.
    pub live_clean_days: Days,
    /// From the receipt to the end, of those that were carried out.
    pub complete: Durations,
    /// The same, by days.
    pub complete_days: Days,
    /// Deferred tasks, by why.
    pub deferred: BTreeMap<Why, u64>,
    /// The same, by the month that they fall in; `None`: no date is known.
    pub deferred_months: BTreeMap<(Option<Month>, Why), u64>,
    /// Requests of which a hold has kept something back, now or before.
    pub held_requests: u64,
    /// Requests that were one too many of their person.
    pub repeats: u64,
    /// Extended deadlines, by the reason.
    pub extensions: BTreeMap<ExtensionReason, u64>,
    /// Requests that a backup which was put back has opened again.
    pub restored: u64,
    /// By regime.
    pub regimes: BTreeMap<Regime, OfRegime>,
    /// What stands for all this in the ledger: leaves.
    pub leaves: u64,
    /// Answers that brought evidence.
    pub proofs: u64,
    /// How many records those say they have affected.
    pub records: u64,
    /// The revisions of the registry that the plans are pinned to, the first and the last.
    pub revisions: Option<(RegistryRevision, RegistryRevision)>,
    lanes: Lanes,
}

impl Tally {
    /// Counts one more request. `leaves`: its leaves of the ledger, in order, as of this request.
    pub fn add(&mut self, request: &Request, leaves: &[Leaf], calendar: &Calendar) {
        let history = History::of(leaves);
        self.count_status(request);
        self.count_times(request);
        self.count_tasks(request, calendar);
        self.count_history(request, leaves, &history);
        self.lanes.add(request, &history);
        self.regimes.entry(request.head.regime.clone()).or_default().add(
            request,
            answered_at(request),
            calendar,
        );
    }

    /// How many stand there.
    pub fn of(&self, status: Status) -> u64 {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    /// How many are open.
    pub fn open(&self) -> u64 {
        let open = self.statuses.iter().filter(|(status, _)| !status.is_final());
        open.map(|(_, count)| count).sum()
    }

    /// By processor, in order of their ids.
    pub fn lanes(&mut self) -> &mut BTreeMap<ProcessorId, Lane> {
        &mut self.lanes.0
    }

    fn count_status(&mut self, request: &Request) {
        self.received += 1;
        let life = &request.life;
        *self.statuses.entry(life.status).or_default() += 1;
        if life.status == Status::Refused
            && let Some(basis) = life.refused
        {
            *self.refused.entry(basis).or_default() += 1;
        }
        self.overdue += u64::from(life.overdue);
    }

    fn count_times(&mut self, request: &Request) {
        let (life, received) = (&request.life, request.head.received_at);
        if let Some(at) = life.live_clean_at {
            self.live_clean.push(at.since(received));
            self.live_clean_days.push(at.since(received));
        }
        if is_carried_out(life.status)
            && let Some(at) = life.completed_at
        {
            self.complete.push(at.since(received));
            self.complete_days.push(at.since(received));
        }
        match answered_at(request) {
            Some(at) if at > life.clock.due => {
                self.late += 1;
                self.late_by.push(at.since(life.clock.due));
            }
            Some(_) => self.on_time += 1,
            None => {}
        }
    }

    fn count_tasks(&mut self, request: &Request, calendar: &Calendar) {
        let mut is_attested = false;
        for task in &request.tasks {
            match &task.state {
                TaskState::Exempt { basis } => *self.exempt.entry(basis.clone()).or_default() += 1,
                TaskState::Done {
                    proof: Proof::Attested,
                    ..
                } => is_attested = true,
                _ => {}
            }
        }
        self.attested += u64::from(is_attested);
        if request.life.status.is_final() {
            return;
        }
        // Only what a fact is compared with depends on the skew, and nothing here is.
        for deferred in request.deferred(Duration::ZERO) {
            *self.deferred.entry(deferred.why).or_default() += 1;
            let month = deferred.until.map(|until| Month::of(until, &calendar.zone));
            *self.deferred_months.entry((month, deferred.why)).or_default() += 1;
        }
    }

    fn count_history(&mut self, request: &Request, leaves: &[Leaf], history: &History) {
        self.leaves += leaves.len() as u64;
        self.proofs += history.proofs;
        self.records = self.records.saturating_add(history.records);
        self.held_requests += u64::from(history.was_held);
        self.repeats += u64::from(history.is_repeat);
        self.restored += u64::from(history.was_restored);
        for reason in &history.extensions {
            *self.extensions.entry(*reason).or_default() += 1;
        }
        let revision = request.head.registry;
        let (first, last) = self.revisions.unwrap_or((revision, revision));
        self.revisions = Some((first.min(revision), last.max(revision)));
    }
}

/// Whether it was carried out, as far as the law allows.
const fn is_carried_out(status: Status) -> bool {
    matches!(status, Status::Completed | Status::ClosedWithExceptions)
}

/// When the person's wish was met or turned down, as far as their deadline is concerned: live systems were clean (copies that
/// grow old and what a law keeps may come later), or the request came to its end otherwise. `None`: it was not; or it was
/// withdrawn, or is a part of another request, whose time counts.
fn answered_at(request: &Request) -> Option<At> {
    let life = &request.life;
    match life.status {
        Status::Cancelled | Status::Merged => None,
        Status::Refused => life.completed_at,
        Status::Completed | Status::ClosedWithExceptions => life.live_clean_at.or(life.completed_at),
        Status::AwaitingVerification
        | Status::AwaitingApproval
        | Status::Scheduled
        | Status::InProgress
        | Status::Deferred => life.live_clean_at,
    }
}
