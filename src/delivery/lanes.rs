//! The lanes whose destination takes nothing: one task tries it now and then, and what waits goes out when it is taken.
//!
//! Each worker finds out for itself and tries for itself; who lets a task go is settled by its row.

use std::time::Duration;

use super::{DeliveryError, relay::Relay};
use crate::{
    clock::Stopwatch,
    domain::ids::{ProcessorId, RequestId},
    engine::undeliverable::Release,
};

/// How often destinations are asked how large a message they take, while there is one that is too large.
const ASK_LIMITS_EVERY: Duration = Duration::from_secs(15);
/// How many requests are let go at once: the broker confirms them while the next are looked at.
const BATCH: u32 = 500;
/// How many requests are looked at for a task to try a destination with.
const PROBES: u32 = 20;

/// When destinations were asked last how large a message they take.
#[derive(Debug, Default)]
pub struct LimitsAsked(Option<Stopwatch>);

/// Tries the lanes whose time has come, and lets go what waits for those that are open.
pub async fn try_lanes(relay: &Relay, asked: &mut LimitsAsked) -> Result<(), DeliveryError> {
    let engine = &relay.engine;
    let shut = engine.lanes_to_try();
    if !shut.is_empty() {
        let obstacles = relay.transport.obstacles(&shut).await?;
        for processor in shut {
            match obstacles.get(&processor) {
                Some(why) => {
                    engine.shut_lane(&processor, &relay.transport.destination_of(&processor), why);
                }
                None => try_lane(relay, &processor).await?,
            }
        }
    }
    if asked.0.is_none_or(|since| since.elapsed() >= ASK_LIMITS_EVERY) {
        ask_limits(relay).await?;
        asked.0 = Some(Stopwatch::start());
    }
    for processor in engine.waiting_lanes(false).await? {
        if engine.lane(&processor).is_none() {
            release_all(relay, &processor, Release::Open).await?;
        }
    }
    Ok(())
}

/// Tries a lane: sends one request's task to it.
async fn try_lane(relay: &Relay, processor: &ProcessorId) -> Result<(), DeliveryError> {
    let engine = &relay.engine;
    let before = engine.lane(processor).map(|lane| lane.tries);
    let mut after = None;
    // The first ones may be held, or settled meanwhile: what shows that something is taken is a task that is sent.
    for _ in 0..PROBES {
        let probe = engine.release(processor, Release::Probe, after, 1).await?;
        after = probe.last;
        let sends = probe.emission.tasks().next().is_some();
        relay.deliver(probe.emission).await?;
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
async fn release_all(relay: &Relay, processor: &ProcessorId, what: Release) -> Result<(), DeliveryError> {
    let mut after: Option<RequestId> = None;
    loop {
        let released = relay.engine.release(processor, what, after, BATCH).await?;
        if released.last.is_none() || relay.shutdown.is_cancelled() {
            return Ok(());
        }
        after = released.last;
        relay.deliver(released.emission).await?;
        // Shut again: what is left waits.
        if relay.engine.lane(processor).is_some() {
            return Ok(());
        }
    }
}

/// Asks the destinations of what is too large how much they take now: where somebody has raised it, the task goes out.
async fn ask_limits(relay: &Relay) -> Result<(), DeliveryError> {
    let engine = &relay.engine;
    for processor in engine.waiting_lanes(true).await? {
        if let Some(limit) = relay.transport.limit_of(&processor).await {
            engine.learn_limit(&processor, limit);
        }
        release_all(relay, &processor, Release::TooLarge).await?;
    }
    Ok(())
}
