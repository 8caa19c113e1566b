//! The sweeps: batch after batch while there is something to sweep, the forgetting of old capsules, and the compaction of what was
//! told of copies that are gone.
//!
//! Apart from the agenda, so that a long sweep never delays what is due.

use std::time::Duration;

use async_trait::async_trait;

use super::periodic::{Next, Periodic};
use crate::{
    clock::Stopwatch,
    delivery::{DeliveryError, relay::Relay},
    engine::capsules,
};

/// How many batches are taken before capsules are thought of again.
const BATCHES: u32 = 100;

/// Sweeps.
pub(in crate::app) struct Sweeps {
    relay: Relay,
    /// When old capsules were looked for last.
    looked: Option<Stopwatch>,
}

impl Sweeps {
    pub(in crate::app) const fn new(relay: Relay) -> Self {
        Self { relay, looked: None }
    }
}

#[async_trait]
impl Periodic for Sweeps {
    type Error = DeliveryError;

    fn name(&self) -> &'static str {
        "sweeps"
    }

    /// The fact holds already: this is how soon it shows.
    fn every(&self) -> Duration {
        Duration::from_millis(500)
    }

    async fn turn(&mut self) -> Result<Next, DeliveryError> {
        let engine = &self.relay.engine;
        let sweep = || async {
            let swept = engine.sweep().await?;
            Ok((swept.emission, swept.busy))
        };
        let done = self.relay.deliver_batches(BATCHES, sweep).await?;
        if self
            .looked
            .is_none_or(|since| since.elapsed() >= capsules::LOOK_EVERY)
        {
            engine.forget_old_capsules(engine.trusted_now().await?).await?;
            engine.compact_copies().await?;
            self.looked = Some(Stopwatch::start());
        }
        Ok(if done == BATCHES { Next::GoOn } else { Next::Rest })
    }
}
