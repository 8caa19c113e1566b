//! The state of a request in the words of the contract: on the status topic, over HTTP and on the command line.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use super::{ActiveRegistry, Engine, circuits::OpenCircuit};
use crate::{
    domain::{
        fact::Facts,
        ids::ProcessorId,
        registry::Registry,
        request::{
            Request,
            derived_status::NotErased,
            refusal::{ComplaintBodies, Refusals},
        },
        stops::Stops,
        task::TaskState,
        time::At,
        words::{TaskStateName, Why},
    },
    wire::status::{
        OutcomeCounts, RefusalNotice, RefusedShare, ShareLeft, StatusMessage, TaskCounts, WaitingFor,
    },
};

/// How the lanes stand, as a worker knows it.
#[derive(Debug)]
pub struct KnownLanes {
    facts: Arc<Facts>,
    active: Option<Arc<ActiveRegistry>>,
    circuits: Arc<BTreeMap<ProcessorId, OpenCircuit>>,
}

impl KnownLanes {
    /// As what is shown wants it.
    pub fn view(&self) -> LanesNow<'_> {
        LanesNow {
            stops: self.facts.stops(),
            circuits: Some(&self.circuits),
            registry: self.active.as_ref().map(|active| &active.registry),
        }
    }
}

impl Engine {
    /// How the lanes stand, as this worker knows it.
    pub fn lanes_now(&self) -> KnownLanes {
        KnownLanes {
            facts: self.facts(),
            active: self.active().ok(),
            circuits: self.open_circuits(),
        }
    }
}

/// How the lanes stand now, whatever was so when something began to wait in them.
#[derive(Debug, Clone, Copy)]
pub struct LanesNow<'a> {
    /// What people have stopped.
    pub stops: &'a Stops,
    /// The circuits that are open, where they are known.
    pub circuits: Option<&'a BTreeMap<ProcessorId, OpenCircuit>>,
    /// The active registry, where there is one.
    pub registry: Option<&'a Registry>,
}

impl<'a> From<&'a Stops> for LanesNow<'a> {
    fn from(stops: &'a Stops) -> Self {
        Self {
            stops,
            circuits: None,
            registry: None,
        }
    }
}

impl LanesNow<'_> {
    /// Why a task is not done yet, and until when it waits, with what its lane has to say. `waits`: without.
    pub fn waits(&self, request: &Request, ordinal: u16, waits: (Why, Option<At>)) -> (Why, Option<At>) {
        let task = request.task(ordinal);
        let (processor, state) = (&task.processor, task.state.name());
        if !matches!(state, TaskStateName::Ready | TaskStateName::Accepted) {
            return waits;
        }
        let (before, until) = waits;
        let why = self.stops.why_now(processor, state, before);
        if why != before && matches!(why, Why::Paused | Why::Brake) {
            return (why, None);
        }
        if let Some(due) = self
            .registry
            .and_then(|registry| request.manual_due(ordinal, registry))
            && !matches!(why, Why::Paused | Why::Brake)
        {
            return (Why::Manual, Some(due));
        }
        let is_queued = matches!(task.state, TaskState::Queued { .. });
        match self.circuits.and_then(|circuits| circuits.get(processor)) {
            Some(open) if is_queued && matches!(why, Why::Rate | Why::Retry) => {
                (Why::CircuitOpen, Some(open.until))
            }
            _ => (why, until),
        }
    }
}

/// The state of a request, as the status topic and the lists of the API say it.
///
/// What waits in a lane says whether that is stopped now, whatever was so when it began to wait.
pub fn status_message<'a>(
    request: &'a Request,
    complaint_bodies: &'a ComplaintBodies,
    lanes: &LanesNow<'_>,
) -> StatusMessage<'a> {
    let counts = request.counts();
    let life = &request.life;
    StatusMessage {
        request_id: request.id,
        tenant: Cow::Borrowed(&request.head.tenant),
        status: life.status,
        action: request.head.action,
        regime: Cow::Borrowed(&request.head.regime),
        received_at: request.head.received_at,
        deadline: request.life.clock.due,
        completed_at: life.completed_at,
        overdue: life.overdue,
        tasks: TaskCounts {
            total: counts.total,
            done: counts.done,
            parked: counts.parked,
            abandoned: counts.abandoned,
        },
        outcomes: OutcomeCounts {
            erased: counts.erased,
            anonymized: counts.anonymized,
            pseudonymised: counts.pseudonymised,
            not_found: counts.not_found,
            attested: counts.attested,
            exempt: counts.exempt,
            waived: counts.waived,
        },
        live_clean_at: life.live_clean_at,
        at_risk: life.at_risk,
        needs_attention: life.needs_attention,
        notice: life.notice,
        waiting_for: request
            .waiting_for()
            .into_iter()
            .map(|waiting| {
                let waits = (waiting.why, waiting.until);
                let (why, until) = waiting
                    .ordinal
                    .map_or(waits, |ordinal| lanes.waits(request, ordinal, waits));
                WaitingFor {
                    processor: waiting.processor.map(Cow::Borrowed),
                    // A gate blocks all of the request's tasks.
                    state: Some(waiting.state.unwrap_or(TaskStateName::Blocked)),
                    why,
                    until,
                }
            })
            .collect(),
        revision: u64::from(request.revision),
        merged_into: life.following.as_ref().map(|following| following.leader),
        refused_on: life.refused,
        refusal: refusal_notice(request, complaint_bodies),
        not_erased: request.not_erased().into_iter().map(share_left).collect(),
    }
}

fn share_left(share: NotErased<'_>) -> ShareLeft<'_> {
    ShareLeft {
        processor: Cow::Borrowed(share.processor),
        part: Cow::Borrowed(share.categories),
        why: share.why,
    }
}

fn refusal_notice<'a>(
    request: &'a Request,
    complaint_bodies: &'a ComplaintBodies,
) -> Option<RefusalNotice<'a>> {
    let Refusals { whole, shares } = request.refusal()?;
    let complaint_body = whole.and_then(|_| complaint_bodies.of(request));
    let share = |(processor, basis)| RefusedShare {
        processor: Cow::Borrowed(processor),
        basis,
    };
    Some(RefusalNotice {
        basis: whole.map(|(basis, _)| basis),
        at: whole.and_then(|(_, at)| at),
        complaint_body: complaint_body.map(Cow::Borrowed),
        processors: shares.into_iter().map(share).collect(),
    })
}
