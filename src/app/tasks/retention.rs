//! Retention: what has been kept of closed requests for long enough goes, and the last records of its keys say so.
//!
//! Apart from the agenda, so that a long line never delays what is due, and under the same watch over the clock: what is
//! deleted does not come back.

use std::time::Duration;

use async_trait::async_trait;

use super::periodic::{Next, Periodic};
use crate::{
    delivery::{DeliveryError, outbox, relay::Relay},
    domain::backup::earlier,
    store::Line,
};

/// How many batches of each line are taken in one turn: as much as a busy installation takes in meanwhile.
const BATCHES: u32 = 20;

/// Deletes what has been kept for long enough.
pub(in crate::app) struct Retention(pub(in crate::app) Relay);

#[async_trait]
impl Periodic for Retention {
    type Error = DeliveryError;

    fn name(&self) -> &'static str {
        "expiry"
    }

    /// What is kept for years may stay a little longer; the question itself reads two rows.
    fn every(&self) -> Duration {
        Duration::from_secs(2)
    }

    async fn turn(&mut self) -> Result<Next, DeliveryError> {
        let Self(relay) = self;
        let engine = &relay.engine;
        // The agenda says loudly what may be wrong with it.
        let now = engine.trusted_now().await?;
        for line in [Line::Lookups, Line::Records] {
            let expire = || async {
                let expired = engine.retention().expire(line, now).await?;
                Ok((expired.emission, expired.busy))
            };
            relay.deliver_batches(BATCHES, expire).await?;
        }
        engine.retention().prune_dead_letters(now).await?;
        outbox::republish_tombstones(relay, earlier(now, outbox::AGE)).await?;
        Ok(Next::Rest)
    }
}
