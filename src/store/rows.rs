//! What goes into a store and comes out of it.

use super::StoreError;
use crate::domain::{
    ids::{CommandId, RequestId, Tenant},
    request::Request,
    time::At,
    words::{CommandKind, DeadLetterReason, Status},
};

mod lasting;
mod positions;

pub use lasting::*;
pub use positions::*;

pub use super::expiry::{Closing, CompactedKey, LastWord, Line, PurgedRow, SuppressionRow};
pub use crate::domain::identity::{SubjectDigest, SuppressionDigest};

/// How the gate lock is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// By whatever dispatches, settles or parks.
    Shared,
    /// Shared by whatever opens requests: no command begins to wait for its request meanwhile.
    Opening,
    /// Shared by whatever lets commands wait for their requests: no request is opened meanwhile, and everything else goes
    /// on.
    Waiting,
    /// By whatever writes a fact.
    Exclusive,
}

/// How rows are read for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Without a lock: the guard on the revision finds a lost race.
    None,
    /// Locked until the end of the transaction.
    Rows,
}

/// A request as it is stored.
#[derive(Debug, Clone)]
pub struct StoredRequest {
    /// The aggregate.
    pub request: Request,
    /// The wrapped key of its identifiers; `None`: shredded.
    pub wrapped_key: Option<Vec<u8>>,
}

/// What is written once about a request, and anew only when identifiers are supplied.
#[derive(Debug, Clone)]
pub struct StoredBody {
    /// The request.
    pub id: RequestId,
    /// The packed body.
    pub body: Vec<u8>,
    /// The sealed identifiers.
    pub sealed: Vec<u8>,
}

/// The aggregate as it is written: packed, with what has columns of its own.
#[derive(Debug)]
pub struct StateRow {
    /// The request.
    pub id: RequestId,
    /// Grows with every change.
    pub revision: u32,
    /// Where it stands.
    pub status: Status,
    /// When it was received.
    pub received_at: At,
    /// When it wants to be woken.
    pub wake_at: Option<At>,
    /// All of it but id and revision.
    pub packed: Vec<u8>,
}

impl StateRow {
    /// Packs a request.
    pub fn of(request: &Request) -> Result<Self, StoreError> {
        let packed = request.pack().map_err(|error| StoreError::Unreadable {
            table: "state",
            detail: format!("request {}: {error}", request.id),
        })?;
        Ok(Self {
            id: request.id,
            revision: request.revision,
            status: request.life.status,
            received_at: request.head.received_at,
            wake_at: request.life.wake_at,
            packed,
        })
    }
}

/// A new request.
#[derive(Debug)]
pub struct OpenedRow {
    /// What it is.
    pub state: StateRow,
    /// Whose it is.
    pub tenant: Tenant,
    /// The wrapped key of its identifiers; `None`: it was over at once.
    pub wrapped_key: Option<Vec<u8>>,
    /// The packed body.
    pub body: Vec<u8>,
    /// The sealed identifiers.
    pub sealed: Vec<u8>,
    /// The keyed digests of its identifiers.
    pub digests: Vec<SubjectDigest>,
}

/// A request that has changed: written only where it still has the revision before.
#[derive(Debug)]
pub struct MovedRow {
    /// What it is after the change.
    pub state: StateRow,
    /// The revision that it was read at.
    pub from_revision: u32,
    /// Whether the wrapped key is deleted.
    pub shred: bool,
    /// Whether the row in the agenda has to follow `state.wake_at`.
    pub rewake: bool,
}

/// What is written anew about a request to which identifiers were supplied.
#[derive(Debug)]
pub struct ResealedRow {
    /// The request.
    pub id: RequestId,
    /// The packed body.
    pub body: Vec<u8>,
    /// The sealed identifiers, old and new.
    pub sealed: Vec<u8>,
    /// The keyed digests of the new ones.
    pub digests: Vec<SubjectDigest>,
}

/// A command that has been taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRow {
    /// The tenant.
    pub tenant: Tenant,
    /// The idempotency key.
    pub command_id: CommandId,
    /// The keyed digest of its payload.
    pub digest: [u8; 16],
    /// The request that it is about.
    pub request_id: RequestId,
}

/// A leaf of the ledger to be written.
#[derive(Debug)]
pub struct LeafRow {
    /// The request.
    pub request_id: RequestId,
    /// Counts the request's leaves.
    pub n: u32,
    /// The canonical bytes.
    pub leaf: Vec<u8>,
    /// Free text and references, sealed.
    pub sealed: Option<Vec<u8>>,
}

/// A leaf of the ledger as it is stored.
#[derive(Debug, Clone)]
pub struct StoredLeaf {
    /// Counts the request's leaves.
    pub n: u32,
    /// The canonical bytes.
    pub leaf: Vec<u8>,
    /// Free text and references, sealed.
    pub sealed: Option<Vec<u8>>,
}

/// Where a message came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The cluster.
    pub cluster: std::sync::Arc<str>,
    /// The topic.
    pub topic: std::sync::Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// Which log of this name: the same offset of another one is another message.
    pub incarnation: u32,
}

/// A partition has been read to its end at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The cluster.
    pub cluster: std::sync::Arc<str>,
    /// The topic.
    pub topic: std::sync::Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset that it was read to: creates the position where there is none yet.
    pub next: i64,
    /// When.
    pub at: At,
}

/// How a processor's acks were seen to be spread over a topic's partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckWay {
    /// The cluster.
    pub cluster: std::sync::Arc<str>,
    /// The topic.
    pub topic: std::sync::Arc<str>,
    /// With how many partitions.
    pub partitions: i32,
    /// The processor.
    pub processor: String,
    /// The ways from a key to a partition that all of them agree with, each a bit; none: they can come to any partition.
    pub ways: u8,
}

/// One as the store has it. Bits that no version of this program has written say nothing: it can come to any partition.
pub(crate) fn ack_way(cluster: &str, topic: &str, row: (i32, String, i32)) -> AckWay {
    let (partitions, processor, ways) = row;
    AckWay {
        cluster: cluster.into(),
        topic: topic.into(),
        partitions,
        processor,
        ways: u8::try_from(ways).unwrap_or_default(),
    }
}

/// The state of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterState {
    /// Somebody has to look at it.
    Open,
    /// It was published again.
    Redriven,
    /// It was closed with a reason.
    Closed,
}

impl DeadLetterState {
    /// Its name, as lists show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Redriven => "redriven",
            Self::Closed => "closed",
        }
    }
}

/// A message that could not be taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its id.
    pub id: uuid::Uuid,
    /// Why.
    pub reason: DeadLetterReason,
    /// What exactly is wrong, without any value of the message.
    pub detail: String,
    /// The command that it was, where its bytes say so.
    pub kind: Option<CommandKind>,
    /// Where it came from.
    pub origin: Origin,
    /// When.
    pub at: At,
    /// Open, redriven or closed.
    pub state: DeadLetterState,
    /// The original bytes, sealed; `None` in lists, for what is too large to be taken in by another try, and where they are
    /// kept no more.
    pub sealed: Option<Vec<u8>>,
    /// Its headers that say what it is, sealed likewise; `None`: it had none, or they were too large. They go nowhere but
    /// back to the topic that they came from.
    pub headers: Option<Vec<u8>>,
    /// The ids inside it by which lists of upstream name it. They stay when its bytes go.
    pub ids: Vec<uuid::Uuid>,
    /// Whether the store keeps its bytes; otherwise only their topic has them, and the one of dead letters.
    pub kept: bool,
}

/// What a topic has among the dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LettersOfTopic {
    /// The topic.
    pub topic: String,
    /// How many bytes are kept of them.
    pub bytes: u64,
    /// How many are open and ask for no erasure.
    pub open: u64,
}

/// Dead letters whose rows went because their topic had too many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedLetters {
    /// The topic that they came from.
    pub topic: String,
    /// Why they were refused.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// When the first of them was refused.
    pub since: At,
    /// When the last of them was.
    pub until: At,
}

/// Which dead letters to list.
#[derive(Debug, Clone, Default)]
pub struct DeadLetterFilter {
    /// Only open ones.
    pub open_only: bool,
    /// Whether their sealed payloads come with them.
    pub with_payload: bool,
    /// After this id (they are time-ordered).
    pub after: Option<uuid::Uuid>,
    /// How many at the most.
    pub limit: u32,
}

/// Open dead letters that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenLetters {
    /// Why they were refused.
    pub reason: String,
    /// The command that they were, where their bytes say so.
    pub kind: Option<CommandKind>,
    /// How many there are.
    pub count: u64,
    /// The time of the oldest.
    pub oldest: At,
}

/// A registry revision as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRegistry {
    /// The revision, counted from 1.
    pub revision: u32,
    /// The registry as JSON.
    pub text: String,
    /// When it was activated.
    pub activated_at: At,
    /// The hash over this revision and those before it; `None`: nobody has chained it yet.
    pub chain: Option<super::Chain>,
}

/// Counts, by processor and set, the copies whose facts are compacted.
pub const COMPACTED_COPIES: &str = "compacted_copies";

/// What a counter counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterKey {
    /// The metric: one of [`CounterKey::KINDS`].
    pub kind: &'static str,
    /// Its first label.
    pub a: String,
    /// Its second label.
    pub b: String,
}

impl CounterKey {
    /// Every metric that is counted in the store. A row of another one was written by a later version and is passed over.
    pub const KINDS: &[&'static str] = &[
        "tasks",
        "requests",
        "overdue",
        "at_risk",
        "needs_attention",
        "sealed",
        "deferred",
        "undeliverable",
        "capsules",
        COMPACTED_COPIES,
    ];
}

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
    pub early: super::EarlyChanges,
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
    /// New capsules; each takes the place of its request's older one.
    pub capsules: Vec<CapsuleRow>,
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
