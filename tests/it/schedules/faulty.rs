//! A store that fails when it is told to.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use lacuna::{
    domain::{
        ids::{CommandId, RequestId, Tenant},
        time::At,
    },
    store::{
        Advance, Changes, CounterKey, DeadLetter, DeadLetterFilter, DeadLetterState, Gate, InboxRow, Lock,
        Origin, Position, Seen, Store, StoreError, StoredBody, StoredLeaf, StoredRegistry, StoredRequest,
        SubjectDigest, Transaction,
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
    /// A request that the database refuses to read or write, for good.
    pub refused: Mutex<Option<RequestId>>,
}

impl Faults {
    fn strikes(times: &AtomicU32) -> bool {
        times
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok()
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
    async fn gate(&mut self, mode: Gate) -> Result<(), StoreError> {
        self.inner.gate(mode).await
    }
    async fn advance(&mut self, advances: &[Advance]) -> Result<(), StoreError> {
        self.inner.advance(advances).await
    }
    async fn inbox(&mut self, keys: &[(&Tenant, CommandId)]) -> Result<Vec<InboxRow>, StoreError> {
        self.inner.inbox(keys).await
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
    async fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let opened = changes.opened.iter().map(|row| row.request.id);
        self.faults
            .check(opened.chain(changes.moved.iter().map(|row| row.request.id)))?;
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
        self.inner.now().await
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
    async fn of_subject(&self, digest: &SubjectDigest, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        self.inner.of_subject(digest, limit).await
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
    async fn positions(&self, cluster: &str) -> Result<Vec<Position>, StoreError> {
        self.inner.positions(cluster).await
    }
    async fn seen(&self, seen: &[Seen]) -> Result<(), StoreError> {
        self.inner.seen(seen).await
    }
    async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>, StoreError> {
        self.inner.dead_letters(filter).await
    }
    async fn dead_letter(&self, id: uuid::Uuid) -> Result<Option<DeadLetter>, StoreError> {
        self.inner.dead_letter(id).await
    }
    async fn open_dead_letters(&self) -> Result<Vec<(String, u64, At)>, StoreError> {
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
    async fn registry(&self) -> Result<Option<StoredRegistry>, StoreError> {
        self.inner.registry().await
    }
    async fn activate_registry(&self, expected: u32, text: &str, at: At) -> Result<bool, StoreError> {
        self.inner.activate_registry(expected, text, at).await
    }
    async fn outbox(&self, before: At, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        self.inner.outbox(before, limit).await
    }
    async fn outbox_done(&self, done: &[(RequestId, u32)]) -> Result<(), StoreError> {
        self.inner.outbox_done(done).await
    }
    async fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        self.inner.bytes_on_disk().await
    }
}
