//! The agenda: whatever is due wakes, is looked at again, and is sent, asked again or flagged.

use std::collections::HashMap;

use async_trait::async_trait;

use super::{
    Engine, EngineError,
    ack_partitioning::AcksSeen,
    batch::Batch,
    decision_inputs::DecisionInputs,
    effects::Effects,
    unit_of_work::{Decision, Load, UnitOfWork, run},
    use_cases::Agenda,
};
use crate::{
    domain::{
        ids::{ProcessorId, RequestId},
        request::{Request, merged::Leader},
        time::At,
    },
    store::{Lock, Transaction},
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
    pub emission: Effects,
}

/// Wakes a batch of what is due, and answers how many were.
struct WakeDue<'e> {
    engine: &'e Engine,
    acks_seen: &'e AcksSeen,
}

/// What is due, and how those stand that some of it follows.
struct Due {
    count: usize,
    leaders: HashMap<RequestId, Leader>,
}

#[async_trait]
impl UnitOfWork<'static> for WakeDue<'_> {
    type Loaded = Due;
    type Output = usize;
    type Error = EngineError;

    const SETS_ASIDE: Option<&'static str> = Some("agenda");

    fn name(&self) -> &'static str {
        "agenda"
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        inputs: &mut DecisionInputs,
        _: Lock,
    ) -> Result<Load<Due, usize>, EngineError> {
        let rows = tx.due(inputs.now, BATCH).await?;
        if rows.is_empty() {
            return Ok(Load::Nothing(0));
        }
        let followed = followed(rows.iter().map(|row| &row.request));
        let due = Due {
            count: rows.len(),
            leaders: leaders_of(&followed, tx, inputs.now).await?,
        };
        Ok(Load::Ready(rows, due))
    }

    fn decide(
        &self,
        due: &mut Due,
        inputs: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<Decision<usize>, EngineError> {
        let acks_seen = |id, processor: &ProcessorId| self.acks_seen.until(id, processor);
        batch.wake(&self.engine.context(inputs), &acks_seen, &due.leaders);
        Ok(Decision::Write(due.count))
    }
}

impl Agenda<'_> {
    /// Wakes a batch of what is due. `now` is when to look; what is woken is decided by the time that comes with the gate.
    pub async fn wake_due(self, now: At) -> Result<Woken, EngineError> {
        // Most turns find nothing. What is committed after this look is seen by the next turn.
        if !self.shared.store.is_due(now).await? {
            return Ok(Woken {
                count: 0,
                more: false,
                emission: Effects::default(),
            });
        }
        self.shared.keep_pace().await?;
        let acks_seen = &self.shared.acks_seen().await?;
        let woken = run(
            self.shared,
            &WakeDue {
                engine: self.shared,
                acks_seen,
            },
        )
        .await?;
        Ok(Woken {
            count: woken.answer,
            more: woken.answer == BATCH as usize,
            emission: woken.finished.emit(self.shared, true).await?,
        })
    }

    /// Requests whose outputs may not have been produced: their outbox row is older than `before`. They are taken: no
    /// other worker produces them too, for as long as this one says that it is at it.
    pub async fn unproduced(self, before: At) -> Result<Vec<RequestId>, EngineError> {
        // Most turns find nothing, and nothing is written for that.
        if self.shared.store.outbox(before, 1).await?.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self
            .shared
            .store
            .take_outbox(before, self.shared.clock.now(), BATCH)
            .await?)
    }
}

/// The requests that some of these were merged into.
pub(super) fn followed<'r>(requests: impl Iterator<Item = &'r Request>) -> Vec<RequestId> {
    let mut ids: Vec<RequestId> = requests
        .filter_map(|request| Some(request.life.following.as_ref()?.leader))
        .collect();
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
