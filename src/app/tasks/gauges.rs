//! The gauges: what `/metrics` shows of the store is read here, so that nobody who asks for it makes the store work.
//!
//! Each group is a task of its own. One whose query is slow or fails grows old, says so, and holds up no other.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::periodic::{Next, Periodic};
use crate::{
    clock::Stopwatch,
    engine::{Engine, EngineError},
    telemetry::freshness::GaugeGroup,
};

/// How often a gauge is read. Prometheus asks every 15 s or more seldom, and somebody who watches should see what happens.
const EVERY: Duration = Duration::from_secs(1);

/// How often due work is counted.
const DUE_EVERY: Duration = Duration::from_secs(5);

/// How many times longer than its query took a gauge rests: what is read slowly must not be read all the time.
const REST: u32 = 10;

/// But no longer than this: what failed because the store was away is read soon after it has come back.
const LONGEST_REST: Duration = Duration::from_secs(15);

/// How long one reading may take. A database ends what takes longer by itself, where it can; this is for one that does not
/// answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why gauges keep what they said before.
#[derive(Debug, thiserror::Error)]
pub(in crate::app) enum GaugeError {
    /// The store refuses.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It takes too long.
    #[error("the store does not answer in time")]
    Late,
}

/// Reads one group of gauges. How old it is, `lacuna_gauges_age_seconds` tells.
pub(in crate::app) struct Gauges {
    engine: Arc<Engine>,
    group: GaugeGroup,
    /// How long the last reading took.
    took: Duration,
}

impl Gauges {
    /// One a group.
    pub(in crate::app) fn all(engine: &Arc<Engine>) -> impl Iterator<Item = Self> {
        GaugeGroup::ALL.into_iter().map(|group| Self {
            engine: Arc::clone(engine),
            group,
            took: Duration::ZERO,
        })
    }
}

#[async_trait]
impl Periodic for Gauges {
    type Error = GaugeError;

    fn name(&self) -> &'static str {
        self.group.task()
    }

    /// What gauges show is no part of the work.
    fn part(&self) -> Option<&'static str> {
        None
    }

    fn every(&self) -> Duration {
        let least = match self.group {
            // They look back over days and weeks, and nobody waits for that to change.
            GaugeGroup::Lanes | GaugeGroup::Backups => LONGEST_REST,
            // It looks at many rows, and whoever starts workers by it asks every half a minute.
            GaugeGroup::Due => DUE_EVERY,
            _ => EVERY,
        };
        (self.took * REST).clamp(least, LONGEST_REST)
    }

    async fn turn(&mut self) -> Result<Next, GaugeError> {
        let watch = Stopwatch::start();
        let read = tokio::time::timeout(PATIENCE, self.engine.gauges().read_gauges(self.group)).await;
        self.took = watch.elapsed();
        read.map_err(|_| GaugeError::Late)??;
        Ok(Next::Rest)
    }
}
