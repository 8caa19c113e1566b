//! Expiry's turn: what has been kept of closed requests for long enough goes, and the last records of its keys say so.
//!
//! Apart from the agenda, so that a long line never delays what is due, and under the same watch over the clock: what is
//! deleted does not come back.

use std::time::Duration;

use crate::{
    delivery::{DeliveryError, outbox, relay::Relay},
    domain::{backup::earlier, time::At},
    store::Line,
    telemetry::{logs::chain, readiness::Readiness},
};

/// How often it is asked whether something has been kept for long enough. What is kept for years may stay a little
/// longer; the question itself reads two rows.
const TURN: Duration = Duration::from_secs(2);

/// How many batches of each line are taken in one turn: as much as a busy installation takes in meanwhile.
const BATCHES: u32 = 20;

/// Runs until the shutdown.
pub(super) async fn run(relay: Relay, readiness: Readiness) -> Result<(), DeliveryError> {
    while !relay.shutdown.is_cancelled() {
        match turn(&relay).await {
            Ok(()) => readiness.ready("expiry"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "a turn of expiry failed");
                readiness.not_ready("expiry", chain(error));
            }
        }
        tokio::select! {
            () = relay.shutdown.cancelled() => {}
            () = tokio::time::sleep(TURN) => {}
        }
    }
    Ok(())
}

async fn turn(relay: &Relay) -> Result<(), DeliveryError> {
    // The agenda says loudly what may be wrong with it.
    let now = relay.engine.trusted_now().await?;
    for line in [Line::Lookups, Line::Records] {
        batches(relay, line, now).await?;
    }
    relay.engine.keep_letters(now).await?;
    outbox::republish_tombstones(relay, earlier(now, outbox::AGE)).await
}

/// Batches of a line, until its front is not due. The broker confirms one while the next is deleted.
async fn batches(relay: &Relay, line: Line, now: At) -> Result<(), DeliveryError> {
    let mut in_flight = None;
    for _ in 0..BATCHES {
        let (expired, confirmed) = tokio::join!(
            relay.engine.expire(line, now),
            relay.confirm_earlier(in_flight.take())
        );
        confirmed?;
        let expired = expired?;
        if !expired.emission.is_empty() {
            in_flight = Some(relay.send(expired.emission).await?);
        }
        if !expired.busy || relay.shutdown.is_cancelled() {
            break;
        }
    }
    relay.confirm_earlier(in_flight).await?;
    Ok(())
}
