//! "Why is it not done yet?", in sentences without subject data. What happened is told in [`entries`], what is ahead in
//! [`outlook`].

pub mod entries;
pub mod outlook;
mod stuck;

use self::stuck::{given_up, unregistered};
use super::proofs::Tries;
use crate::domain::{
    ids::ProcessorId,
    registry::{ConfirmBy, Transport},
    request::{Context, Request, gates::ClosedGate, outlook::Need},
    stops::Stopped,
    task::{Deferral, Share, Task, TaskState, Undelivered},
    time::At,
};

/// Something that a request waits for.
#[derive(Debug)]
pub struct Sentence {
    /// What.
    pub text: String,
    /// Whether somebody has to do something about it.
    pub is_to_do: bool,
}

impl Sentence {
    const fn for_information(text: String) -> Self {
        Self {
            text,
            is_to_do: false,
        }
    }

    const fn to_do(text: String) -> Self {
        Self { text, is_to_do: true }
    }

    /// What it says.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// "Why is it not done yet?", a sentence each, with no subject data.
pub fn why_not_done(request: &Request, tries: &Tries, context: &Context<'_>) -> Vec<Sentence> {
    if let (Some(following), None) = (&request.life.following, request.life.completed_at) {
        let leader = following.leader;
        return vec![Sentence::for_information(format!(
            "It was merged into {leader}, which covers it and goes on."
        ))];
    }
    if let Some(since) = request.life.set_aside_at {
        // Nothing else is told of it: the program fails at it.
        return vec![Sentence::to_do(format!(
            "Lacuna itself has failed at it since {since} (its log says where), so nothing is decided about it: it is \
             tried again every hour, and by whatever somebody decides about it. Report it to whoever maintains Lacuna."
        ))];
    }
    if request.life.status.is_final() {
        return Vec::new();
    }
    let mut sentences = of_request(request);
    sentences.extend(
        request
            .ordinals()
            .filter_map(|ordinal| of_task(request, ordinal, tries, context)),
    );
    sentences
}

/// What the request as a whole waits for.
fn of_request(request: &Request) -> Vec<Sentence> {
    let due = request.life.clock.due;
    let gate = request.shown_gate();
    let too_late = request
        .head
        .not_before
        .filter(|_| gate.is_some() && request.waits_past_deadline());
    let too_late = too_late.map(|date| {
        Sentence::for_information(format!(
            "Its legal deadline, {due}, is before {date} and cannot be kept."
        ))
    });
    let late = request.is_late_at_a_gate().then(|| {
        Sentence::to_do(format!(
            "Its legal deadline, {due}, has passed, and it still waits for a person."
        ))
    });
    let nobody = request.nobody_was_asked().then(|| {
        Sentence::to_do(
            "No processor could be asked, so there is no proof of anything: somebody has to look at it."
                .to_owned(),
        )
    });
    [gate.map(of_gate), too_late, late, nobody]
        .into_iter()
        .flatten()
        .collect()
}

fn of_gate(gate: ClosedGate) -> Sentence {
    match gate {
        ClosedGate::Verification => {
            Sentence::to_do("Nothing is sent before the subject's identity is verified.".to_owned())
        }
        ClosedGate::Approval => {
            Sentence::to_do("Nothing is sent before a second person has approved it.".to_owned())
        }
        ClosedGate::Grace(until) => Sentence::for_information(format!(
            "It can be withdrawn until {until}, and nothing is sent before."
        )),
        ClosedGate::NotBefore(until) => {
            Sentence::for_information(format!("Nothing is sent before {until}, as the command asked."))
        }
    }
}

fn of_task(request: &Request, ordinal: u16, tries: &Tries, context: &Context<'_>) -> Option<Sentence> {
    let is_to_do = request.needs_somebody(ordinal, context);
    let to_do = || to_do(request, ordinal, context);
    let text = is_to_do.then(to_do).flatten();
    let mut text = text.or_else(|| sentence(request, ordinal, context))?;
    if let Some(past) = request.rotation_that_ends(ordinal, context) {
        text +=
            &format!(" A backup.rotated event with oldest_retained_at of {past} or later proves it as well.");
    }
    if let Some(said) = tries.said_of(request, ordinal) {
        text += &format!(" {}.", capitalised(&said));
    }
    Some(Sentence { text, is_to_do })
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What somebody has to do about a task that does not go on by itself.
fn to_do(request: &Request, ordinal: u16, context: &Context<'_>) -> Option<String> {
    let task = request.task(ordinal);
    let processor = &task.processor;
    Some(match request.need_of(ordinal, context)? {
        Need::Identity => format!(
            "{processor} cannot be asked: the subject has no identifier of a type that it knows. Supply one \
             (supply_identities), or waive the task."
        ),
        Need::Decision(cause) => given_up(request, ordinal, cause, context),
        Need::Promise(by) => format!(
            "{processor} has promised to be done by {by} and has not proved it: an operator has to find out why, and to \
             retry or waive it."
        ),
        Need::Registration => unregistered(task),
        Need::Identifiers => format!(
            "{processor} has to be asked again and cannot be: the identifiers are gone. Send a new command for this \
             person, and then waive the task."
        ),
        Need::Consent => format!(
            "The person is back, and {processor} erases everything that it has: an operator has to retry the task, which \
             asks it all the same, or to waive it."
        ),
        Need::Rotation {
            oldest_retained_at,
            horizon,
        } => format!(
            "The copies of {processor} should be gone since {horizon}: a backup.rotated event with oldest_retained_at of \
             {oldest_retained_at} or later has not come. Whoever runs the backups has to rotate them, or to report it."
        ),
        Need::Delivery(_, Undelivered::TooLarge { bytes, limit }) => format!(
            "The task for {processor} is {bytes} bytes, and its topic does not take a message of that size{}. Raise \
             max.message.bytes of the topic: then the task goes out by itself, or when an operator retries it. Or waive it.",
            limit.map_or_else(String::new, |limit| format!(" (max.message.bytes = {limit})"))
        ),
        // A gate has a sentence of its own, and the others go on by themselves.
        Need::Gate(_)
        | Need::Resumption(_)
        | Need::Manual(_)
        | Need::Release(_)
        | Need::Answer(_)
        | Need::Term(_)
        | Need::Nothing(_)
        | Need::Delivery(_, Undelivered::Refused)
        | Need::Others(_)
        | Need::Law(..)
        | Need::Horizon(..)
        | Need::SecondLook(_) => return None,
    })
}

fn sentence(request: &Request, ordinal: u16, context: &Context<'_>) -> Option<String> {
    let task = request.task(ordinal);
    let (processor, attempt) = (&task.processor, task.attempt);
    Some(match &task.state {
        TaskState::Blocked | TaskState::WithoutIdentity => {
            return waiting_for_others(request, ordinal, context);
        }
        TaskState::Parked {
            why: Deferral::Retention,
            until,
        } => match &task.share {
            Share::Kept { basis, .. } => {
                format!("{processor} has to keep this share until {until} ({basis}), and is asked then.")
            }
            _ => format!("{processor} has to keep the data until {until}, and is asked then."),
        },
        TaskState::Parked {
            why: Deferral::Rotation,
            until,
        } => copies(processor, *until, &request.need_of(ordinal, context), context),
        TaskState::Verifying { until } => {
            format!("{processor} has proved it once and is asked again at {until}.")
        }
        TaskState::Held { .. } => held(request, ordinal, context),
        TaskState::Queued { due, .. } if attempt > 0 && *due > context.now => {
            format!("{processor} is asked again at {due}, after attempt {attempt} did not succeed.")
        }
        TaskState::Ready { due } if attempt > 0 => {
            format!("{processor} is asked again at {due}, after attempt {attempt} did not succeed.")
        }
        // The gate has a sentence of its own.
        TaskState::Ready { .. } if request.shown_gate().is_some() => return None,
        TaskState::Ready { due } if task.is_unsent_replay() && *due <= context.now => stopped(task, context)
            .unwrap_or_else(|| format!(
            "A restored backup has brought it back: {processor} has much to do again, and is asked when it comes to this."
        )),
        TaskState::Ready { due } => format!("{processor} is asked at {due}."),
        TaskState::Queued { .. } => in_queue(request, ordinal, context),
        TaskState::Undeliverable { .. } => format!(
            "The topic of {processor} takes nothing now: it is missing or forbidden, has no leader, or does not confirm. It \
             is tried all the time, and {processor} is asked as soon as it takes the task."
        ),
        TaskState::Dispatched { at, ack_by } => {
            format!(
                "{processor} was asked at {at} (attempt {attempt}) and has not answered; its answer is due by {ack_by}."
            )
        }
        TaskState::Accepted { expected_by, .. } => {
            format!("{processor} has accepted the task and is expected to be done by {expected_by}.")
        }
        TaskState::Attesting { until, .. } => format!(
            "{processor} has accepted the task and may say no more: by the vendor's published term it is done at {until}, \
             and then counts as attested, not as confirmed."
        ),
        // Somebody has to do something about it, which `to_do` says.
        TaskState::Abandoned { .. } => return None,
        TaskState::Done { .. } | TaskState::Exempt { .. } | TaskState::Waived | TaskState::Cancelled => {
            return None;
        }
    })
}

/// What a task in the queue of its lane waits for. A lane that goes on since the task was put there is not stopped.
fn in_queue(request: &Request, ordinal: u16, context: &Context<'_>) -> String {
    let task = request.task(ordinal);
    let processor = &task.processor;
    if let Some(stopped) = stopped(task, context) {
        return stopped;
    }
    match request.manual_due(ordinal, context.registry) {
        Some(due) if due <= context.now => format!(
            "{processor} is done by hand, and nobody has claimed it although it was due at {due}: `lacuna manual list`."
        ),
        Some(due) => format!("{processor} is done by hand, by {due}: it waits for somebody who claims it."),
        None if asks_for_itself(processor, context) => format!(
            "It waits until the agent of {processor} asks for tasks: where it does not, see whether `lacuna agent` runs there."
        ),
        None => {
            let limits = context.registry.get(processor).map(|known| {
                let rate = known.rate.map(|rate| {
                    format!(
                        ", and no more than {} within {} s",
                        rate.tasks,
                        rate.per.as_secs_f64()
                    )
                });
                format!(": {} at a time{}", known.concurrency, rate.unwrap_or_default())
            });
            let limits = limits.unwrap_or_default();
            format!("It waits for its turn in the queue of {processor}{limits}.")
        }
    }
}

/// Whether its tasks are not sent, but asked for by an agent.
fn asks_for_itself(processor: &ProcessorId, context: &Context<'_>) -> bool {
    let registered = context.registry.get(processor);
    registered.is_some_and(|known| matches!(known.transport, Transport::Agent))
}

/// Who has stopped the lane of a task, and since when; `None`: nobody.
fn stopped(task: &Task, context: &Context<'_>) -> Option<String> {
    let (processor, stops) = (&task.processor, context.facts.stops());
    if let Some(Stopped { since, stop, .. }) = stops.brake() {
        return Some(format!(
            "Nothing is sent to anybody: {} has put the brake on at {since}. {processor} is asked when somebody takes it off.",
            stop.actor
        ));
    }
    let Stopped { since, stop, .. } = stops.pause(processor)?;
    Some(format!(
        "{processor} is paused since {since}, by {}: it is asked when somebody resumes it.",
        stop.actor
    ))
}

fn waiting_for_others(request: &Request, ordinal: u16, context: &Context<'_>) -> Option<String> {
    let task = request.task(ordinal);
    let processor = &task.processor;
    let names = |places: Vec<u16>| -> String {
        let names = places.iter().map(|place| request.task(*place).processor.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    if task.state == TaskState::WithoutIdentity {
        let places = request.may_be_provided_by(ordinal, context);
        // Somebody has to supply one, which `to_do` says.
        return (!places.is_empty()).then(|| {
            format!(
                "{processor} waits for an identifier that the answer of these may bring: {}.",
                names(places)
            )
        });
    }
    let open = names(request.waited_for(ordinal));
    Some(if task.share.is_wave() {
        format!("The copies of {processor} begin to grow old when these are done: {open}.")
    } else {
        format!("{processor} is asked when these are done: {open}.")
    })
}

fn held(request: &Request, ordinal: u16, context: &Context<'_>) -> String {
    let processor = &request.task(ordinal).processor;
    let holds: Vec<String> = request
        .holds_on(ordinal, context)
        .into_iter()
        .map(|hold| format!("{} ({})", hold.hold_id, hold.basis))
        .collect();
    if holds.is_empty() {
        format!("{processor} was held, and is asked as soon as the release has been swept.")
    } else {
        format!(
            "{processor} may not be asked while a legal hold covers it: {}.",
            holds.join(", ")
        )
    }
}

/// What the copies of a wave wait for.
fn copies(processor: &ProcessorId, horizon: At, need: &Option<Need<'_>>, context: &Context<'_>) -> String {
    match need {
        Some(Need::Rotation {
            oldest_retained_at, ..
        }) if horizon <= context.now => format!(
            "The copies of {processor} should be gone since {horizon}: a backup.rotated event with oldest_retained_at of \
             {oldest_retained_at} or later has not come."
        ),
        Some(Need::Rotation {
            oldest_retained_at, ..
        }) => format!(
            "The copies of {processor} live until {horizon}: a backup.rotated event with oldest_retained_at of \
             {oldest_retained_at} or later proves that they are gone."
        ),
        Some(Need::Horizon(ConfirmBy::Ack, until)) => {
            format!("The copies of {processor} live until {until}, and it is asked to prove it then.")
        }
        Some(Need::Horizon(_, until)) => {
            format!("The copies of {processor} live until {until}, as its schedule has it.")
        }
        _ => format!("The copies of {processor} cannot be proved gone: it is not registered any more."),
    }
}
