//! What the ledger keeps of a change: ids, enums, times, counts and salted commitments, and nothing else.
//!
//! The bytes of a row are its leaf, so their form is fixed: a version byte, then postcard (little-endian varints,
//! members in order of declaration). Members of the enumerations are added at the end and never removed.

pub mod acts;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    backup::Week,
    calendar::Regime,
    ids::{AnchorName, FactVersion, HoldId, IdentityType, Label, ProcessorId, RequestId, Tenant},
    task::TaskEvent,
    time::At,
    words::{
        Action, BackupEventKind, BulkAction, BulkOperation, ExtensionReason, HoldBasis, RefusalBasis, Status,
        Why,
    },
};

/// The version of the leaf's form.
const VERSION: u8 = 1;

/// One thing that happened to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A command opened it.
    Opened {
        /// What was asked.
        action: Action,
        /// The regime of its clock.
        regime: Regime,
        /// When the subject asked.
        requested_at: At,
        /// The deadline.
        deadline: At,
        /// The registry's revision that its plan is pinned to.
        registry: u32,
        /// A salted commitment to the command; the salt lies sealed with the identifiers.
        commitment: [u8; 32],
        /// The processors of its plan, in order.
        processors: Vec<ProcessorId>,
    },
    /// A task changed.
    Task {
        /// Its place in the plan.
        ordinal: u16,
        /// The generation after the change.
        generation: u32,
        /// The attempt after the change.
        attempt: u32,
        /// What happened.
        event: TaskEvent,
    },
    /// A settled answer brought proof.
    Evidence {
        /// The task's place in the plan.
        ordinal: u16,
        /// How many records were affected, where it says so.
        records: Option<u64>,
        /// A salted commitment to the whole of it; it lies, with the salt, in the sealed side row.
        commitment: [u8; 32],
    },
    /// The request went from one state to another.
    Status {
        /// Before.
        from: Status,
        /// After.
        to: Status,
    },
    /// The deadline has passed and live systems are not clean.
    Overdue,
    /// The key of its identifiers was deleted.
    Shredded,
    /// Somebody acted; the reason lies in the sealed side row.
    ActedBy {
        /// The name of the bearer.
        actor: String,
    },
    /// A gate of the request was opened by a person.
    GateOpened {
        /// Which: `Verification` or `Approval`.
        gate: Why,
    },
    /// The deadline was moved.
    DeadlineMoved {
        /// Before.
        from: At,
        /// After.
        to: At,
        /// The reason of an extension; `None`: the clock had stood still while the subject's identity was in doubt.
        reason: Option<ExtensionReason>,
    },
    /// The person is back.
    Reactivated {
        /// Since when.
        at: At,
    },
    /// Identifiers were supplied that it had not come with.
    Supplied {
        /// Their types.
        types: Vec<IdentityType>,
    },
    /// It was refused, in whole or for a processor.
    Refused {
        /// The legal ground.
        basis: RefusalBasis,
        /// The processor whose tasks are exempt now; `None`: all of it.
        processor: Option<ProcessorId>,
    },
    /// A share has to be kept until a date.
    Kept {
        /// The task's place in the plan.
        ordinal: u16,
        /// The legal basis.
        basis: Label,
        /// The anchor of the command that the time is counted from; `None`: it has none of that name, or the rule names
        /// none, so that `requested_at` is.
        anchor: Option<AnchorName>,
        /// The time that it is counted from.
        from: At,
        /// Until when.
        until: At,
    },
    /// A backup task was added for a wave.
    WaveAdded {
        /// Its place in the plan.
        ordinal: u16,
        /// The backup system.
        processor: ProcessorId,
        /// The tasks, by place, whose confirmation its horizon runs from.
        sources: Vec<u16>,
    },
    /// A backup was put back: what it can have brought back is done again.
    Restored {
        /// The fact.
        fact: FactVersion,
        /// When the backup had been taken.
        taken_at: At,
    },
    /// The key of its identifiers was deleted; for a restore they stay, sealed under the key of this week.
    Encapsulated {
        /// The week.
        week: Week,
    },
    /// A legal hold was placed.
    HoldPlaced {
        /// The tenant.
        tenant: Tenant,
        /// By which it is released.
        hold: HoldId,
        /// The legal ground.
        basis: HoldBasis,
        /// Who placed it.
        actor: String,
        /// Whether it names a subject; who that is lies nowhere here.
        subject: bool,
        /// The request.
        request: Option<RequestId>,
        /// The processor.
        processor: Option<ProcessorId>,
        /// The categories of data.
        categories: Vec<Label>,
    },
    /// A legal hold was released.
    HoldReleased {
        /// The tenant.
        tenant: Tenant,
        /// The hold.
        hold: HoldId,
        /// Who released it.
        actor: String,
    },
    /// Something happened to a backup.
    BackupEvent {
        /// The backup system.
        processor: ProcessorId,
        /// What.
        kind: BackupEventKind,
        /// When the backup was taken, or the oldest that is left.
        taken_at: At,
        /// Until when it is locked.
        lock_until: Option<At>,
        /// Into which processors it was put back.
        restored_into: Vec<ProcessorId>,
    },
    /// Another revision of the registry is active.
    RegistryActivated {
        /// The revision.
        revision: u32,
    },
    /// The key of a week's capsules was destroyed.
    CapsulesForgotten {
        /// The week.
        week: Week,
        /// The backup systems that covered them.
        sets: Vec<ProcessorId>,
    },
    /// It was merged into an open request that covers it.
    Merged {
        /// That one.
        into: RequestId,
    },
    /// A request that it covers was merged into it.
    Absorbed {
        /// That one.
        request: RequestId,
    },
    /// The same person has asked more often than the policy takes as it comes.
    Repeated {
        /// How many requests there were before it.
        earlier: u32,
    },
    /// Its rows were deleted, because they had been kept for as long as the controller wants: what the ledger has of it
    /// is all that is left.
    Purged {
        /// The status that it had ended with.
        status: Status,
    },
    /// The request that it was merged into was closed, or opened again.
    Followed {
        /// When it was closed; `None`: it is open again.
        completed_at: Option<At>,
    },
    /// Somebody had a partition be read on although its log is not the one that it was taken in from; the reason lies in
    /// the sealed side row.
    PositionAccepted {
        /// The cluster.
        cluster: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Up to which offset the log before was taken in; `None`: there was none on this cluster.
        from: Option<i64>,
        /// From which offset this one is.
        to: i64,
        /// Counts the logs that this partition has had.
        incarnation: u32,
        /// Who decided it.
        actor: String,
    },
    /// Somebody searched for the requests of a person; for whom lies nowhere.
    Searched {
        /// The name of the bearer.
        actor: String,
        /// The type of the identifier.
        identity_type: IdentityType,
        /// What was found.
        requests: Vec<RequestId>,
        /// Whether there was more than is shown.
        truncated: bool,
    },
    /// Somebody opened the original of a dead letter.
    LetterOpened {
        /// Who: the name of the bearer, or of the user of the command line.
        actor: String,
        /// The dead letter.
        letter: Uuid,
    },
    /// Somebody paused the lane of a processor, and why lies sealed beside the fact.
    LanePaused {
        /// The processor.
        processor: ProcessorId,
        /// Tells it from every other stop.
        stop: Uuid,
        /// Who.
        actor: String,
    },
    /// Somebody had a lane go on.
    LaneResumed {
        /// The processor.
        processor: ProcessorId,
        /// The pause that is over.
        stop: Uuid,
        /// Who.
        actor: String,
    },
    /// Somebody stopped all lanes.
    BrakeOn {
        /// Tells it from every other stop.
        stop: Uuid,
        /// Who.
        actor: String,
    },
    /// Somebody had them go on.
    BrakeOff {
        /// The brake that is over.
        stop: Uuid,
        /// Who.
        actor: String,
    },
    /// Somebody was shown whom requests are about: to do a task by hand, or because he may look.
    IdentitiesShown {
        /// Who.
        actor: String,
        /// The requests.
        requests: Vec<RequestId>,
    },
    /// A task was added to its plan, for a processor that was registered later.
    TaskAdded {
        /// Its place in the plan.
        ordinal: u16,
        /// The processor.
        processor: ProcessorId,
    },
    /// Somebody has many requests be changed at once, or does something about that; each change has its own entry.
    Bulk {
        /// Who.
        actor: String,
        /// Which job.
        job: Uuid,
        /// What is done to each request.
        action: BulkAction,
        /// What was done about the job.
        #[serde(rename = "deed")]
        operation: BulkOperation,
        /// How many changes it has.
        items: u32,
    },
}

/// What one transaction did to one request: a leaf of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// The request.
    pub request: RequestId,
    /// Counts the request's leaves from 0.
    pub n: u32,
    /// When.
    pub at: At,
    /// What.
    pub entries: Vec<Entry>,
}

/// A leaf that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// It was written by a later version.
    #[error("a ledger leaf of version {0}, which this version cannot read")]
    Version(u8),
    /// Its bytes are broken.
    #[error("a broken ledger leaf")]
    Broken(#[from] postcard::Error),
}

impl Leaf {
    /// The canonical bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, LeafError> {
        // Most leaves are smaller; growing byte by byte would cost more than they do.
        let mut bytes = Vec::with_capacity(256);
        bytes.push(VERSION);
        Ok(postcard::to_extend(self, bytes)?)
    }

    /// Reads the canonical bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LeafError> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => Ok(postcard::from_bytes(rest)?),
            Some((version, _)) => Err(LeafError::Version(*version)),
            None => Err(LeafError::Broken(postcard::Error::DeserializeUnexpectedEnd)),
        }
    }
}
