//! Producing again what may not have been produced: after a crash between commit and produce, after a failed delivery,
//! and for what stands in the outbox.
//!
//! The domain does not run: the gates are looked at again under the lock, and what is true now is said again.

use foldhash::HashMap;

use super::{Engine, EngineError, outputs::Emission};
use crate::{
    domain::{ids::RequestId, request::Request, task::TaskState},
    store::{Attempts, DeadLetter, Gate, Lock, Origin, StoredRequest},
};

impl Engine {
    /// Says again where these requests stand, what their processors were asked, and which of these messages were
    /// dead-lettered.
    pub async fn reissue(&self, ids: &[RequestId], origins: &[Origin]) -> Result<Emission, EngineError> {
        let mut attempts = Attempts::new(self.store.as_ref(), &*self.metrics, "reissue");
        let (stored, letters) = loop {
            let read = self.read_again(ids, origins, &mut attempts).await;
            if let Some(read) = attempts.conclude(read).await {
                break read?;
            }
        };
        let out: Vec<RequestId> = stored
            .iter()
            .filter(|stored| !dispatched(&stored.request).is_empty())
            .map(|s| s.request.id)
            .collect();
        let forgotten: Vec<RequestId> = stored
            .iter()
            .filter(|stored| stored.request.bookkeeping.capsule.is_some() && out.contains(&stored.request.id))
            .map(|stored| stored.request.id)
            .collect();
        let secrets = self.secrets(&out, &forgotten).await?;
        let mut emission = Emission::default();
        let mut failed = Vec::new();
        for StoredRequest { request, wrapped_key } in &stored {
            let said = self.emit_contained(request, &mut emission, |emission| {
                self.emit_status(request, emission)?;
                let ordinals = dispatched(request);
                self.emit_stored(request, &ordinals, wrapped_key.as_deref(), &secrets, emission)
            })?;
            failed.extend((!said).then_some(request.id));
        }
        self.set_aside(&failed).await?;
        self.say_suppression_of(ids, &mut emission).await?;
        for letter in &letters {
            self.emit_dead_letter(letter, &mut emission);
        }
        Ok(emission)
    }

    pub(super) async fn read_again(
        &self,
        ids: &[RequestId],
        origins: &[Origin],
        attempts: &mut Attempts<'_>,
    ) -> Result<(Vec<StoredRequest>, Vec<DeadLetter>), EngineError> {
        let mut tx = attempts.begin().await?;
        self.pass_gate(&mut *tx, Gate::Shared).await?;
        let stored = tx.load(ids, Lock::Rows).await?;
        let letters = tx.dead_letters_of(origins).await?;
        tx.commit().await?;
        Ok((stored, letters))
    }

    /// The statuses of those of these requests that have moved on since, and the tombstones of those that were purged: the
    /// last record of a key is then the highest.
    pub async fn catch_up(&self, produced: &[(RequestId, u32)]) -> Result<Emission, EngineError> {
        let ids: Vec<RequestId> = produced.iter().map(|(id, _)| *id).collect();
        let now: HashMap<RequestId, u32> = self.store.revisions(&ids).await?.into_iter().collect();
        let moved: Vec<RequestId> = produced
            .iter()
            .filter(|(id, revision)| now.get(id).is_some_and(|now| now > revision))
            .map(|(id, _)| *id)
            .collect();
        let mut emission = Emission::default();
        // Its rows went while its status was on its way: the tombstone has to be the last record.
        for (id, _) in produced.iter().filter(|(id, _)| !now.contains_key(id)) {
            self.emit_tombstone(*id, &mut emission);
        }
        if moved.is_empty() {
            return Ok(emission);
        }
        for StoredRequest { request, .. } in self.store.requests(&moved).await? {
            // Who cannot be said anything of is set aside where it is noticed first.
            self.emit_contained(&request, &mut emission, |emission| {
                self.emit_status(&request, emission)
            })?;
        }
        Ok(emission)
    }
}

fn dispatched(request: &Request) -> Vec<u16> {
    request
        .ordinals()
        .filter(|ordinal| matches!(request.task(*ordinal).state, TaskState::Dispatched { .. }))
        .collect()
}
