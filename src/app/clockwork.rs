//! The agenda's turn: wakes what is due, once a second, unless the clock cannot be trusted.

use std::time::Duration;

use crate::{
    domain::{backup::earlier, time::At},
    engine::{EngineError, early::Expired},
    kafka::{
        KafkaError,
        landing::{Airborne, Landed, Lander},
    },
    telemetry::{logs::chain, readiness::Readiness},
};

/// How often the agenda looks.
const TURN: Duration = Duration::from_secs(1);

/// What nobody has reported as produced for this long is produced again.
pub(super) const OUTBOX_AGE: Duration = Duration::from_secs(30);

/// Runs until the shutdown.
pub(super) async fn run(lander: Lander, readiness: Readiness) -> Result<(), KafkaError> {
    while !lander.shutdown.is_cancelled() {
        match turn(&lander).await {
            Ok(()) => readiness.ready("agenda"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "a turn of the agenda failed");
                readiness.not_ready("agenda", chain(error));
            }
        }
        tokio::select! {
            () = lander.shutdown.cancelled() => {}
            () = tokio::time::sleep(TURN) => {}
        }
    }
    Ok(())
}

/// The time to go by, as long as nothing speaks against it. That it cannot be trusted is loud.
pub(super) async fn trusted_now(lander: &Lander) -> Result<At, KafkaError> {
    let now = lander.engine.trusted_now().await;
    if let Err(EngineError::Clock(why)) = &now {
        tracing::error!(%why, "everything that goes by the clock stands still");
    }
    Ok(now?)
}

async fn turn(lander: &Lander) -> Result<(), KafkaError> {
    let engine = &lander.engine;
    let now = trusted_now(lander).await?;
    // The broker confirms one batch while the next is woken.
    let mut airborne = None;
    loop {
        let (woken, landed) = tokio::join!(engine.wake_due(now), land(lander, airborne.take()));
        landed?;
        let woken = woken?;
        if !woken.emission.is_empty() {
            airborne = Some(lander.launch(woken.emission).await?);
        }
        if !woken.more || lander.shutdown.is_cancelled() {
            break;
        }
    }
    land(lander, airborne).await?;
    let before = earlier(now, OUTBOX_AGE);
    expire(lander, now, before).await?;
    let unproduced = engine.unproduced(before).await?;
    if !unproduced.is_empty() {
        tracing::info!(requests = unproduced.len(), "producing what the outbox remembers");
        let mut again = engine.reissue(&unproduced, &[]).await?;
        again.outboxed = true;
        let airborne = lander.launch(again).await?;
        lander.land(airborne).await?;
    }
    Ok(())
}

/// Dead-letters the commands that have waited in vain for their request.
async fn expire(lander: &Lander, now: At, before: At) -> Result<(), KafkaError> {
    let engine = &lander.engine;
    say(lander, engine.expired_unproduced(before).await?).await?;
    loop {
        let expired = engine.expire_early(now).await?;
        let more = expired.more;
        say(lander, expired).await?;
        if !more || lander.shutdown.is_cancelled() {
            return Ok(());
        }
    }
}

/// Produces the dead letters, and reports them as produced once they are.
async fn say(lander: &Lander, expired: Expired) -> Result<(), KafkaError> {
    let Expired {
        origins, emission, ..
    } = expired;
    if origins.is_empty() {
        return Ok(());
    }
    let airborne = lander.launch(emission).await?;
    if lander.land(airborne).await? == Landed::Confirmed {
        lander.engine.expiry_produced(&origins).await?;
    }
    Ok(())
}

/// Waits until a batch is confirmed, if there is one.
pub(super) async fn land(lander: &Lander, airborne: Option<Airborne>) -> Result<(), KafkaError> {
    match airborne {
        Some(airborne) => lander.land(airborne).await.map(drop),
        None => Ok(()),
    }
}
