//! A store that fails when it is told to.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, AtomicU32, Ordering},
};

use async_trait::async_trait;
use lacuna::{
    domain::{ids::RequestId, time::At},
    store::{
        Advance, Changes, Concerned, Dialect, Ended, Gate, Lock, Passed, Pool, Rows, Session, Statement,
        Store, StoreError, StoredRequest, Transaction, Transactions,
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
impl Session for FaultyTransaction {
    async fn fetch(&mut self, statement: Statement<'_>) -> Result<Rows, StoreError> {
        self.inner.fetch(statement).await
    }
    async fn run(&mut self, statement: Statement<'_>) -> Result<u64, StoreError> {
        self.inner.run(statement).await
    }
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
    async fn load(&mut self, ids: &[RequestId], lock: Lock) -> Result<Vec<StoredRequest>, StoreError> {
        self.faults.check(ids.iter().copied())?;
        self.inner.load(ids, lock).await
    }
    async fn due(&mut self, now: At, limit: u32) -> Result<Vec<StoredRequest>, StoreError> {
        self.inner.due(now, limit).await
    }
    async fn advance(&mut self, advances: &[Advance]) -> Result<(), StoreError> {
        self.inner.advance(advances).await
    }
    async fn count_concerned(&mut self, of: &Concerned) -> Result<u64, StoreError> {
        self.inner.count_concerned(of).await
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
impl Pool for Faulty {
    fn dialect(&self) -> Dialect {
        self.inner.dialect()
    }
    async fn read(&self, statement: Statement<'_>) -> Result<Rows, StoreError> {
        self.inner.read(statement).await
    }
    async fn glance(&self, statement: Statement<'_>) -> Result<Rows, StoreError> {
        self.inner.glance(statement).await
    }
    async fn change(&self, statement: Statement<'_>) -> Result<Rows, StoreError> {
        self.inner.change(statement).await
    }
    async fn run(&self, statement: Statement<'_>) -> Result<u64, StoreError> {
        self.inner.run(statement).await
    }
}

#[async_trait]
impl Transactions for Faulty {
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
}

#[async_trait]
impl Store for Faulty {
    async fn migrate(&self) -> Result<(), StoreError> {
        self.inner.migrate().await
    }
    async fn check_schema(&self) -> Result<(), StoreError> {
        self.inner.check_schema().await
    }
    async fn now(&self) -> Result<At, StoreError> {
        Ok(self.faults.wrong(self.inner.now().await?))
    }
    async fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        self.inner.bytes_on_disk().await
    }
}
