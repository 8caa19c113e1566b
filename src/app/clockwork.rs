//! The agenda's turn: wakes what is due, once a second, unless the clock cannot be trusted.

use std::time::Duration;

use crate::{
    domain::{backup::earlier, time::At},
    engine::{
        Engine,
        early::Expired,
        watch::{Mistrust, Watch},
    },
    kafka::{
        KafkaError,
        landing::{Airborne, Landed, Lander},
    },
    telemetry::readiness::Readiness,
};

/// How often the agenda looks.
const TURN: Duration = Duration::from_secs(1);

/// What nobody has reported as produced for this long is produced again.
pub(super) const OUTBOX_AGE: Duration = Duration::from_secs(30);

/// Runs until the shutdown.
pub(super) async fn run(lander: Lander, readiness: Readiness) -> Result<(), KafkaError> {
    let mut watch = Watch::new(lander.engine.clock.now());
    while !lander.shutdown.is_cancelled() {
        match turn(&lander, &mut watch).await {
            Ok(()) => readiness.ready("agenda"),
            Err(Stopped::Clock(why)) => {
                let why = why.to_string();
                tracing::error!(why, "the agenda stands still");
                readiness.not_ready("agenda", why);
            }
            Err(Stopped::Failed(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a turn of the agenda failed"
                );
                readiness.not_ready("agenda", error.to_string());
            }
        }
        tokio::select! {
            () = lander.shutdown.cancelled() => {}
            () = tokio::time::sleep(TURN) => {}
        }
    }
    Ok(())
}

/// Why a turn came to nothing.
pub(super) enum Stopped {
    Clock(Mistrust),
    Failed(KafkaError),
}

impl<E: Into<KafkaError>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// The time to go by, as long as nothing speaks against it.
pub(super) async fn trusted_now(engine: &Engine, watch: &mut Watch) -> Result<At, Stopped> {
    engine.trusted_now(watch).await.map_err(|why| match why {
        Mistrust::Engine(error) => error.into(),
        clock => Stopped::Clock(clock),
    })
}

async fn turn(lander: &Lander, watch: &mut Watch) -> Result<(), Stopped> {
    let engine = &lander.engine;
    let now = trusted_now(engine, watch).await?;
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
async fn expire(lander: &Lander, now: At, before: At) -> Result<(), Stopped> {
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
