//! The lanes' turn: those whose destination takes nothing are tried, and what waits for those that are open goes out.

use std::time::Duration;

use crate::delivery::{
    DeliveryError,
    lanes::{LimitsAsked, try_lanes},
    relay::Relay,
};

/// How often it is looked whether something is to be tried or let go.
const TURN: Duration = Duration::from_secs(1);

/// Runs until the shutdown.
pub(super) async fn run(relay: Relay) -> Result<(), DeliveryError> {
    let mut asked = LimitsAsked::default();
    while !relay.shutdown.is_cancelled() {
        if let Err(error) = try_lanes(&relay, &mut asked).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "lanes that are shut could not be tried"
            );
        }
        tokio::select! {
            () = relay.shutdown.cancelled() => {}
            () = tokio::time::sleep(TURN) => {}
        }
    }
    Ok(())
}
