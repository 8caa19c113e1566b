//! Everything that one transaction writes.

use super::{
    capsules::CapsuleRow,
    counters::CounterKey,
    dead_letters::DeadLetter,
    deferred::{AskedRow, DeferredRow, UndeliverableRow},
    early::EarlyChanges,
    ledger::LeafRow,
    lists::MarkedRow,
    polls::PollRow,
    queues::QueuedRow,
    requests::{InboxRow, MovedRow, OpenedRow, ResealedRow, SubjectDigest},
    retention::{Closing, LastWord, PurgedRow},
    suppression::SuppressionRow,
};
use crate::domain::{ids::RequestId, time::At, words::Mark};

/// Everything that one transaction writes.
#[derive(Debug, Default)]
pub struct Changes {
    /// New requests.
    pub opened: Vec<OpenedRow>,
    /// Changed requests.
    pub moved: Vec<MovedRow>,
    /// Requests to which identifiers were supplied.
    pub resealed: Vec<ResealedRow>,
    /// Requests that were merged into another one: that one, and the request.
    pub merged: Vec<(RequestId, RequestId)>,
    /// Merged requests that stand alone again.
    pub separated: Vec<(RequestId, RequestId)>,
    /// Under which digests those are found from now on.
    pub found_by: Vec<(SubjectDigest, RequestId)>,
    /// Requests that have changed in a way that those merged into them have to follow: the agenda wakes them.
    pub roused: Vec<RequestId>,
    /// Commands taken in.
    pub inbox: Vec<InboxRow>,
    /// Ledger leaves; the transaction's `ledger_batch` row is made from them.
    pub leaves: Vec<LeafRow>,
    /// Messages that could not be taken in.
    pub dead_letters: Vec<DeadLetter>,
    /// Commands that wait for their requests.
    pub early: EarlyChanges,
    /// Requests whose outputs no Kafka input caused, with the revision that they are at.
    pub outbox: Vec<(RequestId, u32)>,
    /// Deferred tasks that are new or have changed.
    pub deferred: Vec<DeferredRow>,
    /// Tasks that are no longer deferred, by request and place.
    pub resumed: Vec<(RequestId, u16)>,
    /// Waves that are asked about, new or of another mark.
    pub asked: Vec<AskedRow>,
    /// Waves that are asked about no more, by request and place.
    pub unasked: Vec<(RequestId, u16)>,
    /// Tasks that their topics do not take, new or changed.
    pub undeliverable: Vec<UndeliverableRow>,
    /// Tasks that are so no longer, by request and place.
    pub delivered: Vec<(RequestId, u16)>,
    /// Tasks in the queues of their lanes, new or changed.
    pub queued: Vec<QueuedRow>,
    /// Tasks that are so no longer, by request and place.
    pub unqueued: Vec<(RequestId, u16)>,
    /// Tasks that their processors have accepted and have to be asked about.
    pub polled: Vec<PollRow>,
    /// Requests that have moved, and whose controllers may have to be told.
    pub told: Vec<RequestId>,
    /// New capsules; each takes the place of its request's older one.
    pub capsules: Vec<CapsuleRow>,
    /// Marks of requests, new or of another deadline.
    pub marked: Vec<MarkedRow>,
    /// Marks that requests have no more.
    pub unmarked: Vec<(Mark, RequestId)>,
    /// Requests that came to their end, or that go on to another place in line.
    pub closings: Vec<Closing>,
    /// What has been taken from the front of a line.
    pub closings_done: Vec<Closing>,
    /// Identifiers as the suppression topic has them.
    pub suppression: Vec<SuppressionRow>,
    /// Requests whose keyed digests go.
    pub expired: Vec<RequestId>,
    /// Requests whose rows go, digests included; what the ledger has of them stays.
    pub purged: Vec<PurgedRow>,
    /// Keys whose last record has to say what is true now.
    pub last_words: Vec<LastWord>,
    /// Differences to counters, in order of their keys.
    pub counters: Vec<(CounterKey, i64)>,
    /// The slot that the differences go to: workers and stages have different ones, so that they do not wait for each other.
    pub slot: u16,
    /// When.
    pub at: At,
}
