//! Tasks that do not go on before somebody has decided about them, or about their processor.

use crate::domain::{
    request::{Context, Request},
    task::{Task, TaskState},
    words::AbandonCause,
};

pub(super) fn given_up(
    request: &Request,
    ordinal: u16,
    cause: AbandonCause,
    context: &Context<'_>,
) -> String {
    let task = request.task(ordinal);
    let (processor, action) = (&task.processor, task.action);
    match cause {
        AbandonCause::Pseudonymised => format!(
            "{processor} calls it anonymized, and its method only pseudonymises: an operator has to retry or waive it."
        ),
        cause if request.can_be_retried(ordinal, context) => format!(
            "{processor} was given up ({cause}) after {} attempts: an operator has to retry or waive it.",
            task.attempt
        ),
        cause => format!(
            "{processor} was given up ({cause}): as it is registered it does not {action} anything, so that a retry is refused. \
             An operator has to waive it, or to retry it once the active registry says that it can."
        ),
    }
}

pub(super) fn unregistered(task: &Task) -> String {
    let processor = &task.processor;
    let is_out = matches!(
        task.state,
        TaskState::Dispatched { .. } | TaskState::Accepted { .. } | TaskState::Attesting { .. }
    );
    if task.share.is_wave() {
        format!(
            "The copies of {processor} cannot be proved gone: it is registered as a backup set no more. Register it \
             again, or waive the task."
        )
    } else if is_out {
        format!(
            "{processor} was asked and has not proved it, and it is not registered any more: an answer of its own \
             still counts, but it is not asked again. Register it again, or waive the task."
        )
    } else {
        format!(
            "{processor} cannot be asked: it is not registered any more. Register it again, or waive the task."
        )
    }
}
