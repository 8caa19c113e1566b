//! The sweeps' turn: batch after batch while there is something to sweep, the forgetting of old capsules, and the compaction of
//! what was told of copies that are gone.
//!
//! Apart from the agenda, so that a long sweep never delays what is due.

use std::time::Duration;

use crate::{
    clock::Stopwatch,
    delivery::{DeliveryError, relay::Relay},
    engine::capsules,
    telemetry::{logs::chain, readiness::Readiness},
};

/// How often it is asked whether there is something to sweep. The fact holds already: this is how soon it shows.
const TURN: Duration = Duration::from_millis(500);

/// How many batches are taken before capsules are thought of again.
const BATCHES: u32 = 100;

/// Runs until the shutdown.
pub(super) async fn run(relay: Relay, readiness: Readiness) -> Result<(), DeliveryError> {
    let mut looked: Option<Stopwatch> = None;
    while !relay.shutdown.is_cancelled() {
        let done = async {
            let busy = batches(&relay).await?;
            if looked.is_none_or(|since| since.elapsed() >= capsules::LOOK_EVERY) {
                let engine = &relay.engine;
                engine.forget_old_capsules(engine.trusted_now().await?).await?;
                engine.compact_copies().await?;
                looked = Some(Stopwatch::start());
            }
            Ok::<_, DeliveryError>(busy)
        };
        let busy = match done.await {
            Ok(busy) => {
                readiness.ready("sweeps");
                busy
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a sweep failed");
                readiness.not_ready("sweeps", chain(&error));
                false
            }
        };
        if !busy {
            tokio::select! {
                () = relay.shutdown.cancelled() => {}
                () = tokio::time::sleep(TURN) => {}
            }
        }
    }
    Ok(())
}

/// Batches of the oldest sweeps, until there is none. The broker sets the pace: it confirms one while the next is looked
/// at.
async fn batches(relay: &Relay) -> Result<bool, DeliveryError> {
    let mut in_flight = None;
    for n in 0..BATCHES {
        let (swept, confirmed) = tokio::join!(relay.engine.sweep(), relay.confirm_earlier(in_flight.take()));
        confirmed?;
        let swept = swept?;
        if !swept.emission.is_empty() {
            in_flight = Some(relay.send(swept.emission).await?);
        }
        if !swept.busy || relay.shutdown.is_cancelled() {
            relay.confirm_earlier(in_flight).await?;
            return Ok(n > 0);
        }
    }
    relay.confirm_earlier(in_flight).await?;
    Ok(true)
}
