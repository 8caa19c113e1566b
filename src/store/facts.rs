//! Facts, the revisions of the registry, which are facts too, and the gate that they pass.

use async_trait::async_trait;
use uuid::Uuid;

use super::{error::StoreError, history::Chain};
use crate::domain::{
    fact::{Fact, FactVersion},
    ids::ProcessorId,
    time::At,
};

/// Facts and registry, as they are committed.
#[async_trait]
pub trait FactStore: Send + Sync {
    /// The active revision of the registry.
    async fn registry(&self) -> Result<Option<StoredRegistry>, StoreError>;
    /// The facts after this version, in order.
    async fn facts_since(&self, version: FactVersion) -> Result<Vec<StoredFact>, StoreError>;
    /// The backup events of a processor, in the order in which they were stored.
    async fn backup_facts(&self, processor: &ProcessorId) -> Result<Vec<StoredFact>, StoreError>;
    /// When a backup system told something last.
    async fn last_told(&self, processor: &ProcessorId) -> Result<Option<At>, StoreError>;
}

/// Facts and registry within a transaction.
#[async_trait]
pub trait FactTransaction: Send {
    /// The facts after this version, in order.
    async fn facts_since(&mut self, version: FactVersion) -> Result<Vec<StoredFact>, StoreError>;
    /// The fact of this version, if there is one.
    async fn fact_at(&mut self, version: FactVersion) -> Result<Option<StoredFact>, StoreError>;
    /// The fact of this key, if there is one.
    async fn fact(&mut self, key: &str) -> Result<Option<StoredFact>, StoreError>;
    /// What was told up to `told_until` of copies that a processor has taken, after this version and in order: what nothing
    /// sweeps any more. The last fact that was told by then is not among it, so that whoever has looked since finds what it
    /// learned last.
    async fn copies_told(
        &mut self,
        processor: &ProcessorId,
        after: FactVersion,
        told_until: At,
        limit: u32,
    ) -> Result<Vec<StoredFact>, StoreError>;
    /// Deletes facts that nothing is decided by any more, with their sweeps, and says which of them were still there. The fact
    /// after each keeps its chain, so that the chain can be followed over what is gone.
    async fn compact_facts(&mut self, versions: &[FactVersion]) -> Result<Vec<FactVersion>, StoreError>;
    /// Adds a fact, under the exclusive gate lock, with its sweep where it needs one.
    async fn add_fact(&mut self, fact: &NewFact) -> Result<FactVersion, StoreError>;
    /// Writes a fact anew, under the exclusive gate lock: what nothing can ask for any more may leave it.
    async fn rewrite_fact(&mut self, version: FactVersion, fact: &Fact) -> Result<(), StoreError>;
    /// Adds a revision of the registry. [`StoreError::Conflict`]: there is one of this number.
    async fn add_registry(&mut self, revision: u32, text: &str, at: At) -> Result<(), StoreError>;
    /// The active revision of the registry.
    async fn registry(&mut self) -> Result<Option<StoredRegistry>, StoreError>;
}

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

/// A fact to be stored. Its version is the one after the last.
#[derive(Debug)]
pub struct NewFact {
    /// Its id, under which the ledger has it.
    pub id: Uuid,
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
    pub id: Uuid,
    /// The fact.
    pub fact: Fact,
    /// The keyed digest of what brought it.
    pub digest: [u8; 16],
    /// Free text, sealed.
    pub sealed: Option<Vec<u8>>,
    /// When it was stored.
    pub at: At,
    /// The hash over this fact and those before it; `None`: nobody has chained it yet.
    pub chain: Option<Chain>,
    /// The chain of the fact before it, where that one is compacted.
    pub chain_before: Option<Chain>,
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
    pub chain: Option<Chain>,
}
