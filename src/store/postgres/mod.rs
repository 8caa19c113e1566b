//! PostgreSQL.
//!
//! Every table is written at most once a transaction, with one statement whose rows come as arrays. Rows are always
//! given in order of their keys, so that two transactions wait for each other and never in a circle.

mod ack_ways;
mod asked;
mod capsules;
mod dead_letters;
mod deferred;
mod early;
mod expiry;
mod facts;
mod held;
mod letter_keeping;
mod merged;
mod pool;
mod positions;
mod read;
mod reseal;
mod settings;
mod suppression;
mod sweeps;
mod transaction;
mod undeliverable;
mod write;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Connection, PgConnection, PgPool, migrate::Migrator, postgres::PgConnectOptions};
use uuid::Uuid;

use self::{held::Held, pool::Servers, transaction::PostgresTransaction};
use super::{
    AckWay, CounterKey, DeadLetter, DeadLetterFilter, DeadLetterState, DeferredFilter, DeferredRow,
    DroppedLetters, InboxRow, LastWord, LettersOfTopic, OpenLetters, Origin, Position, PositionNote, Seen,
    Store, StoreError, StoreOptions, StoredBody, StoredCapsule, StoredFact, StoredLeaf, StoredRegistry,
    StoredRequest, SubjectDigest, SuppressionDigest, SuppressionRow, Sweep, Transaction,
    classify::bounded,
    schema::{self, Applied},
};
use crate::domain::{
    fact::{CapsuleEpoch, FactVersion},
    ids::{CommandId, ProcessorId, RequestId, Tenant},
    request::Request,
    time::At,
    words::Status,
};

static MIGRATOR: Migrator = sqlx::migrate!("src/store/postgres/migrations");

/// Every kind of statement has one constant text, so that this many prepared statements are enough for all of them.
const STATEMENT_CACHE: usize = 256;

/// What is read of the store all the time is found within milliseconds, or something is wrong with the way it is looked for.
const GLANCE: &str = "begin isolation level read committed read only; \
                      set local statement_timeout = 2000; set local application_name = 'lacuna gauges'";

/// Looks at what only a gauge shows: the server ends it soon, so that it never holds a connection for long.
macro_rules! glance {
    ($store:ident, $on:ident => $look:expr) => {
        $store
            .ask(async {
                let mut $on = $store.begun(GLANCE).await?;
                let seen = $look.await?;
                $on.commit().await?;
                Ok(seen)
            })
            .await
    };
}

/// A store in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    servers: Servers,
    /// How to connect for migrations, which may take longer than any statement of a worker.
    unhurried: PgConnectOptions,
    patience: Duration,
}

impl PostgresStore {
    /// Connects. The URL's own parameters, `options=-csearch_path=…` among them, stay in force.
    pub async fn open(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        let base: PgConnectOptions = url.parse().map_err(|_| {
            // The parser's own message may repeat parts of the URL, which holds a password.
            StoreError::Address("the store's URL is not one of PostgreSQL".into())
        })?;
        let base = base.statement_cache_capacity(STATEMENT_CACHE);
        let lock_timeout = ("lock_timeout", options.lock_timeout.as_millis().to_string());
        let unhurried = base.clone().options([lock_timeout.clone()]);
        let connect = base.options([
            lock_timeout,
            (
                "statement_timeout",
                options.statement_timeout.as_millis().to_string(),
            ),
            // A worker that hangs between two statements must not keep its locks.
            (
                "idle_in_transaction_session_timeout",
                options.statement_timeout.as_millis().to_string(),
            ),
            // Whatever this program asks of a large table goes by a key. A plan that was made while a table was
            // still small, or before its statistics were taken, must not read all of it for every batch.
            ("enable_seqscan", "off".into()),
            ("enable_hashjoin", "off".into()),
            ("enable_mergejoin", "off".into()),
            // A plan that has to read a whole table counts as enormous then, also where the table is empty, and the server
            // would compile it each time: a fifth of a second for a look that takes none.
            ("jit", "off".into()),
        ]);
        // Half of the time is for connecting, half for asking why that failed.
        let half = options.connect_timeout / 2;
        let servers = match Servers::connect(connect, options, half).await {
            // The pool tries again until its time is up, and then says only that. One more try says why.
            Err(sqlx::Error::PoolTimedOut) => {
                let why = bounded(half, async { Ok(PgConnection::connect_with(&unhurried).await?) });
                return Err(why.await.err().unwrap_or(sqlx::Error::PoolTimedOut.into()));
            }
            connected => connected?,
        };
        // What the server's own limits do not end, because the server is gone, ends a little later on this side.
        let patience = options.statement_timeout + options.acquire_timeout;
        Ok(Self {
            servers,
            unhurried,
            patience,
        })
    }

    /// Closes its connections.
    pub async fn close(&self) {
        self.servers.pool.close().await;
    }

    fn pool(&self) -> &PgPool {
        &self.servers.pool
    }

    async fn ask<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        bounded(self.patience, work)
            .await
            .map_err(|error| self.servers.explained(error))
    }

    /// Begins a transaction. After a failover every connection that idles is broken, and each of them would cost somebody a
    /// pause: as long as others may be whole, or new, the next one is tried.
    async fn begun(&self, statement: &str) -> Result<Held, StoreError> {
        let mut tries = self.servers.tries();
        loop {
            let connection = self.servers.connection().await?;
            match Held::begin(connection, statement).await {
                Err(error) if tries > 1 => {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "a connection is thrown away"
                    );
                    tries -= 1;
                }
                begun => return begun,
            }
        }
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn begin(&self, name: &'static str) -> Result<Box<dyn Transaction>, StoreError> {
        debug_assert!(
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
            "{name}"
        );
        // One round trip begins the transaction and names it: the name shows in pg_stat_activity and, with %a, in the
        // server's log. A comment in each statement would multiply the prepared statements by the names.
        let begin = format!(
            "begin isolation level read committed read write; set local application_name = 'lacuna {name}'"
        );
        let transaction = self.ask(self.begun(&begin)).await?;
        Ok(Box::new(PostgresTransaction::new(transaction, self.patience)))
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = PgConnection::connect_with(&self.unhurried).await?;
        MIGRATOR.run_direct(None, &mut connection, false).await?;
        connection.close().await?;
        Ok(())
    }

    async fn check_schema(&self) -> Result<(), StoreError> {
        let applied = self.ask(read::applied_migrations(self.pool())).await?;
        schema::check(&MIGRATOR, &applied)
    }

    async fn now(&self) -> Result<At, StoreError> {
        self.ask(read::now(self.pool())).await
    }

    async fn requests(&self, ids: &[RequestId]) -> Result<Vec<StoredRequest>, StoreError> {
        self.ask(read::requests(self.pool(), ids)).await
    }

    async fn bodies(&self, ids: &[RequestId]) -> Result<Vec<StoredBody>, StoreError> {
        self.ask(read::bodies(self.pool(), ids)).await
    }

    async fn revisions(&self, ids: &[RequestId]) -> Result<Vec<(RequestId, u32)>, StoreError> {
        self.ask(read::revisions(self.pool(), ids)).await
    }

    async fn page(&self, after: Option<RequestId>, limit: u32) -> Result<Vec<StoredRequest>, StoreError> {
        self.ask(read::page(self.pool(), after, limit)).await
    }

    async fn open_page(
        &self,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<StoredRequest>, StoreError> {
        self.ask(read::open_page(self.pool(), after, limit)).await
    }

    async fn inbox(&self, keys: &[(&Tenant, CommandId)]) -> Result<Vec<InboxRow>, StoreError> {
        self.ask(read::inbox(self.pool(), keys)).await
    }

    async fn recorded(&self, ids: &[RequestId]) -> Result<Vec<RequestId>, StoreError> {
        self.ask(read::recorded(self.pool(), ids)).await
    }

    async fn tenants(&self, limit: u32) -> Result<Vec<Tenant>, StoreError> {
        self.ask(read::tenants(self.pool(), limit)).await
    }

    async fn of_subject(&self, digests: &[SubjectDigest], limit: u32) -> Result<Vec<RequestId>, StoreError> {
        self.ask(read::of_subject(self.pool(), digests, limit)).await
    }

    async fn leaves(&self, id: RequestId) -> Result<Vec<StoredLeaf>, StoreError> {
        self.ask(read::leaves(self.pool(), id)).await
    }

    async fn counters(&self) -> Result<Vec<(CounterKey, i64)>, StoreError> {
        glance!(self, on => read::counters(&mut *on))
    }

    async fn ledger_size(&self) -> Result<u64, StoreError> {
        glance!(self, on => read::ledger_size(&mut *on))
    }

    async fn oldest_open(&self) -> Result<Option<At>, StoreError> {
        glance!(self, on => read::oldest_open(&mut *on))
    }

    async fn is_due(&self, now: At) -> Result<bool, StoreError> {
        self.ask(read::is_due(self.pool(), now)).await
    }

    async fn positions(&self, cluster: &str) -> Result<Vec<Position>, StoreError> {
        self.ask(positions::of_cluster(self.pool(), cluster)).await
    }

    async fn positions_elsewhere(&self, cluster: &str) -> Result<Vec<(String, Position)>, StoreError> {
        self.ask(positions::elsewhere(self.pool(), cluster)).await
    }

    async fn note_positions(&self, notes: &[PositionNote]) -> Result<(), StoreError> {
        self.ask(async { positions::note(&mut *self.pool().acquire().await?, notes).await })
            .await
    }

    async fn seen(&self, seen: &[Seen]) -> Result<(), StoreError> {
        self.ask(positions::seen(self.pool(), seen)).await
    }

    async fn ack_ways(&self, cluster: &str, topic: &str) -> Result<Vec<AckWay>, StoreError> {
        self.ask(ack_ways::of_topic(self.pool(), cluster, topic)).await
    }

    async fn note_ack_ways(&self, ways: &[AckWay]) -> Result<(), StoreError> {
        self.ask(ack_ways::note(self.pool(), ways)).await
    }

    async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>, StoreError> {
        self.ask(dead_letters::list(self.pool(), filter)).await
    }

    async fn dead_letter(&self, id: Uuid) -> Result<Option<DeadLetter>, StoreError> {
        self.ask(dead_letters::one(self.pool(), id)).await
    }

    async fn open_dead_letters(&self) -> Result<Vec<OpenLetters>, StoreError> {
        glance!(self, on => dead_letters::open(&mut *on))
    }

    async fn close_dead_letter(
        &self,
        id: Uuid,
        how: DeadLetterState,
        note: &str,
        at: At,
    ) -> Result<bool, StoreError> {
        self.ask(dead_letters::close(self.pool(), id, how, note, at))
            .await
    }

    async fn letters_by_topic(&self) -> Result<Vec<LettersOfTopic>, StoreError> {
        self.ask(letter_keeping::by_topic(self.pool())).await
    }

    async fn forget_letters(&self, before: At, limit: u32) -> Result<u64, StoreError> {
        self.ask(letter_keeping::forget_payloads(self.pool(), before, limit))
            .await
    }

    async fn drop_letters(&self, topic: &str, limit: u32) -> Result<u64, StoreError> {
        self.ask(letter_keeping::drop_oldest(self.pool(), topic, limit))
            .await
    }

    async fn dropped_letters(&self) -> Result<Vec<DroppedLetters>, StoreError> {
        self.ask(letter_keeping::dropped(self.pool())).await
    }

    async fn keyring_mark(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.ask(read::keyring_mark(self.pool())).await
    }

    async fn mark_keyring(&self, mark: &[u8]) -> Result<(), StoreError> {
        self.ask(write::mark_keyring(self.pool(), mark)).await
    }

    async fn registry(&self) -> Result<Option<StoredRegistry>, StoreError> {
        self.ask(read::registry(self.pool())).await
    }

    async fn facts_since(&self, version: FactVersion) -> Result<Vec<StoredFact>, StoreError> {
        self.ask(facts::since(self.pool(), version)).await
    }

    async fn backup_facts(&self, processor: &ProcessorId) -> Result<Vec<StoredFact>, StoreError> {
        self.ask(facts::about(self.pool(), processor)).await
    }

    async fn sweeps(&self, unfinished: bool, limit: u32) -> Result<Vec<Sweep>, StoreError> {
        self.ask(sweeps::list(self.pool(), unfinished, limit)).await
    }

    async fn deferred(&self, filter: &DeferredFilter) -> Result<Vec<DeferredRow>, StoreError> {
        self.ask(deferred::list(self.pool(), filter)).await
    }

    async fn deferred_before(
        &self,
        bounds: &[(ProcessorId, At)],
    ) -> Result<Vec<(ProcessorId, u64)>, StoreError> {
        glance!(self, on => deferred::before(&mut *on, bounds))
    }

    async fn capsule_epochs(&self) -> Result<Vec<CapsuleEpoch>, StoreError> {
        self.ask(capsules::epochs(self.pool())).await
    }

    async fn capsules(&self, ids: &[RequestId]) -> Result<Vec<StoredCapsule>, StoreError> {
        self.ask(capsules::of_requests(self.pool(), ids)).await
    }

    async fn drop_capsules(&self, limit: u32) -> Result<u64, StoreError> {
        self.ask(capsules::drop_some(self.pool(), limit)).await
    }

    async fn outbox(&self, before: At, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        self.ask(read::outbox(self.pool(), before, limit)).await
    }

    async fn take_outbox(&self, before: At, now: At, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        self.ask(write::take_outbox(self.pool(), before, now, limit))
            .await
    }

    async fn keep_outbox(&self, ids: &[RequestId], now: At) -> Result<(), StoreError> {
        self.ask(write::keep_outbox(self.pool(), ids, now)).await
    }

    async fn undeliverable_lanes(
        &self,
        processors: &[ProcessorId],
        now: At,
        too_large: bool,
    ) -> Result<Vec<ProcessorId>, StoreError> {
        self.ask(undeliverable::lanes(self.pool(), processors, now, too_large))
            .await
    }

    async fn undeliverable(
        &self,
        processor: &ProcessorId,
        too_large: bool,
        now: At,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<RequestId>, StoreError> {
        self.ask(undeliverable::requests(
            self.pool(),
            processor,
            too_large,
            now,
            after,
            limit,
        ))
        .await
    }

    async fn outbox_done(&self, done: &[(RequestId, u32)]) -> Result<(), StoreError> {
        self.ask(write::outbox_done(self.pool(), done)).await
    }

    async fn take_early_unproduced(
        &self,
        before: At,
        now: At,
        limit: u32,
    ) -> Result<Vec<Origin>, StoreError> {
        self.ask(early::take_unproduced(self.pool(), before, now, limit))
            .await
    }

    async fn early_produced(&self, origins: &[Origin]) -> Result<(), StoreError> {
        self.ask(early::delete(self.pool(), origins)).await
    }

    async fn with_subjects(
        &self,
        digests: &[SubjectDigest],
        statuses: &[Status],
    ) -> Result<Vec<(SubjectDigest, Request)>, StoreError> {
        self.ask(suppression::with_subjects(self.pool(), digests, statuses))
            .await
    }

    async fn suppressed(
        &self,
        digests: &[SuppressionDigest],
    ) -> Result<Vec<(SuppressionRow, Request)>, StoreError> {
        self.ask(suppression::suppressed(self.pool(), digests)).await
    }

    async fn suppression_of(&self, ids: &[RequestId]) -> Result<Vec<SuppressionRow>, StoreError> {
        self.ask(suppression::of_requests(self.pool(), ids)).await
    }

    async fn take_last_words(&self, before: At, now: At, limit: u32) -> Result<Vec<LastWord>, StoreError> {
        self.ask(expiry::take_last_words(self.pool(), before, now, limit))
            .await
    }

    async fn last_words_done(&self, ids: &[Uuid]) -> Result<(), StoreError> {
        self.ask(expiry::last_words_done(self.pool(), ids)).await
    }

    async fn warnings(&self) -> Result<Vec<String>, StoreError> {
        Ok(settings::warnings(&self.ask(settings::read(self.pool())).await?))
    }

    async fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        self.ask(read::bytes_on_disk(self.pool())).await
    }
}
