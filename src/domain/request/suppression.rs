//! Suppression: who must not be brought back by an import or a restored file.

use super::{Head, Life, Request};
use crate::domain::{time::At, words::Status};

impl Head {
    /// Since when the subject of a request with this life is suppressed; `None`: this request suppresses nobody.
    ///
    /// A subject is suppressed from the time at which they asked (`requested_at`) when all of these hold:
    ///
    /// - The request asks for everything that the controller holds: it is limited to no purposes, categories or
    ///   processors. A processor that it leaves out (`exclude`) does not change that, and neither does the action: what
    ///   was anonymized must not become a person again either.
    /// - It is past its gates: `in_progress`, `deferred`, `completed` or `closed_with_exceptions`. One that waits for a
    ///   gate may still be refused or withdrawn, and one that was refused, cancelled or merged erases nothing itself:
    ///   what a merged one stands for is the request that it was merged into, which has the same identifiers.
    /// - The person has not come back since (`reactivated`, at `requested_at` or later).
    pub fn suppresses(&self, life: &Life) -> Option<At> {
        let is_past_its_gates = match life.status {
            Status::InProgress | Status::Deferred | Status::Completed | Status::ClosedWithExceptions => true,
            Status::AwaitingVerification
            | Status::AwaitingApproval
            | Status::Scheduled
            | Status::Refused
            | Status::Cancelled
            | Status::Merged => false,
        };
        let is_back = life.reactivated_at.is_some_and(|at| at >= self.requested_at);
        (is_past_its_gates && !self.limited && !is_back).then_some(self.requested_at)
    }
}

impl Request {
    /// Since when its subject is suppressed; see [`Head::suppresses`].
    pub fn suppressed_since(&self) -> Option<At> {
        self.head.suppresses(&self.life)
    }
}
