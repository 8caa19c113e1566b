//! The agenda's turn: wakes what is due, once a second, unless the clock cannot be trusted.

use std::time::Duration;

use crate::{
    delivery::{DeliveryError, outbox, relay::Relay},
    domain::{backup::earlier, time::At},
    engine::EngineError,
    telemetry::{logs::chain, readiness::Readiness},
};

/// How often the agenda looks.
const TURN: Duration = Duration::from_secs(1);

/// Runs until the shutdown.
pub(super) async fn run(relay: Relay, readiness: Readiness) -> Result<(), DeliveryError> {
    while !relay.shutdown.is_cancelled() {
        match turn(&relay).await {
            Ok(()) => readiness.ready("agenda"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "a turn of the agenda failed");
                readiness.not_ready("agenda", chain(error));
            }
        }
        tokio::select! {
            () = relay.shutdown.cancelled() => {}
            () = tokio::time::sleep(TURN) => {}
        }
    }
    Ok(())
}

/// The time to go by, as long as nothing speaks against it. That it cannot be trusted is loud.
async fn trusted_now(relay: &Relay) -> Result<At, DeliveryError> {
    let now = relay.engine.trusted_now().await;
    if let Err(EngineError::Clock(why)) = &now {
        tracing::error!(%why, "everything that goes by the clock stands still");
    }
    Ok(now?)
}

async fn turn(relay: &Relay) -> Result<(), DeliveryError> {
    let engine = &relay.engine;
    let now = trusted_now(relay).await?;
    // The broker confirms one batch while the next is woken.
    let mut in_flight = None;
    loop {
        let (woken, confirmed) = tokio::join!(engine.wake_due(now), relay.confirm_earlier(in_flight.take()));
        confirmed?;
        let woken = woken?;
        if !woken.emission.is_empty() {
            in_flight = Some(relay.send(woken.emission).await?);
        }
        if !woken.more || relay.shutdown.is_cancelled() {
            break;
        }
    }
    relay.confirm_earlier(in_flight).await?;
    let before = earlier(now, outbox::AGE);
    outbox::dead_letter_early(relay, now, before).await?;
    outbox::republish_requests(relay, before).await
}
