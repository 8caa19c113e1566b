//! The agenda: wakes what is due, once a second, unless the clock cannot be trusted, and produces again what the outbox
//! remembers.

use std::time::Duration;

use async_trait::async_trait;

use super::periodic::{Next, Periodic};
use crate::{
    delivery::{DeliveryError, outbox, relay::Relay},
    domain::backup::earlier,
    engine::EngineError,
};

/// Wakes what is due.
pub(in crate::app) struct Agenda(pub(in crate::app) Relay);

#[async_trait]
impl Periodic for Agenda {
    type Error = DeliveryError;

    fn name(&self) -> &'static str {
        "agenda"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn turn(&mut self) -> Result<Next, DeliveryError> {
        let Self(relay) = self;
        let engine = &relay.engine;
        let now = engine.trusted_now().await;
        if let Err(EngineError::Clock(why)) = &now {
            tracing::error!(%why, "everything that goes by the clock stands still");
        }
        let now = now?;
        let wake = || async {
            let woken = engine.wake_due(now).await?;
            Ok((woken.emission, woken.more))
        };
        relay.deliver_batches(u32::MAX, wake).await?;
        let before = earlier(now, outbox::AGE);
        outbox::dead_letter_early(relay, now, before).await?;
        outbox::republish_requests(relay, before).await?;
        Ok(Next::Rest)
    }
}
