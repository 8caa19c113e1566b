//! The sweeps' turn: batch after batch while there is something to sweep, and the forgetting of old capsules.
//!
//! Apart from the agenda, so that a long sweep never delays what is due.

use std::time::Duration;

use crate::{
    clock::Stopwatch,
    engine::{EngineError, capsules},
    kafka::{KafkaError, landing::Lander},
    telemetry::readiness::Readiness,
};

/// How often it is asked whether there is something to sweep. The fact holds already: this is how soon it shows.
const TURN: Duration = Duration::from_millis(500);

/// Runs until the shutdown.
pub(super) async fn run(lander: Lander, readiness: Readiness) -> Result<(), KafkaError> {
    let mut looked: Option<Stopwatch> = None;
    while !lander.shutdown.is_cancelled() {
        let done = async {
            let busy = batch(&lander).await?;
            if looked.is_none_or(|since| since.elapsed() >= capsules::LOOK_EVERY) {
                let engine = &lander.engine;
                engine.forget_old_capsules(engine.clock.now()).await?;
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
                readiness.not_ready("sweeps", error.to_string());
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

/// One batch of the oldest sweep. Its outputs are landed before the next one: the broker sets the pace.
async fn batch(lander: &Lander) -> Result<bool, KafkaError> {
    let swept = lander.engine.sweep().await.map_err(engine)?;
    if !swept.emission.is_empty() {
        let airborne = lander.launch(swept.emission, Vec::new()).await?;
        lander.land(airborne).await?;
    }
    Ok(swept.busy)
}

fn engine(error: EngineError) -> KafkaError {
    error.into()
}
