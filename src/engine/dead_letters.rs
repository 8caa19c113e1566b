//! How much is kept of messages that could not be taken in. Whoever writes to a topic can write garbage without end: it must
//! neither stop a stage nor fill the store, and it must not push out an erasure that somebody owes an answer to.
//!
//! Three bounds, each a topic's: payloads of letters are kept for a time, up to so many bytes, and so many open letters. What
//! asks for an erasure is never dropped: its row stays for ever, and its payload until somebody has closed it, unless its topic
//! has brought so many of them that the store would fill; then its place is kept, where its topic has it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use uuid::Uuid;

use super::{Engine, EngineError, use_cases::Retention};
use crate::{
    domain::{
        backup::earlier,
        calendar::Period,
        time::At,
        words::{CommandKind, DeadLetterReason},
    },
    store::{DeadLetter, DeadLetterState, Origin},
    vault::Vault,
    wire::{MAX_KEPT, salvage::salvage},
};

/// How many rows one statement touches.
const BATCH: u32 = 1_000;

/// How many statements one turn makes: a flood is kept up with, and nothing else waits for long.
const BATCHES: u32 = 50;

/// How many times as many bytes are kept of letters that ask for an erasure.
const ERASURES: u64 = 4;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadLetterLimits {
    /// How long payloads are kept of what asks for no erasure.
    pub keep: Period,
    /// How many open letters of a topic that ask for no erasure.
    pub count: u64,
    /// How many bytes of payloads of a topic.
    pub bytes: u64,
}

impl Default for DeadLetterLimits {
    fn default() -> Self {
        Self {
            keep: Period::days(90),
            count: 100_000,
            bytes: 256 * 1024 * 1024,
        }
    }
}

/// What this worker knows of the bytes that topics have among the letters: read now and then, and counted on in between.
/// Of another worker's letters it learns at the next reading, so the bound may be passed by what comes within seconds.
#[derive(Debug, Default)]
pub(super) struct DeadLetterBytes(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    bytes: HashMap<Arc<str>, u64>,
    /// The topics that had no room left at the last reading.
    full: BTreeSet<Arc<str>>,
}

impl DeadLetterBytes {
    /// Counts these bytes where there is room for them.
    fn take(&self, topic: &Arc<str>, bytes: u64, limit: u64) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = known.bytes.entry(Arc::clone(topic)).or_default();
        let has_room = sum.saturating_add(bytes) <= limit;
        if has_room {
            *sum += bytes;
        }
        has_room
    }

    /// Takes over what was read, and gives the topics that have no room left since then.
    fn replace(&self, bytes: HashMap<Arc<str>, u64>, limit: u64) -> Vec<(Arc<str>, u64)> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What comes next may be as large as what is kept of a message at the most.
        let is_full = |sum: u64| sum.saturating_add(MAX_KEPT as u64) > limit;
        let full = bytes.iter().filter(|(_, sum)| is_full(**sum));
        let full: Vec<(Arc<str>, u64)> = full.map(|(topic, sum)| (Arc::clone(topic), *sum)).collect();
        let before = std::mem::take(&mut known.full);
        known.full = full.iter().map(|(topic, _)| Arc::clone(topic)).collect();
        known.bytes = bytes;
        full.into_iter()
            .filter(|(topic, _)| !before.contains(topic))
            .collect()
    }
}

/// What is known of a message that is refused.
pub(super) struct RejectedMessage<'a> {
    pub(super) origin: &'a Origin,
    pub(super) reason: DeadLetterReason,
    pub(super) detail: &'a str,
    /// Its bytes, where they can be read.
    pub(super) raw: Option<&'a [u8]>,
    /// Its bytes, sealed, where they are not too large.
    pub(super) sealed: Option<Vec<u8>>,
    pub(super) headers: Option<Vec<u8>>,
    pub(super) at: At,
}

impl Engine {
    /// A dead letter with an id of its own.
    pub(super) fn letter(&self, refused: RejectedMessage<'_>) -> DeadLetter {
        let seen = refused.raw.map(salvage).unwrap_or_default();
        let opens = seen.kind.is_some_and(CommandKind::opens);
        let size = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len) as u64;
        let limit = self
            .dead_letters
            .bytes
            .saturating_mul(if opens { ERASURES } else { 1 });
        let topic = &refused.origin.topic;
        let bytes = size(&refused.sealed) + size(&refused.headers);
        let kept = refused.sealed.is_some() && self.dead_letter_bytes.take(topic, bytes, limit);
        if refused.sealed.is_some() && !kept {
            self.metrics.letter_payload_not_kept(topic);
        }
        // A request is named by what is about it, too: only what may have opened it stands for it.
        let may_open = seen.kind.is_none_or(CommandKind::opens);
        DeadLetter {
            id: super::time_ordered_id(refused.at),
            reason: refused.reason,
            detail: refused.detail.to_owned(),
            kind: seen.kind,
            origin: refused.origin.clone(),
            at: refused.at,
            state: DeadLetterState::Open,
            sealed: refused.sealed,
            headers: refused.headers,
            ids: seen
                .command_id
                .into_iter()
                .chain(seen.request_id.filter(|_| may_open))
                .collect(),
            kept,
        }
    }

    /// Closes a message that could not be taken in, as somebody has decided: the letter as it is now, and whether it was open; `None`: there is none.
    pub async fn close_dead_letter(
        &self,
        id: Uuid,
        note: &str,
        now: At,
    ) -> Result<Option<(DeadLetter, bool)>, EngineError> {
        let closed = self
            .store
            .close_dead_letter(id, DeadLetterState::Closed, note, now)
            .await?;
        Ok(self.store.dead_letter(id).await?.map(|letter| (letter, closed)))
    }
}

impl Retention<'_> {
    /// Looks at how much there is of each topic.
    pub async fn measure_dead_letters(self) -> Result<(), EngineError> {
        let topics = self.shared.store.letters_by_topic().await?;
        self.shared.metrics.dead_letter_payload_bytes.reset();
        for topic in &topics {
            self.shared.metrics.dead_letter_bytes(&topic.topic, topic.bytes);
        }
        let limit = self.shared.dead_letters.bytes;
        let bytes = topics
            .into_iter()
            .map(|topic| (Arc::from(topic.topic), topic.bytes));
        for (topic, bytes) in self.shared.dead_letter_bytes.replace(bytes.collect(), limit) {
            tracing::error!(
                %topic,
                bytes,
                limit,
                "dead letters: this topic has no room left for payloads (vault.dead_letters_mib): of further messages that are \
                 refused only the place is kept; redrive or close some"
            );
        }
        Ok(())
    }

    /// Forgets payloads that were kept for long enough, and the oldest letters of topics that have too many.
    pub async fn prune_dead_letters(self, now: At) -> Result<(), EngineError> {
        let zone = &self.shared.policy().rules.calendar.zone;
        // Counted back from now, so a month's length may differ by a day or two from where it is counted forward.
        let before = earlier(now, self.shared.dead_letters.keep.add_to(now, zone).since(now));
        for _ in 0..BATCHES {
            let forgotten = self.shared.store.forget_letters(before, BATCH).await?;
            if forgotten < u64::from(BATCH) {
                break;
            }
        }
        for topic in self.shared.store.letters_by_topic().await? {
            self.drop_letters(
                &topic.topic,
                topic.open.saturating_sub(self.shared.dead_letters.count),
            )
            .await?;
        }
        Ok(())
    }

    async fn drop_letters(&self, topic: &str, surplus: u64) -> Result<(), EngineError> {
        let mut dropped = 0;
        for _ in 0..BATCHES {
            let some = u32::try_from(surplus - dropped).unwrap_or(u32::MAX).min(BATCH);
            if some == 0 {
                break;
            }
            let gone = self.shared.store.drop_letters(topic, some).await?;
            dropped += gone;
            if gone == 0 {
                break;
            }
        }
        if dropped > 0 {
            self.shared.metrics.dead_letters_dropped(topic, dropped);
            tracing::error!(
                topic,
                dropped,
                limit = self.shared.dead_letters.count,
                "dead letters: this topic has more open ones than vault.dead_letters_count: the oldest that ask for no erasure are \
                 only counted from now on"
            );
        }
        Ok(())
    }
}

/// The bytes of a message, sealed, where they are not too large.
pub(super) fn sealed_within_bounds(vault: &Vault, raw: &[u8], headers_too_large: bool) -> Option<Vec<u8>> {
    (raw.len() <= MAX_KEPT && !headers_too_large).then(|| vault.seal_dead_letter(raw))
}
