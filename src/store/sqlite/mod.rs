//! SQLite: one file, one writer.
//!
//! Every statement crosses to the connection's own thread, so what is written goes over in large chunks of rows, and
//! lists of keys go over as one JSON text.

mod ack_ways;
mod asked;
mod capsules;
mod dead_letters;
mod deferred;
mod early;
mod expiry;
mod facts;
mod file;
mod letter_keeping;
mod merged;
mod positions;
mod read;
mod reseal;
mod suppression;
mod sweeps;
mod transaction;
mod undeliverable;
mod write;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use sqlx::{
    Sqlite, SqlitePool,
    migrate::Migrator,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use uuid::Uuid;

use self::{file::LockFile, transaction::SqliteTransaction};
use super::{
    AckWay, CounterKey, DeadLetter, DeadLetterFilter, DeadLetterState, DeferredFilter, DeferredRow,
    DroppedLetters, Exclusive, InboxRow, LastWord, LettersOfTopic, OpenLetters, Origin, Position,
    PositionNote, Seen, Store, StoreError, StoreOptions, StoredBody, StoredCapsule, StoredFact, StoredLeaf,
    StoredRegistry, StoredRequest, SubjectDigest, SuppressionDigest, SuppressionRow, Sweep, Transaction,
    schema,
};
use crate::{
    clock::Clock,
    domain::{
        fact::{CapsuleEpoch, FactVersion},
        ids::{CommandId, ProcessorId, RequestId, Tenant},
        request::Request,
        time::At,
        words::Status,
    },
};

static MIGRATOR: Migrator = sqlx::migrate!("src/store/sqlite/migrations");

/// A store in a file of SQLite.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    /// One connection: whoever has it is the only writer in this process.
    writer: SqlitePool,
    readers: SqlitePool,
    path: Arc<Path>,
    clock: Clock,
    /// Held as long as the store is open, where it was opened exclusively.
    _lock: Option<Arc<LockFile>>,
}

impl SqliteStore {
    /// Opens the file, and creates it where there is none.
    pub async fn open(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let lock = match options.exclusive {
            Exclusive::Yes => Some(Arc::new(LockFile::take(path)?)),
            Exclusive::No => None,
        };
        file::create_private(path)?;
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            // Each commit is on disk before it is acknowledged.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(options.lock_timeout)
            // What is deleted is overwritten where its page is written anyway: a shredded key must not linger.
            .pragma("secure_delete", "fast")
            // 64 MiB; batches touch recent pages, which should not be read again.
            .pragma("cache_size", "-65536")
            // 64 MiB: a checkpoint writes a page once however often it changed, so fewer of them write less.
            .pragma("wal_autocheckpoint", "16384");
        let pool = SqlitePoolOptions::new()
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None);
        let writer = pool
            .clone()
            .max_connections(1)
            .connect_with(connect.clone())
            .await?;
        let readers = pool
            .max_connections(options.connections)
            .connect_with(connect.pragma("query_only", "on"))
            .await?;
        Ok(Self {
            writer,
            readers,
            path: path.into(),
            clock: options.clock.clone(),
            _lock: lock,
        })
    }

    /// Closes its connections, which leaves one file without a write-ahead log beside it.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        Ok(self.readers.acquire().await?)
    }

    async fn writer(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        Ok(self.writer.acquire().await?)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn begin(&self, _name: &'static str) -> Result<Box<dyn Transaction>, StoreError> {
        // A transaction that became a writer only later could find that its snapshot is too old for it.
        Ok(Box::new(SqliteTransaction(
            self.writer.begin_with("begin immediate").await?,
            self.clock.clone(),
        )))
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        Ok(MIGRATOR
            .run_direct(None, &mut *self.writer().await?, false)
            .await?)
    }

    async fn check_schema(&self) -> Result<(), StoreError> {
        let applied = read::applied_migrations(&mut *self.reader().await?).await?;
        schema::check(&MIGRATOR, &applied)
    }

    async fn now(&self) -> Result<At, StoreError> {
        Ok(self.clock.now())
    }

    async fn requests(&self, ids: &[RequestId]) -> Result<Vec<StoredRequest>, StoreError> {
        read::requests(&mut *self.reader().await?, ids).await
    }

    async fn bodies(&self, ids: &[RequestId]) -> Result<Vec<StoredBody>, StoreError> {
        read::bodies(&mut *self.reader().await?, ids).await
    }

    async fn revisions(&self, ids: &[RequestId]) -> Result<Vec<(RequestId, u32)>, StoreError> {
        read::revisions(&mut *self.reader().await?, ids).await
    }

    async fn page(&self, after: Option<RequestId>, limit: u32) -> Result<Vec<StoredRequest>, StoreError> {
        read::page(&mut *self.reader().await?, after, limit).await
    }

    async fn open_page(
        &self,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<StoredRequest>, StoreError> {
        read::open_page(&mut *self.reader().await?, after, limit).await
    }

    async fn inbox(&self, keys: &[(&Tenant, CommandId)]) -> Result<Vec<InboxRow>, StoreError> {
        read::inbox(&mut *self.reader().await?, keys).await
    }

    async fn recorded(&self, ids: &[RequestId]) -> Result<Vec<RequestId>, StoreError> {
        read::recorded(&mut *self.reader().await?, ids).await
    }

    async fn tenants(&self, limit: u32) -> Result<Vec<Tenant>, StoreError> {
        read::tenants(&mut *self.reader().await?, limit).await
    }

    async fn of_subject(&self, digests: &[SubjectDigest], limit: u32) -> Result<Vec<RequestId>, StoreError> {
        read::of_subject(&mut *self.reader().await?, digests, limit).await
    }

    async fn leaves(&self, id: RequestId) -> Result<Vec<StoredLeaf>, StoreError> {
        read::leaves(&mut *self.reader().await?, id).await
    }

    async fn counters(&self) -> Result<Vec<(CounterKey, i64)>, StoreError> {
        read::counters(&mut *self.reader().await?).await
    }

    async fn ledger_size(&self) -> Result<u64, StoreError> {
        read::ledger_size(&mut *self.reader().await?).await
    }

    async fn oldest_open(&self) -> Result<Option<At>, StoreError> {
        read::oldest_open(&mut *self.reader().await?).await
    }

    async fn is_due(&self, now: At) -> Result<bool, StoreError> {
        read::is_due(&mut *self.reader().await?, now).await
    }

    async fn positions(&self, cluster: &str) -> Result<Vec<Position>, StoreError> {
        positions::of_cluster(&mut *self.reader().await?, cluster).await
    }

    async fn positions_elsewhere(&self, cluster: &str) -> Result<Vec<(String, Position)>, StoreError> {
        positions::elsewhere(&mut *self.reader().await?, cluster).await
    }

    async fn note_positions(&self, notes: &[PositionNote]) -> Result<(), StoreError> {
        positions::note(&mut *self.writer().await?, notes).await
    }

    async fn seen(&self, seen: &[Seen]) -> Result<(), StoreError> {
        positions::seen(&mut *self.writer().await?, seen).await
    }

    async fn ack_ways(&self, cluster: &str, topic: &str) -> Result<Vec<AckWay>, StoreError> {
        ack_ways::of_topic(&mut *self.reader().await?, cluster, topic).await
    }

    async fn note_ack_ways(&self, ways: &[AckWay]) -> Result<(), StoreError> {
        ack_ways::note(&mut *self.writer().await?, ways).await
    }

    async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>, StoreError> {
        dead_letters::list(&mut *self.reader().await?, filter).await
    }

    async fn dead_letter(&self, id: Uuid) -> Result<Option<DeadLetter>, StoreError> {
        dead_letters::one(&mut *self.reader().await?, id).await
    }

    async fn open_dead_letters(&self) -> Result<Vec<OpenLetters>, StoreError> {
        dead_letters::open(&mut *self.reader().await?).await
    }

    async fn close_dead_letter(
        &self,
        id: Uuid,
        how: DeadLetterState,
        note: &str,
        at: At,
    ) -> Result<bool, StoreError> {
        dead_letters::close(&mut *self.writer().await?, id, how, note, at).await
    }

    async fn letters_by_topic(&self) -> Result<Vec<LettersOfTopic>, StoreError> {
        letter_keeping::by_topic(&mut *self.reader().await?).await
    }

    async fn forget_letters(&self, before: At, limit: u32) -> Result<u64, StoreError> {
        letter_keeping::forget_payloads(&mut *self.writer().await?, before, limit).await
    }

    async fn drop_letters(&self, topic: &str, limit: u32) -> Result<u64, StoreError> {
        letter_keeping::drop_oldest(&mut *self.writer().await?, topic, limit).await
    }

    async fn dropped_letters(&self) -> Result<Vec<DroppedLetters>, StoreError> {
        letter_keeping::dropped(&mut *self.reader().await?).await
    }

    async fn keyring_mark(&self) -> Result<Option<Vec<u8>>, StoreError> {
        read::keyring_mark(&mut *self.reader().await?).await
    }

    async fn mark_keyring(&self, mark: &[u8]) -> Result<(), StoreError> {
        write::mark_keyring(&mut *self.writer().await?, mark).await
    }

    async fn registry(&self) -> Result<Option<StoredRegistry>, StoreError> {
        read::registry(&mut *self.reader().await?).await
    }

    async fn facts_since(&self, version: FactVersion) -> Result<Vec<StoredFact>, StoreError> {
        facts::since(&mut *self.reader().await?, version).await
    }

    async fn backup_facts(&self, processor: &ProcessorId) -> Result<Vec<StoredFact>, StoreError> {
        facts::about(&mut *self.reader().await?, processor).await
    }

    async fn sweeps(&self, unfinished: bool, limit: u32) -> Result<Vec<Sweep>, StoreError> {
        sweeps::list(&mut *self.reader().await?, unfinished, limit).await
    }

    async fn deferred(&self, filter: &DeferredFilter) -> Result<Vec<DeferredRow>, StoreError> {
        deferred::list(&mut *self.reader().await?, filter).await
    }

    async fn deferred_before(
        &self,
        bounds: &[(ProcessorId, At)],
    ) -> Result<Vec<(ProcessorId, u64)>, StoreError> {
        deferred::before(&mut *self.reader().await?, bounds).await
    }

    async fn capsule_epochs(&self) -> Result<Vec<CapsuleEpoch>, StoreError> {
        capsules::epochs(&mut *self.reader().await?).await
    }

    async fn capsules(&self, ids: &[RequestId]) -> Result<Vec<StoredCapsule>, StoreError> {
        capsules::of_requests(&mut *self.reader().await?, ids).await
    }

    async fn drop_capsules(&self, limit: u32) -> Result<u64, StoreError> {
        capsules::drop_some(&mut *self.writer().await?, limit).await
    }

    async fn outbox(&self, before: At, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        read::outbox(&mut *self.reader().await?, before, limit).await
    }

    async fn take_outbox(&self, before: At, now: At, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        write::take_outbox(&mut *self.writer().await?, before, now, limit).await
    }

    async fn keep_outbox(&self, ids: &[RequestId], now: At) -> Result<(), StoreError> {
        write::keep_outbox(&mut *self.writer().await?, ids, now).await
    }

    async fn undeliverable_lanes(
        &self,
        processors: &[ProcessorId],
        now: At,
        too_large: bool,
    ) -> Result<Vec<ProcessorId>, StoreError> {
        undeliverable::lanes(&mut *self.reader().await?, processors, now, too_large).await
    }

    async fn undeliverable(
        &self,
        processor: &ProcessorId,
        too_large: bool,
        now: At,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<RequestId>, StoreError> {
        undeliverable::requests(
            &mut *self.reader().await?,
            processor,
            too_large,
            now,
            after,
            limit,
        )
        .await
    }

    async fn outbox_done(&self, done: &[(RequestId, u32)]) -> Result<(), StoreError> {
        write::outbox_done(&mut *self.writer().await?, done).await
    }

    async fn take_early_unproduced(
        &self,
        before: At,
        now: At,
        limit: u32,
    ) -> Result<Vec<Origin>, StoreError> {
        early::take_unproduced(&mut *self.writer().await?, before, now, limit).await
    }

    async fn early_produced(&self, origins: &[Origin]) -> Result<(), StoreError> {
        early::delete(&mut *self.writer().await?, origins).await
    }

    async fn with_subjects(
        &self,
        digests: &[SubjectDigest],
        statuses: &[Status],
    ) -> Result<Vec<(SubjectDigest, Request)>, StoreError> {
        suppression::with_subjects(&mut *self.reader().await?, digests, statuses).await
    }

    async fn suppressed(
        &self,
        digests: &[SuppressionDigest],
    ) -> Result<Vec<(SuppressionRow, Request)>, StoreError> {
        suppression::suppressed(&mut *self.reader().await?, digests).await
    }

    async fn suppression_of(&self, ids: &[RequestId]) -> Result<Vec<SuppressionRow>, StoreError> {
        suppression::of_requests(&mut *self.reader().await?, ids).await
    }

    async fn take_last_words(&self, before: At, now: At, limit: u32) -> Result<Vec<LastWord>, StoreError> {
        expiry::take_last_words(&mut *self.writer().await?, before, now, limit).await
    }

    async fn last_words_done(&self, ids: &[Uuid]) -> Result<(), StoreError> {
        expiry::last_words_done(&mut *self.writer().await?, ids).await
    }

    async fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        file::bytes(&self.path)
    }
}
