//! The last records of compacted topics' keys: that each says what is true, also after the rows behind it have gone.
//!
//! A row of its own remembers each such key until the record is confirmed, so a crash between commit and produce loses no
//! tombstone. What is true is read anew each time: a request that has come in again under an old id has a status, and no
//! tombstone.

use std::collections::HashSet;

use super::{
    Engine, EngineError,
    effects::{Effects, Tombstones},
};
use crate::{
    domain::{ids::RequestId, time::At},
    store::{CompactedKey, LastWord},
};

/// How many keys are republished in one turn.
const BATCH: u32 = 500;

impl Engine {
    /// What is true of these keys.
    pub(super) async fn last_records(&self, keys: &[LastWord]) -> Result<Effects, EngineError> {
        let (mut ids, mut digests) = (Vec::new(), Vec::new());
        for row in keys {
            match row.key {
                CompactedKey::Status(id) => ids.push(id),
                CompactedKey::Suppression(digest) => digests.push(digest),
            }
        }
        let mut emission = self.statuses_or_tombstones(&ids).await?;
        self.emit_suppression_keys(digests, &mut emission).await?;
        emission.tombstones.remembered = keys.iter().map(|row| row.id).collect();
        Ok(emission)
    }

    /// The last records that were remembered before this time and are not confirmed, as they are true now; nothing: all are
    /// confirmed.
    pub async fn unconfirmed_tombstones(&self, before: At) -> Result<Effects, EngineError> {
        let rows = self
            .store
            .take_last_words(before, self.clock.now(), BATCH)
            .await?;
        self.last_records(&rows).await
    }

    /// The last records of these keys once more, as they are true now.
    pub async fn tombstones_again(&self, tombstones: &Tombstones) -> Result<Effects, EngineError> {
        let mut emission = self.statuses_or_tombstones(&tombstones.gone).await?;
        let digests = tombstones.suppressed.iter().map(|(digest, _)| *digest).collect();
        self.emit_suppression_keys(digests, &mut emission).await?;
        emission.tombstones.remembered.clone_from(&tombstones.remembered);
        Ok(emission)
    }

    /// What has become another truth between being sent and being confirmed, so that the last record of a key is true.
    pub async fn corrections(&self, tombstones: &Tombstones) -> Result<Effects, EngineError> {
        let mut emission = Effects::default();
        if !tombstones.gone.is_empty() {
            for stored in self.store.requests(&tombstones.gone).await? {
                self.emit_status(&stored.request, &mut emission);
            }
        }
        self.correct_suppression(&tombstones.suppressed, &mut emission)
            .await?;
        Ok(emission)
    }

    /// The last records of these keys are confirmed.
    pub async fn tombstones_confirmed(&self, tombstones: &Tombstones) -> Result<(), EngineError> {
        if !tombstones.remembered.is_empty() {
            self.store.last_words_done(&tombstones.remembered).await?;
        }
        Ok(())
    }

    /// Where these requests stand; a tombstone where they stand nowhere any more.
    pub async fn statuses_or_tombstones(&self, ids: &[RequestId]) -> Result<Effects, EngineError> {
        let mut emission = Effects::default();
        if ids.is_empty() {
            return Ok(emission);
        }
        let mut there = HashSet::new();
        for stored in self.store.requests(ids).await? {
            there.insert(stored.request.id);
            self.emit_status(&stored.request, &mut emission);
        }
        for id in ids.iter().filter(|id| !there.contains(id)) {
            emission.tombstone(*id);
        }
        Ok(emission)
    }
}
