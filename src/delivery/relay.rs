//! The relay: from a committed transaction to confirmed outputs. It sends, waits, repeats what was not confirmed, and
//! brings the last record of each key up to date.
//!
//! Confirmation is per effect. What the destination of one processor does not take goes back to ready and holds up nobody;
//! what upstream and operators are to be told is repeated until it is taken.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{
    DeliveryError,
    handed_over::HandedOver,
    tombstones,
    verdicts::{Circumstances, TooLarge, Verdicts},
};
use crate::{
    domain::{ids::RequestId, task::Undelivered},
    engine::{
        Engine, EngineError,
        effects::{Effect, Effects, SentTask, Tombstones},
        schedule::Pauses,
        undeliverable::Bounced,
    },
    telemetry::readiness::Readiness,
    transport::{Confirmations, Failure, Manner, Transport},
};

/// What a worker that is not ready because of its outputs calls them.
const PART: &str = "outputs";

/// The bytes of a dead letter that every destination takes.
const ALWAYS_TAKEN: usize = 64 * 1024;

/// Brings effects out.
#[derive(Debug, Clone)]
pub struct Relay {
    /// The use cases.
    pub engine: Arc<Engine>,
    /// The way out.
    pub transport: Arc<dyn Transport>,
    /// Ends waiting at shutdown.
    pub shutdown: CancellationToken,
    readiness: Readiness,
    handed_over: HandedOver,
}

/// Effects that are on their way.
#[derive(Debug)]
pub struct InFlight {
    confirmations: Confirmations,
    pending: Pending,
}

/// What is not known to have arrived.
#[derive(Debug)]
struct Pending {
    effects: Vec<Effect>,
    revisions: Vec<(RequestId, u32)>,
    tombstones: Tombstones,
    outboxed: bool,
    /// How often it was sent before.
    rounds: u32,
    /// Dead letters go without their bytes from now on.
    short_letters: bool,
}

/// How it stands with effects that were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// Everything is confirmed, or has gone back to ready.
    Confirmed,
    /// The worker shuts down: what is not confirmed is produced again after the next start.
    Pending,
}

impl Relay {
    /// Puts it together.
    pub fn new(
        engine: Arc<Engine>,
        transport: Arc<dyn Transport>,
        readiness: Readiness,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            engine,
            transport,
            shutdown,
            readiness,
            handed_over: HandedOver::default(),
        }
    }

    /// Sends effects, once there is room for them.
    pub async fn send(&self, mut emission: Effects) -> Result<InFlight, DeliveryError> {
        self.handed_over.hand_over(&mut emission);
        let confirmations = self
            .transport
            .send(&emission.effects, Manner::WithinLimit)
            .await?;
        Ok(InFlight {
            confirmations,
            pending: Pending {
                effects: emission.effects,
                revisions: emission.revisions,
                tombstones: emission.tombstones,
                outboxed: emission.outboxed,
                rounds: 0,
                short_letters: false,
            },
        })
    }

    /// Sends effects and waits until they are confirmed.
    pub async fn deliver(&self, emission: Effects) -> Result<Delivered, DeliveryError> {
        self.confirm(self.send(emission).await?).await
    }

    /// Delivers what `decide` comes to, batch after batch, each decided while the one before it is being confirmed: until it
    /// says that there is no more, or so many are done. The answer is how often it said that there is more.
    pub async fn deliver_batches<F>(
        &self,
        most: u32,
        mut decide: impl FnMut() -> F + Send,
    ) -> Result<u32, DeliveryError>
    where
        F: Future<Output = Result<(Effects, bool), EngineError>> + Send,
    {
        let mut in_flight = None;
        let mut done = 0;
        while done < most {
            let (decided, confirmed) = tokio::join!(decide(), self.confirm_earlier(in_flight.take()));
            confirmed?;
            let (emission, is_more) = decided?;
            if !emission.is_empty() {
                in_flight = Some(self.send(emission).await?);
            }
            if !is_more || self.shutdown.is_cancelled() {
                break;
            }
            done += 1;
        }
        self.confirm_earlier(in_flight).await?;
        Ok(done)
    }

    async fn confirm_earlier(&self, earlier: Option<InFlight>) -> Result<(), DeliveryError> {
        match earlier {
            Some(in_flight) => self.confirm(in_flight).await.map(drop),
            None => Ok(()),
        }
    }

    /// Waits until it is confirmed. What was not is looked at again under the lock, and repeated.
    pub async fn confirm(&self, in_flight: InFlight) -> Result<Delivered, DeliveryError> {
        let InFlight {
            confirmations,
            mut pending,
        } = in_flight;
        let mut failures = confirmations.failures().await;
        let mut pauses = Pauses::default();
        let mut is_stuck = false;
        while !failures.is_empty() {
            let circumstances = Circumstances {
                rounds: pending.rounds,
                throttled: self.transport.is_throttled(),
            };
            let effects = std::mem::take(&mut pending.effects);
            let verdicts = self
                .judge(Verdicts::of(effects, failures, circumstances), circumstances)
                .await?;
            if !verdicts.own.is_empty() {
                self.complain(&verdicts, &mut is_stuck);
            }
            if verdicts.is_waited_for() && self.pause(&mut pauses).await == Delivered::Pending {
                return Ok(Delivered::Pending);
            }
            while let Err(error) = self.prepare_again(&mut pending, &verdicts).await {
                if !error.is_outage() {
                    return Err(error.into());
                }
                tracing::warn!(%error, "outputs wait for the store");
                if self.pause(&mut pauses).await == Delivered::Pending {
                    return Ok(Delivered::Pending);
                }
            }
            pending.rounds += 1;
            failures = self.send_again(&pending.effects, Manner::AtOnce).await?;
        }
        if is_stuck {
            self.readiness.ready(PART);
        }
        self.finish(pending).await
    }

    /// Sends what must not wait for room, and gives what was not confirmed.
    async fn send_again(&self, effects: &[Effect], manner: Manner) -> Result<Vec<Failure>, DeliveryError> {
        Ok(self.transport.send(effects, manner).await?.failures().await)
    }

    async fn finish(&self, pending: Pending) -> Result<Delivered, DeliveryError> {
        self.catch_up(self.handed_over.confirmed(&pending.revisions))
            .await?;
        tombstones::confirm(&self.engine, &*self.transport, pending.tombstones).await?;
        if pending.outboxed {
            self.engine.outbox_done(&pending.revisions).await?;
        }
        Ok(Delivered::Confirmed)
    }

    /// A transport that is away is waited for; this is no timer of the domain.
    async fn pause(&self, pauses: &mut Pauses) -> Delivered {
        tokio::select! {
            () = self.shutdown.cancelled() => Delivered::Pending,
            () = tokio::time::sleep(pauses.longer()) => Delivered::Confirmed,
        }
    }

    /// Tries apart what may be too large, and stops sending to destinations that take nothing.
    async fn judge(
        &self,
        mut verdicts: Verdicts,
        circumstances: Circumstances,
    ) -> Result<Verdicts, DeliveryError> {
        let apart = std::mem::take(&mut verdicts.apart);
        if !apart.is_empty() {
            let failures = self.send_again(&apart, Manner::EachAlone).await?;
            verdicts.append(Verdicts::of(apart, failures, circumstances));
        }
        for (processor, takes_nothing) in &verdicts.shut {
            self.engine
                .shut_lane(processor, &takes_nothing.destination, &takes_nothing.why);
        }
        Ok(verdicts)
    }

    /// Says once what stops a stage, and shows it for as long as it does.
    fn complain(&self, verdicts: &Verdicts, is_stuck: &mut bool) {
        let own = verdicts.own.iter();
        let destinations: Vec<String> = own.map(|(name, why)| format!("{name} ({why})")).collect();
        let topics = destinations.join(", ");
        if !*is_stuck {
            tracing::error!(
                topics,
                "outputs are not confirmed and are produced again until they are: nothing goes on before"
            );
        }
        *is_stuck = true;
        self.readiness.not_ready(PART, format!("not confirmed: {topics}"));
    }

    /// Puts back what destinations did not take, and prepares the rest to be repeated, as it is true now.
    async fn prepare_again(&self, pending: &mut Pending, verdicts: &Verdicts) -> Result<(), EngineError> {
        let mut again = self.put_back(verdicts).await?;
        self.handed_over.hand_over(&mut again);
        let tasks: Vec<SentTask> = verdicts.tasks.iter().map(|task| task.sent()).collect();
        if !tasks.is_empty() {
            let out = self.engine.still_dispatched(&tasks).await?;
            let still = verdicts.tasks.iter().filter(|task| out.contains(&task.sent()));
            again.effects.extend(still.cloned().map(Effect::Task));
        }
        again.append(self.engine.statuses_or_tombstones(&verdicts.statuses).await?);
        if verdicts.tombstones {
            let tombstones = self.engine.tombstones_again(&pending.tombstones).await?;
            pending.tombstones = tombstones.tombstones.clone();
            again.append(tombstones);
        } else {
            pending.tombstones.append(again.tombstones.clone());
        }
        pending.add_letters(verdicts, &mut again);
        pending.effects = again.effects;
        pending.outboxed |= again.outboxed;
        pending.keep_highest(&again.revisions);
        if pending.outboxed {
            // Whoever looks for what nobody produces passes these over.
            let ids: Vec<RequestId> = pending.revisions.iter().map(|(id, _)| *id).collect();
            self.engine.keep_outbox(&ids).await?;
        }
        Ok(())
    }

    async fn put_back(&self, verdicts: &Verdicts) -> Result<Effects, EngineError> {
        let refused = verdicts.refused.iter().map(|(sent, certain)| Bounced {
            sent: *sent,
            why: Undelivered::Refused,
            certain: *certain,
        });
        let mut bounced: Vec<Bounced> = refused.collect();
        for too_large in &verdicts.too_large {
            bounced.push(self.bounce(too_large));
        }
        if bounced.is_empty() {
            return Ok(Effects::default());
        }
        self.engine.put_back(&bounced).await
    }

    fn bounce(&self, too_large: &TooLarge) -> Bounced {
        let TooLarge { bytes, limit, .. } = *too_large;
        if let Some(limit) = limit {
            self.engine.learn_limit(&too_large.processor, limit);
        }
        tracing::error!(
            topic = %too_large.destination,
            bytes,
            limit,
            "a task is larger than its topic takes (max.message.bytes): its request needs attention"
        );
        Bounced {
            sent: too_large.sent,
            why: Undelivered::TooLarge { bytes, limit },
            // It was refused as a whole.
            certain: true,
        }
    }

    /// Another worker may have produced a later status before ours arrived: then the latest is produced once more.
    async fn catch_up(&self, mut revisions: Vec<(RequestId, u32)>) -> Result<(), DeliveryError> {
        while !revisions.is_empty() {
            let newer = self.engine.newer_statuses(&revisions).await?;
            if newer.is_empty() {
                return Ok(());
            }
            if !self.send_again(&newer.effects, Manner::AtOnce).await?.is_empty() {
                // The next change, or the outbox, repeats it; nothing is claimed that is not true.
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

impl Pending {
    /// What was told of a request last counts, so that nobody tells it once more.
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

    /// Adds the dead letters that were not taken: without their bytes, once a destination has refused one as too large.
    fn add_letters(&mut self, verdicts: &Verdicts, again: &mut Effects) {
        if verdicts.large_letter && !self.short_letters {
            self.short_letters = true;
            tracing::error!(
                "a topic takes less than `lacuna topics create` allows (max.message.bytes): large dead letters go without \
                 their bytes, which stay in the store"
            );
        }
        for letter in &verdicts.letters {
            let mut letter = letter.clone();
            if self.short_letters && letter.sealed.len() > ALWAYS_TAKEN {
                letter.sealed = bytes::Bytes::new();
            }
            again.effects.push(Effect::DeadLetter(letter));
        }
    }
}
