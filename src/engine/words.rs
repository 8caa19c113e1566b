//! The last words of compacted topics: that the last record of a key says what is true, also after the rows behind it
//! have gone.
//!
//! A row of its own remembers each such key until the broker has confirmed what was said, so a crash between commit and
//! produce loses no tombstone. Whatever is said is read anew when it is said: a request that has come in again under an
//! old id has a status, and no tombstone.

use std::{collections::HashSet, sync::Arc};

use uuid::Uuid;

use super::{
    Engine, EngineError,
    outputs::{Emission, Record, RecordKey, RecordKind},
};
use crate::{
    domain::{identity::SuppressionDigest, ids::RequestId, time::At},
    store::{CompactedKey, LastWord},
};

/// How many are said again in one turn.
const BATCH: u32 = 500;

/// What was said of keys whose last record has to be true, so that it can be looked at again once it is confirmed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// The keys of the suppression topic, each with what was said; `None`: a tombstone.
    pub suppressed: Vec<(SuppressionDigest, Option<At>)>,
    /// The requests whose status key got a tombstone.
    pub gone: Vec<RequestId>,
    /// The rows that remember some of them.
    pub remembered: Vec<Uuid>,
}

impl Words {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.suppressed.is_empty() && self.gone.is_empty() && self.remembered.is_empty()
    }

    /// Adds what another one has.
    pub fn append(&mut self, mut other: Self) {
        self.suppressed.append(&mut other.suppressed);
        self.gone.append(&mut other.gone);
        self.remembered.append(&mut other.remembered);
    }
}

impl Engine {
    /// Says what is true of these keys.
    pub(super) async fn say(&self, words: &[LastWord]) -> Result<Emission, EngineError> {
        let mut emission = Emission::default();
        let (mut ids, mut keys) = (Vec::new(), Vec::new());
        for word in words {
            match word.key {
                CompactedKey::Status(id) => ids.push(id),
                CompactedKey::Suppression(key) => keys.push(key),
            }
        }
        self.say_statuses(&ids, &mut emission).await?;
        self.say_suppression(keys, &mut emission).await?;
        emission.words.remembered = words.iter().map(|word| word.id).collect();
        Ok(emission)
    }

    /// Says again what was remembered before this time and is not confirmed; nothing: it is all confirmed.
    pub async fn say_unconfirmed(&self, before: At) -> Result<Emission, EngineError> {
        let words = self
            .store
            .take_last_words(before, self.clock.now(), BATCH)
            .await?;
        self.say(&words).await
    }

    /// Says once more what was not confirmed.
    pub async fn say_again(&self, words: &Words) -> Result<Emission, EngineError> {
        let mut emission = Emission::default();
        self.say_statuses(&words.gone, &mut emission).await?;
        let keys = words.suppressed.iter().map(|(key, _)| *key).collect();
        self.say_suppression(keys, &mut emission).await?;
        emission.words.remembered.clone_from(&words.remembered);
        Ok(emission)
    }

    /// Says once more where these requests stand: as it is true now, and a tombstone where they stand nowhere any more.
    pub async fn say_where_they_stand(&self, ids: &[RequestId]) -> Result<Emission, EngineError> {
        let mut emission = Emission::default();
        self.say_statuses(ids, &mut emission).await?;
        Ok(emission)
    }

    /// What has become another truth between being said and being confirmed, so that the last record of a key is true.
    pub async fn correct(&self, words: &Words) -> Result<Emission, EngineError> {
        let mut emission = Emission::default();
        if !words.gone.is_empty() {
            for stored in self.store.requests(&words.gone).await? {
                self.emit_status(&stored.request, &mut emission)?;
            }
        }
        self.correct_suppression(&words.suppressed, &mut emission).await?;
        Ok(emission)
    }

    /// The last records of these keys are confirmed.
    pub async fn confirmed(&self, words: &Words) -> Result<(), EngineError> {
        if !words.remembered.is_empty() {
            self.store.last_words_done(&words.remembered).await?;
        }
        Ok(())
    }

    /// Where these requests stand; a tombstone where they stand nowhere any more.
    async fn say_statuses(&self, ids: &[RequestId], emission: &mut Emission) -> Result<(), EngineError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut there = HashSet::new();
        for stored in self.store.requests(ids).await? {
            there.insert(stored.request.id);
            self.emit_status(&stored.request, emission)?;
        }
        for id in ids.iter().filter(|id| !there.contains(id)) {
            self.emit_tombstone(*id, emission);
        }
        Ok(())
    }

    pub(super) fn emit_tombstone(&self, id: RequestId, emission: &mut Emission) {
        emission.words.gone.push(id);
        emission.records.push(Record {
            topic: Arc::clone(&self.topics.status),
            key: Some(RecordKey::Request(id)),
            kind: RecordKind::Tombstone,
            payload: bytes::Bytes::new(),
        });
    }
}
