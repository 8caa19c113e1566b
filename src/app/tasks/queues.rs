//! The lanes that have queues: their tasks are claimed, sent and settled.

use std::time::Duration;

use async_trait::async_trait;

use super::periodic::{Next, Periodic};
use crate::delivery::{DeliveryError, queues::LaneRunner};

/// Runs lanes.
pub(in crate::app) struct Queues(pub LaneRunner);

#[async_trait]
impl Periodic for Queues {
    type Error = DeliveryError;

    fn name(&self) -> &'static str {
        "queues"
    }

    async fn turn(&mut self) -> Result<Next, DeliveryError> {
        self.0.turn().await?;
        Ok(Next::Rest)
    }

    /// How long it rests is its own affair.
    fn every(&self) -> Duration {
        Duration::ZERO
    }

    async fn rest(&mut self) {
        self.0.rest().await;
    }

    async fn end(&mut self) -> Result<(), DeliveryError> {
        self.0.end().await
    }
}
