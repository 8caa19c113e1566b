//! The outputs of HTTP calls: they are decided in a call and brought out here, many at a time.

use tokio::sync::mpsc;

use crate::{
    delivery::{DeliveryError, outbox, relay::Relay},
    engine::{EngineError, effects::Effects},
};

/// Produces what HTTP calls have decided. An outbox row remembers whatever does not get through.
pub(in crate::app) async fn run(
    relay: Relay,
    mut emissions: mpsc::Receiver<Effects>,
) -> Result<(), DeliveryError> {
    loop {
        let emission = tokio::select! {
            emission = emissions.recv() => emission,
            () = relay.shutdown.cancelled() => emissions.try_recv().ok(),
        };
        let Some(emission) = emission else {
            // Nobody serves HTTP here, or everybody who did has ended: that is no reason for the worker to end.
            relay.shutdown.cancelled().await;
            return Ok(());
        };
        // Whatever else has been decided meanwhile goes with it: one delivery for many calls. What has waited for so long
        // that somebody else may have taken it from the outbox is left to that, so that it is not produced twice.
        let mut all = Effects::default();
        for one in std::iter::once(emission).chain(std::iter::from_fn(|| emissions.try_recv().ok())) {
            if outbox::is_fresh(&one, relay.engine.clock.now()) {
                all.append(one);
            }
        }
        if all.is_empty() {
            continue;
        }
        match relay.deliver(all).await {
            Ok(_) => {}
            Err(error @ (DeliveryError::Engine(EngineError::Store(_)) | DeliveryError::Transport(_))) => {
                tracing::warn!(%error, "outputs stay in the outbox for now");
            }
            Err(other) => return Err(other),
        }
    }
}
