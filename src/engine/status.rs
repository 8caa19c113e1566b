//! The state of a request in the words of the contract: on the status topic, over HTTP and on the command line.

use std::borrow::Cow;

use crate::{
    domain::{
        request::{
            Request,
            derived_status::NotErased,
            refusal::{ComplaintBodies, Refusals},
        },
        stops::Stops,
        words::TaskStateName,
    },
    wire::status::{
        OutcomeCounts, RefusalNotice, RefusedShare, ShareLeft, StatusMessage, TaskCounts, WaitingFor,
    },
};

/// The state of a request, as the status topic and the lists of the API say it.
///
/// What waits in a lane says whether that is stopped now, whatever was so when it began to wait.
pub fn status_message<'a>(
    request: &'a Request,
    complaint_bodies: &'a ComplaintBodies,
    stops: &Stops,
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
            .map(|waiting| WaitingFor {
                processor: waiting.processor.map(Cow::Borrowed),
                // A gate blocks all of the request's tasks.
                state: Some(waiting.state.unwrap_or(TaskStateName::Blocked)),
                why: match (waiting.processor, waiting.state) {
                    (Some(processor), Some(state)) => stops.why_now(processor, state, waiting.why),
                    _ => waiting.why,
                },
                until: waiting.until,
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
