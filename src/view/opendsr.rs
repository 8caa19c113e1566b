//! A request as a controller that speaks OpenDSR sees it: four states, and no word for what was refused or left out.

use uuid::Uuid;

use crate::{
    domain::{registry::RequestState, request::Request, words::Status},
    wire::opendsr::{API_VERSION, StatusAnswer},
};

/// Where a request stands, and our own word where the four say less.
///
/// It is pending until something was sent, so that what is pending can be cancelled and nothing else. What is deferred (copies in
/// backups, what the law has kept) is in progress: only what is proved is completed. A refusal is a cancellation by us.
pub fn request_state(request: &Request) -> (RequestState, Option<&'static str>) {
    let moving = if request.was_sent() {
        RequestState::InProgress
    } else {
        RequestState::Pending
    };
    match request.life.status {
        Status::AwaitingVerification | Status::AwaitingApproval | Status::Scheduled | Status::InProgress => {
            (moving, None)
        }
        Status::Deferred => (moving, Some(Status::Deferred.as_str())),
        Status::Completed => (RequestState::Completed, None),
        Status::ClosedWithExceptions => (
            RequestState::Completed,
            Some(Status::ClosedWithExceptions.as_str()),
        ),
        Status::Refused => (RequestState::Cancelled, Some(Status::Refused.as_str())),
        Status::Cancelled => (RequestState::Cancelled, None),
        // It goes as the one that it follows, and is done with it.
        Status::Merged => {
            let is_bound = request
                .life
                .following
                .as_ref()
                .is_some_and(|following| following.bound);
            let state = match (request.life.completed_at, is_bound) {
                (Some(_), _) => RequestState::Completed,
                (None, true) => RequestState::InProgress,
                (None, false) => RequestState::Pending,
            };
            (state, Some(Status::Merged.as_str()))
        }
    }
}

/// What its controller is told.
pub fn status_answer<'a>(request: &Request, controller: &'a str) -> StatusAnswer<'a> {
    let (request_status, detail) = request_state(request);
    let id: Uuid = request.id.0;
    StatusAnswer {
        controller_id: controller.into(),
        expected_completion_time: request.life.clock.due,
        subject_request_id: id,
        request_status,
        api_version: API_VERSION,
        detail,
    }
}
