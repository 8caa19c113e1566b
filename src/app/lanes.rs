//! The lanes whose topic takes nothing: one task tries such a topic now and then, and what waits goes out when it takes it.
//!
//! Each worker finds out for itself and tries for itself; who lets a task go is settled by its row.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    clock::Stopwatch,
    domain::ids::{ProcessorId, RequestId},
    engine::undeliverable::Release,
    kafka::{KafkaError, admin::Admin, client::Cluster, landing::Lander},
};

/// How often it is looked whether something is to be tried or let go.
const TURN: Duration = Duration::from_secs(1);
/// How often topics are asked how large a message they take, while there is one that is too large.
const ASK_LIMITS_EVERY: Duration = Duration::from_secs(15);
/// How many requests are let go at once: the broker confirms them while the next are looked at.
const BATCH: u32 = 500;
/// How many requests are looked at for a task to try a topic with.
const PROBES: u32 = 20;
/// How long the cluster may take to say which topics there are.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs until the shutdown.
pub(super) async fn run(lander: Lander, cluster: Cluster) -> Result<(), KafkaError> {
    let mut asked: Option<Stopwatch> = None;
    while !lander.shutdown.is_cancelled() {
        if let Err(error) = turn(&lander, &cluster, &mut asked).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "lanes that are shut could not be tried"
            );
        }
        tokio::select! {
            () = lander.shutdown.cancelled() => {}
            () = tokio::time::sleep(TURN) => {}
        }
    }
    Ok(())
}

async fn turn(lander: &Lander, cluster: &Cluster, asked: &mut Option<Stopwatch>) -> Result<(), KafkaError> {
    let engine = &lander.engine;
    let shut = engine.lanes_to_try();
    if !shut.is_empty() {
        let there = serving(cluster).await?;
        for processor in shut {
            try_lane(lander, &processor, &there).await?;
        }
    }
    if asked.is_none_or(|since| since.elapsed() >= ASK_LIMITS_EVERY) {
        ask_limits(lander).await?;
        *asked = Some(Stopwatch::start());
    }
    for processor in engine.waiting_lanes(false).await? {
        if engine.lane(&processor).is_none() {
            release_all(lander, &processor, Release::Open).await?;
        }
    }
    Ok(())
}

/// The topics that the cluster has, each with whether all of its partitions have a leader.
async fn serving(cluster: &Cluster) -> Result<BTreeMap<String, bool>, KafkaError> {
    let cluster = cluster.clone();
    tokio::task::spawn_blocking(move || Admin::new(&cluster)?.serving_within(PATIENCE))
        .await
        .map_err(|_| KafkaError::Ended("listing topics"))?
}

/// Tries a topic: asks the cluster whether it is there, then sends one request's task to it.
async fn try_lane(
    lander: &Lander,
    processor: &ProcessorId,
    there: &BTreeMap<String, bool>,
) -> Result<(), KafkaError> {
    let engine = &lander.engine;
    match there.get(engine.task_topic(processor).as_ref()) {
        Some(true) => {}
        Some(false) => {
            engine.shut_lane(processor, "a partition of its topic has no leader");
            return Ok(());
        }
        None => {
            engine.shut_lane(processor, "its topic does not exist");
            return Ok(());
        }
    }
    let before = engine.lane(processor).map(|lane| lane.tries);
    let mut after = None;
    // The first ones may be held, or settled meanwhile: what shows that the topic takes something is a task that is sent.
    for _ in 0..PROBES {
        let probe = engine.release(processor, Release::Probe, after, 1).await?;
        after = probe.last;
        let sends = probe.emission.sends_tasks();
        lander.land(lander.launch(probe.emission).await?).await?;
        if engine.lane(processor).map(|lane| lane.tries) != before {
            return Ok(());
        }
        if sends || after.is_none() {
            break;
        }
    }
    engine.open_lane(processor);
    Ok(())
}

/// Lets everything go that waits for a lane, as fast as the broker confirms it.
async fn release_all(lander: &Lander, processor: &ProcessorId, what: Release) -> Result<(), KafkaError> {
    let mut after: Option<RequestId> = None;
    loop {
        let released = lander.engine.release(processor, what, after, BATCH).await?;
        if released.last.is_none() || lander.shutdown.is_cancelled() {
            return Ok(());
        }
        after = released.last;
        lander.land(lander.launch(released.emission).await?).await?;
        // Shut again: what is left waits.
        if lander.engine.lane(processor).is_some() {
            return Ok(());
        }
    }
}

/// Asks the topics of what is too large how much they take now: where somebody has raised it, the task goes out.
async fn ask_limits(lander: &Lander) -> Result<(), KafkaError> {
    let engine = &lander.engine;
    for processor in engine.waiting_lanes(true).await? {
        if let Some(limit) = lander.outlet.limit_of(&engine.task_topic(&processor)).await {
            engine.learn_limit(&processor, limit);
        }
        release_all(lander, &processor, Release::TooLarge).await?;
    }
    Ok(())
}
