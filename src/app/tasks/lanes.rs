//! The lanes: those whose destination takes nothing are tried, and what waits for those that are open goes out.

use std::time::Duration;

use async_trait::async_trait;

use super::periodic::{Next, Periodic};
use crate::delivery::{
    DeliveryError,
    lanes::{LimitsAsked, try_lanes},
    relay::Relay,
};

/// Tries lanes.
pub(in crate::app) struct Lanes {
    relay: Relay,
    asked: LimitsAsked,
}

impl Lanes {
    pub(in crate::app) fn new(relay: Relay) -> Self {
        Self {
            relay,
            asked: LimitsAsked::default(),
        }
    }
}

#[async_trait]
impl Periodic for Lanes {
    type Error = DeliveryError;

    fn name(&self) -> &'static str {
        "lanes"
    }

    /// Only the tasks of lanes that are shut wait for it.
    fn part(&self) -> Option<&'static str> {
        None
    }

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn turn(&mut self) -> Result<Next, DeliveryError> {
        try_lanes(&self.relay, &mut self.asked).await?;
        Ok(Next::Rest)
    }
}
