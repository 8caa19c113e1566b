//! Expiry: what has been kept of closed requests for long enough goes, digests first, rows later.
//!
//! Whatever came to its end stands in line ([`crate::store::Closing`]), so nothing is looked for: the front of the line
//! says whether there is anything to do. Each batch is one transaction under the shared gate lock: no hold and no restore
//! can come between the look at a request and its deletion, and every fact that there is has been taken into account,
//! also those whose sweep has not come by yet.

use std::time::Duration;

use super::{
    Engine, EngineError,
    contained::contained,
    effects::Emission,
    known::Known,
    time_ordered_id,
    work::{Finished, UseCase, Work},
};
use crate::{
    domain::{
        backup::earlier,
        ids::RequestId,
        request::{Request, expiry::Fate},
        time::At,
    },
    store::{
        Attempts, Changes, Closing, CompactedKey, Gate, LastWord, Line, Lock, StoredRequest, Transaction,
    },
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
    pub emission: Emission,
}

/// What came of a batch.
struct Done {
    finished: Finished<'static>,
    /// Of how many requests the digests went.
    expired: usize,
    /// Of how many the rows went.
    purged: usize,
    /// Those that the program fails at.
    unfit: Vec<RequestId>,
}

impl Engine {
    /// Deletes what has stood in a line for long enough at `now`, which is not later than the time that comes with the gate: a
    /// batch at the most.
    pub async fn expire(&self, line: Line, now: At) -> Result<Expired, EngineError> {
        let mut attempts = Attempts::new(self.store.as_ref(), &*self.metrics, "expire");
        let done = loop {
            let done = self.expire_once(line, now, &mut attempts).await;
            if let Some(done) = attempts.conclude(done).await {
                break done?;
            }
        };
        let Some(done) = done else {
            return Ok(Expired::default());
        };
        self.metrics.expired(done.expired, done.purged);
        self.set_aside(&done.unfit).await?;
        let words = done.finished.changes.last_words.clone();
        let mut emission = done.finished.emit(self, true).await?;
        emission.append(self.last_records(&words).await?);
        Ok(Expired { busy: true, emission })
    }

    async fn expire_once(
        &self,
        line: Line,
        now: At,
        attempts: &mut Attempts<'_>,
    ) -> Result<Option<Done>, EngineError> {
        let mut tx = attempts.begin().await?;
        let known = self.pass_gate(&mut *tx, Gate::Shared).await?;
        let now = now.min(known.now);
        let front = self.front(tx.closings(line, ROWS).await?, now);
        if front.is_empty() {
            return Ok(None);
        }
        let mut ids: Vec<RequestId> = front.iter().flat_map(|row| row.requests.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let stored = tx.load(&ids, Lock::Rows).await?;
        let mut unfit = Vec::new();
        let mut finished = match self.expire_rows(line, stored, &known, &mut *tx, now).await {
            // Within the transaction: another one would find the line locked, and pass it over.
            Err(EngineError::Panicked) => {
                let stored = tx.load(&ids, Lock::Rows).await?;
                let (fit, culprits) = self.sort_out(stored, line, &known, now);
                unfit = culprits;
                self.expire_rows(line, fit, &known, &mut *tx, now).await?
            }
            done => done?,
        };
        finished.changes.closings_done = front;
        let stay = self.again(line, unfit.clone(), now);
        finished.changes.closings.extend(stay);
        self.seal_capsules(&mut finished, &mut *tx).await?;
        tx.write(&finished.changes).await?;
        tx.commit().await?;
        Ok(Some(Done {
            expired: finished.changes.expired.len(),
            purged: finished.changes.purged.len(),
            finished,
            unfit,
        }))
    }

    async fn expire_rows(
        &self,
        line: Line,
        stored: Vec<StoredRequest>,
        known: &Known,
        tx: &mut dyn Transaction,
        now: At,
    ) -> Result<Finished<'static>, EngineError> {
        match line {
            Line::Lookups => self.expire_lookups(stored, known, tx, now).await,
            Line::Records => contained(|| self.purge(stored, known, now))?,
        }
    }

    /// Those that can be decided about, and those apart that the program fails at.
    fn sort_out(
        &self,
        stored: Vec<StoredRequest>,
        line: Line,
        known: &Known,
        now: At,
    ) -> (Vec<StoredRequest>, Vec<RequestId>) {
        let context = self.context(known, now);
        let is_fit = |row: &StoredRequest| {
            let row = row.clone();
            match line {
                Line::Lookups => contained(|| row.request.fate_of_lookups(&self.keeps, &context)).is_ok(),
                Line::Records => contained(|| self.purge(vec![row], known, now)).is_ok(),
            }
        };
        let (fit, unfit): (Vec<_>, Vec<_>) = stored.into_iter().partition(is_fit);
        let unfit: Vec<RequestId> = unfit.into_iter().map(|row| row.request.id).collect();
        for id in &unfit {
            self.say_set_aside(*id, "expiry");
        }
        (fit, unfit)
    }

    /// The rows at the front of the line whose time has come, up to a batch. The oldest come first, and what is older is
    /// due sooner.
    fn front(&self, rows: Vec<Closing>, now: At) -> Vec<Closing> {
        let zone = &self.rules.calendar.zone;
        let is_due = |row: &Closing| match row.line {
            Line::Lookups => self.keeps.lookups_until(row.at, zone) <= now,
            Line::Records => self.keeps.records_until(row.at, zone) <= now,
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

    async fn expire_lookups(
        &self,
        stored: Vec<StoredRequest>,
        known: &Known,
        tx: &mut dyn Transaction,
        now: At,
    ) -> Result<Finished<'static>, EngineError> {
        let context = self.context(known, now);
        let (mut goes, mut stays) = (Vec::new(), Vec::new());
        for StoredRequest { request, .. } in stored {
            match contained(|| request.fate_of_lookups(&self.keeps, &context))? {
                Fate::Goes => goes.push(request),
                Fate::Stays => stays.push(request.id),
                Fate::Counts => {}
            }
        }
        let mut changes = Changes {
            slot: self.slot_of(UseCase::Other),
            at: now,
            expired: goes.iter().map(|request| request.id).collect(),
            ..Changes::default()
        };
        // Whoever reads the topic is told, unless another request of the same person still says otherwise.
        if self.has_suppression_topic {
            let rows = tx.suppression_of(&changes.expired).await?;
            let keys = rows.iter().map(|row| CompactedKey::Suppression(row.digest));
            changes.last_words = keys.map(|key| last_word(key, now)).collect();
        }
        changes
            .closings
            .extend(ended(&goes).map(|(at, requests)| Closing {
                line: Line::Records,
                at,
                id: time_ordered_id(now),
                requests,
            }));
        changes.closings.extend(self.again(Line::Lookups, stays, now));
        Ok(Finished::without_requests(changes))
    }

    fn purge(
        &self,
        stored: Vec<StoredRequest>,
        known: &Known,
        now: At,
    ) -> Result<Finished<'static>, EngineError> {
        let context = self.context(known, now);
        let mut work = Work::with_loaded(stored, self.clock_skew);
        // What is known may open one of them again. Whoever touches it first takes it, and this may be the last to.
        work.review(&context);
        let mut stays = Vec::new();
        work.purge(
            |request, has_changed| match request.fate_of_records(&self.keeps, &context) {
                Fate::Goes if !has_changed => true,
                Fate::Goes | Fate::Stays => {
                    stays.push(request.id);
                    false
                }
                Fate::Counts => false,
            },
        );
        let mut finished = work.finish(self, UseCase::Other, now, true)?;
        finished
            .changes
            .closings
            .extend(self.again(Line::Records, stays, now));
        Ok(finished)
    }

    /// A place further back in line: one whose time comes when somebody should look again.
    fn again(&self, line: Line, requests: Vec<RequestId>, now: At) -> Option<Closing> {
        let zone = &self.rules.calendar.zone;
        let until = |at| match line {
            Line::Lookups => self.keeps.lookups_until(at, zone),
            Line::Records => self.keeps.records_until(at, zone),
        };
        // Counted back by as long as the period is from now on. Where its months were shorter that is too early, and
        // what was due at once would be looked at over and over.
        let mut at = earlier(now.plus(LOOK_AGAIN_AFTER), until(now).since(now));
        while until(at) <= now {
            at = at.plus(LOOK_AGAIN_AFTER);
        }
        (!requests.is_empty()).then(|| Closing {
            line,
            at,
            id: time_ordered_id(now),
            requests,
        })
    }
}

/// Requests as one row of a line, at the end of the last of them.
fn ended(requests: &[Request]) -> Option<(At, Vec<RequestId>)> {
    let last = requests
        .iter()
        .filter_map(|request| request.life.completed_at)
        .max()?;
    Some((last, requests.iter().map(|request| request.id).collect()))
}

pub(super) fn last_word(key: CompactedKey, now: At) -> LastWord {
    LastWord {
        id: time_ordered_id(now),
        key,
    }
}
