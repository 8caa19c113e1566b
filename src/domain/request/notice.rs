//! What upstream should tell the person now: one word, for its mailer. Lacuna itself writes to nobody.

use super::{Request, legal_clock::Extension};
use crate::domain::{
    time::At,
    words::{Notice, Reason, Status},
};

impl Request {
    /// The notice of where the request stands. Of several the most urgent counts.
    pub(super) fn notice_at(&self, now: At) -> Option<Notice> {
        let (life, clock) = (&self.life, &self.life.clock);
        let stands_still = life.status == Status::AwaitingVerification && clock.pauses_for_identity;
        match life.status {
            Status::Completed => return Some(Notice::Completed),
            Status::ClosedWithExceptions => return Some(Notice::ClosedWithExceptions),
            Status::Refused => return Some(Notice::Refused),
            Status::Cancelled => return Some(Notice::Cancelled),
            Status::Merged => return Some(Notice::Merged),
            Status::AwaitingVerification
            | Status::AwaitingApproval
            | Status::Scheduled
            | Status::InProgress
            | Status::Deferred => {}
        }
        if self.is_erased_for_inactivity() && self.head.not_before.is_some_and(|until| now < until) {
            // The person has to hear of it while they can still come back: nothing else is as urgent.
            Some(Notice::ErasureNoticeDue)
        } else if life.restored_at.is_some() {
            // Also past the deadline, which may have been kept before: the word says what is new, `overdue` the rest.
            Some(Notice::Restored)
        } else if life.overdue {
            Some(Notice::Overdue)
        } else if life.live_clean_at.is_some() {
            // The deadline is kept: what is left are copies and what a law keeps, which `waiting_for` dates.
            None
        } else if clock.is_extended() {
            // Whoever is told that has been told that the request has come in.
            Some(Notice::Extended)
        } else if clock.acknowledge_by.is_some_and(|by| now <= by) {
            // Its deadline comes before that of announcing an extension.
            Some(Notice::AcknowledgementDue)
        } else if life.at_risk && clock.extension == Extension::Possible && !stands_still {
            // A clock that stands still needs no extension: the days of doubt are added to the deadline.
            Some(Notice::ExtensionDue)
        } else {
            None
        }
    }

    /// Whether nobody asked: the person was away for too long.
    fn is_erased_for_inactivity(&self) -> bool {
        self.head.reason == Reason::Inactivity
    }
}
