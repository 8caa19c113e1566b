//! A stage: takes batches from its polling thread, has them decided, and lands what follows.
//!
//! Two tasks: one decides batch after batch, the other waits in order for their outputs to be confirmed and only then
//! stores offsets, so that waiting for the broker overlaps the next transaction.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use rdkafka::consumer::Consumer;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    KafkaError,
    client::{Cluster, PATIENCE},
    ends::{Ends, Watcher},
    landing::{Airborne, Landed, Lander},
    poll::{Batch, GroupConsumer, GroupContext, Poller, Window, commit, store_offsets},
    while_doing,
};
use crate::{
    domain::{ids::RequestId, words::DeadLetterReason},
    engine::{
        Engine, EngineError,
        outputs::Emission,
        prepare::{Arrival, Names, PreparedAck, PreparedCommand},
        schedule::Pauses,
    },
    store::{Origin, Seen},
    telemetry::readiness::Readiness,
    wire::{Refusal, ack::parse_ack, command::Door, envelope::Envelope},
};

/// What a stage does with its messages.
#[async_trait]
pub trait Work: Send + Sync + 'static {
    /// A prepared message.
    type Item: Names + Send + Sync + 'static;
    /// The name, for logs.
    const NAME: &'static str;
    /// How much it decides at once.
    const WINDOW: Window;
    /// Prepares one message, on the polling thread.
    fn prepare(&self, topic: &str, payload: &[u8], envelope: &Envelope<'_>) -> Result<Self::Item, Refusal>;
    /// Decides a batch of new messages.
    async fn decide(&self, arrivals: &[Arrival<Self::Item>]) -> Result<Emission, EngineError>;
}

/// Commands.
#[derive(Debug)]
pub struct Intake {
    /// The use cases.
    pub engine: Arc<Engine>,
    /// The topic of the privileged few.
    pub control_topic: String,
}

#[async_trait]
impl Work for Intake {
    type Item = PreparedCommand;
    const NAME: &'static str = "intake";
    const WINDOW: Window = Window::COMMANDS;

    fn prepare(
        &self,
        topic: &str,
        payload: &[u8],
        envelope: &Envelope<'_>,
    ) -> Result<PreparedCommand, Refusal> {
        let door = if topic == self.control_topic {
            Door::Control
        } else {
            Door::Commands
        };
        self.engine.prepare_command(payload, envelope, door)
    }

    async fn decide(&self, arrivals: &[Arrival<PreparedCommand>]) -> Result<Emission, EngineError> {
        Ok(self.engine.take_in(arrivals).await?.emission)
    }
}

/// Acks.
#[derive(Debug)]
pub struct Settle {
    /// The use cases.
    pub engine: Arc<Engine>,
}

#[async_trait]
impl Work for Settle {
    type Item = PreparedAck;
    const NAME: &'static str = "settle";
    const WINDOW: Window = Window::ACKS;

    fn prepare(&self, _: &str, payload: &[u8], envelope: &Envelope<'_>) -> Result<PreparedAck, Refusal> {
        Ok(self.engine.prepare_ack(parse_ack(payload, envelope)?))
    }

    async fn decide(&self, arrivals: &[Arrival<PreparedAck>]) -> Result<Emission, EngineError> {
        Ok(self.engine.settle(arrivals).await?.emission)
    }
}

/// A stage with everything that it needs to run.
pub struct Stage<W> {
    /// What it does.
    pub work: Arc<W>,
    /// What lands its outputs.
    pub lander: Lander,
    /// The cluster.
    pub cluster: Cluster,
    /// The group.
    pub group_id: String,
    /// Within what the partitions of a worker that died are taken over.
    pub lease: Duration,
    /// What it reads.
    pub topics: Vec<String>,
    /// Where a failure shows.
    pub readiness: Readiness,
    /// Ends it.
    pub shutdown: CancellationToken,
}

impl<W> std::fmt::Debug for Stage<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage")
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}

/// A use case that a stage runs.
enum Job<'a, T> {
    Reissue(&'a [RequestId], &'a [Origin]),
    Decide(&'a [Arrival<T>]),
}

type Partition = (Arc<str>, i32);

/// A batch whose outputs are on their way.
struct Launched {
    airborne: Airborne,
    offsets: HashMap<Partition, i64>,
    seen: Vec<Seen>,
}

impl<W: Work> Stage<W> {
    /// Runs until the shutdown. Whatever fails in a way that a new start mends is started again.
    pub async fn run(self) -> Result<(), KafkaError> {
        let mut pauses = Pauses::default();
        while !self.shutdown.is_cancelled() {
            match self.run_once().await {
                Ok(()) => pauses.reset(),
                Err(error) => {
                    tracing::error!(
                        stage = W::NAME,
                        error = &error as &dyn std::error::Error,
                        "starting again"
                    );
                    self.readiness.not_ready(W::NAME, error.to_string());
                }
            }
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = tokio::time::sleep(pauses.longer()) => {}
            }
        }
        Ok(())
    }

    /// One life of the consumer.
    async fn run_once(&self) -> Result<(), KafkaError> {
        let consumer = Arc::new(self.subscribe()?);
        let stop = self.shutdown.child_token();
        // Two batches wait at the most: one is decided while the next is prepared.
        let (batches_in, batches) = mpsc::channel(2);
        let (launched_in, launched) = mpsc::channel(2);
        let ends = Arc::new(Ends::default());
        let watching = self.spawn_watcher(&consumer, &ends, stop.clone())?;
        let polling = self.spawn_poller(Arc::clone(&consumer), ends, batches_in, stop.clone());
        let landing = tokio::spawn(land_all(self.lander.clone(), Arc::clone(&consumer), launched));
        let decided = self.decide_all(&consumer, batches, launched_in).await;
        stop.cancel();
        let landed = landing.await.map_err(|_| KafkaError::Ended("landing"))?;
        let polled = tokio::task::spawn_blocking(move || (watching.join(), polling.join()).1).await;
        tokio::task::spawn_blocking(move || commit(&consumer))
            .await
            .map_err(|_| KafkaError::Ended("committing"))?;
        decided?;
        landed?;
        polled
            .map_err(|_| KafkaError::Ended("polling"))?
            .map_err(|_| KafkaError::Ended("polling"))?
            .map_err(while_doing("reading"))
    }

    fn subscribe(&self) -> Result<GroupConsumer, KafkaError> {
        let consumer: GroupConsumer = self
            .cluster
            .consumer_config(&self.group_id, self.lease)
            .create_with_context(GroupContext { stage: W::NAME })
            .map_err(while_doing("creating a consumer"))?;
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(while_doing("subscribing"))?;
        Ok(consumer)
    }

    fn spawn_watcher(
        &self,
        consumer: &Arc<GroupConsumer>,
        ends: &Arc<Ends>,
        shutdown: CancellationToken,
    ) -> Result<std::thread::JoinHandle<()>, KafkaError> {
        let engine = &self.lander.engine;
        let (clock, metrics) = (engine.clock.clone(), Arc::clone(&engine.metrics));
        let watcher = Watcher::new(
            &self.cluster,
            Arc::clone(consumer),
            Arc::clone(ends),
            clock,
            metrics,
            shutdown,
        )?;
        Ok(std::thread::spawn(move || watcher.run()))
    }

    fn spawn_poller(
        &self,
        consumer: Arc<GroupConsumer>,
        ends: Arc<Ends>,
        batches: mpsc::Sender<Batch<W::Item>>,
        shutdown: CancellationToken,
    ) -> std::thread::JoinHandle<Result<(), rdkafka::error::KafkaError>> {
        let work = Arc::clone(&self.work);
        let engine = &self.lander.engine;
        let poller = Poller {
            consumer,
            cluster: Arc::clone(engine.cluster()),
            prepare: move |topic: &str, payload: &[u8], envelope: &Envelope<'_>| {
                work.prepare(topic, payload, envelope)
            },
            window: W::WINDOW,
            ends,
            tenant_default: engine.tenant_default.clone(),
            shutdown,
        };
        std::thread::spawn(move || poller.run(&batches))
    }

    /// Decides batch after batch, until the poller is gone.
    async fn decide_all(
        &self,
        consumer: &Arc<GroupConsumer>,
        mut batches: mpsc::Receiver<Batch<W::Item>>,
        launched: mpsc::Sender<Launched>,
    ) -> Result<(), KafkaError> {
        let mut positions = Positions::default();
        while let Some(batch) = batches.recv().await {
            positions.learn(&batch, consumer, &self.lander.engine).await?;
            let next = offsets_after(&batch.arrivals);
            let (replays, new) = positions.split(batch.arrivals);
            let mut emission = self.decide(&replays, &new).await?;
            let origins = new.iter().filter_map(|arrival| arrival.origin.clone()).collect();
            let airborne = self.lander.launch(std::mem::take(&mut emission), origins).await?;
            positions.advance(&next);
            self.readiness.ready(W::NAME);
            let on_their_way = Launched {
                airborne,
                offsets: next,
                seen: batch.seen,
            };
            if launched.send(on_their_way).await.is_err() {
                return Err(KafkaError::Ended("landing"));
            }
        }
        Ok(())
    }

    async fn decide(
        &self,
        replays: &[Arrival<W::Item>],
        new: &[Arrival<W::Item>],
    ) -> Result<Emission, KafkaError> {
        let mut emission = Emission::default();
        if !replays.is_empty() {
            tracing::info!(
                stage = W::NAME,
                messages = replays.len(),
                "replays: saying again what may not have been said"
            );
            let ids: Vec<RequestId> = named(replays);
            let origins: Vec<Origin> = replays
                .iter()
                .filter_map(|arrival| arrival.origin.clone())
                .collect();
            emission.append(self.patiently(Job::Reissue(&ids, &origins)).await?);
        }
        if !new.is_empty() {
            emission.append(self.decide_new(new).await?);
        }
        Ok(emission)
    }

    /// Decides new messages. A batch that fails for good is halved until the culprit stands alone.
    async fn decide_new(&self, new: &[Arrival<W::Item>]) -> Result<Emission, KafkaError> {
        let mut emission = Emission::default();
        let mut pending = vec![new];
        while let Some(slice) = pending.pop() {
            match self.patiently(Job::Decide(slice)).await {
                Ok(decided) => emission.append(decided),
                Err(KafkaError::Engine(error)) if error.is_fenced() => return Err(error.into()),
                Err(error) if slice.len() > 1 => {
                    tracing::warn!(stage = W::NAME, %error, messages = slice.len(), "halving a batch that fails");
                    let (first, second) = slice.split_at(slice.len() / 2);
                    pending.push(second);
                    pending.push(first);
                }
                Err(error) => emission.append(self.bury(slice, &error).await?),
            }
        }
        Ok(emission)
    }

    /// Dead-letters a message that no transaction can take in.
    async fn bury(&self, culprit: &[Arrival<W::Item>], why: &KafkaError) -> Result<Emission, KafkaError> {
        tracing::error!(
            stage = W::NAME,
            error = why as &dyn std::error::Error,
            "a message is dead-lettered as internal"
        );
        let buried: Vec<Arrival<W::Item>> = culprit
            .iter()
            .map(|arrival| Arrival {
                origin: arrival.origin.clone(),
                content: Err(Refusal::new(
                    DeadLetterReason::Internal,
                    "it failed for good".to_owned(),
                )),
                raw: Zeroizing::new(arrival.raw.to_vec()),
            })
            .collect();
        self.patiently(Job::Decide(&buried)).await
    }

    /// Runs a use case, and waits for a store that is away.
    async fn patiently(&self, job: Job<'_, W::Item>) -> Result<Emission, KafkaError> {
        let mut pauses = Pauses::default();
        loop {
            let done = match job {
                Job::Reissue(ids, origins) => self.lander.engine.reissue(ids, origins).await,
                Job::Decide(arrivals) => self.work.decide(arrivals).await,
            };
            match done {
                Err(error) if error.is_outage() && !self.shutdown.is_cancelled() => {
                    tracing::warn!(
                        stage = W::NAME,
                        error = &error as &dyn std::error::Error,
                        "waiting for the store"
                    );
                    tokio::time::sleep(pauses.longer()).await;
                }
                done => return Ok(done?),
            }
        }
    }
}

/// Waits for each batch in turn, then stores its offsets.
async fn land_all(
    lander: Lander,
    consumer: Arc<GroupConsumer>,
    mut launched: mpsc::Receiver<Launched>,
) -> Result<(), KafkaError> {
    while let Some(Launched {
        airborne,
        offsets,
        seen,
    }) = launched.recv().await
    {
        if lander.land(airborne).await? == Landed::GivenUp {
            return Ok(());
        }
        store_offsets(&consumer, &offsets);
        if !seen.is_empty() {
            lander.engine.store.seen(&seen).await.map_err(EngineError::from)?;
        }
    }
    Ok(())
}

fn named<T: Names>(arrivals: &[Arrival<T>]) -> Vec<RequestId> {
    let mut ids: Vec<RequestId> = arrivals
        .iter()
        .filter_map(|arrival| arrival.content.as_ref().ok())
        .map(Names::request_id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn offsets_after<T>(arrivals: &[Arrival<T>]) -> HashMap<Partition, i64> {
    let mut next = HashMap::new();
    for origin in arrivals.iter().filter_map(|arrival| arrival.origin.as_ref()) {
        next.insert((Arc::clone(&origin.topic), origin.partition), origin.offset + 1);
    }
    next
}

/// How far each partition has been taken in, as far as this life of the consumer knows.
#[derive(Default)]
struct Positions(HashMap<Partition, i64>);

impl Positions {
    /// Reads the positions of partitions that are seen for the first time, and checks them against the log.
    async fn learn<T>(
        &mut self,
        batch: &Batch<T>,
        consumer: &Arc<GroupConsumer>,
        engine: &Engine,
    ) -> Result<(), KafkaError> {
        let unknown: Vec<Partition> = offsets_after(&batch.arrivals)
            .into_keys()
            .filter(|key| !self.0.contains_key(key))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let stored = engine
            .store
            .positions(engine.cluster())
            .await
            .map_err(EngineError::from)?;
        for key in unknown {
            let found = stored
                .iter()
                .find(|position| *position.topic == *key.0 && position.partition == key.1);
            let position = found.map_or(0, |position| position.next_offset);
            if found.is_some() {
                check_log(consumer, &key, position).await?;
            }
            self.0.insert(key, position);
        }
        Ok(())
    }

    /// What lies before the position has been taken in already.
    fn split<T>(&self, arrivals: Vec<Arrival<T>>) -> (Vec<Arrival<T>>, Vec<Arrival<T>>) {
        arrivals.into_iter().partition(|arrival| {
            arrival.origin.as_ref().is_some_and(|origin| {
                self.0
                    .get(&(Arc::clone(&origin.topic), origin.partition))
                    .is_some_and(|position| origin.offset < *position)
            })
        })
    }

    fn advance(&mut self, next: &HashMap<Partition, i64>) {
        for (key, next) in next {
            let position = self.0.entry(key.clone()).or_default();
            *position = (*position).max(*next);
        }
    }
}

/// A position outside of the log means that messages were lost, or that the topic is another one: refuse loudly.
async fn check_log(consumer: &Arc<GroupConsumer>, key: &Partition, position: i64) -> Result<(), KafkaError> {
    let (asked, topic, partition) = (Arc::clone(consumer), Arc::clone(&key.0), key.1);
    let (low, high) =
        tokio::task::spawn_blocking(move || asked.fetch_watermarks(&topic, partition, PATIENCE))
            .await
            .map_err(|_| KafkaError::Ended("asking for watermarks"))?
            .map_err(while_doing("asking for watermarks"))?;
    if position < low || position > high {
        return Err(KafkaError::PositionOutOfLog {
            topic: key.0.to_string(),
            partition,
            position,
            low,
            high,
        });
    }
    Ok(())
}
