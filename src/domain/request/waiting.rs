//! "Why is it not done yet?": everything that a request waits for.

use super::Request;
use crate::domain::{
    ids::ProcessorId,
    task::{Deferral, Queued, Task, TaskState},
    time::At,
    words::{TaskStateName, Why},
};

/// One thing that a request waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting<'a> {
    /// The processor; `None`: a gate of the whole request.
    pub processor: Option<&'a ProcessorId>,
    /// The place of its task; `None` for a gate.
    pub ordinal: Option<u16>,
    /// The state of its task; `None` for a gate.
    pub state: Option<TaskStateName>,
    /// Why.
    pub why: Why,
    /// Until when, where a date is known.
    pub until: Option<At>,
}

impl Request {
    /// Everything that is not done, what concerns the whole request first, then the tasks in the order of the plan.
    pub fn waiting_for(&self) -> Vec<Waiting<'_>> {
        if self.life.status.is_final() {
            return Vec::new();
        }
        let of_request = |why, until| Waiting {
            processor: None,
            ordinal: None,
            state: None,
            why,
            until,
        };
        let gate = self.shown_gate().map(|gate| of_request(gate.why(), gate.until()));
        // A plan of exempt tasks alone waits for nobody but a person.
        let person = self
            .nobody_was_asked()
            .then(|| of_request(Why::NeedsAttention, None));
        gate.into_iter()
            .chain(person)
            .chain(self.ordinals().filter_map(|ordinal| self.waits(ordinal)))
            .collect()
    }

    fn waits(&self, ordinal: u16) -> Option<Waiting<'_>> {
        let task = self.task(ordinal);
        let (why, until) = self.why_not_done(task)?;
        Some(Waiting {
            processor: Some(&task.processor),
            ordinal: Some(ordinal),
            state: Some(task.state.name()),
            why,
            until,
        })
    }

    /// Why a task is not done, and until when it waits; `None`: it is.
    pub fn why_not_done(&self, task: &Task) -> Option<(Why, Option<At>)> {
        match &task.state {
            TaskState::Blocked => Some((Why::Dependency, None)),
            TaskState::WithoutIdentity => Some((Why::Identity, None)),
            TaskState::Parked {
                why: Deferral::Retention,
                until,
            } => Some((Why::Retention, Some(*until))),
            TaskState::Parked {
                why: Deferral::Rotation,
                until,
            } => Some((Why::BackupRotation, Some(*until))),
            TaskState::Verifying { until } => Some((Why::Verification, Some(*until))),
            TaskState::Held { .. } => Some((Why::Hold, None)),
            TaskState::Ready { due } if task.attempt > 0 => Some((Why::Retry, Some(*due))),
            TaskState::Ready { .. } if self.shown_gate().is_some() => {
                self.shown_gate().map(|gate| (gate.why(), gate.until()))
            }
            // It is sent at the pace of its replay; where it cannot be sent at all, somebody is told.
            TaskState::Ready { .. } if task.is_unsent_replay() && !self.life.needs_attention => {
                Some((Why::Rate, None))
            }
            // It could have been sent and was not: its processor is no longer registered, or its subject is forgotten.
            TaskState::Ready { .. } => Some((Why::NeedsAttention, None)),
            TaskState::Queued {
                why: Queued::Turn,
                due,
            } if task.attempt > 0 => Some((Why::Retry, Some(*due))),
            TaskState::Queued { why, .. } => Some((why.word(), None)),
            TaskState::Undeliverable { due, .. } => Some((Why::Undeliverable, Some(*due))),
            TaskState::Dispatched { ack_by, .. } => Some((Why::Ack, Some(*ack_by))),
            TaskState::Accepted { expected_by, .. } => Some((Why::ExpectedCompletion, Some(*expected_by))),
            TaskState::Attesting { until, .. } => Some((Why::Attestation, Some(*until))),
            TaskState::Abandoned { .. } => Some((Why::Abandoned, None)),
            TaskState::Done { .. } | TaskState::Exempt { .. } | TaskState::Waived | TaskState::Cancelled => {
                None
            }
        }
    }
}
