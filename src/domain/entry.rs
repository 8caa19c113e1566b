//! What the ledger keeps of a change: ids, enums, times, counts and salted commitments, and nothing else.
//!
//! The bytes of a row are its leaf, so their form is fixed: a version byte, then postcard (little-endian varints,
//! members in order of declaration). Members of the enumerations are added at the end and never removed.

use serde::{Deserialize, Serialize};

use super::{
    calendar::Regime,
    ids::{ProcessorId, RequestId},
    task::TaskEvent,
    time::At,
    words::{Action, Status},
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
