//! Where everything that must survive lives: one trait, two adapters (PostgreSQL, SQLite), one suite that both pass.
//!
//! A transaction reads what a batch touches, the pure domain decides, and [`Transaction::write`] takes everything
//! that follows at once: states, wake-ups, ledger leaves, inbox keys, dead letters and counters. Nothing here decides,
//! and no network call other than the database's own happens between `begin` and `commit`.

mod classify;
mod codec;
mod deferral;
mod early;
mod ended;
pub mod error;
mod expiry;
pub mod history;
pub mod open;
pub mod postgres;
pub mod rows;
pub mod run;
mod schema;
pub mod sqlite;

use async_trait::async_trait;

pub use early::{EarlyChanges, EarlyRow};
pub use ended::Ended;
pub use error::StoreError;
pub use history::{Chain, Head, Passed};
pub use open::{Exclusive, StoreOptions};
pub use rows::*;
pub use run::{Attempts, Observer, StoreFailure};

use crate::domain::{
    fact::{CapsuleEpoch, Fact, FactVersion},
    ids::{CommandId, ProcessorId, RequestId, Tenant},
    request::Request,
    time::At,
    words::Status,
};

/// A place for requests. Reads here are single statements of their own; they see what is committed.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Begins a transaction that writes. The name labels metrics and shows as the application's name in the database.
    async fn begin(&self, name: &'static str) -> Result<Box<dyn Transaction>, StoreError>;

    /// Brings the schema up to this version.
    async fn migrate(&self) -> Result<(), StoreError>;
    /// Refuses a schema that this version does not know, or that was not migrated.
    async fn check_schema(&self) -> Result<(), StoreError>;
    /// The database's clock.
    async fn now(&self) -> Result<At, StoreError>;

    /// The requests that exist among these, in no particular order.
    async fn requests(&self, ids: &[RequestId]) -> Result<Vec<StoredRequest>, StoreError>;
    /// The bodies of these requests.
    async fn bodies(&self, ids: &[RequestId]) -> Result<Vec<StoredBody>, StoreError>;
    /// The revisions that these requests have now.
    async fn revisions(&self, ids: &[RequestId]) -> Result<Vec<(RequestId, u32)>, StoreError>;
    /// The next requests by id, for lists.
    async fn page(&self, after: Option<RequestId>, limit: u32) -> Result<Vec<StoredRequest>, StoreError>;
    /// The next requests by id that are not closed (they have a row in the agenda), for lists of open work.
    async fn open_page(&self, after: Option<RequestId>, limit: u32)
    -> Result<Vec<StoredRequest>, StoreError>;
    /// What the inbox holds of these commands.
    async fn inbox(&self, keys: &[(&Tenant, CommandId)]) -> Result<Vec<InboxRow>, StoreError>;
    /// Those among these requests that the ledger knows: it keeps what was taken in when nothing else is left of it.
    async fn recorded(&self, ids: &[RequestId]) -> Result<Vec<RequestId>, StoreError>;
    /// The requests of a subject, newest first, by the keyed digest of one identifier.
    async fn of_subject(&self, digests: &[SubjectDigest], limit: u32) -> Result<Vec<RequestId>, StoreError>;
    /// The tenants that have sent commands, in order.
    async fn tenants(&self, limit: u32) -> Result<Vec<Tenant>, StoreError>;
    /// The ledger leaves of a request, in order.
    async fn leaves(&self, id: RequestId) -> Result<Vec<StoredLeaf>, StoreError>;

    /// Every counter, summed over its slots.
    async fn counters(&self) -> Result<Vec<(CounterKey, i64)>, StoreError>;
    /// How many leaves the ledger has.
    async fn ledger_size(&self) -> Result<u64, StoreError>;
    /// When the oldest request that is not closed was received.
    async fn oldest_open(&self) -> Result<Option<At>, StoreError>;
    /// Whether anything is due: one cheap look, so that nothing is begun where nothing is.
    async fn is_due(&self, now: At) -> Result<bool, StoreError>;
    /// How far the partitions of a cluster have been taken in.
    async fn positions(&self, cluster: &str) -> Result<Vec<Position>, StoreError>;
    /// The partitions that were taken in from other clusters, each with that cluster.
    async fn positions_elsewhere(&self, cluster: &str) -> Result<Vec<(String, Position)>, StoreError>;
    /// Notes what was found about positions; of a position that follows another log by now nothing is noted.
    async fn note_positions(&self, notes: &[PositionNote]) -> Result<(), StoreError>;
    /// Says how far a partition has been read without anything new in it. Never moves back.
    async fn seen(&self, seen: &[Seen]) -> Result<(), StoreError>;
    /// How processors' acks were seen to be spread over a topic's partitions.
    async fn ack_ways(&self, cluster: &str, topic: &str) -> Result<Vec<AckWay>, StoreError>;
    /// Remembers how they are spread: what was known before and does not agree is known no longer.
    async fn note_ack_ways(&self, ways: &[AckWay]) -> Result<(), StoreError>;

    /// Dead letters, oldest first.
    async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>, StoreError>;
    /// One dead letter, with its sealed payload.
    async fn dead_letter(&self, id: uuid::Uuid) -> Result<Option<DeadLetter>, StoreError>;
    /// Open dead letters by reason and type, with the time of the oldest.
    async fn open_dead_letters(&self) -> Result<Vec<OpenLetters>, StoreError>;
    /// Closes an open dead letter, whose payload goes with it; `false`: there is no open one of this id.
    async fn close_dead_letter(
        &self,
        id: uuid::Uuid,
        how: DeadLetterState,
        note: &str,
        at: At,
    ) -> Result<bool, StoreError>;

    /// What each topic has among the dead letters.
    async fn letters_by_topic(&self) -> Result<Vec<LettersOfTopic>, StoreError>;
    /// Forgets some of the payloads of letters from before this time, those of open ones that ask for an erasure apart, and
    /// says how many.
    async fn forget_letters(&self, before: At, limit: u32) -> Result<u64, StoreError>;
    /// Deletes so many of the oldest open letters of a topic, those that ask for an erasure apart, and counts them as
    /// dropped; says how many they were.
    async fn drop_letters(&self, topic: &str, limit: u32) -> Result<u64, StoreError>;
    /// The letters that were dropped.
    async fn dropped_letters(&self) -> Result<Vec<DroppedLetters>, StoreError>;

    /// The mark of the keyring that this store is sealed under; `None`: nothing was sealed in it yet.
    async fn keyring_mark(&self) -> Result<Option<Vec<u8>>, StoreError>;
    /// Remembers the mark of the keyring, unless one is known.
    async fn mark_keyring(&self, mark: &[u8]) -> Result<(), StoreError>;

    /// The active revision of the registry.
    async fn registry(&self) -> Result<Option<StoredRegistry>, StoreError>;

    /// The facts after this version, in order.
    async fn facts_since(&self, version: FactVersion) -> Result<Vec<StoredFact>, StoreError>;
    /// The backup events of a processor, in the order in which they were stored.
    async fn backup_facts(&self, processor: &ProcessorId) -> Result<Vec<StoredFact>, StoreError>;
    /// The sweeps, newest first; with `unfinished`, only those that go on.
    async fn sweeps(&self, unfinished: bool, limit: u32) -> Result<Vec<Sweep>, StoreError>;
    /// Deferred tasks, by date.
    async fn deferred(&self, filter: &DeferredFilter) -> Result<Vec<DeferredRow>, StoreError>;
    /// How many deferred tasks of each of these processors have a date before the time beside it.
    async fn deferred_before(
        &self,
        bounds: &[(ProcessorId, At)],
    ) -> Result<Vec<(ProcessorId, u64)>, StoreError>;
    /// The epochs of capsules whose keys are not destroyed, by week.
    async fn capsule_epochs(&self) -> Result<Vec<CapsuleEpoch>, StoreError>;
    /// The capsules of these requests whose epoch still has its key.
    async fn capsules(&self, ids: &[RequestId]) -> Result<Vec<StoredCapsule>, StoreError>;
    /// Deletes some of the capsules whose epoch has no key any more, and says how many.
    async fn drop_capsules(&self, limit: u32) -> Result<u64, StoreError>;

    /// Requests whose outputs no Kafka input caused and which nobody has reported as produced since `before`.
    async fn outbox(&self, before: At, limit: u32) -> Result<Vec<RequestId>, StoreError>;
    /// The same, taken: nobody else gets them until `now` is `before`, unless they are kept for longer.
    async fn take_outbox(&self, before: At, now: At, limit: u32) -> Result<Vec<RequestId>, StoreError>;
    /// Whoever produces these is still at it.
    async fn keep_outbox(&self, ids: &[RequestId], now: At) -> Result<(), StoreError>;
    /// Their outputs have been produced, as of these revisions.
    async fn outbox_done(&self, done: &[(RequestId, u32)]) -> Result<(), StoreError>;

    /// The processors among these that have tasks which their topic does not take and that may be tried again:
    /// `too_large`, those that are too large for it, else all others.
    async fn undeliverable_lanes(
        &self,
        processors: &[ProcessorId],
        now: At,
        too_large: bool,
    ) -> Result<Vec<ProcessorId>, StoreError>;
    /// The requests with such tasks of this processor, by id.
    async fn undeliverable(
        &self,
        processor: &ProcessorId,
        too_large: bool,
        now: At,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<RequestId>, StoreError>;

    /// Commands that waited in vain and were dead-lettered before this time, and whose dead letters nobody has reported as
    /// produced. They are taken: nobody else gets them until `now` is `before`.
    async fn take_early_unproduced(&self, before: At, now: At, limit: u32)
    -> Result<Vec<Origin>, StoreError>;
    /// Their dead letters have been produced.
    async fn early_produced(&self, origins: &[Origin]) -> Result<(), StoreError>;
    /// The requests of subjects that have one of these identifiers, each with the identifier: those alone that have one
    /// of these statuses.
    async fn with_subjects(
        &self,
        digests: &[SubjectDigest],
        statuses: &[Status],
    ) -> Result<Vec<(SubjectDigest, Request)>, StoreError>;
    /// The requests that have one of these identifiers in the suppression topic, each with the identifier.
    async fn suppressed(
        &self,
        digests: &[SuppressionDigest],
    ) -> Result<Vec<(SuppressionRow, Request)>, StoreError>;
    /// What these requests have in the suppression topic.
    async fn suppression_of(&self, ids: &[RequestId]) -> Result<Vec<SuppressionRow>, StoreError>;
    /// Keys whose last record may not say yet what is true, since `before`, oldest first. They are taken in the same way.
    async fn take_last_words(&self, before: At, now: At, limit: u32) -> Result<Vec<LastWord>, StoreError>;
    /// The last records of these keys say what is true.
    async fn last_words_done(&self, ids: &[uuid::Uuid]) -> Result<(), StoreError>;

    /// What the database is set to that may lose what it has confirmed, or that does not hold what is written: in words for
    /// whoever can change it.
    async fn warnings(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    /// The size of the whole store on disk, for the bench.
    async fn bytes_on_disk(&self) -> Result<u64, StoreError>;
}

/// A transaction that writes. Dropped without a commit, it leaves nothing.
///
/// Order of locks: gate, positions, commands that wait, request rows by id, wake-ups, counters. Whoever takes the front of a line, or a sweep,
/// does so before any of its requests, and passes over what others have.
#[async_trait]
pub trait Transaction: Send {
    /// Takes the gate lock, see [`Gate`]: shared by whatever dispatches, settles or parks; exclusive by whatever writes a fact.
    /// Says how far facts and registry have come as of then, and what time it is: until the end of the transaction no fact
    /// is added. What an older version has written without a chain is chained here.
    async fn gate(&mut self, mode: Gate) -> Result<Passed, StoreError>;
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
    /// The requests of subjects that have one of these identifiers, by id.
    async fn of_subjects(&mut self, digests: &[SubjectDigest]) -> Result<Vec<RequestId>, StoreError>;
    /// Which requests have these identifiers, merged ones apart: of each identifier so many at the most, those with the
    /// highest ids, which are the latest where upstream uses time-ordered ones.
    async fn alike(
        &mut self,
        digests: &[SubjectDigest],
        each: u32,
    ) -> Result<Vec<(SubjectDigest, RequestId)>, StoreError>;
    /// Adds a revision of the registry. [`StoreError::Conflict`]: there is one of this number.
    async fn add_registry(&mut self, revision: u32, text: &str, at: At) -> Result<(), StoreError>;
    /// The active revision of the registry.
    async fn registry(&mut self) -> Result<Option<StoredRegistry>, StoreError>;
    /// The oldest sweep that goes on, that no other worker has taken and that is none of these, locked.
    async fn next_sweep(&mut self, passed_over: &[FactVersion]) -> Result<Option<Sweep>, StoreError>;
    /// Writes how far a sweep has come.
    async fn move_sweep(&mut self, sweep: &Sweep) -> Result<(), StoreError>;
    /// The next requests of a list, each once, with their places.
    async fn concerned(
        &mut self,
        of: &Concerned,
        after: Option<Place>,
        limit: u32,
    ) -> Result<Vec<Place>, StoreError>;
    /// How many requests a list has, about.
    async fn count_concerned(&mut self, of: &Concerned) -> Result<u64, StoreError>;
    /// The wrapped keys of these epochs of capsules; for an epoch that has none yet, the key beside it is stored first.
    async fn capsule_keys(&mut self, epochs: &[(CapsuleEpoch, Vec<u8>)]) -> Result<Vec<Vec<u8>>, StoreError>;
    /// The capsules of these requests whose epoch still has its key.
    async fn capsules(&mut self, ids: &[RequestId]) -> Result<Vec<StoredCapsule>, StoreError>;
    /// Destroys the key of an epoch: from then on its capsules hold nothing. See [`Store::drop_capsules`].
    async fn destroy_capsules(&mut self, epoch: &CapsuleEpoch) -> Result<(), StoreError>;
    /// Moves positions on. [`StoreError::Fenced`]: another worker has already taken a batch in, or the position has gone back.
    async fn advance(&mut self, advances: &[Advance]) -> Result<(), StoreError>;
    /// Has a position follow another log. [`StoreError::Conflict`]: it is not the one that was looked at.
    async fn accept_position(&mut self, acceptance: &Acceptance) -> Result<(), StoreError>;
    /// What the inbox holds of these commands.
    async fn inbox(&mut self, keys: &[(&Tenant, CommandId)]) -> Result<Vec<InboxRow>, StoreError>;
    /// How many requests were received since this time, up to a limit. Merged ones ask nobody anything and do not count.
    /// Until the end of the transaction nobody else counts them, so that what follows from the number holds.
    async fn received_since(&mut self, since: At, limit: u32) -> Result<u64, StoreError>;
    /// The requests that exist among these. With [`Lock::Rows`] their rows are locked, in order of their ids.
    async fn load(&mut self, ids: &[RequestId], lock: Lock) -> Result<Vec<StoredRequest>, StoreError>;
    /// The bodies of these requests.
    async fn bodies(&mut self, ids: &[RequestId]) -> Result<Vec<StoredBody>, StoreError>;
    /// Requests whose wake-up is due, locked; what another worker has locked is passed over.
    async fn due(&mut self, now: At, limit: u32) -> Result<Vec<StoredRequest>, StoreError>;
    /// The dead letters that came from these offsets of a partition, with their sealed payload.
    async fn dead_letters_of(&mut self, origins: &[Origin]) -> Result<Vec<DeadLetter>, StoreError>;
    /// The commands that wait for these requests, locked, in the order in which they came.
    async fn early_of(&mut self, ids: &[RequestId]) -> Result<Vec<EarlyRow>, StoreError>;
    /// The commands that have waited in vain, locked; what another worker has locked is passed over.
    async fn early_expired(&mut self, now: At, limit: u32) -> Result<Vec<EarlyRow>, StoreError>;
    /// How many commands wait for their requests, those that have waited in vain too.
    async fn early_count(&mut self) -> Result<u64, StoreError>;
    /// The front of a line, oldest first, locked; what another worker has locked is passed over.
    async fn closings(&mut self, line: Line, limit: u32) -> Result<Vec<Closing>, StoreError>;
    /// What these requests have in the suppression topic.
    async fn suppression_of(&mut self, ids: &[RequestId]) -> Result<Vec<SuppressionRow>, StoreError>;
    /// How many leaves the ledger has of each of these requests, where it has any.
    async fn leaf_counts(&mut self, ids: &[RequestId]) -> Result<Vec<(RequestId, u32)>, StoreError>;
    /// Writes everything. A guard that finds another row than expected is [`StoreError::Conflict`].
    async fn write(&mut self, changes: &Changes) -> Result<(), StoreError>;
    /// Commits.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
    /// The end of it, which whoever drops it can wait for.
    fn ended(&self) -> Ended;
}
