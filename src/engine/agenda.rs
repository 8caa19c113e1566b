//! The agenda: whatever is due wakes, is looked at again, and is sent, asked again or flagged.

use std::collections::HashMap;

use super::{
    Engine, EngineError,
    effects::Emission,
    routes::AcksSeen,
    work::{Finished, Work},
};
use crate::{
    domain::{ids::RequestId, request::merged::Leader, time::At},
    store::{Attempts, Gate, Lock, StoredRequest, Transaction},
};

/// How many requests one transaction wakes.
const BATCH: u32 = 500;

/// What a turn of the agenda came to.
#[derive(Debug)]
pub struct Woken {
    /// How many requests were woken.
    pub count: usize,
    /// Whether there may be more that is due.
    pub more: bool,
    /// What has to be produced.
    pub emission: Emission,
}

impl Engine {
    /// Wakes a batch of what is due. `now` is when to look; what is woken is decided by the time that comes with the gate.
    pub async fn wake_due(&self, now: At) -> Result<Woken, EngineError> {
        // Most turns find nothing. What is committed after this look is seen by the next turn.
        if !self.store.is_due(now).await? {
            return Ok(Woken {
                count: 0,
                more: false,
                emission: Emission::default(),
            });
        }
        self.keep_pace().await?;
        let acks_seen = self.acks_seen().await?;
        let mut attempts = Attempts::new(self.store.as_ref(), &*self.metrics, "agenda");
        let (count, finished) = loop {
            let done = self.wake_once(&acks_seen, &mut attempts).await;
            if let Some(done) = attempts.conclude(done).await {
                break done?;
            }
        };
        let emission = finished.emit(self, true).await?;
        Ok(Woken {
            count,
            more: count == BATCH as usize,
            emission,
        })
    }

    async fn wake_once(
        &self,
        acks_seen: &AcksSeen,
        attempts: &mut Attempts<'_>,
    ) -> Result<(usize, Finished<'static>), EngineError> {
        let mut tx = attempts.begin().await?;
        let known = self.pass_gate(&mut *tx, Gate::Shared).await?;
        let now = known.now;
        let due = tx.due(now, BATCH).await?;
        let count = due.len();
        let leaders = leaders_of(&followed(&due), &mut *tx, now).await?;
        let context = self.context(&known, now);
        let wake = |work: &mut Work<'_>| work.wake(&context, acks_seen, &leaders);
        let mut finished = self.decide_rows(due, &mut *tx, "agenda", now, wake).await?;
        self.seal_capsules(&mut finished, &mut *tx).await?;
        tx.write(&finished.changes).await?;
        tx.commit().await?;
        Ok((count, finished))
    }

    /// Requests whose outputs may not have been produced: their outbox row is older than `before`. They are taken: no
    /// other worker produces them too, for as long as this one says that it is at it.
    pub async fn unproduced(&self, before: At) -> Result<Vec<RequestId>, EngineError> {
        // Most turns find nothing, and nothing is written for that.
        if self.store.outbox(before, 1).await?.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.store.take_outbox(before, self.clock.now(), BATCH).await?)
    }
}

/// The requests that some of these were merged into.
fn followed(stored: &[StoredRequest]) -> Vec<RequestId> {
    let leader = |stored: &StoredRequest| Some(stored.request.life.following.as_ref()?.leader);
    let mut ids: Vec<RequestId> = stored.iter().filter_map(leader).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// How the requests stand that others were merged into.
pub(super) async fn leaders_of(
    ids: &[RequestId],
    tx: &mut dyn Transaction,
    now: At,
) -> Result<HashMap<RequestId, Leader>, EngineError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    // Locked: whatever changes one of them meanwhile wakes its followers only after these have been put to sleep.
    let stored = tx.load(ids, Lock::Rows).await?;
    let mut leaders: HashMap<RequestId, Leader> = stored
        .into_iter()
        .map(|stored| (stored.request.id, stored.request.as_leader()))
        .collect();
    for id in ids {
        // One that is there no more was closed long ago.
        leaders.entry(*id).or_insert(Leader {
            withdrawn: false,
            completed_at: Some(now),
            was_sent: true,
            is_clean: true,
        });
    }
    Ok(leaders)
}
