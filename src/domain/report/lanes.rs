//! What each processor has done of the requests of a period.

use std::collections::BTreeMap;

use super::{
    durations::Durations,
    history::{Failure, History},
};
use crate::domain::{
    ids::ProcessorId,
    request::Request,
    task::TaskState,
    words::{Outcome, Proof},
};

/// All processors.
#[derive(Debug, Default)]
pub(super) struct Lanes(pub(super) BTreeMap<ProcessorId, Lane>);

/// One processor.
#[derive(Debug, Default)]
pub struct Lane {
    /// Its tasks.
    pub tasks: u64,
    /// Proved as erased.
    pub erased: u64,
    /// Proved as anonymized.
    pub anonymized: u64,
    /// Proved as pseudonymised.
    pub pseudonymised: u64,
    /// It had no data.
    pub not_found: u64,
    /// Closed by the term that it has published.
    pub attested: u64,
    /// Exempt.
    pub exempt: u64,
    /// Given up until somebody acts.
    pub abandoned: u64,
    /// Done without.
    pub waived: u64,
    /// Withdrawn.
    pub cancelled: u64,
    /// From a send to the first answer to it.
    pub answers: Durations,
    /// Answers that were no success.
    pub failed: BTreeMap<Outcome, u64>,
    /// Sends that it has not answered in time.
    pub unanswered: u64,
}

impl Lanes {
    pub(super) fn add(&mut self, request: &Request, history: &History) {
        for task in &request.tasks {
            self.of(&task.processor).count(&task.state);
        }
        for (processor, after) in &history.answered_after {
            self.of(processor).answers.push(*after);
        }
        for (processor, failure) in &history.failures {
            let lane = self.of(processor);
            match failure {
                Failure::Answered(outcome) => *lane.failed.entry(*outcome).or_default() += 1,
                Failure::Unanswered => lane.unanswered += 1,
            }
        }
    }

    fn of(&mut self, processor: &ProcessorId) -> &mut Lane {
        // The id is short enough to be copied without an allocation, most often.
        self.0.entry(processor.clone()).or_default()
    }
}

impl Lane {
    fn count(&mut self, state: &TaskState) {
        self.tasks += 1;
        match state {
            TaskState::Done { proof, .. } => match proof {
                Proof::Erased | Proof::Expired => self.erased += 1,
                Proof::Anonymized => self.anonymized += 1,
                Proof::Pseudonymised => self.pseudonymised += 1,
                Proof::NotFound => self.not_found += 1,
                Proof::Attested => self.attested += 1,
            },
            TaskState::Exempt { .. } => self.exempt += 1,
            TaskState::Abandoned { .. } => self.abandoned += 1,
            TaskState::Waived => self.waived += 1,
            TaskState::Cancelled => self.cancelled += 1,
            TaskState::Blocked
            | TaskState::WithoutIdentity
            | TaskState::Parked { .. }
            | TaskState::Ready { .. }
            | TaskState::Dispatched { .. }
            | TaskState::Accepted { .. }
            | TaskState::Held { .. }
            | TaskState::Verifying { .. }
            | TaskState::Undeliverable { .. }
            | TaskState::Queued { .. }
            | TaskState::Attesting { .. } => {}
        }
    }

    /// How many are proved, or closed by a published term.
    pub const fn done(&self) -> u64 {
        self.erased + self.anonymized + self.pseudonymised + self.not_found + self.attested
    }

    /// How many nothing more is to be done about.
    pub const fn closed(&self) -> u64 {
        self.done() + self.exempt + self.waived + self.cancelled
    }
}
