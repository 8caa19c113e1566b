//! From a committed transaction to confirmed outputs: produce, wait, produce again what was not confirmed, and bring
//! the last record of each key up to date.

use std::sync::{Arc, Mutex, PoisonError};

use foldhash::HashMap;
use tokio_util::sync::CancellationToken;

use super::{
    KafkaError,
    outlet::{Delivery, Outlet, Sent},
};
use crate::{
    domain::ids::RequestId,
    engine::{
        Engine, EngineError,
        outputs::{Emission, RecordKind},
        schedule::Pauses,
        words::Words,
    },
    store::Origin,
};

/// Lands emissions.
#[derive(Debug, Clone)]
pub struct Lander {
    /// The use cases.
    pub engine: Arc<Engine>,
    /// The producer.
    pub outlet: Arc<Outlet>,
    /// Ends waiting at shutdown.
    pub shutdown: CancellationToken,
    handed_over: HandedOver,
}

/// The highest revision of each status on its way that this worker has handed to the producer.
///
/// Stages commit and hand over concurrently, so an earlier status can come second: it is left out then. Without this
/// every landing would find that the worker itself has moved on, and say the same status twice.
#[derive(Debug, Clone, Default)]
struct HandedOver(Arc<Mutex<HashMap<RequestId, u32>>>);

impl HandedOver {
    /// Keeps of an emission what is not out of date, and remembers it.
    fn hand_over(&self, emission: &mut Emission) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut outdated = Vec::new();
        for (id, revision) in &emission.revisions {
            let known = latest.entry(*id).or_insert(*revision);
            if *known > *revision {
                outdated.push(*id);
            }
            *known = (*known).max(*revision);
        }
        if !outdated.is_empty() {
            emission.records.retain(
                |record| !matches!(&record.kind, RecordKind::Status { id, .. } if outdated.contains(id)),
            );
        }
    }

    /// What has landed is forgotten. The answer is what no later emission of this worker covers: the others bring the
    /// last record up to date when the later one lands.
    fn land(&self, revisions: &[(RequestId, u32)]) -> Vec<(RequestId, u32)> {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = Vec::with_capacity(revisions.len());
        for (id, revision) in revisions {
            if latest.get(id).is_none_or(|highest| highest <= revision) {
                latest.remove(id);
                last.push((*id, *revision));
            }
        }
        last
    }
}

/// An emission that has been handed to the producer.
#[derive(Debug)]
pub struct Airborne {
    sent: Sent,
    revisions: Vec<(RequestId, u32)>,
    words: Words,
    /// The messages that may be answered by dead letters among it, which can be said again from the store.
    origins: Vec<Origin>,
    outboxed: bool,
}

/// How a landing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landed {
    /// Everything is confirmed.
    Confirmed,
    /// The worker shuts down: what is not confirmed will be said again after the next start.
    GivenUp,
}

impl Lander {
    /// Puts it together.
    pub fn new(engine: Arc<Engine>, outlet: Arc<Outlet>, shutdown: CancellationToken) -> Self {
        Self {
            engine,
            outlet,
            shutdown,
            handed_over: HandedOver::default(),
        }
    }

    /// Hands an emission to the producer. `origins`: the messages among which are those that its dead letters answer.
    pub async fn launch(&self, mut emission: Emission, origins: Vec<Origin>) -> Result<Airborne, KafkaError> {
        self.handed_over.hand_over(&mut emission);
        let sent = self.outlet.send(&emission.records).await?;
        Ok(Airborne {
            sent,
            revisions: emission.revisions,
            words: emission.words,
            origins,
            outboxed: emission.outboxed,
        })
    }

    /// Waits until it is confirmed. What timed out is decided again under the lock and said again.
    pub async fn land(&self, airborne: Airborne) -> Result<Landed, KafkaError> {
        let Airborne {
            sent,
            revisions,
            mut words,
            origins,
            outboxed,
        } = airborne;
        let mut delivery = sent.landed().await;
        let mut pauses = Pauses::default();
        let mut refuses_large = false;
        while !delivery.is_confirmed() {
            if delivery == Delivery::TooLarge && !refuses_large {
                refuses_large = true;
                tracing::error!(
                    "a topic takes less than `lacuna topics create` allows (max.message.bytes): large dead letters go without \
                     their bytes, which stay in the store"
                );
            }
            tracing::warn!(
                requests = revisions.len(),
                "outputs were not confirmed: producing them again"
            );
            tokio::select! {
                () = self.shutdown.cancelled() => return Ok(Landed::GivenUp),
                // A broker that is away is waited for; this is no timer of the domain.
                () = tokio::time::sleep(pauses.longer()) => {}
            }
            let ids: Vec<RequestId> = revisions.iter().map(|(id, _)| *id).collect();
            match self.say_again(&ids, &origins, &mut words).await {
                Ok(mut again) => {
                    if refuses_large {
                        again.shorten_dead_letters();
                    }
                    delivery = self.outlet.send_again(&again.records).await.landed().await;
                }
                Err(error) if error.is_outage() => tracing::warn!(%error, "outputs wait for the store"),
                Err(error) => return Err(error.into()),
            }
        }
        self.catch_up(self.handed_over.land(&revisions)).await?;
        self.confirm(words).await?;
        if outboxed {
            self.engine
                .store
                .outbox_done(&revisions)
                .await
                .map_err(EngineError::from)?;
        }
        Ok(Landed::Confirmed)
    }

    /// What was not confirmed, as it is true now.
    async fn say_again(
        &self,
        ids: &[RequestId],
        origins: &[Origin],
        words: &mut Words,
    ) -> Result<Emission, EngineError> {
        let mut again = self.engine.reissue(ids, origins).await?;
        again.append(self.engine.say_again(words).await?);
        *words = again.words.clone();
        Ok(again)
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
            if !self
                .outlet
                .send_again(&correction.records)
                .await
                .landed()
                .await
                .is_confirmed()
            {
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
            if !self
                .outlet
                .send_again(&newer.records)
                .await
                .landed()
                .await
                .is_confirmed()
            {
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
}
