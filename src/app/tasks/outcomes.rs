//! What processors have answered is added to the store now and then, so that no answer waits for it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::periodic::{Next, Periodic};
use crate::engine::{Engine, EngineError};

/// Somebody who watches should see what happens.
const EVERY: Duration = Duration::from_secs(2);
/// What is old is forgotten every so many turns: every ten minutes.
const FORGET_EVERY: u32 = 300;

/// Adds what was counted to the store.
pub(in crate::app) struct Outcomes {
    engine: Arc<Engine>,
    turns: u32,
}

impl Outcomes {
    pub(in crate::app) const fn new(engine: Arc<Engine>) -> Self {
        Self { engine, turns: 0 }
    }
}

#[async_trait]
impl Periodic for Outcomes {
    type Error = EngineError;

    fn name(&self) -> &'static str {
        "outcomes"
    }

    /// Figures are no part of the work.
    fn part(&self) -> Option<&'static str> {
        None
    }

    fn every(&self) -> Duration {
        EVERY
    }

    async fn turn(&mut self) -> Result<Next, EngineError> {
        self.engine.keep_tallies().await?;
        if self.turns.is_multiple_of(FORGET_EVERY) {
            self.engine.forget_tallies().await?;
            self.engine.forget_minutes().await?;
        }
        self.turns = self.turns.wrapping_add(1);
        Ok(Next::Rest)
    }

    async fn end(&mut self) -> Result<(), EngineError> {
        self.engine.keep_tallies().await
    }
}
