//! Retention: what has been kept of closed requests for long enough goes, digests first, rows later.
//!
//! Whatever came to its end stands in line ([`crate::store::Closing`]), so nothing is looked for: the front of the line
//! says whether there is anything to do. Each batch is one transaction under the shared gate lock: no hold and no restore
//! can come between the look at a request and its deletion, and every fact that there is has been taken into account,
//! also those whose sweep has not come by yet.

use std::{collections::HashSet, time::Duration};

use async_trait::async_trait;

use super::{
    Engine, EngineError,
    batch::{Batch, Finished, last_word},
    decision_inputs::DecisionInputs,
    effects::Effects,
    time_ordered_id,
    unit_of_work::{Decision, Load, UnitOfWork, run},
    use_cases::Retention,
};
use crate::{
    domain::{
        backup::earlier,
        ids::RequestId,
        request::{Request, expiry::Fate},
        time::At,
    },
    store::{Closing, CompactedKey, Line, Lock, Transaction},
};

/// How many requests one transaction looks at, about: a row of the line is taken as a whole.
const BATCH: usize = 500;

/// How many rows of a line one transaction takes at the most.
const ROWS: u32 = 200;

/// When something is looked at again that had to stay. Holds last for months, and copies for weeks.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// What a turn came to.
#[derive(Debug, Default)]
pub struct Expired {
    /// Whether something was at the front of the line.
    pub busy: bool,
    /// What has to be produced.
    pub emission: Effects,
}

/// Deletes a batch of what has stood in a line for long enough, and answers whether there was anything.
struct Expire<'e> {
    engine: &'e Engine,
    line: Line,
    /// Not later than the time that comes with the gate.
    now: At,
}

/// The front of a line, and what the suppression topic has of it.
struct Front {
    rows: Vec<Closing>,
    last_words: Vec<(RequestId, CompactedKey)>,
}

#[async_trait]
impl UnitOfWork<'static> for Expire<'_> {
    type Loaded = Front;
    type Output = bool;
    type Error = EngineError;

    const SETS_ASIDE: Option<&'static str> = Some("expiry");

    fn name(&self) -> &'static str {
        "expire"
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        inputs: &mut DecisionInputs,
        _: Lock,
    ) -> Result<Load<Front, bool>, EngineError> {
        inputs.now = self.now.min(inputs.now);
        let rows = self.front(tx.closings(self.line, ROWS).await?, inputs.now);
        if rows.is_empty() {
            return Ok(Load::Nothing(false));
        }
        let mut ids: Vec<RequestId> = rows.iter().flat_map(|row| row.requests.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let requests = tx.load(&ids, Lock::Rows).await?;
        // Whoever reads the topic is told, unless another request of the same person still says otherwise.
        let last_words = if self.line == Line::Lookups && self.engine.has_suppression_topic {
            let rows = tx.suppression_of(&ids).await?;
            rows.iter()
                .map(|row| (row.request_id, CompactedKey::Suppression(row.digest)))
                .collect()
        } else {
            Vec::new()
        };
        Ok(Load::Ready(requests, Front { rows, last_words }))
    }

    fn decide(
        &self,
        front: &mut Front,
        inputs: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<Decision<bool>, EngineError> {
        match self.line {
            Line::Lookups => self.expire_lookups(front, inputs, batch),
            Line::Records => self.purge(inputs, batch),
        }
        batch.changes.closings_done.clone_from(&front.rows);
        Ok(Decision::Write(true))
    }

    async fn conclude(
        &self,
        _: &mut bool,
        finished: &mut Finished<'static>,
        inputs: &DecisionInputs,
        _: &mut dyn Transaction,
    ) -> Result<(), EngineError> {
        let stay = self.again(finished.aside.clone(), inputs.now);
        finished.changes.closings.extend(stay);
        Ok(())
    }
}

impl Retention<'_> {
    /// Deletes what has stood in a line for long enough at `now`, which is not later than the time that comes with the gate: a
    /// batch at the most.
    pub async fn expire(self, line: Line, now: At) -> Result<Expired, EngineError> {
        let done = run(
            self.shared,
            &Expire {
                engine: self.shared,
                line,
                now,
            },
        )
        .await?;
        if !done.answer {
            return Ok(Expired::default());
        }
        let changes = &done.finished.changes;
        self.shared
            .metrics
            .expired(changes.expired.len(), changes.purged.len());
        let words = changes.last_words.clone();
        let mut emission = done.finished.emit(self.shared, true).await?;
        emission.append(self.shared.last_records(&words).await?);
        Ok(Expired { busy: true, emission })
    }
}

impl Expire<'_> {
    /// The rows at the front of the line whose time has come, up to a batch. The oldest come first, and what is older is
    /// due sooner.
    fn front(&self, rows: Vec<Closing>, now: At) -> Vec<Closing> {
        let zone = &self.engine.policy().rules.calendar.zone;
        let is_due = |row: &Closing| match row.line {
            Line::Lookups => self.engine.keeps.lookups_until(row.at, zone) <= now,
            Line::Records => self.engine.keeps.records_until(row.at, zone) <= now,
        };
        let mut taken = 0;
        rows.into_iter()
            .take_while(|row| {
                let has_room = taken < BATCH;
                taken += row.requests.len();
                has_room && is_due(row)
            })
            .collect()
    }

    fn expire_lookups(&self, front: &Front, inputs: &DecisionInputs, batch: &mut Batch<'static>) {
        let (context, now) = (self.engine.context(inputs), inputs.now);
        let (mut goes, mut stays) = (Vec::new(), Vec::new());
        for request in batch.requests() {
            match request.fate_of_lookups(&self.engine.keeps, &context) {
                Fate::Goes => goes.push(request),
                Fate::Stays => stays.push(request.id),
                Fate::Counts => {}
            }
        }
        let records = ended(&goes).map(|(at, requests)| Closing {
            line: Line::Records,
            at,
            id: time_ordered_id(now),
            requests,
        });
        let expired: HashSet<RequestId> = goes.iter().map(|request| request.id).collect();
        let of_expired = front.last_words.iter().filter(|(id, _)| expired.contains(id));
        let last_words = of_expired.map(|(_, key)| last_word(*key, now)).collect();
        let goes = goes.iter().map(|request| request.id).collect();
        let changes = &mut batch.changes;
        changes.last_words = last_words;
        changes.expired = goes;
        changes.closings.extend(records);
        changes.closings.extend(self.again(stays, now));
    }

    fn purge(&self, inputs: &DecisionInputs, batch: &mut Batch<'static>) {
        let context = self.engine.context(inputs);
        // What is known may open one of them again. Whoever touches it first takes it, and this may be the last to.
        batch.review(&context);
        let mut stays = Vec::new();
        batch.purge(
            |request, has_changed| match request.fate_of_records(&self.engine.keeps, &context) {
                Fate::Goes if !has_changed => true,
                Fate::Goes | Fate::Stays => {
                    stays.push(request.id);
                    false
                }
                Fate::Counts => false,
            },
        );
        batch.changes.closings.extend(self.again(stays, inputs.now));
    }

    /// A place further back in line: one whose time comes when somebody should look again.
    fn again(&self, requests: Vec<RequestId>, now: At) -> Option<Closing> {
        let zone = &self.engine.policy().rules.calendar.zone;
        let until = |at| match self.line {
            Line::Lookups => self.engine.keeps.lookups_until(at, zone),
            Line::Records => self.engine.keeps.records_until(at, zone),
        };
        // Counted back by as long as the period is from now on. Where its months were shorter that is too early, and
        // what was due at once would be looked at over and over.
        let mut at = earlier(now.plus(LOOK_AGAIN_AFTER), until(now).since(now));
        while until(at) <= now {
            at = at.plus(LOOK_AGAIN_AFTER);
        }
        (!requests.is_empty()).then(|| Closing {
            line: self.line,
            at,
            id: time_ordered_id(now),
            requests,
        })
    }
}

/// Requests as one row of a line, at the end of the last of them.
fn ended(requests: &[&Request]) -> Option<(At, Vec<RequestId>)> {
    let last = requests
        .iter()
        .filter_map(|request| request.life.completed_at)
        .max()?;
    Some((last, requests.iter().map(|request| request.id).collect()))
}
