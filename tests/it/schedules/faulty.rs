//! A store that fails when it is told to.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, AtomicU32, Ordering},
};

use async_trait::async_trait;
use lacuna::{
    domain::{
        fact::{CapsuleEpoch, Fact, FactVersion},
        ids::{CommandId, ProcessorId, RequestId, Tenant},
        request::Request,
        time::At,
        words::Status,
    },
    store::{
        Acceptance, AckWay, Advance, Changes, Closing, Concerned, CounterKey, DeadLetter, DeadLetterFilter,
        DeadLetterState, DeferredFilter, DeferredRow, EarlyRow, Ended, Gate, InboxRow, LastWord, Line, Lock,
        NewFact, OpenLetters, Origin, Passed, Place, Position, PositionNote, Seen, Store, StoreError,
        StoredBody, StoredCapsule, StoredFact, StoredLeaf, StoredRegistry, StoredRequest, SubjectDigest,
        SuppressionDigest, SuppressionRow, Sweep, Transaction,
    },
};

/// What goes wrong, and how often still.
#[derive(Debug, Default)]
pub struct Faults {
    /// No connection.
    pub begins: AtomicU32,
    /// The connection breaks before the commit arrives.
    pub commits: AtomicU32,
    /// The connection breaks before the commit's answer arrives.
    pub answers: AtomicU32,
    /// So many milliseconds is the database's clock ahead of what it says itself.
    pub ahead: AtomicI64,
    /// A request that the database refuses to read or write, for good.
    pub refused: Mutex<Option<RequestId>>,
}

impl Faults {
    fn strikes(times: &AtomicU32) -> bool {
        times
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok()
    }

    /// What the database's clock says.
    fn wrong(&self, at: At) -> At {
        At::from_millis(at.millis() + self.ahead.load(Ordering::SeqCst))
    }

    fn check(&self, mut ids: impl Iterator<Item = RequestId>) -> Result<(), StoreError> {
        let refused = *self.refused.lock().unwrap();
        if refused.is_some_and(|refused| ids.any(|id| id == refused)) {
            return Err(StoreError::Unreadable {
                table: "state",
                detail: "a broken row".to_owned(),
            });
        }
        Ok(())
    }
}

fn unreachable() -> StoreError {
    StoreError::Unreachable(sqlx::Error::PoolClosed)
}

/// A store, with faults.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Store>,
    pub faults: Arc<Faults>,
}

impl Faulty {
    pub fn over(inner: &Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            faults: Arc::default(),
        })
    }
}

struct FaultyTransaction {
    inner: Box<dyn Transaction>,
    faults: Arc<Faults>,
}

#[async_trait]
impl Transaction for FaultyTransaction {
    async fn gate(&mut self, mode: Gate) -> Result<Passed, StoreError> {
        let passed = self.inner.gate(mode).await?;
        Ok(Passed {
            now: self.faults.wrong(passed.now),
            ..passed
        })
    }
    async fn facts_since(&mut self, version: FactVersion) -> Result<Vec<StoredFact>, StoreError> {
        self.inner.facts_since(version).await
    }
    async fn fact_at(&mut self, version: FactVersion) -> Result<Option<StoredFact>, StoreError> {
        self.inner.fact_at(version).await
    }
    async fn fact(&mut self, key: &str) -> Result<Option<StoredFact>, StoreError> {
        self.inner.fact(key).await
    }
    async fn copies_told(
        &mut self,
        processor: &ProcessorId,
        after: FactVersion,
        told_until: At,
        limit: u32,
    ) -> Result<Vec<StoredFact>, StoreError> {
        self.inner.copies_told(processor, after, told_until, limit).await
    }
    async fn compact_facts(&mut self, versions: &[FactVersion]) -> Result<Vec<FactVersion>, StoreError> {
        self.inner.compact_facts(versions).await
    }
    async fn add_fact(&mut self, fact: &NewFact) -> Result<FactVersion, StoreError> {
        self.inner.add_fact(fact).await
    }
    async fn rewrite_fact(&mut self, version: FactVersion, fact: &Fact) -> Result<(), StoreError> {
        self.inner.rewrite_fact(version, fact).await
    }
    async fn of_subjects(&mut self, digests: &[SubjectDigest]) -> Result<Vec<RequestId>, StoreError> {
        self.inner.of_subjects(digests).await
    }
    async fn alike(
        &mut self,
        digests: &[SubjectDigest],
        each: u32,
    ) -> Result<Vec<(SubjectDigest, RequestId)>, StoreError> {
        self.inner.alike(digests, each).await
    }
    async fn add_registry(&mut self, revision: u32, text: &str, at: At) -> Result<(), StoreError> {
        self.inner.add_registry(revision, text, at).await
    }
    async fn registry(&mut self) -> Result<Option<StoredRegistry>, StoreError> {
        self.inner.registry().await
    }
    async fn next_sweep(&mut self, passed_over: &[FactVersion]) -> Result<Option<Sweep>, StoreError> {
        self.inner.next_sweep(passed_over).await
    }
    async fn move_sweep(&mut self, sweep: &Sweep) -> Result<(), StoreError> {
        self.inner.move_sweep(sweep).await
    }
    async fn concerned(
        &mut self,
        of: &Concerned,
        after: Option<Place>,
        limit: u32,
    ) -> Result<Vec<Place>, StoreError> {
        self.inner.concerned(of, after, limit).await
    }
    async fn count_concerned(&mut self, of: &Concerned) -> Result<u64, StoreError> {
        self.inner.count_concerned(of).await
    }
    async fn capsule_keys(&mut self, epochs: &[(CapsuleEpoch, Vec<u8>)]) -> Result<Vec<Vec<u8>>, StoreError> {
        self.inner.capsule_keys(epochs).await
    }
    async fn capsules(&mut self, ids: &[RequestId]) -> Result<Vec<StoredCapsule>, StoreError> {
        self.inner.capsules(ids).await
    }
    async fn destroy_capsules(&mut self, epoch: &CapsuleEpoch) -> Result<(), StoreError> {
        self.inner.destroy_capsules(epoch).await
    }
    async fn advance(&mut self, advances: &[Advance]) -> Result<(), StoreError> {
        self.inner.advance(advances).await
    }
    async fn accept_position(&mut self, acceptance: &Acceptance) -> Result<(), StoreError> {
        self.inner.accept_position(acceptance).await
    }
    async fn inbox(&mut self, keys: &[(&Tenant, CommandId)]) -> Result<Vec<InboxRow>, StoreError> {
        self.inner.inbox(keys).await
    }
    async fn received_since(&mut self, since: At, limit: u32) -> Result<u64, StoreError> {
        self.inner.received_since(since, limit).await
    }
    async fn load(&mut self, ids: &[RequestId], lock: Lock) -> Result<Vec<StoredRequest>, StoreError> {
        self.faults.check(ids.iter().copied())?;
        self.inner.load(ids, lock).await
    }
    async fn bodies(&mut self, ids: &[RequestId]) -> Result<Vec<StoredBody>, StoreError> {
        self.inner.bodies(ids).await
    }
    async fn due(&mut self, now: At, limit: u32) -> Result<Vec<StoredRequest>, StoreError> {
        self.inner.due(now, limit).await
    }
    async fn dead_letters_of(&mut self, origins: &[Origin]) -> Result<Vec<DeadLetter>, StoreError> {
        self.inner.dead_letters_of(origins).await
    }
    async fn early_of(&mut self, ids: &[RequestId]) -> Result<Vec<EarlyRow>, StoreError> {
        self.inner.early_of(ids).await
    }
    async fn early_expired(&mut self, now: At, limit: u32) -> Result<Vec<EarlyRow>, StoreError> {
        self.inner.early_expired(now, limit).await
    }
    async fn early_count(&mut self) -> Result<u64, StoreError> {
        self.inner.early_count().await
    }

    async fn closings(&mut self, line: Line, limit: u32) -> Result<Vec<Closing>, StoreError> {
        self.inner.closings(line, limit).await
    }
    async fn suppression_of(&mut self, ids: &[RequestId]) -> Result<Vec<SuppressionRow>, StoreError> {
        self.inner.suppression_of(ids).await
    }
    async fn leaf_counts(&mut self, ids: &[RequestId]) -> Result<Vec<(RequestId, u32)>, StoreError> {
        self.inner.leaf_counts(ids).await
    }
    async fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let opened = changes.opened.iter().map(|row| row.state.id);
        self.faults
            .check(opened.chain(changes.moved.iter().map(|row| row.state.id)))?;
        self.inner.write(changes).await
    }
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { inner, faults } = *self;
        if Faults::strikes(&faults.commits) {
            return Err(unreachable());
        }
        inner.commit().await?;
        if Faults::strikes(&faults.answers) {
            Err(unreachable())
        } else {
            Ok(())
        }
    }
    fn ended(&self) -> Ended {
        self.inner.ended()
    }
}

#[async_trait]
impl Store for Faulty {
    async fn begin(&self, name: &'static str) -> Result<Box<dyn Transaction>, StoreError> {
        if Faults::strikes(&self.faults.begins) {
            return Err(unreachable());
        }
        let inner = self.inner.begin(name).await?;
        Ok(Box::new(FaultyTransaction {
            inner,
            faults: Arc::clone(&self.faults),
        }))
    }
    async fn migrate(&self) -> Result<(), StoreError> {
        self.inner.migrate().await
    }
    async fn check_schema(&self) -> Result<(), StoreError> {
        self.inner.check_schema().await
    }
    async fn now(&self) -> Result<At, StoreError> {
        Ok(self.faults.wrong(self.inner.now().await?))
    }
    async fn requests(&self, ids: &[RequestId]) -> Result<Vec<StoredRequest>, StoreError> {
        self.inner.requests(ids).await
    }
    async fn bodies(&self, ids: &[RequestId]) -> Result<Vec<StoredBody>, StoreError> {
        self.inner.bodies(ids).await
    }
    async fn revisions(&self, ids: &[RequestId]) -> Result<Vec<(RequestId, u32)>, StoreError> {
        self.inner.revisions(ids).await
    }
    async fn page(&self, after: Option<RequestId>, limit: u32) -> Result<Vec<StoredRequest>, StoreError> {
        self.inner.page(after, limit).await
    }
    async fn open_page(
        &self,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<StoredRequest>, StoreError> {
        self.inner.open_page(after, limit).await
    }
    async fn of_subject(&self, digests: &[SubjectDigest], limit: u32) -> Result<Vec<RequestId>, StoreError> {
        self.inner.of_subject(digests, limit).await
    }
    async fn tenants(&self, limit: u32) -> Result<Vec<Tenant>, StoreError> {
        self.inner.tenants(limit).await
    }
    async fn leaves(&self, id: RequestId) -> Result<Vec<StoredLeaf>, StoreError> {
        self.inner.leaves(id).await
    }
    async fn counters(&self) -> Result<Vec<(CounterKey, i64)>, StoreError> {
        self.inner.counters().await
    }
    async fn ledger_size(&self) -> Result<u64, StoreError> {
        self.inner.ledger_size().await
    }
    async fn oldest_open(&self) -> Result<Option<At>, StoreError> {
        self.inner.oldest_open().await
    }
    async fn inbox(&self, keys: &[(&Tenant, CommandId)]) -> Result<Vec<InboxRow>, StoreError> {
        self.inner.inbox(keys).await
    }
    async fn recorded(&self, ids: &[RequestId]) -> Result<Vec<RequestId>, StoreError> {
        self.inner.recorded(ids).await
    }

    async fn is_due(&self, now: At) -> Result<bool, StoreError> {
        self.inner.is_due(now).await
    }
    async fn positions(&self, cluster: &str) -> Result<Vec<Position>, StoreError> {
        self.inner.positions(cluster).await
    }
    async fn positions_elsewhere(&self, cluster: &str) -> Result<Vec<(String, Position)>, StoreError> {
        self.inner.positions_elsewhere(cluster).await
    }
    async fn note_positions(&self, notes: &[PositionNote]) -> Result<(), StoreError> {
        self.inner.note_positions(notes).await
    }
    async fn seen(&self, seen: &[Seen]) -> Result<(), StoreError> {
        self.inner.seen(seen).await
    }
    async fn ack_ways(&self, cluster: &str, topic: &str) -> Result<Vec<AckWay>, StoreError> {
        self.inner.ack_ways(cluster, topic).await
    }
    async fn note_ack_ways(&self, ways: &[AckWay]) -> Result<(), StoreError> {
        self.inner.note_ack_ways(ways).await
    }
    async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>, StoreError> {
        self.inner.dead_letters(filter).await
    }
    async fn dead_letter(&self, id: uuid::Uuid) -> Result<Option<DeadLetter>, StoreError> {
        self.inner.dead_letter(id).await
    }
    async fn open_dead_letters(&self) -> Result<Vec<OpenLetters>, StoreError> {
        self.inner.open_dead_letters().await
    }
    async fn close_dead_letter(
        &self,
        id: uuid::Uuid,
        how: DeadLetterState,
        note: &str,
        at: At,
    ) -> Result<bool, StoreError> {
        self.inner.close_dead_letter(id, how, note, at).await
    }
    async fn letters_by_topic(&self) -> Result<Vec<lacuna::store::LettersOfTopic>, StoreError> {
        self.inner.letters_by_topic().await
    }
    async fn forget_letters(&self, before: At, limit: u32) -> Result<u64, StoreError> {
        self.inner.forget_letters(before, limit).await
    }
    async fn drop_letters(&self, topic: &str, limit: u32) -> Result<u64, StoreError> {
        self.inner.drop_letters(topic, limit).await
    }
    async fn dropped_letters(&self) -> Result<Vec<lacuna::store::DroppedLetters>, StoreError> {
        self.inner.dropped_letters().await
    }
    async fn keyring_mark(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.keyring_mark().await
    }
    async fn mark_keyring(&self, mark: &[u8]) -> Result<(), StoreError> {
        self.inner.mark_keyring(mark).await
    }
    async fn registry(&self) -> Result<Option<StoredRegistry>, StoreError> {
        self.inner.registry().await
    }
    async fn facts_since(&self, version: FactVersion) -> Result<Vec<StoredFact>, StoreError> {
        self.inner.facts_since(version).await
    }
    async fn backup_facts(&self, processor: &ProcessorId) -> Result<Vec<StoredFact>, StoreError> {
        self.inner.backup_facts(processor).await
    }
    async fn sweeps(&self, unfinished: bool, limit: u32) -> Result<Vec<Sweep>, StoreError> {
        self.inner.sweeps(unfinished, limit).await
    }
    async fn deferred(&self, filter: &DeferredFilter) -> Result<Vec<DeferredRow>, StoreError> {
        self.inner.deferred(filter).await
    }
    async fn deferred_before(
        &self,
        bounds: &[(ProcessorId, At)],
    ) -> Result<Vec<(ProcessorId, u64)>, StoreError> {
        self.inner.deferred_before(bounds).await
    }
    async fn capsule_epochs(&self) -> Result<Vec<CapsuleEpoch>, StoreError> {
        self.inner.capsule_epochs().await
    }
    async fn capsules(&self, ids: &[RequestId]) -> Result<Vec<StoredCapsule>, StoreError> {
        self.inner.capsules(ids).await
    }
    async fn drop_capsules(&self, limit: u32) -> Result<u64, StoreError> {
        self.inner.drop_capsules(limit).await
    }
    async fn outbox(&self, before: At, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        self.inner.outbox(before, limit).await
    }
    async fn take_outbox(&self, before: At, now: At, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        self.inner.take_outbox(before, now, limit).await
    }
    async fn keep_outbox(&self, ids: &[RequestId], now: At) -> Result<(), StoreError> {
        self.inner.keep_outbox(ids, now).await
    }
    async fn undeliverable_lanes(
        &self,
        processors: &[ProcessorId],
        now: At,
        too_large: bool,
    ) -> Result<Vec<ProcessorId>, StoreError> {
        self.inner.undeliverable_lanes(processors, now, too_large).await
    }
    async fn undeliverable(
        &self,
        processor: &ProcessorId,
        too_large: bool,
        now: At,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<RequestId>, StoreError> {
        self.inner
            .undeliverable(processor, too_large, now, after, limit)
            .await
    }
    async fn outbox_done(&self, done: &[(RequestId, u32)]) -> Result<(), StoreError> {
        self.inner.outbox_done(done).await
    }
    async fn take_early_unproduced(
        &self,
        before: At,
        now: At,
        limit: u32,
    ) -> Result<Vec<Origin>, StoreError> {
        self.inner.take_early_unproduced(before, now, limit).await
    }
    async fn early_produced(&self, origins: &[Origin]) -> Result<(), StoreError> {
        self.inner.early_produced(origins).await
    }

    async fn with_subjects(
        &self,
        digests: &[SubjectDigest],
        statuses: &[Status],
    ) -> Result<Vec<(SubjectDigest, Request)>, StoreError> {
        self.inner.with_subjects(digests, statuses).await
    }
    async fn suppressed(
        &self,
        digests: &[SuppressionDigest],
    ) -> Result<Vec<(SuppressionRow, Request)>, StoreError> {
        self.inner.suppressed(digests).await
    }
    async fn suppression_of(&self, ids: &[RequestId]) -> Result<Vec<SuppressionRow>, StoreError> {
        self.inner.suppression_of(ids).await
    }
    async fn take_last_words(&self, before: At, now: At, limit: u32) -> Result<Vec<LastWord>, StoreError> {
        self.inner.take_last_words(before, now, limit).await
    }
    async fn last_words_done(&self, ids: &[uuid::Uuid]) -> Result<(), StoreError> {
        self.inner.last_words_done(ids).await
    }
    async fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        self.inner.bytes_on_disk().await
    }
}
