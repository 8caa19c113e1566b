//! Expiry's turn: what has been kept of closed requests for long enough goes, and the last words of its keys are said.
//!
//! Apart from the agenda, so that a long line never delays what is due, and under the same watch over the clock: what is
//! deleted does not come back.

use std::time::Duration;

use super::clockwork::{OUTBOX_AGE, land};
use crate::{
    domain::{backup::earlier, time::At},
    kafka::{KafkaError, landing::Lander},
    store::Line,
    telemetry::{logs::chain, readiness::Readiness},
};

/// How often it is asked whether something has been kept for long enough. What is kept for years may stay a little
/// longer; the question itself reads two rows.
const TURN: Duration = Duration::from_secs(2);

/// How many batches of each line are taken in one turn: as much as a busy installation takes in meanwhile.
const BATCHES: u32 = 20;

/// Runs until the shutdown.
pub(super) async fn run(lander: Lander, readiness: Readiness) -> Result<(), KafkaError> {
    while !lander.shutdown.is_cancelled() {
        match turn(&lander).await {
            Ok(()) => readiness.ready("expiry"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "a turn of expiry failed");
                readiness.not_ready("expiry", chain(error));
            }
        }
        tokio::select! {
            () = lander.shutdown.cancelled() => {}
            () = tokio::time::sleep(TURN) => {}
        }
    }
    Ok(())
}

async fn turn(lander: &Lander) -> Result<(), KafkaError> {
    // The agenda says loudly what may be wrong with it.
    let now = lander.engine.trusted_now().await?;
    for line in [Line::Lookups, Line::Records] {
        batches(lander, line, now).await?;
    }
    lander.engine.keep_letters(now).await?;
    let unconfirmed = lander.engine.say_unconfirmed(earlier(now, OUTBOX_AGE)).await?;
    if !unconfirmed.is_empty() {
        let airborne = lander.launch(unconfirmed).await?;
        lander.land(airborne).await?;
    }
    Ok(())
}

/// Batches of a line, until its front is not due. The broker confirms one while the next is deleted.
async fn batches(lander: &Lander, line: Line, now: At) -> Result<(), KafkaError> {
    let mut airborne = None;
    for _ in 0..BATCHES {
        let (expired, landed) = tokio::join!(lander.engine.expire(line, now), land(lander, airborne.take()));
        landed?;
        let expired = expired?;
        if !expired.emission.is_empty() {
            airborne = Some(lander.launch(expired.emission).await?);
        }
        if !expired.busy || lander.shutdown.is_cancelled() {
            break;
        }
    }
    land(lander, airborne).await?;
    Ok(())
}
