//! Says in metrics whether this worker is ready, and whether it reaches its database, so that an alert needs nobody who asks
//! `/readyz`.

use std::{convert::Infallible, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::periodic::{Next, Periodic};
use crate::{engine::Engine, telemetry::readiness::Readiness};

/// A look may take less than the rest between two.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks at this worker.
pub(in crate::app) struct Fitness {
    engine: Arc<Engine>,
    readiness: Readiness,
}

impl Fitness {
    pub(in crate::app) const fn new(engine: Arc<Engine>, readiness: Readiness) -> Self {
        Self { engine, readiness }
    }
}

#[async_trait]
impl Periodic for Fitness {
    type Error = Infallible;

    fn name(&self) -> &'static str {
        "fitness"
    }

    /// What it finds has parts of its own.
    fn part(&self) -> Option<&'static str> {
        None
    }

    fn every(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn turn(&mut self) -> Result<Next, Infallible> {
        let found = self.engine.fitness(PATIENCE).await;
        let is_ready = found.problems.is_empty() && self.readiness.problems().is_empty();
        let metrics = &self.engine.metrics;
        metrics.ready.set(i64::from(is_ready));
        metrics.store_reachable.set(i64::from(found.store));
        // A database that does not answer says nothing about the clock.
        if found.store {
            metrics.clock_trusted.set(i64::from(found.clock));
        }
        Ok(Next::Rest)
    }
}
