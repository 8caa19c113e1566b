//! What outlives transactions and requests: facts and their sweeps, what is deferred, capsules.

use crate::domain::{
    backup::Week,
    fact::{CapsuleEpoch, Fact, FactKind, FactVersion},
    ids::{ProcessorId, RequestId},
    time::At,
    words::Why,
};

/// A fact to be stored. Its version is the one after the last.
#[derive(Debug)]
pub struct NewFact {
    /// Its id, under which the ledger has it.
    pub id: uuid::Uuid,
    /// The fact.
    pub fact: Fact,
    /// The keyed digest of what brought it: tells a repeat from a conflict.
    pub digest: [u8; 16],
    /// Free text, sealed.
    pub sealed: Option<Vec<u8>>,
    /// When.
    pub at: At,
    /// Whether requests have to be swept for it.
    pub sweeps: bool,
}

/// A fact as it is stored.
#[derive(Debug, Clone)]
pub struct StoredFact {
    /// Its place among the facts.
    pub version: FactVersion,
    /// Its id.
    pub id: uuid::Uuid,
    /// The fact.
    pub fact: Fact,
    /// The keyed digest of what brought it.
    pub digest: [u8; 16],
    /// Free text, sealed.
    pub sealed: Option<Vec<u8>>,
    /// When it was stored.
    pub at: At,
    /// The hash over this fact and those before it; `None`: nobody has chained it yet.
    pub chain: Option<crate::store::Chain>,
    /// The chain of the fact before it, where that one is compacted.
    pub chain_before: Option<crate::store::Chain>,
}

/// The walk that makes every request a fact concerns look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// The fact.
    pub version: FactVersion,
    /// What kind of fact it is.
    pub kind: FactKind,
    /// When it was begun.
    pub started_at: At,
    /// When its last batch was committed.
    pub updated_at: At,
    /// When it was finished; `None`: it goes on.
    pub finished_at: Option<At>,
    /// How many requests it has looked at.
    pub done: u64,
    /// How many there were to look at when it was begun; `None`: not counted yet.
    pub total: Option<u64>,
    /// Which list of requests it is in, and where.
    pub stage: u16,
    /// The last request that it has looked at.
    pub after: Option<Place>,
}

/// A place in a list of requests: what they are ordered by first, and the request.
pub type Place = (i64, RequestId);

/// A list of requests that a sweep walks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concerned {
    /// Those that are not closed, by id; the first half of a place is 0.
    Open,
    /// Those with a task that is held, by id; the first half of a place is 0.
    Held,
    /// Those with a deferred task of this reason at this processor, by its mark.
    Deferred {
        /// Why it is deferred: `Retention`, `BackupRotation` or `Verification`.
        reason: Why,
        /// The processor.
        processor: ProcessorId,
        /// Only marks up to this one.
        up_to: At,
    },
    /// Those with a wave that this backup system is asked about, by its mark.
    Asked {
        /// The backup system.
        processor: ProcessorId,
        /// Only marks up to this one.
        up_to: At,
    },
    /// Every request, closed ones too, by id; the first half of a place is 0.
    All,
    /// Those with a capsule of this week or a later one, by week.
    Capsules {
        /// The first week.
        from: Week,
    },
}

/// A task that is deferred: it has a row of its own, so that lists, sweeps and gauges find it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeferredRow {
    /// The request.
    pub request_id: RequestId,
    /// The task's place in its plan.
    pub ordinal: u16,
    /// Why: `Retention`, `BackupRotation`, `Verification` or `Hold`.
    pub reason: Why,
    /// The processor.
    pub processor: ProcessorId,
    /// Until when, as far as it is known; `None`: until somebody acts.
    pub until: Option<At>,
    /// What a fact is compared with: for a backup the time that a rotation has to pass, otherwise `until` or 0.
    pub mark: At,
}

/// A wave of copies that its backup system is asked about, or was asked about in vain. It is not deferred, and yet a
/// rotation may end it: by this row the sweep finds it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskedRow {
    /// The request.
    pub request_id: RequestId,
    /// The task's place in its plan.
    pub ordinal: u16,
    /// The backup system.
    pub processor: ProcessorId,
    /// The time that a rotation has to pass.
    pub mark: At,
}

/// A task that its topic does not take. It is ready, and whoever finds that the topic takes it again finds it by this row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UndeliverableRow {
    /// The request.
    pub request_id: RequestId,
    /// The task's place in its plan.
    pub ordinal: u16,
    /// The processor.
    pub processor: ProcessorId,
    /// From when it may be tried again.
    pub due: At,
    /// Whether its own size is the reason.
    pub too_large: bool,
}

/// Which deferred tasks to list, in the order of (until, request, ordinal); what has no date comes last.
#[derive(Debug, Clone, Default)]
pub struct DeferredFilter {
    /// Of this processor.
    pub processor: Option<ProcessorId>,
    /// For this reason.
    pub reason: Option<Why>,
    /// Due before this time.
    pub due_before: Option<At>,
    /// After this one.
    pub after: Option<(Option<At>, RequestId, u16)>,
    /// How many at the most.
    pub limit: u32,
}

/// The identifiers that are kept only for a restore replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapsuleRow {
    /// The request; it has one capsule at the most, and a new one takes the place of the old.
    pub request_id: RequestId,
    /// With which capsules it is forgotten.
    pub epoch: CapsuleEpoch,
    /// The identifiers, sealed under the epoch's key.
    pub sealed: Vec<u8>,
}

/// A capsule as it is stored.
#[derive(Debug, Clone)]
pub struct StoredCapsule {
    /// The request.
    pub request_id: RequestId,
    /// With which capsules it is forgotten.
    pub epoch: CapsuleEpoch,
    /// The identifiers, sealed under the epoch's key.
    pub sealed: Vec<u8>,
    /// The wrapped key of the epoch.
    pub wrapped_key: Vec<u8>,
}
