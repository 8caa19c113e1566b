//! Expiry's turn: what has been kept of closed requests for long enough goes, and the last records of its keys say so.
//!
//! Apart from the agenda, so that a long line never delays what is due, and under the same watch over the clock: what is
//! deleted does not come back.

use std::time::Duration;

use crate::{
    delivery::{DeliveryError, outbox, relay::Relay},
    domain::backup::earlier,
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
        let expire = || async move {
            let expired = relay.engine.expire(line, now).await?;
            Ok((expired.emission, expired.busy))
        };
        relay.deliver_batches(BATCHES, expire).await?;
    }
    relay.engine.keep_letters(now).await?;
    outbox::republish_tombstones(relay, earlier(now, outbox::AGE)).await
}
