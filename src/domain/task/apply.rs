//! The one function that changes a task. Live running and replay share it; an unlisted pair is an error.

use super::{Deferral, Purpose, Sent, Share, Task, TaskEvent, TaskState};
use crate::domain::words::{Action, Outcome, Proof, TaskStateName};

/// An event that the state of a task does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a task that is {state} cannot take the event {event:?}")]
pub struct IllegalEvent {
    /// The state it is in.
    pub state: TaskStateName,
    /// What should have happened.
    pub event: TaskEvent,
}

impl Task {
    /// The one way in which a task changes. Live running and replay share it; an unlisted pair is an error.
    pub fn apply(&mut self, event: &TaskEvent) -> Result<(), IllegalEvent> {
        use TaskEvent as E;
        use TaskState as S;
        let is_wave = matches!(self.share, Share::Wave { .. });
        let is_checked = matches!(self.purpose, Purpose::Check { .. });
        // What has never been sent still has to wait for the tasks before it.
        let waits = !self.was_sent() && (is_wave || !self.after.is_empty());
        let next = match (&self.state, event) {
            (S::Parked { .. }, E::Woken { .. }) if waits && !is_wave => S::Blocked,
            (S::Abandoned { .. } | S::Parked { .. }, E::Retried { .. }) if waits => S::Blocked,
            (S::Blocked | S::WithoutIdentity, E::Unblocked { due })
            | (S::Parked { .. } | S::Verifying { .. }, E::Woken { due, .. })
            | (S::Held { .. }, E::Released { due })
            // What is answered has arrived, also where nobody confirmed that it had.
            | (
                S::Dispatched { .. }
                | S::Accepted { .. }
                | S::Attesting { .. }
                | S::Queued { .. } | S::Undeliverable { .. },
                E::AskedAgain { due, .. } | E::Found { due },
            )
            // Nobody had confirmed it, and it is not so.
            | (S::Done { proof: Proof::Attested, .. }, E::Found { due })
            | (S::Attesting { .. }, E::ProbeDue { due })
            | (
                S::Dispatched { .. } | S::Accepted { .. } | S::Attesting { .. } | S::Abandoned { .. },
                E::ResultUnknown { due, .. },
            )
            | (
                S::Abandoned { .. }
                | S::Ready { .. }
                | S::Queued { .. } | S::Undeliverable { .. }
                | S::Dispatched { .. }
                | S::Accepted { .. }
                | S::Attesting { .. }
                | S::Parked { .. },
                E::Retried { due },
            )
            | (
                S::Done { .. }
                | S::Ready { .. }
                | S::Queued { .. } | S::Undeliverable { .. }
                | S::Held { .. }
                | S::Dispatched { .. }
                | S::Accepted { .. }
                | S::Attesting { .. }
                | S::Verifying { .. }
                | S::Parked { .. }
                | S::Exempt { .. }
                | S::Abandoned { .. },
                E::Restored { due },
            ) => S::Ready { due: *due },
            (S::Ready { due } | S::Queued { due, .. } | S::Undeliverable { due, .. }, E::Held { .. }) => S::Held { due: *due },
            (S::Ready { .. } | S::Queued { .. } | S::Undeliverable { .. }, E::Dispatched { at, ack_by }) => S::Dispatched {
                at: *at,
                ack_by: *ack_by,
            },
            (
                S::Ready { .. } | S::Queued { .. } | S::Undeliverable { .. },
                E::Queued { due, why },
            )
            | (S::Dispatched { .. }, E::Unsent { due, why }) => S::Queued { due: *due, why: *why },
            (S::Queued { .. } | S::Undeliverable { .. }, E::Unqueued { due }) => S::Ready { due: *due },
            // A topic that is known to take nothing is not tried.
            (S::Ready { .. } | S::Queued { .. } | S::Dispatched { .. }, E::Undeliverable { due, why, .. }) => S::Undeliverable {
                due: *due,
                why: *why,
            },
            (S::Dispatched { .. } | S::Queued { .. } | S::Undeliverable { .. }, E::Accepted { at, expected_by }) => S::Accepted {
                at: *at,
                expected_by: *expected_by,
            },
            // What it was sent has arrived, which was to be asked.
            (S::Ready { .. } | S::Held { .. }, E::Accepted { at, expected_by }) if is_checked => S::Accepted {
                at: *at,
                expected_by: *expected_by,
            },
            (
                S::Accepted { at, expected_by } | S::Attesting { at, expected_by, .. },
                E::TermSet { until: Some(until) },
            ) => S::Attesting { at: *at, expected_by: *expected_by, until: *until },
            (S::Attesting { at, expected_by, .. }, E::TermSet { until: None }) => {
                S::Accepted { at: *at, expected_by: *expected_by }
            }
            // A success of any attempt of the generation settles, also while the next attempt waits, and after all were used.
            (
                S::Dispatched { .. }
                | S::Accepted { .. }
                | S::Attesting { .. }
                | S::Ready { .. }
                | S::Queued { .. } | S::Undeliverable { .. }
                | S::Held { .. }
                | S::Parked { .. }
                | S::Abandoned { .. }
                | S::Done { proof: Proof::Attested, .. },
                E::Settled { proof, at, .. },
            ) => S::Done {
                proof: self.best(*proof),
                at: *at,
            },
            (
                S::Dispatched { .. }
                | S::Accepted { .. }
                | S::Attesting { .. }
                | S::Ready { .. }
                | S::Queued { .. } | S::Undeliverable { .. }
                | S::Held { .. }
                | S::Parked { .. }
                | S::Abandoned { .. },
                E::SecondLook { until, .. },
            ) => S::Verifying { until: *until },
            (
                S::Dispatched { .. }
                | S::Accepted { .. }
                | S::Attesting { .. }
                | S::Queued { .. } | S::Undeliverable { .. },
                E::Retained { until },
            ) => S::Parked {
                why: Deferral::Retention,
                until: *until,
            },
            (S::Parked { why, until }, E::Moved { from, to }) if until == from => S::Parked {
                why: *why,
                until: *to,
            },
            // Also what could not be done at once: a backup system that has no key to destroy waits for its rotation.
            (
                S::Blocked | S::Dispatched { .. } | S::Accepted { .. } | S::Queued { .. } | S::Undeliverable { .. },
                E::Parked { why, until, .. },
            ) if is_wave => {
                S::Parked {
                    why: *why,
                    until: *until,
                }
            }
            (
                S::Blocked
                | S::WithoutIdentity
                | S::Parked { .. }
                | S::Ready { .. }
                | S::Queued { .. } | S::Undeliverable { .. }
                | S::Held { .. }
                | S::Dispatched { .. }
                | S::Accepted { .. }
                | S::Attesting { .. }
                | S::Done { .. }
                | S::Abandoned { .. }
                | S::Exempt { .. },
                E::Reopened,
            ) if is_wave => S::Blocked,
            (S::Blocked | S::WithoutIdentity | S::Abandoned { .. }, E::Rewaved { .. }) if is_wave => {
                self.state.clone()
            }
            (
                S::Dispatched { .. }
                | S::Accepted { .. }
                | S::Attesting { .. }
                | S::Queued { .. } | S::Undeliverable { .. },
                E::RetainedForGood { basis },
            ) => {
                S::Exempt { basis: basis.clone() }
            }
            (
                S::Blocked
                | S::WithoutIdentity
                | S::Parked { .. }
                | S::Ready { .. }
                | S::Queued { .. } | S::Undeliverable { .. }
                | S::Held { .. }
                | S::Abandoned { .. },
                E::Refused { basis },
            ) if !self.was_sent() => S::Exempt { basis: basis.clone() },
            (S::WithoutIdentity, E::Identified) => S::Blocked,
            (S::Blocked, E::Exempted { basis }) if is_wave => S::Exempt { basis: basis.clone() },
            (S::WithoutIdentity, E::Exempted { basis }) if !is_wave => S::Exempt { basis: basis.clone() },
            (
                S::Dispatched { .. }
                | S::Accepted { .. }
                | S::Attesting { .. }
                | S::Queued { .. } | S::Undeliverable { .. },
                E::Abandoned { cause, .. },
            ) => {
                S::Abandoned { cause: *cause }
            }
            (
                S::Blocked
                | S::WithoutIdentity
                | S::Parked { .. }
                | S::Ready { .. }
                | S::Queued { .. } | S::Undeliverable { .. }
                | S::Held { .. }
                | S::Dispatched { .. }
                | S::Accepted { .. }
                | S::Attesting { .. }
                | S::Verifying { .. }
                | S::Abandoned { .. },
                E::Waived,
            ) => S::Waived,
            (
                S::Blocked
                | S::WithoutIdentity
                | S::Parked { .. }
                | S::Ready { .. }
                | S::Queued { .. } | S::Undeliverable { .. }
                | S::Held { .. }
                | S::Abandoned { .. },
                E::Cancelled,
            ) => S::Cancelled,
            (_, E::HandedOver { action, named, due, .. }) => match self.handed_over(*action, *named, *due) {
                Some(state) => state,
                None => return Err(self.refuses(event)),
            },
            _ => return Err(self.refuses(event)),
        };
        self.count(event);
        self.state = next;
        Ok(())
    }

    fn refuses(&self, event: &TaskEvent) -> IllegalEvent {
        IllegalEvent {
            state: self.state.name(),
            event: event.clone(),
        }
    }

    fn count(&mut self, event: &TaskEvent) {
        match event {
            TaskEvent::Dispatched { at, .. } => {
                let asks_anew = self.attempt == 0 && self.asks() != Action::Verify;
                if asks_anew || self.sent.is_none() {
                    self.sent = Some(Sent { asked_at: *at });
                }
                self.attempt += 1;
                self.answered = None;
            }
            TaskEvent::Accepted { .. } => self.answered = Some(Outcome::Accepted),
            TaskEvent::AskedAgain { outcome, counts, .. } => {
                self.answered = Some(outcome.unwrap_or(Outcome::Failed));
                self.counted += u32::from(*counts);
            }
            TaskEvent::Abandoned { outcome, .. } => {
                self.answered = Some(outcome.unwrap_or(Outcome::Failed));
                self.counted += 1;
            }
            // What was never sent has not been answered.
            TaskEvent::Parked { outcome, .. } => {
                self.answered = (self.attempt > 0).then(|| outcome.unwrap_or(Outcome::Failed));
                if self.attempt > 0 {
                    self.purpose = Purpose::AtHorizon;
                }
            }
            TaskEvent::Retained { .. } | TaskEvent::RetainedForGood { .. } => {
                self.answered = Some(Outcome::Retained)
            }
            TaskEvent::Settled { attempt, proof, .. } if *attempt == self.attempt => {
                self.answered = Some(proof.outcome());
            }
            // What the current attempt is answered later repeats it or is stale.
            TaskEvent::Settled { .. } => {}
            TaskEvent::Woken { action, .. } => {
                self.action = *action;
                match self.purpose {
                    // A second look asks something else, which must not pass for a repeat of what was asked before.
                    Purpose::Sweep(_) | Purpose::Verify(_) => self.begin_generation(self.purpose),
                    // It has said that it keeps it, and no question is open any more.
                    Purpose::Probe { .. } | Purpose::Check { .. } => self.begin_generation(Purpose::Asked),
                    Purpose::Asked | Purpose::Retried | Purpose::AtHorizon | Purpose::Restored => {}
                }
            }
            TaskEvent::SecondLook { attempt, purpose, .. } => {
                if let (true, Purpose::Sweep(proof) | Purpose::Verify(proof)) =
                    (*attempt == self.attempt, *purpose)
                {
                    self.answered = Some(proof.outcome());
                }
                self.purpose = match *purpose {
                    Purpose::Asked
                    | Purpose::Retried
                    | Purpose::AtHorizon
                    | Purpose::Restored
                    | Purpose::Probe { .. }
                    | Purpose::Check { .. } => *purpose,
                    Purpose::Sweep(proof) => Purpose::Sweep(self.best(proof)),
                    Purpose::Verify(proof) => Purpose::Verify(self.best(proof)),
                };
            }
            TaskEvent::HandedOver { to, action, .. } => {
                self.processor = to.clone();
                self.action = action.unwrap_or(self.action);
                self.begin_generation(self.purpose_of_successor());
            }
            TaskEvent::Retried { .. } => self.begin_generation(Purpose::Retried),
            TaskEvent::Restored { .. } => self.begin_generation(Purpose::Restored),
            TaskEvent::Found { .. } | TaskEvent::Reopened => {
                // What was sent and lost has been sent all the same.
                let counted = match self.purpose {
                    Purpose::Check { sends, .. } => sends,
                    _ => 0,
                };
                self.begin_generation(Purpose::Asked);
                self.counted = counted;
            }
            TaskEvent::ProbeDue { .. } => {
                let of = self.purpose.asks_about().unwrap_or(self.generation);
                let proved = self.purpose.proved();
                self.begin_generation(Purpose::Probe { of, proved });
            }
            TaskEvent::ResultUnknown { sends, .. } => {
                let of = self.purpose.asks_about().unwrap_or(self.generation);
                let (sends, proved) = (*sends, self.purpose.proved());
                self.begin_generation(Purpose::Check { of, sends, proved });
            }
            TaskEvent::Rewaved { sources: new } => {
                if let Share::Wave { sources, .. } = &mut self.share {
                    sources.clone_from(new);
                }
            }
            TaskEvent::Unblocked { .. }
            | TaskEvent::Waived
            | TaskEvent::Cancelled
            | TaskEvent::Moved { .. }
            | TaskEvent::Held { .. }
            | TaskEvent::Released { .. }
            | TaskEvent::Identified
            | TaskEvent::Refused { .. }
            | TaskEvent::Exempted { .. }
            | TaskEvent::Undeliverable { .. }
            | TaskEvent::Queued { .. }
            | TaskEvent::Unqueued { .. }
            | TaskEvent::TermSet { .. }
            // An attempt keeps its number, and counts only once it is answered, or missed.
            | TaskEvent::Unsent { .. } => {}
        }
    }

    /// What had been erased before stays erased, also where a second look finds nothing.
    fn best(&self, proof: Proof) -> Proof {
        if proof != Proof::NotFound {
            return proof;
        }
        match self.purpose {
            // It had accepted to erase it, and now it is gone.
            Purpose::Probe { proved, .. } => proved.unwrap_or(Proof::Erased),
            purpose => purpose.proved().unwrap_or(proof),
        }
    }

    fn begin_generation(&mut self, purpose: Purpose) {
        self.generation += 1;
        self.attempt = 0;
        self.counted = 0;
        self.answered = None;
        self.purpose = purpose;
    }

    /// What its message asks.
    pub const fn asks(&self) -> Action {
        if self.purpose.only_asks() {
            Action::Verify
        } else {
            self.action
        }
    }

    /// Whether a restore has brought back what it had erased, and it was not sent again since.
    pub const fn is_unsent_replay(&self) -> bool {
        matches!(
            (self.purpose, &self.state),
            (
                Purpose::Restored,
                TaskState::Ready { .. } | TaskState::Undeliverable { .. }
            )
        ) && self.attempt == 0
    }

    /// Whether it was ever sent.
    pub const fn was_sent(&self) -> bool {
        self.sent.is_some()
    }
}
