//! From a committed transaction to confirmed outputs: produce, wait, produce again what was not confirmed, and bring
//! the last record of each key up to date.
//!
//! Confirmation is per record. What the topic of one processor does not take goes back to ready and holds up nobody; what
//! Lacuna's own topics do not take is said again until they take it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{
    KafkaError,
    faults::{Circumstances, Verdicts},
    handed_over::HandedOver,
    outlet::{Outlet, Sent},
};
use crate::{
    domain::{ids::RequestId, task::Undelivered},
    engine::{
        Engine, EngineError,
        outputs::{Emission, Record, shorten_dead_letters},
        schedule::Pauses,
        undeliverable::Bounced,
        words::Words,
    },
    telemetry::readiness::Readiness,
};

/// What a worker that is not ready because of its outputs calls them.
const PART: &str = "outputs";

/// Lands emissions.
#[derive(Debug, Clone)]
pub struct Lander {
    /// The use cases.
    pub engine: Arc<Engine>,
    /// The producer.
    pub outlet: Arc<Outlet>,
    /// Ends waiting at shutdown.
    pub shutdown: CancellationToken,
    readiness: Readiness,
    handed_over: HandedOver,
}

/// An emission that has been handed to the producer.
#[derive(Debug)]
pub struct Airborne {
    sent: Sent,
    said: Said,
}

/// What was said, as far as it may have to be said again.
#[derive(Debug)]
struct Said {
    records: Vec<Record>,
    revisions: Vec<(RequestId, u32)>,
    words: Words,
    outboxed: bool,
    /// How often it was said before.
    rounds: u32,
    /// Dead letters go without their bytes from now on.
    short_letters: bool,
}

/// How a landing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landed {
    /// Everything is confirmed, or has gone back to ready.
    Confirmed,
    /// The worker shuts down: what is not confirmed will be said again after the next start.
    GivenUp,
}

impl Lander {
    /// Puts it together.
    pub fn new(
        engine: Arc<Engine>,
        outlet: Arc<Outlet>,
        readiness: Readiness,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            engine,
            outlet,
            shutdown,
            readiness,
            handed_over: HandedOver::default(),
        }
    }

    /// Hands an emission to the producer.
    pub async fn launch(&self, mut emission: Emission) -> Result<Airborne, KafkaError> {
        self.handed_over.hand_over(&mut emission);
        let sent = self.outlet.send(&emission.records).await?;
        Ok(Airborne {
            sent,
            said: Said {
                records: emission.records,
                revisions: emission.revisions,
                words: emission.words,
                outboxed: emission.outboxed,
                rounds: 0,
                short_letters: false,
            },
        })
    }

    /// Waits until it is confirmed. What timed out is decided again under the lock and said again.
    pub async fn land(&self, airborne: Airborne) -> Result<Landed, KafkaError> {
        let Airborne { sent, mut said } = airborne;
        let mut failures = sent.landed().await;
        let mut pauses = Pauses::default();
        let mut is_stuck = false;
        while !failures.is_empty() {
            let records = std::mem::take(&mut said.records);
            let verdicts = self.judge(records, &failures, said.rounds).await;
            if !verdicts.own.is_empty() {
                self.complain(&verdicts, &mut is_stuck);
            }
            if verdicts.is_waited_for() && self.pause(&mut pauses).await == Landed::GivenUp {
                return Ok(Landed::GivenUp);
            }
            while let Err(error) = self.prepare_again(&mut said, &verdicts).await {
                if !error.is_outage() {
                    return Err(error.into());
                }
                tracing::warn!(%error, "outputs wait for the store");
                if self.pause(&mut pauses).await == Landed::GivenUp {
                    return Ok(Landed::GivenUp);
                }
            }
            said.rounds += 1;
            failures = self.outlet.send_again(&said.records).await.landed().await;
        }
        if is_stuck {
            self.readiness.ready(PART);
        }
        self.finish(said).await
    }

    async fn finish(&self, said: Said) -> Result<Landed, KafkaError> {
        self.catch_up(self.handed_over.land(&said.revisions)).await?;
        self.confirm(said.words).await?;
        if said.outboxed {
            self.engine
                .store
                .outbox_done(&said.revisions)
                .await
                .map_err(EngineError::from)?;
        }
        Ok(Landed::Confirmed)
    }

    /// A broker that is away is waited for; this is no timer of the domain.
    async fn pause(&self, pauses: &mut Pauses) -> Landed {
        tokio::select! {
            () = self.shutdown.cancelled() => Landed::GivenUp,
            () = tokio::time::sleep(pauses.longer()) => Landed::Confirmed,
        }
    }

    /// Decides whose fault it is that these were not confirmed. What may be too large is tried apart first.
    async fn judge(
        &self,
        records: Vec<Record>,
        failures: &[super::outlet::Failure],
        rounds: u32,
    ) -> Verdicts {
        let circumstances = Circumstances {
            alone: false,
            rounds,
            throttled: self.outlet.is_throttled(),
        };
        let mut verdicts = Verdicts::of(records, failures, circumstances);
        let apart = std::mem::take(&mut verdicts.apart);
        if !apart.is_empty() {
            let failures = self.outlet.send_each_alone(&apart).await.landed().await;
            let failed: Vec<usize> = failures.iter().map(|failure| failure.place).collect();
            // Taken apart, and not together.
            for (_, record) in apart
                .iter()
                .enumerate()
                .filter(|(place, _)| !failed.contains(place))
            {
                self.outlet.takes_small_batches(&record.topic);
            }
            let alone = Circumstances {
                alone: true,
                ..circumstances
            };
            verdicts.append(Verdicts::of(apart, &failures, alone));
        }
        for (topic, code) in &verdicts.topics {
            for processor in self.engine.processors_of(topic) {
                self.engine.shut_lane(&processor, &code.to_string());
            }
        }
        verdicts
    }

    /// Says once what stops a stage, and shows it for as long as it does.
    fn complain(&self, verdicts: &Verdicts, is_stuck: &mut bool) {
        let topics: Vec<String> = verdicts
            .own
            .iter()
            .map(|(topic, code)| format!("{topic} ({code})"))
            .collect();
        let topics = topics.join(", ");
        if !*is_stuck {
            tracing::error!(
                topics,
                "outputs are not confirmed and are produced again until they are: nothing goes on before"
            );
        }
        *is_stuck = true;
        self.readiness.not_ready(PART, format!("not confirmed: {topics}"));
    }

    /// Puts back what topics did not take, and prepares the rest to be said again, as it is true now.
    async fn prepare_again(&self, said: &mut Said, verdicts: &Verdicts) -> Result<(), EngineError> {
        let mut again = self.put_back(verdicts).await?;
        self.handed_over.hand_over(&mut again);
        let tasks: Vec<_> = verdicts.tasks.iter().map(|(task, _)| *task).collect();
        if !tasks.is_empty() {
            let out = self.engine.still_out(&tasks).await?;
            let still = verdicts.tasks.iter().filter(|(task, _)| out.contains(task));
            again.records.extend(still.map(|(_, record)| record.clone()));
        }
        again.append(self.engine.say_where_they_stand(&verdicts.statuses).await?);
        if verdicts.words {
            let words = self.engine.say_again(&said.words).await?;
            said.words = words.words.clone();
            again.append(words);
        } else {
            said.words.append(again.words.clone());
        }
        if verdicts.large_letter && !said.short_letters {
            said.short_letters = true;
            tracing::error!(
                "a topic takes less than `lacuna topics create` allows (max.message.bytes): large dead letters go without \
                 their bytes, which stay in the store"
            );
        }
        again.records.extend(verdicts.letters.iter().cloned());
        if said.short_letters {
            shorten_dead_letters(&mut again.records);
        }
        said.records = again.records;
        said.outboxed |= again.outboxed;
        said.keep_highest(&again.revisions);
        if said.outboxed {
            // Whoever looks for what nobody produces passes these over.
            let ids: Vec<RequestId> = said.revisions.iter().map(|(id, _)| *id).collect();
            self.engine
                .store
                .keep_outbox(&ids, self.engine.clock.now())
                .await?;
        }
        Ok(())
    }

    async fn put_back(&self, verdicts: &Verdicts) -> Result<Emission, EngineError> {
        let refused = verdicts.refused.iter().map(|(sent, certain)| Bounced {
            sent: *sent,
            why: Undelivered::Refused,
            certain: *certain,
        });
        let mut bounced: Vec<Bounced> = refused.collect();
        let mut limits = std::collections::BTreeMap::new();
        for (sent, record) in &verdicts.too_large {
            if !limits.contains_key(&record.topic) {
                let limit = self.outlet.limit_of(&record.topic).await;
                for processor in self.engine.processors_of(&record.topic) {
                    if let Some(limit) = limit {
                        self.engine.learn_limit(&processor, limit);
                    }
                }
                limits.insert(Arc::clone(&record.topic), limit);
            }
            let limit = limits.get(&record.topic).copied().flatten();
            let bytes = u32::try_from(record.payload.len()).unwrap_or(u32::MAX);
            tracing::error!(
                topic = %record.topic,
                bytes,
                limit,
                "a task is larger than its topic takes (max.message.bytes): its request needs attention"
            );
            bounced.push(Bounced {
                sent: *sent,
                why: Undelivered::TooLarge { bytes, limit },
                // The broker or the client has refused it as a whole.
                certain: true,
            });
        }
        if bounced.is_empty() {
            return Ok(Emission::default());
        }
        self.engine.put_back(&bounced).await
    }

    /// The last words of keys are confirmed. What has become another truth meanwhile is said once more; the rows that
    /// remember them go when that is confirmed as well, or are said again later.
    async fn confirm(&self, words: Words) -> Result<(), KafkaError> {
        let mut said = words.clone();
        while !said.suppressed.is_empty() || !said.gone.is_empty() {
            let correction = self.engine.correct(&said).await?;
            if correction.records.is_empty() {
                break;
            }
            if !self.is_confirmed(&correction).await {
                tracing::warn!(
                    records = correction.records.len(),
                    "the last words of some keys were not confirmed"
                );
                return Ok(());
            }
            said = correction.words;
        }
        Ok(self.engine.confirmed(&words).await?)
    }

    /// Another worker may have produced a later status before ours arrived: then the latest is said once more.
    async fn catch_up(&self, mut revisions: Vec<(RequestId, u32)>) -> Result<(), KafkaError> {
        while !revisions.is_empty() {
            let newer = self.engine.catch_up(&revisions).await?;
            if newer.is_empty() {
                return Ok(());
            }
            if !self.is_confirmed(&newer).await {
                // The next change, or the outbox, says it again; nothing is claimed that is not true.
                tracing::warn!(
                    requests = newer.revisions.len(),
                    "a later status was not confirmed"
                );
                return Ok(());
            }
            revisions = newer.revisions;
        }
        Ok(())
    }

    async fn is_confirmed(&self, emission: &Emission) -> bool {
        let sent = self.outlet.send_again(&emission.records).await;
        sent.landed().await.is_empty()
    }
}

impl Said {
    /// What was said of a request last counts, so that nobody says it once more.
    fn keep_highest(&mut self, revisions: &[(RequestId, u32)]) {
        if revisions.is_empty() {
            return;
        }
        let mut highest: foldhash::HashMap<RequestId, u32> = foldhash::HashMap::default();
        for (id, revision) in self.revisions.iter().chain(revisions) {
            let known = highest.entry(*id).or_insert(*revision);
            *known = (*known).max(*revision);
        }
        self.revisions = highest.into_iter().collect();
    }
}
