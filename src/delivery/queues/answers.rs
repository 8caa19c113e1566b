//! What came of sends, as acks: settled by the same function as any other ack, so that there is one way in which a task is settled.

use std::time::Duration;

use crate::{
    domain::ack::{Ack, Answer},
    engine::{
        Engine, EngineError,
        breaker::Seen,
        effects::{Effects, TaskDispatch},
        prepare::{Arrival, PreparedAck},
        settlement::AckVerdict,
    },
    telemetry::traces::trace_id_of,
    transport::sender::{Failed, Reply},
};

/// A task that was sent, and what came of it.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) task: TaskDispatch,
    pub(super) reply: Reply,
    /// How long the call took.
    pub(super) took: Duration,
}

impl Answered {
    /// What its lane's breaker sees.
    pub(super) fn seen(&self) -> Seen {
        match &self.reply {
            Reply::Ack(ack) => match ack.answer {
                Answer::Failed { .. } => Seen::Failed("it answered `failed`".to_owned()),
                _ => Seen::Answered,
            },
            // It is there, and says when it wants to be asked.
            Reply::Failed(Failed { counts: false, .. }) => Seen::Answered,
            Reply::Failed(failed) => Seen::Failed(failed.why.clone().into_owned()),
            Reply::Unauthorised(why) => Seen::Unauthorised(why.clone().into_owned()),
        }
    }

    /// For how long the processor has asked for patience.
    pub(super) fn patience(&self) -> Option<Duration> {
        match &self.reply {
            Reply::Failed(failed) if !failed.counts => failed.retry_after,
            _ => None,
        }
    }

    /// The word that metrics have for it.
    pub(super) const fn outcome(&self) -> &'static str {
        match &self.reply {
            Reply::Ack(_) => "answered",
            Reply::Failed(Failed { counts: true, .. }) => "failed",
            Reply::Failed(_) => "not_now",
            Reply::Unauthorised(_) => "unauthorised",
        }
    }

    /// The same where nothing came of it; `None`: it was answered.
    pub(super) const fn failure(&self) -> Option<&'static str> {
        match &self.reply {
            Reply::Ack(_) => None,
            Reply::Failed(_) | Reply::Unauthorised(_) => Some(self.outcome()),
        }
    }

    /// The trace that it belongs to, for the log.
    fn trace_id(&self) -> Option<&str> {
        self.task.trace.as_deref().and_then(trace_id_of)
    }

    fn ack(&self, probe_after: Duration) -> Ack {
        let seconds = |after: Duration| u32::try_from(after.as_secs()).unwrap_or(u32::MAX);
        match &self.reply {
            Reply::Ack(ack) => (**ack).clone(),
            Reply::Failed(failed) => {
                let retry_after_seconds = failed.retry_after.map(seconds);
                let answer = match (failed.counts, failed.may_have_arrived) {
                    (false, _) => Answer::NotNow { retry_after_seconds },
                    (true, true) => Answer::Lost { retry_after_seconds },
                    (true, false) => Answer::Failed { retry_after_seconds },
                };
                self.ack_of(answer, &failed.why)
            }
            // The lane has stopped: it is tried again when the lane is.
            Reply::Unauthorised(why) => self.ack_of(
                Answer::NotNow {
                    retry_after_seconds: Some(seconds(probe_after)),
                },
                why,
            ),
        }
    }

    fn ack_of(&self, answer: Answer, why: &str) -> Ack {
        let sent = self.task.sent();
        Ack {
            request_id: sent.request,
            task_id: sent.task,
            generation: sent.generation,
            attempt: sent.attempt,
            processor: self.task.processor.clone(),
            token: self.task.token().to_owned(),
            answer,
            evidence: None,
            identities: Vec::new(),
            at: None,
            message: Some(why.to_owned()),
        }
    }
}

/// Settles what came of calls that were not made by the runner of lanes: where a clock is turned by hand, whoever turns it
/// makes them.
pub async fn settle_replies(
    engine: &Engine,
    called: Vec<(TaskDispatch, Reply)>,
) -> Result<Effects, EngineError> {
    let answered: Vec<Answered> = called
        .into_iter()
        .map(|(task, reply)| Answered {
            task,
            reply,
            took: Duration::ZERO,
        })
        .collect();
    settle(engine, &answered).await
}

/// Settles answers, in one transaction.
pub(super) async fn settle(engine: &Engine, answered: &[Answered]) -> Result<Effects, EngineError> {
    if answered.is_empty() {
        return Ok(Effects::default());
    }
    let arrivals: Vec<Arrival<PreparedAck>> = answered
        .iter()
        .map(|answered| arrival(engine, answered))
        .collect();
    match settle_together(engine, answered, &arrivals).await {
        Err(error) if !error.is_outage() && answered.len() > 1 => {
            let mut effects = Effects::default();
            for (answered, arrival) in answered.iter().zip(arrivals) {
                effects.append(settle_alone(engine, answered, arrival).await?);
            }
            Ok(effects)
        }
        Err(error) if !error.is_outage() => {
            give_up(&answered[0], &error);
            Ok(Effects::default())
        }
        settled => settled,
    }
}

/// One at which the program fails must not keep its neighbours: it goes unanswered, and what goes unanswered is asked again.
async fn settle_alone(
    engine: &Engine,
    answered: &Answered,
    arrival: Arrival<PreparedAck>,
) -> Result<Effects, EngineError> {
    match settle_together(engine, std::slice::from_ref(answered), &[arrival]).await {
        Err(error) if !error.is_outage() => {
            give_up(answered, &error);
            Ok(Effects::default())
        }
        settled => settled,
    }
}

fn give_up(answered: &Answered, error: &EngineError) {
    tracing::error!(
        request = %answered.task.request(),
        trace_id = answered.trace_id(),
        processor = %answered.task.processor,
        error = error as &dyn std::error::Error,
        "an answer cannot be settled: the task is asked again when its answer is missing"
    );
}

async fn settle_together(
    engine: &Engine,
    answered: &[Answered],
    arrivals: &[Arrival<PreparedAck>],
) -> Result<Effects, EngineError> {
    let settled = engine.settlement().settle(arrivals).await?;
    for (answered, verdict) in answered.iter().zip(&settled.verdicts) {
        if let AckVerdict::Rejected(rejection) = verdict {
            tracing::warn!(
                request = %answered.task.request(),
                trace_id = answered.trace_id(),
                processor = %answered.task.processor,
                reason = rejection.reason.as_str(),
                "an answer changes nothing"
            );
        }
    }
    Ok(settled.emission)
}

fn arrival(engine: &Engine, answered: &Answered) -> Arrival<PreparedAck> {
    let active = engine.active().ok();
    let registered = active
        .as_ref()
        .and_then(|active| active.registry.get(&answered.task.processor));
    let probe_after = registered
        .map(|processor| processor.breaker)
        .unwrap_or_default()
        .probe_after;
    let ack = answered.ack(probe_after);
    let prepared = engine.settlement().prepare_ack(ack).or_else(|rejection| {
        // What it brings is refused, and so is all of it: it has arrived, and what became of it is not known.
        let lost = Answer::Lost {
            retry_after_seconds: None,
        };
        engine
            .settlement()
            .prepare_ack(answered.ack_of(lost, &rejection.detail))
    });
    Arrival::of_call_result(prepared)
}
