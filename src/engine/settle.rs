//! Settling: a batch of acks moves their tasks, in one transaction.

mod provided;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use foldhash::{HashSet, HashSetExt};
use provided::Bodies;

use super::{
    Engine, EngineError,
    effects::Emission,
    known::Known,
    prepare::{Arrival, PreparedAck},
    work::{Finished, UseCase, Work},
};
use crate::{
    domain::{
        entry::Entry,
        ids::RequestId,
        note::BroughtBy,
        request::answer::{AckRefusal, Taken},
        time::At,
        words::DeadLetterReason,
    },
    store::{Attempts, Gate, Lock, Transaction},
    wire::Refusal,
};

/// What became of an ack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AckVerdict {
    /// It counted.
    Counted {
        /// How long after its task was sent.
        after: Option<Duration>,
    },
    /// It repeats what is known.
    Repeated,
    /// It changes nothing.
    Refused(Refusal),
}

/// What a batch of acks came to.
#[derive(Debug)]
pub struct Settled {
    /// What became of each.
    pub verdicts: Vec<AckVerdict>,
    /// What has to be produced.
    pub emission: Emission,
}

impl Engine {
    /// Settles a batch of acks.
    pub async fn settle(&self, arrivals: &[Arrival<PreparedAck>]) -> Result<Settled, EngineError> {
        self.note("settle", self.settle_all(arrivals).await)
    }

    async fn settle_all(&self, arrivals: &[Arrival<PreparedAck>]) -> Result<Settled, EngineError> {
        let outboxed = arrivals.iter().any(|arrival| arrival.origin.is_none());
        let mut attempts = Attempts::new(self.store.as_ref(), &*self.metrics, "settle");
        let (verdicts, finished) = loop {
            let done = self.settle_once(arrivals, outboxed, &mut attempts).await;
            if let Some(done) = attempts.conclude(done).await {
                break done?;
            }
        };
        self.count_acks(arrivals, &verdicts);
        self.learn_ways(arrivals, &verdicts).await;
        let emission = finished.emit(self, outboxed).await?;
        Ok(Settled { verdicts, emission })
    }

    async fn settle_once<'a>(
        &self,
        arrivals: &'a [Arrival<PreparedAck>],
        outboxed: bool,
        attempts: &mut Attempts<'_>,
    ) -> Result<(Vec<AckVerdict>, Finished<'a>), EngineError> {
        let lock = attempts.lock();
        let mut tx = attempts.begin().await?;
        let known = self.pass_gate(&mut *tx, Gate::Shared).await?;
        tx.advance(&self.advances_of(arrivals)).await?;
        let (verdicts, work) = self.decide_acks(arrivals, &known, &mut *tx, lock).await?;
        let mut finished = work.finish(self, UseCase::Settle, known.now, outboxed)?;
        self.seal_capsules(&mut finished, &mut *tx).await?;
        tx.write(&finished.changes).await?;
        tx.commit().await?;
        Ok((verdicts, finished))
    }

    async fn decide_acks<'a>(
        &self,
        arrivals: &'a [Arrival<PreparedAck>],
        known: &Known,
        tx: &mut dyn Transaction,
        lock: Lock,
    ) -> Result<(Vec<AckVerdict>, Work<'a>), EngineError> {
        let mut ids: Vec<RequestId> = arrivals
            .iter()
            .filter_map(|arrival| arrival.content.as_ref().ok())
            .map(|p| p.ack.request_id)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let mut work = Work::with_loaded(tx.load(&ids, lock).await?, self.clock_skew);
        let now = known.now;
        let mut bodies = provided::bodies(arrivals, known, tx).await?;
        let decided = catch_unwind(AssertUnwindSafe(|| {
            let verdicts = arrivals
                .iter()
                .map(|arrival| self.decide_ack(arrival, known, now, &mut work, &mut bodies))
                .collect::<Result<Vec<_>, EngineError>>()?;
            self.conclude_answers(arrivals, &verdicts, known, now, &mut work)?;
            Ok::<_, EngineError>(verdicts)
        }));
        Ok((decided.map_err(|_| EngineError::Panicked)??, work))
    }

    fn decide_ack(
        &self,
        arrival: &Arrival<PreparedAck>,
        known: &Known,
        now: At,
        work: &mut Work<'_>,
        bodies: &mut Bodies,
    ) -> Result<AckVerdict, EngineError> {
        let refusal = match &arrival.content {
            Ok(prepared) => match self.take_answer(prepared, known, now, work, bodies) {
                Ok(verdict) => return Ok(verdict),
                Err(refused) => {
                    let reason = match refused {
                        AckRefusal::UnknownTask => DeadLetterReason::UnknownTask,
                        AckRefusal::Forged => DeadLetterReason::ForgedAck,
                        AckRefusal::Stale => DeadLetterReason::StaleAck,
                    };
                    Refusal::new(reason, refused.to_string())
                }
            },
            Err(refusal) => refusal.clone(),
        };
        if let Some(origin) = &arrival.origin {
            work.dead_letters.push(self.dead_letter(
                origin,
                &refusal,
                &arrival.raw,
                &arrival.headers,
                now,
            )?);
        }
        Ok(AckVerdict::Refused(refusal))
    }

    fn take_answer(
        &self,
        prepared: &PreparedAck,
        known: &Known,
        now: At,
        work: &mut Work<'_>,
        bodies: &mut Bodies,
    ) -> Result<AckVerdict, AckRefusal> {
        let touched = work
            .get_mut(prepared.ack.request_id)
            .ok_or(AckRefusal::UnknownTask)?;
        let context = self.context(known, now);
        let taken = touched.request.answer(
            &prepared.ack,
            prepared.token_matches,
            &context,
            &mut touched.trail,
        )?;
        let Taken::Counted { ordinal, sent_at } = taken else {
            return Ok(AckVerdict::Repeated);
        };
        if let Some(proof) = &prepared.proof {
            let task = touched.request.task(ordinal);
            let brought_by = BroughtBy {
                ordinal,
                generation: task.generation,
                attempt: prepared.ack.attempt,
            };
            touched.notes.add_proof(brought_by, &proof.salt, &proof.statement);
            touched.trail.entries.push(Entry::Evidence {
                ordinal,
                records: proof.records,
                commitment: proof.commitment,
            });
        }
        self.pass_on(prepared, ordinal, known, now, touched, bodies);
        Ok(AckVerdict::Counted {
            after: sent_at.map(|at| now.since(at)),
        })
    }

    /// Derives what follows, once for each request that an ack has moved.
    fn conclude_answers(
        &self,
        arrivals: &[Arrival<PreparedAck>],
        verdicts: &[AckVerdict],
        known: &Known,
        now: At,
        work: &mut Work<'_>,
    ) -> Result<(), EngineError> {
        let context = self.context(known, now);
        let mut concluded = HashSet::new();
        for (arrival, verdict) in arrivals.iter().zip(verdicts) {
            let (Ok(prepared), AckVerdict::Counted { .. }) = (&arrival.content, verdict) else {
                continue;
            };
            let id = prepared.ack.request_id;
            if let Some(touched) = work.get_mut(id)
                && concluded.insert(id)
            {
                touched.request.finish_answers(&context, &mut touched.trail)?;
            }
        }
        Ok(())
    }

    fn count_acks(&self, arrivals: &[Arrival<PreparedAck>], verdicts: &[AckVerdict]) {
        for (arrival, verdict) in arrivals.iter().zip(verdicts) {
            let Ok(prepared) = &arrival.content else {
                if let (AckVerdict::Refused(refusal), Some(_)) = (verdict, &arrival.origin) {
                    self.metrics.dead_letter(refusal.reason);
                }
                continue;
            };
            // A forger may write any name, so only what came from the task's own processor is counted under its name.
            let processor = prepared.ack.processor.as_str();
            match verdict {
                AckVerdict::Counted { after } => {
                    self.metrics
                        .ack(processor, prepared.ack.answer.outcome().as_str());
                    if let Some(after) = after {
                        self.metrics.ack_time(processor, *after);
                    }
                }
                AckVerdict::Repeated => self.metrics.ack(processor, "duplicate"),
                AckVerdict::Refused(refusal) => {
                    self.metrics.ack("", refusal.reason.as_str());
                    if arrival.origin.is_some() {
                        self.metrics.dead_letter(refusal.reason);
                    }
                }
            }
        }
    }
}
