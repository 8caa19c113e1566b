//! Settling: a batch of acks moves their tasks, in one transaction.

mod provided;

use std::time::Duration;

use async_trait::async_trait;
use foldhash::{HashSet, HashSetExt};
use provided::Bodies;

use super::{
    Engine, EngineError,
    batch::Batch,
    counter_slot::CounterSlot,
    decision_inputs::DecisionInputs,
    effects::Effects,
    prepare::{Arrival, PreparedAck},
    unit_of_work::{Decision, Load, UnitOfWork, run},
    use_cases::Settlement,
};
use crate::{
    domain::{
        entry::Entry,
        ids::RequestId,
        note::BroughtBy,
        request::answer::{AckRejection, Taken},
        words::DeadLetterReason,
    },
    store::{Lock, Transaction},
    wire::Rejection,
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
    Rejected(Rejection),
}

/// What a batch of acks came to.
#[derive(Debug)]
pub struct Settled {
    /// What became of each.
    pub verdicts: Vec<AckVerdict>,
    /// What has to be produced.
    pub emission: Effects,
}

impl Settlement<'_> {
    /// Settles a batch of acks.
    pub async fn settle(self, arrivals: &[Arrival<PreparedAck>]) -> Result<Settled, EngineError> {
        self.shared.note("settle", self.settle_all(arrivals).await)
    }

    async fn settle_all(&self, arrivals: &[Arrival<PreparedAck>]) -> Result<Settled, EngineError> {
        let unit = SettleAcks {
            engine: self.shared,
            arrivals,
        };
        let done = run(self.shared, &unit).await?;
        let verdicts = done.answer;
        self.count_acks(arrivals, &verdicts);
        self.shared.watch_agents(arrivals, &verdicts).await;
        self.shared.learn_partitioners(arrivals, &verdicts).await;
        let emission = done.finished.emit(self.shared, unit.is_outboxed()).await?;
        Ok(Settled { verdicts, emission })
    }

    fn count_acks(&self, arrivals: &[Arrival<PreparedAck>], verdicts: &[AckVerdict]) {
        let now = self.shared.clock.now();
        let mut counting = self.shared.counting();
        for (arrival, verdict) in arrivals.iter().zip(verdicts) {
            let Ok(prepared) = &arrival.content else {
                if let (AckVerdict::Rejected(rejection), Some(_)) = (verdict, &arrival.origin) {
                    self.shared.metrics.dead_letter(rejection.reason);
                }
                continue;
            };
            // A forger may write any name, so only what came from the task's own processor is counted under its name.
            let processor = prepared.ack.processor.as_str();
            match verdict {
                AckVerdict::Counted { after } => {
                    let outcome = prepared.ack.answer.outcome();
                    self.shared.metrics.ack(processor, outcome.as_str());
                    counting.answered(&prepared.ack.processor, outcome, *after, now);
                    if let Some(after) = after {
                        self.shared.metrics.ack_time(processor, *after);
                    }
                }
                AckVerdict::Repeated => self.shared.metrics.ack(processor, "duplicate"),
                AckVerdict::Rejected(rejection) => {
                    self.shared.metrics.ack("", rejection.reason.as_str());
                    if arrival.origin.is_some() {
                        self.shared.metrics.dead_letter(rejection.reason);
                    }
                }
            }
        }
    }
}

/// Settles acks, and answers what became of each.
struct SettleAcks<'a> {
    engine: &'a Engine,
    arrivals: &'a [Arrival<PreparedAck>],
}

#[async_trait]
impl<'a> UnitOfWork<'a> for SettleAcks<'a> {
    type Loaded = Bodies;
    type Output = Vec<AckVerdict>;
    type Error = EngineError;

    const SLOT: CounterSlot = CounterSlot::Settlement;

    fn name(&self) -> &'static str {
        "settle"
    }

    fn is_outboxed(&self) -> bool {
        self.arrivals.iter().any(|arrival| arrival.origin.is_none())
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        inputs: &mut DecisionInputs,
        lock: Lock,
    ) -> Result<Load<Bodies, Vec<AckVerdict>>, EngineError> {
        tx.advance(&self.engine.advances_of(self.arrivals)).await?;
        let mut ids: Vec<RequestId> = self
            .arrivals
            .iter()
            .filter_map(|arrival| arrival.content.as_ref().ok())
            .map(|p| p.ack.request_id)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let rows = tx.load(&ids, lock).await?;
        let bodies = provided::bodies(self.arrivals, inputs, tx).await?;
        Ok(Load::Ready(rows, bodies))
    }

    fn decide(
        &self,
        bodies: &mut Bodies,
        inputs: &DecisionInputs,
        batch: &mut Batch<'a>,
    ) -> Result<Decision<Vec<AckVerdict>>, EngineError> {
        let verdicts = self
            .arrivals
            .iter()
            .map(|arrival| self.decide_ack(arrival, inputs, batch, bodies))
            .collect::<Result<Vec<_>, EngineError>>()?;
        self.finish_answers(&verdicts, inputs, batch)?;
        Ok(Decision::Write(verdicts))
    }
}

impl SettleAcks<'_> {
    fn decide_ack(
        &self,
        arrival: &Arrival<PreparedAck>,
        inputs: &DecisionInputs,
        batch: &mut Batch<'_>,
        bodies: &mut Bodies,
    ) -> Result<AckVerdict, EngineError> {
        let rejection = match &arrival.content {
            Ok(prepared) => match self.take_answer(prepared, inputs, batch, bodies) {
                Ok(verdict) => return Ok(verdict),
                Err(refused) => {
                    let reason = match refused {
                        AckRejection::UnknownTask => DeadLetterReason::UnknownTask,
                        AckRejection::Forged => DeadLetterReason::ForgedAck,
                        AckRejection::Stale => DeadLetterReason::StaleAck,
                    };
                    Rejection::new(reason, refused.to_string())
                }
            },
            Err(rejection) => rejection.clone(),
        };
        if let Some(origin) = &arrival.origin {
            let (raw, headers) = (&arrival.raw, &arrival.headers);
            let letter = self
                .engine
                .dead_letter(origin, &rejection, raw, headers, inputs.now)?;
            batch.changes.dead_letters.push(letter);
        }
        Ok(AckVerdict::Rejected(rejection))
    }

    fn take_answer(
        &self,
        prepared: &PreparedAck,
        inputs: &DecisionInputs,
        batch: &mut Batch<'_>,
        bodies: &mut Bodies,
    ) -> Result<AckVerdict, AckRejection> {
        let touched = batch
            .get_mut(prepared.ack.request_id)
            .ok_or(AckRejection::UnknownTask)?;
        let context = self.engine.context(inputs);
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
        self.engine.pass_on(prepared, ordinal, inputs, touched, bodies);
        Ok(AckVerdict::Counted {
            after: sent_at.map(|at| inputs.now.since(at)),
        })
    }

    /// Derives what follows, once for each request that an ack has moved.
    fn finish_answers(
        &self,
        verdicts: &[AckVerdict],
        inputs: &DecisionInputs,
        batch: &mut Batch<'_>,
    ) -> Result<(), EngineError> {
        let context = self.engine.context(inputs);
        let mut concluded = HashSet::new();
        for (arrival, verdict) in self.arrivals.iter().zip(verdicts) {
            let (Ok(prepared), AckVerdict::Counted { .. }) = (&arrival.content, verdict) else {
                continue;
            };
            let id = prepared.ack.request_id;
            if let Some(touched) = batch.get_mut(id)
                && concluded.insert(id)
            {
                touched.request.finish_answers(&context, &mut touched.trail)?;
            }
        }
        Ok(())
    }
}
