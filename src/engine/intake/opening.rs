//! A command that opens a request.

use std::sync::Arc;

use super::{conflict, decider::Decider, internal};
use crate::{
    domain::{
        body::Body,
        command::Opening,
        ids::RequestId,
        plan::NoPlan,
        request::open::{Admission, CannotOpen, Opened, open},
        words::DeadLetterReason,
    },
    engine::{
        EngineError,
        prepare::{PreparedCommand, PreparedSubject},
    },
    wire::Rejection,
};

/// Ids are unique over all tenants, and whose request has it is nobody else's affair.
const TAKEN_ID: &str = "request_id: this id is taken; every request needs one of its own, such as a new UUID";

impl<'a> Decider<'_, '_, 'a> {
    pub(super) fn open(
        &mut self,
        opening: &'a Opening,
        prepared: &'a PreparedCommand,
    ) -> Result<Result<RequestId, Rejection>, EngineError> {
        if let (Some(ours), Some(theirs)) = (&self.engine.region, &opening.region)
            && ours != theirs
        {
            return Ok(Err(Rejection::new(
                DeadLetterReason::WrongRegion,
                format!("region: this is {ours}"),
            )));
        }
        if self.batch.get_mut(opening.request_id).is_some() {
            return Ok(Err(conflict(TAKEN_ID)));
        }
        let Some(subject) = &prepared.subject else {
            return Ok(Err(internal("an opening without a subject")));
        };
        let context = self.context();
        let earlier = self.loaded.earlier_requests.earlier(subject, self.batch);
        let admission = Admission {
            digests: &subject.digests,
            former: &subject.former,
            commitment: subject.commitment,
            revision: self.inputs.active.revision,
            needs_approval: self.loaded.room.is_out(&opening.tenant),
            earlier: &earlier,
        };
        match open(
            opening,
            admission,
            self.engine.rules_of(&opening.tenant),
            &context,
        ) {
            Ok(opened) => {
                self.take_place(opening, subject, prepared.trace.clone(), opened);
                Ok(Ok(opening.request_id))
            }
            Err(CannotOpen::Illegal(illegal)) => Err(illegal.into()),
            Err(fault) => Ok(Err(refusal_of(&fault))),
        }
    }

    /// Puts what was opened into the batch, and counts it.
    fn take_place(
        &mut self,
        opening: &'a Opening,
        subject: &'a PreparedSubject,
        trace: Option<Arc<str>>,
        mut opened: Opened,
    ) {
        match &opened.request.life.following {
            Some(following) => {
                if let Some(leader) = self.batch.get_mut(following.leader) {
                    let absorbed = leader.request.absorb(opening.request_id);
                    leader.trail.append(absorbed);
                }
            }
            None => {
                // What asks nobody anything is no volume.
                self.loaded.room.take(&opening.tenant);
                self.loaded
                    .earlier_requests
                    .opened(opening.request_id, &subject.digests);
            }
        }
        let known = self.loaded.leaves.get(&opening.request_id);
        opened.request.bookkeeping.leaves = known.copied().unwrap_or_default();
        let mut body = Body::of(opening, std::mem::take(&mut opened.identities));
        body.trace = trace;
        self.batch.opened(opened, body, &opening.identities, subject);
    }
}

/// Why a request is not opened, as its sender is told.
fn refusal_of(fault: &CannotOpen) -> Rejection {
    let detail = fault.to_string();
    match fault {
        CannotOpen::NoPlan(NoPlan::NoProcessor) => Rejection::new(DeadLetterReason::NoProcessor, detail),
        CannotOpen::NoPlan(NoPlan::TooManyTasks) | CannotOpen::Illegal(_) => {
            Rejection::new(DeadLetterReason::Internal, detail)
        }
        CannotOpen::UnknownRegime(_) | CannotOpen::NoTimeAfterGrace(_) | CannotOpen::RequestedAt(_) => {
            Rejection::schema(detail)
        }
    }
}
