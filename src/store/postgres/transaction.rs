//! A transaction of PostgreSQL. Dropped, it is rolled back.

use std::time::Duration;

use async_trait::async_trait;

use super::{
    capsules, dead_letters, early, expiry, facts, held::Held, merged, positions, read, suppression, sweeps,
    write,
};
use crate::{
    domain::{
        fact::{CapsuleEpoch, Fact, FactVersion},
        ids::{CommandId, ProcessorId, RequestId, Tenant},
        time::At,
    },
    store::{
        Acceptance, Advance, Changes, Closing, Concerned, DeadLetter, EarlyRow, Ended, Gate, InboxRow, Line,
        Lock, NewFact, Origin, Passed, Place, StoreError, StoredBody, StoredCapsule, StoredFact,
        StoredRegistry, StoredRequest, SubjectDigest, SuppressionRow, Sweep, Transaction, classify::bounded,
    },
};

pub(super) struct PostgresTransaction {
    inner: Held,
    patience: Duration,
}

impl PostgresTransaction {
    pub(super) fn new(inner: Held, patience: Duration) -> Self {
        Self { inner, patience }
    }
}

#[async_trait]
impl Transaction for PostgresTransaction {
    async fn gate(&mut self, mode: Gate) -> Result<Passed, StoreError> {
        bounded(self.patience, facts::gate(&mut self.inner, mode)).await
    }

    async fn facts_since(&mut self, version: FactVersion) -> Result<Vec<StoredFact>, StoreError> {
        bounded(self.patience, facts::since(&mut *self.inner, version)).await
    }

    async fn fact_at(&mut self, version: FactVersion) -> Result<Option<StoredFact>, StoreError> {
        bounded(self.patience, facts::at(&mut *self.inner, version)).await
    }

    async fn fact(&mut self, key: &str) -> Result<Option<StoredFact>, StoreError> {
        bounded(self.patience, facts::of_key(&mut *self.inner, key)).await
    }

    async fn copies_told(
        &mut self,
        processor: &ProcessorId,
        after: FactVersion,
        told_until: At,
        limit: u32,
    ) -> Result<Vec<StoredFact>, StoreError> {
        bounded(
            self.patience,
            facts::copies_told(&mut *self.inner, processor, after, told_until, limit),
        )
        .await
    }

    async fn compact_facts(&mut self, versions: &[FactVersion]) -> Result<Vec<FactVersion>, StoreError> {
        bounded(self.patience, facts::compact(&mut self.inner, versions)).await
    }

    async fn add_fact(&mut self, fact: &NewFact) -> Result<FactVersion, StoreError> {
        bounded(self.patience, facts::add(&mut self.inner, fact)).await
    }

    async fn rewrite_fact(&mut self, version: FactVersion, fact: &Fact) -> Result<(), StoreError> {
        bounded(self.patience, facts::rewrite(&mut *self.inner, version, fact)).await
    }

    async fn of_subjects(&mut self, digests: &[SubjectDigest]) -> Result<Vec<RequestId>, StoreError> {
        bounded(self.patience, read::of_subjects(&mut *self.inner, digests)).await
    }

    async fn alike(
        &mut self,
        digests: &[SubjectDigest],
        each: u32,
    ) -> Result<Vec<(SubjectDigest, RequestId)>, StoreError> {
        bounded(self.patience, merged::alike(&mut *self.inner, digests, each)).await
    }

    async fn add_registry(&mut self, revision: u32, text: &str, at: At) -> Result<(), StoreError> {
        bounded(
            self.patience,
            facts::add_registry(&mut self.inner, revision, text, at),
        )
        .await
    }

    async fn registry(&mut self) -> Result<Option<StoredRegistry>, StoreError> {
        bounded(self.patience, read::registry(&mut *self.inner)).await
    }

    async fn next_sweep(&mut self, passed_over: &[FactVersion]) -> Result<Option<Sweep>, StoreError> {
        bounded(self.patience, sweeps::next(&mut *self.inner, passed_over)).await
    }

    async fn move_sweep(&mut self, sweep: &Sweep) -> Result<(), StoreError> {
        bounded(self.patience, sweeps::advance(&mut *self.inner, sweep)).await
    }

    async fn concerned(
        &mut self,
        of: &Concerned,
        after: Option<Place>,
        limit: u32,
    ) -> Result<Vec<Place>, StoreError> {
        bounded(
            self.patience,
            sweeps::concerned(&mut *self.inner, of, after, limit),
        )
        .await
    }

    async fn count_concerned(&mut self, of: &Concerned) -> Result<u64, StoreError> {
        bounded(self.patience, sweeps::count(&mut self.inner, of)).await
    }

    async fn capsule_keys(&mut self, epochs: &[(CapsuleEpoch, Vec<u8>)]) -> Result<Vec<Vec<u8>>, StoreError> {
        bounded(self.patience, capsules::keys(&mut self.inner, epochs)).await
    }

    async fn capsules(&mut self, ids: &[RequestId]) -> Result<Vec<StoredCapsule>, StoreError> {
        bounded(self.patience, capsules::of_requests(&mut *self.inner, ids)).await
    }

    async fn destroy_capsules(&mut self, epoch: &CapsuleEpoch) -> Result<(), StoreError> {
        bounded(self.patience, capsules::destroy(&mut *self.inner, epoch)).await
    }

    async fn advance(&mut self, advances: &[Advance]) -> Result<(), StoreError> {
        if advances.is_empty() {
            return Ok(());
        }
        bounded(self.patience, positions::advance(&mut self.inner, advances)).await
    }

    async fn accept_position(&mut self, acceptance: &Acceptance) -> Result<(), StoreError> {
        bounded(self.patience, positions::accept(&mut self.inner, acceptance)).await
    }

    async fn inbox(&mut self, keys: &[(&Tenant, CommandId)]) -> Result<Vec<InboxRow>, StoreError> {
        bounded(self.patience, read::inbox(&mut *self.inner, keys)).await
    }

    async fn received_since(&mut self, since: At, limit: u32) -> Result<u64, StoreError> {
        bounded(self.patience, read::lock_volume(&mut *self.inner)).await?;
        // A statement of its own: its snapshot is of a time when the lock was held.
        bounded(
            self.patience,
            read::received_since(&mut *self.inner, since, limit),
        )
        .await
    }

    async fn load(&mut self, ids: &[RequestId], lock: Lock) -> Result<Vec<StoredRequest>, StoreError> {
        bounded(self.patience, read::load(&mut *self.inner, ids, lock)).await
    }

    async fn bodies(&mut self, ids: &[RequestId]) -> Result<Vec<StoredBody>, StoreError> {
        bounded(self.patience, read::bodies(&mut *self.inner, ids)).await
    }

    async fn due(&mut self, now: At, limit: u32) -> Result<Vec<StoredRequest>, StoreError> {
        bounded(self.patience, read::due(&mut *self.inner, now, limit)).await
    }

    async fn dead_letters_of(&mut self, origins: &[Origin]) -> Result<Vec<DeadLetter>, StoreError> {
        bounded(self.patience, dead_letters::of_origins(&mut *self.inner, origins)).await
    }

    async fn early_of(&mut self, ids: &[RequestId]) -> Result<Vec<EarlyRow>, StoreError> {
        bounded(self.patience, early::of_requests(&mut *self.inner, ids)).await
    }

    async fn early_expired(&mut self, now: At, limit: u32) -> Result<Vec<EarlyRow>, StoreError> {
        bounded(self.patience, early::expired(&mut *self.inner, now, limit)).await
    }

    async fn early_count(&mut self) -> Result<u64, StoreError> {
        bounded(self.patience, early::count(&mut *self.inner)).await
    }

    async fn closings(&mut self, line: Line, limit: u32) -> Result<Vec<Closing>, StoreError> {
        bounded(self.patience, expiry::closings(&mut *self.inner, line, limit)).await
    }

    async fn suppression_of(&mut self, ids: &[RequestId]) -> Result<Vec<SuppressionRow>, StoreError> {
        bounded(self.patience, suppression::of_requests(&mut *self.inner, ids)).await
    }

    async fn leaf_counts(&mut self, ids: &[RequestId]) -> Result<Vec<(RequestId, u32)>, StoreError> {
        bounded(self.patience, expiry::leaf_counts(&mut *self.inner, ids)).await
    }

    async fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        bounded(self.patience, write::write(&mut self.inner, changes)).await
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { inner, patience } = *self;
        bounded(patience, inner.commit()).await
    }

    fn ended(&self) -> Ended {
        self.inner.ended()
    }
}
