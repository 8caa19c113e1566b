//! The lanes that have queues: their tasks are claimed as far as there is room, sent, and settled by what came of it.
//!
//! A lane is run by one worker at a time, under a lease, so that its limits are those of all workers together. Each lane has its
//! own permits, breaker and pace: one that is dead, slow or rude holds up no other (invariant 11). What is claimed is out: where
//! this worker dies, the agenda finds that its answer is missing.
//!
//! Claims and answers of all lanes go through the store together, many a transaction.

mod answers;
mod circuits;
mod lane;
mod ownership;
mod pace;
mod sending;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::task::JoinSet;
use uuid::Uuid;

pub use self::answers::settle_replies;
use self::{
    answers::Answered,
    lane::RunningLane,
    ownership::Ownership,
    sending::{Sent, send},
};
use super::{DeliveryError, relay::Relay};
use crate::{
    clock::Stopwatch,
    domain::{
        ids::{ProcessorId, Tenant},
        time::At,
    },
    engine::{
        effects::{Effect, Effects, SentTask, TaskDispatch},
        queues::Claimed,
        time_ordered_id,
    },
    store::{HEADS, Wanted},
    transport::sender::Senders,
};

/// How many tasks one transaction claims, and how many answers one settles.
const BATCH: usize = 500;
/// Who has tasks is looked at at least so often: another worker may have put them there.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// And no more often than this, however often a transaction of this worker puts some there.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_millis(20);
/// Claims and answers wait for others, so that they share a transaction: longer than a store needs for one, and shorter than
/// anybody notices.
const TURN_EVERY: Duration = Duration::from_millis(10);
/// What has failed is tried again after this.
const AFTER_FAILURE: Duration = Duration::from_millis(500);
/// How soon what people have told other workers reaches what is claimed and not sent.
const HEAR_EVERY: Duration = Duration::from_millis(500);
/// A processor that wants to be asked later than this has tasks tried one by one until then.
const MOST_PATIENCE: Duration = Duration::from_secs(3600);
/// Outputs that are being confirmed at a time.
const DELIVERIES: usize = 16;

/// Runs the lanes of a worker.
#[derive(Debug)]
pub struct LaneRunner {
    relay: Relay,
    senders: Senders,
    owner: Uuid,
    lanes: BTreeMap<ProcessorId, RunningLane>,
    /// Where the next turn begins.
    first: Option<ProcessorId>,
    ownership: Ownership,
    sends: JoinSet<Sent>,
    answered: Vec<Answered>,
    not_sent: Vec<SentTask>,
    /// The lanes whose circuit has opened or closed, and is not written down yet.
    changed: BTreeSet<ProcessorId>,
    deliveries: JoinSet<Result<(), DeliveryError>>,
    looked: Option<Stopwatch>,
    is_filled: bool,
    heard: Stopwatch,
    turned: Stopwatch,
    /// Whether the last turn failed: the next one does not follow at once.
    is_failing: bool,
}

impl LaneRunner {
    /// Runs no lane yet.
    pub fn new(relay: Relay, senders: Senders) -> Self {
        Self {
            owner: time_ordered_id(relay.engine.clock.now()),
            relay,
            senders,
            lanes: BTreeMap::new(),
            first: None,
            ownership: Ownership::default(),
            sends: JoinSet::new(),
            answered: Vec::new(),
            not_sent: Vec::new(),
            changed: BTreeSet::new(),
            deliveries: JoinSet::new(),
            looked: None,
            is_filled: true,
            heard: Stopwatch::start(),
            turned: Stopwatch::start(),
            is_failing: false,
        }
    }

    /// Does everything that can be done now.
    pub async fn turn(&mut self) -> Result<(), DeliveryError> {
        self.turned = Stopwatch::start();
        self.is_failing = true;
        self.try_turn().await?;
        self.is_failing = false;
        Ok(())
    }

    async fn try_turn(&mut self) -> Result<(), DeliveryError> {
        self.own_lanes().await?;
        self.hear_stops().await?;
        self.take_sent();
        self.note_circuits().await?;
        self.look().await?;
        let now = self.now();
        let wanted = self.wanted(now);
        let rest = self.answered.split_off(self.answered.len().min(BATCH));
        let answered = std::mem::replace(&mut self.answered, rest);
        let engine = &self.relay.engine;
        let claiming = async {
            if wanted.is_empty() {
                return Ok(Claimed::default());
            }
            engine.queues().claim(&wanted).await
        };
        let (settled, claimed) = tokio::join!(answers::settle(engine, &answered), claiming);
        match settled {
            Ok(effects) => self.deliver(effects).await,
            Err(error) => {
                // The store is away: they are settled when it is back.
                self.answered.extend(answered);
                self.take_claimed(claimed?, &wanted).await;
                return Err(error.into());
            }
        }
        self.take_claimed(claimed?, &wanted).await;
        self.give_back().await
    }

    /// Waits until there may be something to do.
    pub async fn rest(&mut self) {
        let pause = self.pause();
        let engine = Arc::clone(&self.relay.engine);
        let queues = engine.queues();
        tokio::select! {
            Some(done) = self.sends.join_next(), if !self.sends.is_empty() => self.take(done),
            () = queues.filled() => self.is_filled = true,
            () = tokio::time::sleep(pause) => {}
        }
        // No due time of the domain: others share the transaction.
        tokio::time::sleep(TURN_EVERY.saturating_sub(self.turned.elapsed())).await;
    }

    /// Ends: what is claimed and not sent goes back, what is out is waited for, and the lanes are left to others.
    pub async fn end(&mut self) -> Result<(), DeliveryError> {
        for lane in self.lanes.values() {
            lane.stop.cancel();
        }
        self.settle_all().await?;
        // Settled as they come: the shutdown does not wait for a processor for as long as a call may take.
        while let Some(done) = self.sends.join_next().await {
            self.take(done);
            self.take_sent();
            self.settle_all().await?;
        }
        self.lanes.clear();
        while let Some(delivered) = self.deliveries.join_next().await {
            report(delivered);
        }
        Ok(self.relay.engine.queues().leave_lanes(self.owner).await?)
    }

    async fn settle_all(&mut self) -> Result<(), DeliveryError> {
        let answered = std::mem::take(&mut self.answered);
        for batch in answered.chunks(BATCH) {
            let effects = answers::settle(&self.relay.engine, batch).await?;
            self.deliver(effects).await;
        }
        self.give_back().await
    }

    fn now(&self) -> At {
        self.relay.engine.clock.now()
    }

    /// How long to rest where nothing happens.
    fn pause(&self) -> Duration {
        if self.is_failing {
            return AFTER_FAILURE;
        }
        if !self.answered.is_empty() {
            return Duration::ZERO;
        }
        let now = self.now();
        let next = self.lanes.values().filter_map(|lane| lane.next_claim(now)).min();
        let claim = next.map_or(LOOK_EVERY, |at| at.since(now));
        claim.min(LOOK_EVERY).max(Duration::from_millis(1))
    }

    /// What people have stopped ends the waiting of what is claimed and not sent.
    async fn hear_stops(&mut self) -> Result<(), DeliveryError> {
        let is_at_work = !self.sends.is_empty();
        let engine = &self.relay.engine;
        let facts = if is_at_work && self.heard.elapsed() >= HEAR_EVERY {
            self.heard = Stopwatch::start();
            engine.refresh_facts().await?
        } else {
            engine.facts()
        };
        for (id, lane) in &mut self.lanes {
            lane.set_stopped(facts.stops().of(id));
        }
        Ok(())
    }

    /// Takes what came of sends.
    fn take_sent(&mut self) {
        while let Some(done) = self.sends.try_join_next() {
            self.take(done);
        }
        while let Some(delivered) = self.deliveries.try_join_next() {
            report(delivered);
        }
    }

    fn take(&mut self, done: Result<Sent, tokio::task::JoinError>) {
        match done {
            Ok(Sent::Answered(answered)) => {
                let processor = answered.task.processor.as_str();
                self.relay
                    .engine
                    .metrics
                    .send(processor, answered.outcome(), answered.took);
                let now = self.now();
                if let Some(lane) = self.lanes.get_mut(&answered.task.processor) {
                    if lane.breaker.see(answered.seen(), now) {
                        self.changed.insert(answered.task.processor.clone());
                    }
                    if let Some(patience) = answered.patience() {
                        lane.be_quiet(now.plus(patience.min(MOST_PATIENCE)));
                    }
                }
                self.answered.push(*answered);
            }
            Ok(Sent::NotSent(task)) => {
                if let Some(lane) = self.lanes.get_mut(&task.processor) {
                    lane.breaker.given_back();
                }
                self.not_sent.push(task.sent());
            }
            // The program failed at it. It goes unanswered, and what goes unanswered is asked again.
            Err(error) => {
                tracing::error!(%error, "a send panicked: its task is asked again when its answer is missing");
                for lane in self.lanes.values_mut().filter(|lane| lane.is_idle()) {
                    // Whose task it was is not known. If it was the one that tried an open circuit, another one has to.
                    lane.breaker.given_back();
                }
            }
        }
    }

    /// Looks at who has tasks in the queues of lanes that have room.
    async fn look(&mut self) -> Result<(), DeliveryError> {
        let waited = self.looked.map(|since| since.elapsed());
        let is_time = waited
            .is_none_or(|waited| waited >= LOOK_EVERY || (self.is_filled && waited >= LOOK_AT_MOST_EVERY));
        if !is_time || self.lanes.is_empty() {
            return Ok(());
        }
        let lanes: Vec<_> = self
            .lanes
            .iter()
            .map(|(id, lane)| (id.clone(), lane.after.clone()))
            .collect();
        let mut heads: BTreeMap<ProcessorId, Vec<(Tenant, At)>> = BTreeMap::new();
        for head in self.relay.engine.queues().heads(&lanes).await? {
            heads
                .entry(head.processor)
                .or_default()
                .push((head.tenant, head.due));
        }
        for (id, lane) in &mut self.lanes {
            let heads = heads.remove(id).unwrap_or_default();
            // There may be more tenants than are looked at together: the next look goes on behind them.
            lane.after = heads
                .last()
                .filter(|_| heads.len() >= HEADS)
                .map(|(tenant, _)| tenant.clone());
            lane.set_heads(heads);
            let in_flight = &self.relay.engine.metrics.in_flight;
            in_flight.with_label_values(&[id.as_str()]).set(lane.under_way());
        }
        (self.looked, self.is_filled) = (Some(Stopwatch::start()), false);
        Ok(())
    }

    /// What is wanted of all queues now. Where it is more than one transaction takes, the next turn begins where this one ends.
    fn wanted(&mut self, now: At) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        let mut left = BATCH;
        let first = self.first.take();
        let is_earlier = |id: &ProcessorId| first.as_ref().is_some_and(|first| id < first);
        for earlier in [false, true] {
            for (id, lane) in self.lanes.iter_mut().filter(|(id, _)| is_earlier(id) == earlier) {
                if left == 0 {
                    self.first.get_or_insert_with(|| id.clone());
                    break;
                }
                let of_lane = lane.wanted(now, left);
                let most: usize = of_lane.iter().map(|one| one.most as usize).sum();
                left = left.saturating_sub(most);
                wanted.extend(of_lane);
            }
        }
        wanted
    }

    /// Has what was claimed sent.
    async fn take_claimed(&mut self, claimed: Claimed, wanted: &[Wanted]) {
        let Claimed {
            tasks, mut effects, ..
        } = claimed;
        for one in wanted {
            let is_wanted =
                |task: &&TaskDispatch| task.processor == one.processor && *task.tenant() == one.tenant;
            if let Some(lane) = self.lanes.get_mut(&one.processor) {
                lane.claimed(one, tasks.iter().filter(is_wanted).count());
            }
        }
        let engine = Arc::clone(&self.relay.engine);
        for task in tasks {
            let Some(lane) = self.lanes.get(&task.processor) else {
                self.not_sent.push(task.sent());
                continue;
            };
            if lane.processor.is_on_kafka() {
                effects.effects.push(Effect::Task(task));
                continue;
            }
            match self.senders.of(&lane.processor) {
                Some(sender) => drop(self.sends.spawn(send(lane, Arc::clone(sender), task, &engine))),
                // Nobody here can send it.
                None => self.not_sent.push(task.sent()),
            }
        }
        self.deliver(effects).await;
    }

    /// Puts back what was not sent.
    async fn give_back(&mut self) -> Result<(), DeliveryError> {
        if self.not_sent.is_empty() {
            return Ok(());
        }
        let engine = &self.relay.engine;
        let effects = engine.queues().give_back(&self.not_sent).await?;
        self.not_sent.clear();
        self.deliver(effects).await;
        Ok(())
    }

    /// Has outputs brought out meanwhile. What is not confirmed stays in the outbox.
    async fn deliver(&mut self, effects: Effects) {
        if effects.is_empty() {
            return;
        }
        // A status that nobody takes stops whoever has more to tell.
        if self.deliveries.len() >= DELIVERIES
            && let Some(delivered) = self.deliveries.join_next().await
        {
            report(delivered);
        }
        let relay = self.relay.clone();
        self.deliveries
            .spawn(async move { relay.deliver(effects).await.map(drop) });
    }
}

fn report(delivered: Result<Result<(), DeliveryError>, tokio::task::JoinError>) {
    match delivered {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "outputs stay in the outbox for now"),
        Err(error) => tracing::error!(%error, "a delivery panicked: its outputs stay in the outbox for now"),
    }
}
