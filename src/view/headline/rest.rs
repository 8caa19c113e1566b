//! What the last open task of a request waits for, in a clause.

use super::{Told, plain};
use crate::domain::{
    task::{Deferral, Queued, Share, Task, TaskState, Undelivered},
    words::AbandonCause,
};

/// What it waits for.
pub(super) fn waits(told: &Told<'_>, ordinal: u16) -> String {
    let task = told.task(ordinal);
    match &task.state {
        TaskState::Parked {
            why: Deferral::Rotation,
            until,
        } if *until <= told.now => format!("the rotation of that copy is overdue since {}", told.day(*until)),
        TaskState::Parked {
            why: Deferral::Rotation,
            until,
        } => format!("that copy rotates on {}", told.day(*until)),
        TaskState::Parked {
            why: Deferral::Retention,
            until,
        } => match &task.share {
            Share::Kept { basis, .. } => format!(
                "it has to be kept until {} ({})",
                told.day(*until),
                plain(basis.as_str())
            ),
            _ => format!("it has to be kept until {}", told.day(*until)),
        },
        TaskState::Verifying { until } => {
            format!("it has proved it and is asked once more on {}", told.day(*until))
        }
        TaskState::Held { .. } => "a legal hold covers it".to_owned(),
        TaskState::Dispatched { ack_by, .. } => format!("its answer is due by {}", told.day(*ack_by)),
        TaskState::Accepted { expected_by, .. } if *expected_by <= told.now => format!(
            "it had promised to be done by {} and has not proved it",
            told.day(*expected_by)
        ),
        TaskState::Accepted { expected_by, .. } => {
            format!("it has promised to be done by {}", told.day(*expected_by))
        }
        TaskState::Attesting { until, .. } => format!(
            "it has accepted it and counts as done on {}, attested and not confirmed",
            told.day(*until)
        ),
        TaskState::Ready { due } | TaskState::Queued { due, .. } if task.attempt > 0 && *due > told.now => {
            let (attempt, day) = (task.attempt, told.day(*due));
            format!("attempt {attempt} did not succeed, and it is asked again on {day}")
        }
        TaskState::Ready { due } if *due > told.now => format!("it is asked on {}", told.day(*due)),
        TaskState::Ready { .. } => "it is asked next".to_owned(),
        TaskState::Queued { why, .. } => queued(*why).to_owned(),
        TaskState::Undeliverable { why, .. } => match why {
            Undelivered::Refused => "its topic takes nothing now".to_owned(),
            Undelivered::TooLarge { .. } => "its topic does not take a task of this size".to_owned(),
        },
        TaskState::WithoutIdentity => {
            "it cannot be asked: the person has no identifier that it knows".to_owned()
        }
        TaskState::Abandoned { cause } => given_up(*cause),
        TaskState::Blocked => "it waits for other systems".to_owned(),
        // It is not open then.
        TaskState::Done { .. } | TaskState::Exempt { .. } | TaskState::Waived | TaskState::Cancelled => {
            "it is done".to_owned()
        }
    }
}

const fn queued(why: Queued) -> &'static str {
    match why {
        Queued::Turn => "it waits for its turn in the queue of this system",
        Queued::Paused => "somebody has paused this system",
        Queued::Braked => "somebody has put the brake on",
    }
}

fn given_up(cause: AbandonCause) -> String {
    let why = match cause {
        AbandonCause::AttemptsUsed => "all its attempts have failed",
        AbandonCause::Rejected => "it refused the task",
        AbandonCause::Unsupported => "it cannot do this",
        AbandonCause::Pseudonymised => "it only pseudonymises",
    };
    format!("{why}, and an operator has to retry or waive it")
}

/// Whether its processor has it, or is asked next.
pub(super) const fn is_with_its_processor(task: &Task) -> bool {
    matches!(
        task.state,
        TaskState::Dispatched { .. }
            | TaskState::Accepted { .. }
            | TaskState::Attesting { .. }
            | TaskState::Ready { .. }
            | TaskState::Queued { .. }
            | TaskState::Undeliverable { .. }
    )
}

/// Why a closed task is no erasure.
pub(super) fn exception(state: &TaskState) -> String {
    match state {
        TaskState::Exempt { basis } => plain(basis.as_str()),
        _ => "an operator has waived it".to_owned(),
    }
}
