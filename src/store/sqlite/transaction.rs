//! A transaction of SQLite. It is the only writer from its beginning, so no row of it can be changed by anybody else;
//! dropped, it is rolled back.

use async_trait::async_trait;
use sqlx::Sqlite;

use super::{
    capsules, dead_letters, early, expiry, facts, merged, positions, read, suppression, sweeps, write,
};
use crate::{
    clock::Clock,
    domain::{
        fact::{CapsuleEpoch, Fact, FactVersion},
        ids::{CommandId, ProcessorId, RequestId, Tenant},
        time::At,
    },
    store::{
        Acceptance, Advance, Changes, Closing, Concerned, DeadLetter, EarlyRow, Ended, Gate, InboxRow, Line,
        Lock, NewFact, Origin, Passed, Place, StoreError, StoredBody, StoredCapsule, StoredFact,
        StoredRegistry, StoredRequest, SubjectDigest, SuppressionRow, Sweep, Transaction,
    },
};

pub(super) struct SqliteTransaction(pub(super) sqlx::Transaction<'static, Sqlite>, pub(super) Clock);

#[async_trait]
impl Transaction for SqliteTransaction {
    async fn gate(&mut self, _mode: Gate) -> Result<Passed, StoreError> {
        // One writer: nothing can come between.
        let (facts, registry) = facts::heads(&mut self.0).await?;
        Ok(Passed {
            facts,
            registry,
            now: self.1.now(),
        })
    }

    async fn facts_since(&mut self, version: FactVersion) -> Result<Vec<StoredFact>, StoreError> {
        facts::since(&mut *self.0, version).await
    }

    async fn fact_at(&mut self, version: FactVersion) -> Result<Option<StoredFact>, StoreError> {
        facts::at(&mut *self.0, version).await
    }

    async fn fact(&mut self, key: &str) -> Result<Option<StoredFact>, StoreError> {
        facts::of_key(&mut *self.0, key).await
    }

    async fn copies_told(
        &mut self,
        processor: &ProcessorId,
        after: FactVersion,
        told_until: At,
        limit: u32,
    ) -> Result<Vec<StoredFact>, StoreError> {
        facts::copies_told(&mut *self.0, processor, after, told_until, limit).await
    }

    async fn compact_facts(&mut self, versions: &[FactVersion]) -> Result<Vec<FactVersion>, StoreError> {
        facts::compact(&mut self.0, versions).await
    }

    async fn add_fact(&mut self, fact: &NewFact) -> Result<FactVersion, StoreError> {
        facts::add(&mut self.0, fact).await
    }

    async fn rewrite_fact(&mut self, version: FactVersion, fact: &Fact) -> Result<(), StoreError> {
        facts::rewrite(&mut *self.0, version, fact).await
    }

    async fn of_subjects(&mut self, digests: &[SubjectDigest]) -> Result<Vec<RequestId>, StoreError> {
        read::of_subjects(&mut *self.0, digests).await
    }

    async fn alike(
        &mut self,
        digests: &[SubjectDigest],
        each: u32,
    ) -> Result<Vec<(SubjectDigest, RequestId)>, StoreError> {
        merged::alike(&mut *self.0, digests, each).await
    }

    async fn add_registry(&mut self, revision: u32, text: &str, at: At) -> Result<(), StoreError> {
        facts::add_registry(&mut self.0, revision, text, at).await
    }

    async fn registry(&mut self) -> Result<Option<StoredRegistry>, StoreError> {
        read::registry(&mut *self.0).await
    }

    async fn next_sweep(&mut self, passed_over: &[FactVersion]) -> Result<Option<Sweep>, StoreError> {
        sweeps::next(&mut *self.0, passed_over).await
    }

    async fn move_sweep(&mut self, sweep: &Sweep) -> Result<(), StoreError> {
        sweeps::advance(&mut *self.0, sweep).await
    }

    async fn concerned(
        &mut self,
        of: &Concerned,
        after: Option<Place>,
        limit: u32,
    ) -> Result<Vec<Place>, StoreError> {
        sweeps::concerned(&mut *self.0, of, after, limit).await
    }

    async fn count_concerned(&mut self, of: &Concerned) -> Result<u64, StoreError> {
        sweeps::count(&mut *self.0, of).await
    }

    async fn capsule_keys(&mut self, epochs: &[(CapsuleEpoch, Vec<u8>)]) -> Result<Vec<Vec<u8>>, StoreError> {
        capsules::keys(&mut self.0, epochs).await
    }

    async fn capsules(&mut self, ids: &[RequestId]) -> Result<Vec<StoredCapsule>, StoreError> {
        capsules::of_requests(&mut *self.0, ids).await
    }

    async fn destroy_capsules(&mut self, epoch: &CapsuleEpoch) -> Result<(), StoreError> {
        capsules::destroy(&mut *self.0, epoch).await
    }

    async fn advance(&mut self, advances: &[Advance]) -> Result<(), StoreError> {
        positions::advance(&mut self.0, advances).await
    }

    async fn accept_position(&mut self, acceptance: &Acceptance) -> Result<(), StoreError> {
        positions::accept(&mut self.0, acceptance).await
    }

    async fn inbox(&mut self, keys: &[(&Tenant, CommandId)]) -> Result<Vec<InboxRow>, StoreError> {
        read::inbox(&mut *self.0, keys).await
    }

    async fn received_since(&mut self, since: At, limit: u32) -> Result<u64, StoreError> {
        read::received_since(&mut *self.0, since, limit).await
    }

    async fn load(&mut self, ids: &[RequestId], _lock: Lock) -> Result<Vec<StoredRequest>, StoreError> {
        read::requests(&mut *self.0, ids).await
    }

    async fn bodies(&mut self, ids: &[RequestId]) -> Result<Vec<StoredBody>, StoreError> {
        read::bodies(&mut *self.0, ids).await
    }

    async fn due(&mut self, now: At, limit: u32) -> Result<Vec<StoredRequest>, StoreError> {
        read::due(&mut *self.0, now, limit).await
    }

    async fn dead_letters_of(&mut self, origins: &[Origin]) -> Result<Vec<DeadLetter>, StoreError> {
        dead_letters::of_origins(&mut *self.0, origins).await
    }

    async fn early_of(&mut self, ids: &[RequestId]) -> Result<Vec<EarlyRow>, StoreError> {
        early::of_requests(&mut *self.0, ids).await
    }

    async fn early_expired(&mut self, now: At, limit: u32) -> Result<Vec<EarlyRow>, StoreError> {
        early::expired(&mut *self.0, now, limit).await
    }

    async fn early_count(&mut self) -> Result<u64, StoreError> {
        early::count(&mut *self.0).await
    }

    async fn closings(&mut self, line: Line, limit: u32) -> Result<Vec<Closing>, StoreError> {
        expiry::closings(&mut *self.0, line, limit).await
    }

    async fn suppression_of(&mut self, ids: &[RequestId]) -> Result<Vec<SuppressionRow>, StoreError> {
        suppression::of_requests(&mut *self.0, ids).await
    }

    async fn leaf_counts(&mut self, ids: &[RequestId]) -> Result<Vec<(RequestId, u32)>, StoreError> {
        expiry::leaf_counts(&mut *self.0, ids).await
    }

    async fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        write::write(&mut self.0, changes).await
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }

    fn ended(&self) -> Ended {
        // There is one connection that writes: whoever comes next waits for it, and gets it rolled back.
        Ended::unseen()
    }
}
