//! What is ahead of a request, in sentences.

use crate::domain::{
    hold::Hold,
    ids::{Label, TaskId},
    registry::ConfirmBy,
    request::{
        Context, Request,
        gates::ClosedGate,
        outlook::{Ahead, BestCase, CapsuleEnd, Coming, Need},
    },
    task::{Purpose, Queued, Share, Undelivered},
    time::At,
    words::AbandonCause,
};
use crate::engine::decisions::DecisionView;

/// A decision, with what it is about and why it was taken.
pub fn decided(decision: &DecisionView) -> String {
    let by = decision.by.as_deref().unwrap_or("a command that names nobody");
    let mut said = format!("{by}: {}", decision.decision);
    let about = [
        decision.processor.as_ref().map(ToString::to_string),
        decision.hold_id.map(|id| format!("hold {id}")),
        decision.basis.clone(),
        decision.method.clone(),
    ];
    for part in about.into_iter().flatten() {
        said += &format!(" {part}");
    }
    match &decision.reason {
        Some(reason) => format!("{said}: {reason}"),
        None => said,
    }
}

/// What will happen at a time. `is_gated`: only where people have opened the gates of the request by then.
pub fn coming(ahead: &Ahead, request: &Request, is_gated: bool) -> String {
    let said = match ahead.what {
        Coming::GateOpens => "sending begins: not_before is over".to_owned(),
        Coming::Asked(attempt) => format!("is asked (attempt {attempt})"),
        Coming::AnswerDue { last: true, .. } => {
            "its answer is due; without one it is given up, for an operator to decide".to_owned()
        }
        Coming::AnswerDue { attempt, .. } => {
            format!(
                "its answer is due; without one it is asked again (attempt {})",
                attempt + 1
            )
        }
        Coming::PromiseDue => "what it promised is due; after that somebody has to look".to_owned(),
        Coming::TermPasses { probe: true } => {
            "its published term has passed: it is asked whether it is done, and else counts as attested"
                .to_owned()
        }
        Coming::TermPasses { probe: false } => {
            "its published term has passed: it counts as attested then, which is not confirmed".to_owned()
        }
        Coming::KeepEnds(action) => format!("need not keep it any more and is asked to {action} it"),
        Coming::Horizon(ConfirmBy::Event) => {
            "its copies have grown old; a rotation has to prove it".to_owned()
        }
        Coming::Horizon(ConfirmBy::Ack) => {
            "its copies have grown old, and it is asked to prove it".to_owned()
        }
        Coming::Horizon(ConfirmBy::Schedule) => {
            "its copies have grown old, and its declared schedule counts as the proof".to_owned()
        }
        Coming::ProofOverdue => "the proof of its rotation is overdue".to_owned(),
        Coming::SecondLook(Purpose::Verify(_)) => "is asked whether the data is really gone".to_owned(),
        Coming::SecondLook(_) => "is asked to erase once more what has come in late".to_owned(),
        Coming::AtRisk => "little of the period is left: at risk from now on".to_owned(),
        Coming::Deadline => "the legal deadline; overdue after it unless live systems are clean".to_owned(),
        Coming::Forgotten => "its identifiers are forgotten".to_owned(),
    };
    let provided = if is_gated {
        ", if people have opened its gates by then"
    } else {
        ""
    };
    match ahead.ordinal {
        Some(ordinal) => format!("{}: {said}{provided}", name(request, ordinal)),
        None => said,
    }
}

/// What opens a gate that waits for a person; `None`: it opens by itself.
pub fn opener(gate: ClosedGate, request: &Request) -> Option<String> {
    let id = request.id;
    match gate {
        ClosedGate::Verification => Some(format!(
            "the subject's identity has to be verified, POST /v1/requests/{id}/verify-identity; after the deadline it is \
             refused without that"
        )),
        ClosedGate::Approval => Some(format!(
            "a second person has to approve it, POST /v1/requests/{id}/approve"
        )),
        ClosedGate::Grace(_) | ClosedGate::NotBefore(_) => None,
    }
}

/// What would end the waiting of a task, and which holds it would meet then.
pub fn needed(need: &Need<'_>, request: &Request, ordinal: u16, context: &Context<'_>) -> String {
    let mut said = needed_now(need, request, ordinal, context);
    if let Some(past) = request.rotation_that_ends(ordinal, context) {
        said += &format!("; or a backup.rotated event with oldest_retained_at of {past} or later");
    }
    let is_asked_then = matches!(
        need,
        Need::Law(..)
            | Need::Others(_)
            | Need::SecondLook(_)
            | Need::Nothing(_)
            | Need::Manual(_)
            | Need::Resumption(_)
            | Need::Horizon(ConfirmBy::Ack, _)
    );
    let holds = request.holds_on(ordinal, context);
    if is_asked_then && !holds.is_empty() {
        format!("{said}; and then release {}", hold_names(&holds))
    } else {
        said
    }
}

fn hold_names(holds: &[&Hold]) -> String {
    let names: Vec<String> = holds
        .iter()
        .map(|hold| format!("hold {} ({})", hold.hold_id, hold.basis))
        .collect();
    names.join(" and ")
}

fn needed_now(need: &Need<'_>, request: &Request, ordinal: u16, context: &Context<'_>) -> String {
    let (task, now) = (request.task_id(ordinal), context.now);
    match need {
        Need::Answer(by) => format!("its answer, which is due by {by}"),
        Need::Promise(by) if *by <= now => format!(
            "its proof, which it had promised by {by}: find out why, then retry or waive it, POST /v1/tasks/{task}/retry or /waive"
        ),
        Need::Promise(by) => format!("its proof, which it has promised by {by}"),
        Need::Resumption(stopped) => resumption(*stopped, request, ordinal),
        Need::Manual(by) => format!("somebody who does it by hand by {by}: POST /v1/manual/{task}/claim"),
        Need::Term(until) => format!(
            "its proof; without one it counts as attested at {until}, by the vendor's published term and not confirmed"
        ),
        Need::Delivery(_, why) => delivery(*why, task),
        Need::Nothing(at) if *at > now => format!("nothing: it is asked at {at} by itself"),
        Need::Nothing(_) => "nothing: it is asked by itself, when its turn comes".to_owned(),
        Need::Others(places) => {
            let names: Vec<String> = places.iter().map(|place| name(request, *place)).collect();
            format!("{}, which it waits for", names.join(", "))
        }
        Need::Identity => format!(
            "an identifier of a type that it knows, by a supply_identities command; or an operator waives it: POST /v1/tasks/{task}/waive"
        ),
        Need::Law(Some(basis), until) => format!("nothing: the law keeps it until {until} ({basis})"),
        Need::Law(None, until) => format!(
            "nothing: it has said itself that it has to keep it until {until}; if it need not, POST /v1/tasks/{task}/retry"
        ),
        Need::Rotation {
            oldest_retained_at,
            horizon,
        } => {
            let expected = if *horizon <= now { "was expected" } else { "expected" };
            format!(
                "a backup.rotated event with oldest_retained_at of {oldest_retained_at} or later ({expected} by {horizon})"
            )
        }
        Need::Horizon(ConfirmBy::Ack, until) => {
            format!("nothing before {until}: then it is asked, and its answer proves it")
        }
        Need::Horizon(_, until) => format!("nothing: its copies live until {until}"),
        Need::SecondLook(at) => format!("nothing before {at}: then it is asked once more"),
        // The sweep of a release is on its way.
        Need::Release(holds) if holds.is_empty() => {
            "nothing: its hold was released, and it goes on by itself".to_owned()
        }
        Need::Release(holds) => format!("release {}", hold_names(holds)),
        Need::Decision(cause) => decision(*cause, request, ordinal, context),
        Need::Gate(gate) => gate_needed(*gate, request),
        Need::Consent => {
            "an operator who wants it: the person is back, and this system erases everything; retry or waive it"
                .to_owned()
        }
        Need::Registration => {
            "it is not registered any more, or not as a backup set: register it again, or an operator waives it".to_owned()
        }
        Need::Identifiers => format!(
            "the identifiers are gone and it has to be asked again: a new command, then POST /v1/tasks/{task}/waive"
        ),
    }
}

fn gate_needed(gate: ClosedGate, request: &Request) -> String {
    match gate {
        ClosedGate::Verification => {
            format!(
                "the subject's identity to be verified: POST /v1/requests/{}/verify-identity",
                request.id
            )
        }
        _ => format!(
            "a second person's approval: POST /v1/requests/{}/approve",
            request.id
        ),
    }
}

fn resumption(stopped: Queued, request: &Request, ordinal: u16) -> String {
    let processor = &request.task(ordinal).processor;
    match stopped {
        Queued::Braked => "the brake to be taken off: DELETE /v1/brake".to_owned(),
        Queued::Paused | Queued::Turn => {
            format!("its lane to be resumed: POST /v1/processors/{processor}/resume")
        }
    }
}

fn delivery(why: Undelivered, task: TaskId) -> String {
    match why {
        Undelivered::Refused => {
            "its topic, which takes nothing now (it is missing or forbidden, has no leader, or does not confirm): it is asked as \
             soon as the topic takes it"
                .to_owned()
        }
        Undelivered::TooLarge { bytes, limit } => format!(
            "a topic that takes its {bytes} bytes{}: raise max.message.bytes of the topic, or waive it, POST \
             /v1/tasks/{task}/waive",
            limit.map_or_else(String::new, |limit| format!(" (it takes {limit})"))
        ),
    }
}

fn decision(cause: AbandonCause, request: &Request, ordinal: u16, context: &Context<'_>) -> String {
    let task = request.task_id(ordinal);
    if request.can_be_retried(ordinal, context) {
        return format!(
            "it was given up ({cause}): retry or waive it, POST /v1/tasks/{task}/retry or /waive"
        );
    }
    format!(
        "it was given up ({cause}): waive it, POST /v1/tasks/{task}/waive; it can be retried once the active registry says that \
         it can {}",
        request.task(ordinal).action
    )
}

/// A task as people tell it from the others: its processor, with its part where its share was split, and with its
/// sources where its set has several waves.
pub fn name(request: &Request, ordinal: u16) -> String {
    let task = request.task(ordinal);
    let part: Vec<&str> = task.categories.iter().map(Label::as_str).collect();
    let is_only = request.processors().filter(|id| **id == task.processor).count() == 1;
    match &task.share {
        Share::Wave { sources, .. } if !is_only => {
            let names: Vec<String> = sources.iter().map(|place| name(request, *place)).collect();
            format!("{} of {}", task.processor, names.join(" and "))
        }
        _ if part.is_empty() => task.processor.to_string(),
        _ => format!("{} ({})", task.processor, part.join(", ")),
    }
}

/// Who can read the identifiers, and until when.
pub fn identifiers(request: &Request, best: &BestCase, context: &Context<'_>) -> String {
    match (request.bookkeeping.readable, request.capsule_end(context)) {
        (true, _) => readable(best),
        (false, Some(end)) => capsule("they are sealed", end),
        (false, None) => "forgotten: nobody can read them".to_owned(),
    }
}

fn readable(best: &BestCase) -> String {
    let first = best.forgotten_at.map_or_else(
        || "readable, for as long as somebody has to be asked".to_owned(),
        |at| format!("readable until {at} at the earliest, when nobody has to be asked any more"),
    );
    match best.capsule {
        Some(end) => format!("{first}; {}", capsule("then they are sealed", end)),
        None => first,
    }
}

fn capsule(they: &str, end: CapsuleEnd) -> String {
    let expected: Option<At> = end.expected;
    let expected = expected.map_or_else(
        || "; a set is registered no more, so nobody knows when".to_owned(),
        |at| format!(", expected by {at}"),
    );
    format!(
        "{they} in a capsule, for a restore only, until every copy taken before {} is proved gone{expected}",
        end.copies_before
    )
}
