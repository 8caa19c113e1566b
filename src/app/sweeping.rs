//! The sweeps' turn: batch after batch while there is something to sweep, the forgetting of old capsules, and the compaction of
//! what was told of copies that are gone.
//!
//! Apart from the agenda, so that a long sweep never delays what is due.

use std::time::Duration;

use super::clockwork::land;
use crate::{
    clock::Stopwatch,
    engine::{EngineError, capsules},
    kafka::{KafkaError, landing::Lander},
    telemetry::{logs::chain, readiness::Readiness},
};

/// How often it is asked whether there is something to sweep. The fact holds already: this is how soon it shows.
const TURN: Duration = Duration::from_millis(500);

/// How many batches are taken before capsules are thought of again.
const BATCHES: u32 = 100;

/// Runs until the shutdown.
pub(super) async fn run(lander: Lander, readiness: Readiness) -> Result<(), KafkaError> {
    let mut looked: Option<Stopwatch> = None;
    while !lander.shutdown.is_cancelled() {
        let done = async {
            let busy = batches(&lander).await?;
            if looked.is_none_or(|since| since.elapsed() >= capsules::LOOK_EVERY) {
                let engine = &lander.engine;
                engine.forget_old_capsules(engine.trusted_now().await?).await?;
                engine.compact_copies().await?;
                looked = Some(Stopwatch::start());
            }
            Ok::<_, KafkaError>(busy)
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
                () = lander.shutdown.cancelled() => {}
                () = tokio::time::sleep(TURN) => {}
            }
        }
    }
    Ok(())
}

/// Batches of the oldest sweeps, until there is none. The broker sets the pace: it confirms one while the next is looked
/// at.
async fn batches(lander: &Lander) -> Result<bool, KafkaError> {
    let mut airborne = None;
    for n in 0..BATCHES {
        let (swept, landed) = tokio::join!(lander.engine.sweep(), land(lander, airborne.take()));
        landed?;
        let swept = swept.map_err(engine)?;
        if !swept.emission.is_empty() {
            airborne = Some(lander.launch(swept.emission).await?);
        }
        if !swept.busy || lander.shutdown.is_cancelled() {
            land(lander, airborne).await?;
            return Ok(n > 0);
        }
    }
    land(lander, airborne).await?;
    Ok(true)
}

fn engine(error: EngineError) -> KafkaError {
    error.into()
}
