//! A stage: takes batches from its polling thread, has them decided, and delivers what follows.
//!
//! Two tasks: one decides batch after batch, the other waits in order for their outputs to be confirmed and only then
//! stores offsets, so that waiting for the broker overlaps the next transaction.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rdkafka::consumer::Consumer;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    KafkaError,
    assignment::Assignment,
    batch_processor::{BatchProcessor, Work},
    client::{Cluster, longest_rest, session_of},
    group_consumer::{GroupConsumer, GroupContext, commit, store_offsets},
    log_monitor::LogMonitor,
    membership::Membership,
    poller::Poller,
    positions::offsets_after,
    types::{Batch, Partition},
    watermarks::watcher::Watcher,
    while_doing,
};
use crate::{
    clock::Stopwatch,
    delivery::relay::{Delivered, InFlight, Relay},
    engine::schedule::Pauses,
    store::Seen,
    telemetry::readiness::Readiness,
};

/// A consumer that has lived for so long was all right: what ends it is a new trouble.
const LONG_LIFE: Duration = Duration::from_secs(60);

/// A stage with everything that it needs to run.
pub struct Stage<W> {
    /// What it does.
    pub work: Arc<W>,
    /// What delivers its outputs.
    pub relay: Relay,
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

/// A batch whose outputs are on their way.
struct Unconfirmed {
    in_flight: InFlight,
    offsets: HashMap<Partition, i64>,
    seen: Vec<Seen>,
}

impl<W: Work> Stage<W> {
    /// Runs until the shutdown. Whatever fails in a way that a new start mends is started again, with a new consumer.
    pub async fn run(self) -> Result<(), KafkaError> {
        let mut pauses = Pauses::default();
        while !self.shutdown.is_cancelled() {
            let life = Stopwatch::start();
            let ended = self.run_once().await;
            if life.elapsed() > LONG_LIFE {
                pauses.reset();
            }
            match ended {
                Ok(()) => pauses.reset(),
                Err(error) => {
                    tracing::error!(
                        stage = self.work.name(),
                        error = &error as &dyn std::error::Error,
                        "starting again"
                    );
                    self.readiness.not_ready(self.work.name(), error.to_string());
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
        let stop = self.shutdown.child_token();
        let assignment = Arc::new(Assignment::new(
            self.work.name(),
            (self.cluster.clone(), self.group_id.clone()),
            Arc::clone(&self.relay.engine),
            self.readiness.clone(),
            stop.clone(),
        ));
        let membership = Arc::new(self.membership());
        let consumer = Arc::new(self.subscribe(&assignment, &membership)?);
        // One batch waits at the most: one is decided while the next is prepared.
        let (batches_in, batches) = mpsc::channel(1);
        let (sent_in, sent) = mpsc::channel(2);
        let watching = self.spawn_watcher(&consumer, &assignment, membership, stop.clone())?;
        let polling = self.spawn_poller(Arc::clone(&consumer), &assignment, batches_in, stop.clone());
        let monitoring = tokio::spawn(LogMonitor::new(Arc::clone(&assignment)).run());
        let confirming = tokio::spawn(confirm_all(self.relay.clone(), Arc::clone(&consumer), sent));
        let decided = self.decide_all(batches, sent_in, &assignment).await;
        stop.cancel();
        let confirmed = confirming.await.map_err(|_| KafkaError::Ended("confirming"))?;
        let polled = tokio::task::spawn_blocking(move || (watching.join(), polling.join()).1).await;
        let fatal = consumer.client().fatal_error();
        if fatal.is_some() {
            // After such an error the client library may never come to the end of a client: the new one does not wait for that.
            std::thread::spawn(move || drop(consumer));
        } else {
            tokio::task::spawn_blocking(move || commit(&consumer))
                .await
                .map_err(|_| KafkaError::Ended("committing"))?;
        }
        monitoring.await.map_err(|_| KafkaError::Ended("monitoring"))?;
        decided?;
        confirmed?;
        if let Some(failure) = assignment.take_failure() {
            return Err(failure);
        }
        if let Some((_, why)) = fatal {
            return Err(KafkaError::Fatal(why));
        }
        polled
            .map_err(|_| KafkaError::Ended("polling"))?
            .map_err(|_| KafkaError::Ended("polling"))?
            .map_err(while_doing("reading"))
    }

    /// What a consumer that has not joined yet is to its group. From here on the stage is not ready until it has.
    pub fn membership(&self) -> Membership {
        Membership::new(
            self.work.name(),
            &self.group_id,
            session_of(self.lease),
            longest_rest(self.lease),
            self.readiness.clone(),
        )
    }

    fn subscribe(
        &self,
        assignment: &Arc<Assignment>,
        membership: &Arc<Membership>,
    ) -> Result<GroupConsumer, KafkaError> {
        let consumer: GroupConsumer = self
            .cluster
            .consumer_config(&self.group_id, self.lease)
            // Where the log has nothing at the next offset, the client says so and goes nowhere by itself.
            .set("auto.offset.reset", "error")
            .create_with_context(GroupContext {
                stage: self.work.name(),
                assignment: Arc::clone(assignment),
                membership: Arc::clone(membership),
            })
            .map_err(while_doing("creating a consumer"))?;
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(while_doing("subscribing"))?;
        Ok(consumer)
    }

    fn spawn_watcher(
        &self,
        consumer: &Arc<GroupConsumer>,
        assignment: &Assignment,
        membership: Arc<Membership>,
        shutdown: CancellationToken,
    ) -> Result<std::thread::JoinHandle<()>, KafkaError> {
        let engine = &self.relay.engine;
        let told = (engine.clock.clone(), Arc::clone(&engine.metrics));
        let watcher = Watcher::new(
            &self.cluster,
            Arc::clone(consumer),
            Arc::clone(&assignment.watermarks),
            membership,
            told,
            shutdown,
        )?;
        Ok(std::thread::spawn(move || watcher.run()))
    }

    fn spawn_poller(
        &self,
        consumer: Arc<GroupConsumer>,
        assignment: &Arc<Assignment>,
        batches: mpsc::Sender<Batch<W::Item>>,
        shutdown: CancellationToken,
    ) -> std::thread::JoinHandle<Result<(), rdkafka::error::KafkaError>> {
        let engine = &self.relay.engine;
        let poller = Poller {
            consumer,
            cluster: Arc::clone(engine.cluster()),
            work: Arc::clone(&self.work),
            window: W::WINDOW,
            assignment: Arc::clone(assignment),
            tenant_default: engine.tenant_default.clone(),
            shutdown,
        };
        std::thread::spawn(move || poller.run(&batches))
    }

    /// Decides batch after batch, until the poller is gone.
    async fn decide_all(
        &self,
        mut batches: mpsc::Receiver<Batch<W::Item>>,
        sent: mpsc::Sender<Unconfirmed>,
        assignment: &Assignment,
    ) -> Result<(), KafkaError> {
        let decider = BatchProcessor {
            work: Arc::clone(&self.work),
            engine: Arc::clone(&self.relay.engine),
            shutdown: self.shutdown.clone(),
        };
        while let Some(batch) = batches.recv().await {
            let next = offsets_after(&batch.arrivals);
            let (replays, new) = assignment.states.split(batch.arrivals);
            if W::LEAVES_TRACES && !replays.is_empty() && assignment.has_strays(&replays).await? {
                assignment.start_again("the store does not know what lies before its position");
                return Ok(());
            }
            let emission = decider.decide(&replays, &new).await?;
            let in_flight = self.relay.send(emission).await?;
            assignment.states.advance(&next);
            let seen = assignment.take_reports(batch.seen).await?;
            self.readiness.ready(self.work.name());
            let on_their_way = Unconfirmed {
                in_flight,
                offsets: next,
                seen,
            };
            if sent.send(on_their_way).await.is_err() {
                return Err(KafkaError::Ended("confirming"));
            }
        }
        Ok(())
    }
}

/// Waits for each batch in turn, then stores its offsets.
async fn confirm_all(
    relay: Relay,
    consumer: Arc<GroupConsumer>,
    mut sent: mpsc::Receiver<Unconfirmed>,
) -> Result<(), KafkaError> {
    while let Some(Unconfirmed {
        in_flight,
        offsets,
        seen,
    }) = sent.recv().await
    {
        if relay.confirm(in_flight).await? == Delivered::Pending {
            return Ok(());
        }
        store_offsets(&consumer, &offsets);
        // What lies between the last message and the end is no message: for others too the lag is nothing then.
        let ends = seen.iter().filter(|seen| seen.next > 0);
        store_offsets(
            &consumer,
            &ends
                .map(|seen| ((Arc::clone(&seen.topic), seen.partition), seen.next))
                .collect(),
        );
        if !seen.is_empty() {
            relay.engine.seen(&seen).await?;
        }
    }
    Ok(())
}
