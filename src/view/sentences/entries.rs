//! The entries of the ledger, in sentences.

use std::time::Duration;

use crate::domain::{
    entry::{Entry, Leaf},
    ids::IdentityType,
    task::{Queued, TaskEvent, Undelivered},
    time::At,
    words::{AbandonCause, BulkOperation, ExtensionReason, Proof},
};

/// How times are told.
#[derive(Clone, Copy)]
enum Times {
    /// From this one on: for whoever watches.
    Since(At),
    /// As they are: for whoever looks back.
    Absolute,
}

/// A line for whoever watches; `None`: it says nothing that another line does not.
pub fn render_live(entry: &Entry, processors: &[String], now: At) -> Option<String> {
    render(entry, processors, Times::Since(now))
}

/// A line for whoever looks back, with times as they are; `None`: it says nothing that another line does not.
pub fn render_dated(entry: &Entry, processors: &[String]) -> Option<String> {
    render(entry, processors, Times::Absolute)
}

/// What somebody did, of a leaf in which a person acts: without what followed by itself.
pub fn acts(leaf: &Leaf) -> Vec<String> {
    let said = leaf.entries.iter().filter_map(|entry| match entry {
        Entry::Task {
            event:
                event @ (TaskEvent::Retried { .. }
                | TaskEvent::ResultUnknown { .. }
                | TaskEvent::Waived
                | TaskEvent::Cancelled
                | TaskEvent::Refused { .. }
                | TaskEvent::HandedOver { .. }
                | TaskEvent::Identified),
            attempt,
            ..
        } => Some(happened(event, *attempt, Times::Absolute)),
        Entry::Task { .. } | Entry::Evidence { .. } | Entry::ActedBy { .. } | Entry::Shredded => None,
        entry => render_dated(entry, &[]),
    });
    let said: Vec<String> = said.collect();
    if said.is_empty() {
        vec!["acted".to_owned()]
    } else {
        said
    }
}

fn render(entry: &Entry, processors: &[String], times: Times) -> Option<String> {
    let name = |ordinal: &u16| name_of(*ordinal, processors);
    match entry {
        Entry::Task {
            ordinal,
            attempt,
            event,
            ..
        } => Some(format!("{}: {}", name(ordinal), happened(event, *attempt, times))),
        Entry::Evidence { records: None, .. } => None,
        Entry::Evidence {
            ordinal,
            records: Some(records),
            ..
        } => Some(format!(
            "{}: brought evidence of {records} records",
            name(ordinal)
        )),
        Entry::Kept { .. } | Entry::WaveAdded { .. } | Entry::TaskAdded { .. } => {
            of_shares(entry, processors)
        }
        Entry::Opened { .. }
        | Entry::Status { .. }
        | Entry::Overdue
        | Entry::Shredded
        | Entry::ActedBy { .. }
        | Entry::GateOpened { .. }
        | Entry::DeadlineMoved { .. }
        | Entry::Reactivated { .. }
        | Entry::Supplied { .. }
        | Entry::Refused { .. }
        | Entry::Restored { .. }
        | Entry::Encapsulated { .. }
        | Entry::Purged { .. } => of_request(entry),
        Entry::HoldPlaced { .. }
        | Entry::HoldReleased { .. }
        | Entry::BackupEvent { .. }
        | Entry::RegistryActivated { .. }
        | Entry::PositionAccepted { .. }
        | Entry::CapsulesForgotten { .. }
        | Entry::Merged { .. }
        | Entry::Absorbed { .. }
        | Entry::Followed { .. }
        | Entry::Repeated { .. }
        | Entry::Searched { .. }
        | Entry::LetterOpened { .. }
        | Entry::LanePaused { .. }
        | Entry::LaneResumed { .. }
        | Entry::BrakeOn { .. }
        | Entry::BrakeOff { .. }
        | Entry::IdentitiesShown { .. }
        | Entry::Bulk { .. } => of_others(entry),
    }
}

/// How a share of it was split, and what is reckoned apart.
fn of_shares(entry: &Entry, processors: &[String]) -> Option<String> {
    let name = |ordinal: &u16| name_of(*ordinal, processors);
    Some(match entry {
        Entry::Kept {
            ordinal,
            basis,
            anchor,
            from,
            until,
        } => {
            let counted = anchor
                .as_ref()
                .map_or_else(|| "requested_at".to_owned(), ToString::to_string);
            format!(
                "{}: has to keep a share until {until} ({basis}, counted from {counted}, {from})",
                name(ordinal)
            )
        }
        Entry::TaskAdded { processor, .. } => {
            format!("{processor}: was registered later, and is asked as well")
        }
        Entry::WaveAdded {
            processor, sources, ..
        } => {
            let sources: Vec<&str> = sources.iter().map(name).collect();
            format!(
                "{processor}: its copies of {} are reckoned apart",
                sources.join(", ")
            )
        }
        _ => return None,
    })
}

/// What happened to the request as a whole.
fn of_request(entry: &Entry) -> Option<String> {
    Some(match entry {
        Entry::Opened {
            action,
            regime,
            deadline,
            processors,
            ..
        } => {
            format!(
                "opened: {action} under {regime} by {deadline}, {} processors to ask",
                processors.len()
            )
        }
        Entry::Status { from, to } => format!("{from} -> {to}"),
        Entry::Overdue => "overdue".to_owned(),
        Entry::Shredded => {
            "the key of its identifiers is destroyed: nobody can read them any more".to_owned()
        }
        Entry::ActedBy { actor } => format!("{actor} acted"),
        Entry::GateOpened { gate } => format!("the gate of {gate} is open"),
        Entry::DeadlineMoved { from, to, reason } => {
            let why = reason.map_or(
                "the clock stood still for the verification",
                ExtensionReason::as_str,
            );
            format!("the deadline moves from {from} to {to}: {why}")
        }
        Entry::Reactivated { at } => format!("the person is back since {at}"),
        Entry::Supplied { types } => {
            let types: Vec<&str> = types.iter().map(IdentityType::as_str).collect();
            format!("identifiers were supplied: {}", types.join(", "))
        }
        Entry::Refused {
            basis,
            processor: None,
        } => format!("refused: {basis}"),
        Entry::Refused {
            basis,
            processor: Some(processor),
        } => format!("refused for {processor}: {basis}"),
        Entry::Restored { taken_at, .. } => {
            format!("restored: a backup taken at {taken_at} was put back, so it is done again")
        }
        Entry::Encapsulated { .. } => {
            "the key of its identifiers is destroyed; for a restore they stay sealed until no copy is left"
                .to_owned()
        }
        Entry::Purged { status } => format!("its rows are deleted, it had ended as {status}"),

        _ => return None,
    })
}

/// What concerns other requests as well, and who has looked.
fn of_others(entry: &Entry) -> Option<String> {
    Some(match entry {
        Entry::HoldPlaced { basis, actor, .. } => format!("{actor} placed a legal hold: {basis}"),
        Entry::HoldReleased { actor, .. } => format!("{actor} released a legal hold"),
        Entry::BackupEvent {
            processor,
            kind,
            taken_at,
            ..
        } => format!("{processor}: {kind} {taken_at}"),
        Entry::RegistryActivated { revision } => format!("revision {revision} of the registry is active"),
        Entry::PositionAccepted {
            topic,
            partition,
            to,
            actor,
            ..
        } => format!("{actor} had {topic}/{partition} be read on from offset {to} of another log"),
        Entry::CapsulesForgotten { .. } => "the capsules of a week are forgotten".to_owned(),
        Entry::Merged { into } => format!("merged into {into}, which covers it: nobody is asked twice"),
        Entry::Absorbed { request } => format!("covers {request} as well, which was merged into it"),
        Entry::Followed {
            completed_at: Some(at),
        } => format!("closed with the request that covers it, at {at}"),
        Entry::Followed { completed_at: None } => "open again, as the request that covers it is".to_owned(),
        Entry::Repeated { earlier } => {
            format!("one too many: the same person has asked for it {earlier} times before")
        }
        Entry::Searched { actor, .. } => format!("{actor} has searched for a person"),
        Entry::LetterOpened { actor, letter } => {
            format!("{actor} has opened the original of dead letter {letter}")
        }
        Entry::LanePaused { processor, actor, .. } => format!("{actor} paused {processor}"),
        Entry::LaneResumed { processor, actor, .. } => format!("{actor} had {processor} go on"),
        Entry::BrakeOn { actor, .. } => format!("{actor} stopped everything"),
        Entry::BrakeOff { actor, .. } => format!("{actor} had everything go on"),
        Entry::IdentitiesShown { actor, requests } => {
            let ids: Vec<String> = requests.iter().map(ToString::to_string).collect();
            format!(
                "{actor} was shown whom these requests are about: {}",
                ids.join(", ")
            )
        }
        Entry::Bulk {
            actor,
            job,
            action,
            operation,
            items,
        } => {
            let did = match operation {
                BulkOperation::Start => "started",
                BulkOperation::Pause => "paused",
                BulkOperation::Resume => "resumed",
                BulkOperation::Cancel => "cancelled",
            };
            format!("{actor} {did} the change to many requests {job} ({action}, {items} changes)")
        }
        _ => return None,
    })
}

fn name_of(ordinal: u16, processors: &[String]) -> &str {
    processors.get(usize::from(ordinal)).map_or("?", String::as_str)
}

fn happened(event: &TaskEvent, attempt: u32, times: Times) -> String {
    match event {
        TaskEvent::Dispatched { .. } if attempt > 1 => format!("asked again (attempt {attempt})"),
        TaskEvent::Dispatched { .. } => "asked".to_owned(),
        TaskEvent::Accepted { expected_by, .. } => format!("promises it by {expected_by}"),
        TaskEvent::AskedAgain { outcome, due, .. } => {
            let said = outcome.map_or("said nothing in time", crate::domain::words::Outcome::as_str);
            match times {
                Times::Since(now) => format!("{said}, will be asked again in {}", duration(due.since(now))),
                Times::Absolute => format!("{said}, asked again at {due}"),
            }
        }
        TaskEvent::Settled { proof, .. } => settled(*proof),
        TaskEvent::Unblocked { .. } => "may go".to_owned(),
        TaskEvent::Woken { .. } => "wakes".to_owned(),
        TaskEvent::Retained { until } => format!("has to keep it until {until}"),
        TaskEvent::RetainedForGood { basis } => format!("has to keep it for good: {basis}"),
        TaskEvent::Abandoned {
            cause: AbandonCause::Pseudonymised,
            ..
        } => "given up: it says anonymized, and its method is only pseudonymisation".to_owned(),
        TaskEvent::Abandoned { cause, .. } => format!("given up: {cause}"),
        TaskEvent::Retried { .. } => "an operator has it done again".to_owned(),
        TaskEvent::Waived => "an operator waived it".to_owned(),
        TaskEvent::Cancelled => "withdrawn".to_owned(),
        TaskEvent::Parked { until, .. } => format!("its copies live until {until}"),
        TaskEvent::Moved { from, to } => format!("its date moves from {from} to {to}"),
        TaskEvent::Held { hold } => format!("held ({hold})"),
        TaskEvent::Released { .. } => "held no more".to_owned(),
        TaskEvent::SecondLook { until, .. } => format!("proved once, looked at again at {until}"),
        TaskEvent::Found { .. } => "the data is still there: asked again".to_owned(),
        TaskEvent::Restored { .. } => "has to be done again".to_owned(),
        TaskEvent::Reopened => "its copies have to grow old anew".to_owned(),
        TaskEvent::Rewaved { .. } => "its copies of what has to be kept longer are reckoned apart".to_owned(),
        TaskEvent::Undeliverable { why, .. } => undelivered(*why),
        TaskEvent::Queued { why, .. } => queued(*why).to_owned(),
        TaskEvent::Unqueued { .. } => "leaves the queue: something keeps it back".to_owned(),
        TaskEvent::Unsent { .. } => "was not sent after all: it waits again".to_owned(),
        TaskEvent::TermSet { until: Some(until) } => {
            format!("by the vendor's published term it is done at {until}")
        }
        TaskEvent::TermSet { until: None } => "no published term counts for it any more".to_owned(),
        TaskEvent::ProbeDue { .. } => {
            "the vendor's published term has passed: it is asked whether it is done".to_owned()
        }
        TaskEvent::ResultUnknown { .. } => {
            "whether it was carried out is not known: it is asked before it is sent again".to_owned()
        }
        TaskEvent::HandedOver { from, to, .. } => {
            format!("{from} has left the registry, and {to} takes it over")
        }
        TaskEvent::Identified => "can be asked now".to_owned(),
        TaskEvent::Refused { basis } | TaskEvent::Exempted { basis } => format!("exempt: {basis}"),
    }
}

fn settled(proof: Proof) -> String {
    match proof {
        Proof::Expired => "proved: its copies are gone".to_owned(),
        Proof::Pseudonymised => "pseudonymised, which is no anonymization and will do here".to_owned(),
        Proof::Attested => "attested: done by the vendor's published term, not confirmed".to_owned(),
        proof => format!("proved: {proof}"),
    }
}

fn undelivered(why: Undelivered) -> String {
    match why {
        Undelivered::Refused => "its topic takes nothing: it waits".to_owned(),
        Undelivered::TooLarge { bytes, .. } => {
            format!("its {bytes} bytes are more than its topic takes: it waits")
        }
    }
}

const fn queued(why: Queued) -> &'static str {
    match why {
        Queued::Turn => "waits for its turn",
        Queued::Paused => "its processor is paused: it waits",
        Queued::Braked => "everything is stopped: it waits",
    }
}

/// How long something takes, for people.
pub fn duration(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}
