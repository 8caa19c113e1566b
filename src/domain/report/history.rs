//! What the ledger says has happened to one request.

use std::{collections::BTreeMap, time::Duration};

use crate::domain::{
    entry::{Entry, Leaf},
    ids::ProcessorId,
    task::TaskEvent,
    time::At,
    words::{ExtensionReason, Outcome, Proof},
};

/// What has come of one send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// Its processor has answered, and it was no success.
    Answered(Outcome),
    /// It has not answered in time.
    Unanswered,
}

/// What the ledger says has happened to one request.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) proofs: u64,
    pub(super) records: u64,
    pub(super) was_held: bool,
    pub(super) is_repeat: bool,
    pub(super) was_restored: bool,
    pub(super) extensions: Vec<ExtensionReason>,
    /// How long each processor took for its first answer to a send.
    pub(super) answered_after: Vec<(ProcessorId, Duration)>,
    /// What has failed, by processor.
    pub(super) failures: Vec<(ProcessorId, Failure)>,
    owners: Vec<ProcessorId>,
    sent: BTreeMap<u16, At>,
}

impl History {
    pub(super) fn of(leaves: &[Leaf]) -> Self {
        let mut history = Self::default();
        for leaf in leaves {
            for entry in &leaf.entries {
                history.read(entry, leaf.at);
            }
        }
        history
    }

    fn read(&mut self, entry: &Entry, at: At) {
        match entry {
            Entry::Opened { processors, .. } => self.owners.clone_from(processors),
            Entry::WaveAdded { processor, .. } | Entry::TaskAdded { processor, .. } => {
                self.owners.push(processor.clone());
            }
            Entry::Task { ordinal, event, .. } => self.happened(*ordinal, event, at),
            Entry::Evidence { records, .. } => {
                self.proofs += 1;
                self.records = self.records.saturating_add(records.unwrap_or(0));
            }
            Entry::Repeated { .. } => self.is_repeat = true,
            Entry::Restored { .. } => self.was_restored = true,
            Entry::DeadlineMoved {
                reason: Some(reason), ..
            } => self.extensions.push(*reason),
            _ => {}
        }
    }

    fn happened(&mut self, ordinal: u16, event: &TaskEvent, at: At) {
        if let TaskEvent::Dispatched { at, .. } = event {
            self.sent.insert(ordinal, *at);
            return;
        }
        self.was_held |= matches!(event, TaskEvent::Held { .. });
        // Whatever happens next ends the wait for this send.
        let sent = self.sent.remove(&ordinal);
        let Some(owner) = self.owners.get(usize::from(ordinal)).cloned() else {
            return;
        };
        if let Some(failure) = failure_of(event) {
            self.failures.push((owner.clone(), failure));
        }
        if let Some(sent) = sent.filter(|_| is_answer(event)) {
            self.answered_after.push((owner, at.since(sent)));
        }
        if let TaskEvent::HandedOver { to, .. } = event
            && let Some(owner) = self.owners.get_mut(usize::from(ordinal))
        {
            owner.clone_from(to);
        }
    }
}

/// Whether its processor has said something, and not only time or a person.
const fn is_answer(event: &TaskEvent) -> bool {
    match event {
        TaskEvent::Accepted { .. }
        | TaskEvent::Retained { .. }
        | TaskEvent::RetainedForGood { .. }
        | TaskEvent::SecondLook { .. }
        | TaskEvent::Found { .. } => true,
        TaskEvent::Settled { proof, .. } => !matches!(proof, Proof::Attested | Proof::Expired),
        TaskEvent::AskedAgain { outcome, .. }
        | TaskEvent::Abandoned { outcome, .. }
        | TaskEvent::Parked { outcome, .. } => outcome.is_some(),
        _ => false,
    }
}

/// What has failed; `None`: nothing. What was never sent has not failed either.
fn failure_of(event: &TaskEvent) -> Option<Failure> {
    match event {
        TaskEvent::AskedAgain { outcome, .. } | TaskEvent::Abandoned { outcome, .. } => {
            Some(outcome.map_or(Failure::Unanswered, Failure::Answered))
        }
        TaskEvent::Parked {
            outcome: Some(outcome),
            ..
        } if !outcome.is_success() => Some(Failure::Answered(*outcome)),
        TaskEvent::Found { .. } => Some(Failure::Answered(Outcome::Present)),
        _ => None,
    }
}
