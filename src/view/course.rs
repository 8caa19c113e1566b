//! How far a task has come: asked, answered, proved, each with its time.

use crate::domain::{
    entry::{Entry, Leaf},
    request::Request,
    task::{Share, Task, TaskEvent, TaskState},
    time::At,
    words::Outcome,
};

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It is behind us.
    Done,
    /// It is what is waited for.
    Now,
    /// It has gone wrong, or somebody has decided against it.
    Failed,
    /// It comes later.
    Ahead,
}

/// A step of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// How it stands.
    pub mark: Mark,
    /// What is so, in a few words.
    pub says: String,
    /// Since when.
    pub at: Option<At>,
}

/// How far a task has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// That its processor was asked.
    pub asked: Step,
    /// That it has answered.
    pub answered: Step,
    /// That it has proved it.
    pub proved: Step,
}

/// What the ledger says of the current generation of a task.
#[derive(Debug, Clone, Default)]
struct Traces {
    asked: Option<At>,
    answered: Option<(At, String)>,
    proved: Option<At>,
}

/// The courses of all tasks of a request, in the order of its plan.
pub fn courses(request: &Request, leaves: &[Leaf]) -> Vec<Course> {
    let mut traces = vec![Traces::default(); request.tasks.len()];
    for leaf in leaves {
        for entry in &leaf.entries {
            let Entry::Task {
                ordinal,
                generation,
                event,
                ..
            } = entry
            else {
                continue;
            };
            let place = usize::from(*ordinal);
            let is_current = request
                .tasks
                .get(place)
                .is_some_and(|task| task.generation == *generation);
            if is_current && let Some(traces) = traces.get_mut(place) {
                traces.learn(event, leaf.at);
            }
        }
    }
    let is_gated = request.shown_gate().is_some();
    let tasks = request.tasks.iter().zip(traces);
    tasks
        .map(|(task, traces)| Course {
            asked: asked(task, &traces, is_gated),
            answered: answered(task, &traces),
            proved: proved(task, &traces),
        })
        .collect()
}

impl Traces {
    fn learn(&mut self, event: &TaskEvent, at: At) {
        let said = |outcome: Option<Outcome>| outcome.map_or("no usable answer", Outcome::as_str).to_owned();
        match event {
            TaskEvent::Dispatched { at, .. } => self.asked = Some(*at),
            TaskEvent::Accepted { at, .. } => {
                self.answered = Some((*at, Outcome::Accepted.as_str().to_owned()));
            }
            TaskEvent::AskedAgain { outcome, .. } | TaskEvent::Abandoned { outcome, .. } => {
                self.answered = Some((at, said(*outcome)));
            }
            TaskEvent::Parked {
                outcome: Some(outcome),
                ..
            } => self.answered = Some((at, outcome.as_str().to_owned())),
            TaskEvent::Retained { .. } | TaskEvent::RetainedForGood { .. } => {
                self.answered = Some((at, Outcome::Retained.as_str().to_owned()));
            }
            TaskEvent::Settled { proof, at, .. } => {
                self.answered = Some((*at, proof.outcome().as_str().to_owned()));
                self.proved = Some(*at);
            }
            TaskEvent::SecondLook { .. } => self.proved = Some(at),
            // What was handed over and did not leave was not asked.
            TaskEvent::Undeliverable { certain: true, .. } | TaskEvent::Unsent { .. } => self.asked = None,
            _ => {}
        }
    }
}

fn step(mark: Mark, says: impl Into<String>, at: Option<At>) -> Step {
    let says = says.into().replace('_', " ");
    Step { mark, says, at }
}

/// `is_gated`: nothing of the request is sent yet.
fn asked(task: &Task, traces: &Traces, is_gated: bool) -> Step {
    if let Some(at) = traces.asked {
        let says = if task.attempt > 1 {
            format!("attempt {}", task.attempt)
        } else {
            "once".to_owned()
        };
        return step(Mark::Done, says, Some(at));
    }
    match &task.state {
        TaskState::Ready { .. } | TaskState::Queued { .. } if is_gated => {
            step(Mark::Ahead, "not before its gates are open", None)
        }
        TaskState::Ready { due } | TaskState::Queued { due, .. } | TaskState::Undeliverable { due, .. } => {
            step(Mark::Now, "goes out next", Some(*due))
        }
        TaskState::Held { .. } => step(Mark::Failed, "held, not sent", None),
        TaskState::WithoutIdentity => step(Mark::Failed, "cannot be asked", None),
        TaskState::Exempt { .. } | TaskState::Waived | TaskState::Cancelled => {
            step(Mark::Ahead, "not asked", None)
        }
        TaskState::Done { .. } => step(Mark::Done, "needed no task", None),
        TaskState::Parked { until, .. } if !matches!(task.share, Share::Wave { .. }) => {
            step(Mark::Ahead, "not before", Some(*until))
        }
        _ if matches!(task.share, Share::Wave { .. }) => step(Mark::Ahead, "its copies grow old", None),
        _ => step(Mark::Ahead, "not yet", None),
    }
}

fn answered(task: &Task, traces: &Traces) -> Step {
    match (&traces.answered, &task.state) {
        (None, TaskState::Dispatched { ack_by, .. }) => step(Mark::Now, "due by", Some(*ack_by)),
        (None, _) => step(Mark::Ahead, "not yet", None),
        (Some((at, said)), TaskState::Abandoned { .. }) => step(Mark::Failed, said.as_str(), Some(*at)),
        (Some((at, said)), TaskState::Ready { .. } | TaskState::Queued { .. }) => {
            step(Mark::Failed, format!("{said}, asked again"), Some(*at))
        }
        (Some((at, said)), _) => step(Mark::Done, said.as_str(), Some(*at)),
    }
}

fn proved(task: &Task, traces: &Traces) -> Step {
    match &task.state {
        TaskState::Done { proof, at } => step(Mark::Done, proof.as_str(), Some(*at)),
        TaskState::Verifying { until } if traces.proved.is_some() => {
            step(Mark::Done, "once; asked again", Some(*until))
        }
        TaskState::Accepted { expected_by, .. } => step(Mark::Now, "promised by", Some(*expected_by)),
        TaskState::Attesting { until, .. } => step(Mark::Now, "counts as attested", Some(*until)),
        TaskState::Parked { until, .. } => step(Mark::Now, "expected", Some(*until)),
        TaskState::Abandoned { .. } => step(Mark::Failed, "given up", None),
        TaskState::Waived => step(Mark::Failed, "waived", None),
        TaskState::Exempt { basis } => step(Mark::Failed, format!("exempt: {basis}"), None),
        TaskState::Cancelled => step(Mark::Ahead, "withdrawn", None),
        _ => step(Mark::Ahead, "not yet", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            task::Deferral,
            words::{AbandonCause, Proof, Status},
        },
        view::fixture::{at, done, now, request, task},
    };

    fn leaf(n: u32, ordinal: u16, event: TaskEvent) -> Leaf {
        Leaf {
            request: crate::domain::ids::RequestId(uuid::Uuid::from_u128(1)),
            n,
            at: now(),
            entries: vec![Entry::Task {
                ordinal,
                generation: 1,
                attempt: 1,
                event,
            }],
        }
    }

    fn sent() -> TaskEvent {
        TaskEvent::Dispatched {
            at: at("2026-11-21T09:00:00Z"),
            ack_by: at("2026-11-22T09:00:00Z"),
        }
    }

    #[test]
    fn what_was_proved_was_asked_and_answered() {
        let proof = Proof::Erased;
        let settled = TaskEvent::Settled {
            attempt: 1,
            proof,
            at: now(),
        };
        let request = request(Status::Completed, vec![done("crm", proof)]);
        let course = &courses(&request, &[leaf(0, 0, sent()), leaf(1, 0, settled)])[0];
        assert_eq!(
            course.asked,
            step(Mark::Done, "once", Some(at("2026-11-21T09:00:00Z")))
        );
        assert_eq!(course.answered, step(Mark::Done, "erased", Some(now())));
        assert_eq!(course.proved, step(Mark::Done, "erased", Some(now())));
    }

    #[test]
    fn what_did_not_leave_was_not_asked() {
        let due = now();
        let lost = TaskEvent::Unsent {
            due,
            why: crate::domain::task::Queued::Paused,
        };
        let request = request(Status::InProgress, vec![task("crm", TaskState::Ready { due })]);
        let course = &courses(&request, &[leaf(0, 0, sent()), leaf(1, 0, lost)])[0];
        assert_eq!(course.asked, step(Mark::Now, "goes out next", Some(due)));
        assert_eq!(course.answered, step(Mark::Ahead, "not yet", None));
    }

    #[test]
    fn what_failed_says_what_it_was_answered() {
        let cause = AbandonCause::AttemptsUsed;
        let outcome = Some(Outcome::Failed);
        let given_up = TaskEvent::Abandoned { cause, outcome };
        let request = request(
            Status::InProgress,
            vec![task("ads", TaskState::Abandoned { cause })],
        );
        let course = &courses(&request, &[leaf(0, 0, sent()), leaf(1, 0, given_up)])[0];
        assert_eq!(course.answered, step(Mark::Failed, "failed", Some(now())));
        assert_eq!(course.proved, step(Mark::Failed, "given up", None));
    }

    #[test]
    fn copies_are_not_asked_and_are_expected_at_a_date() {
        let until = at("2026-12-26T09:00:00Z");
        let why = Deferral::Rotation;
        let mut copies = task("nightly-backup", TaskState::Parked { why, until });
        copies.share = Share::Wave {
            sources: vec![0],
            key: false,
        };
        let course = &courses(&request(Status::Deferred, vec![copies]), &[])[0];
        assert_eq!(course.asked, step(Mark::Ahead, "its copies grow old", None));
        assert_eq!(course.proved, step(Mark::Now, "expected", Some(until)));
    }
}
