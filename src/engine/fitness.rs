//! Whether this worker can decide anything just now.

use std::time::Duration;

use super::{Engine, EngineError};
use crate::telemetry::logs::chain;

/// What a look has found.
#[derive(Debug)]
pub struct Fitness {
    /// Whether the database has answered.
    pub store: bool,
    /// Whether the clocks agree, as far as the database could be asked.
    pub clock: bool,
    /// What is wrong, part by part.
    pub problems: Vec<(&'static str, String)>,
}

impl Engine {
    /// Looks at the clock, the database and the registry, for no longer than `patience`, and at what use cases wait for.
    pub async fn fitness(&self, patience: Duration) -> Fitness {
        let mut fitness = Fitness {
            store: true,
            clock: true,
            problems: self.troubles.problems(),
        };
        let looked = async {
            self.trusted_now().await?;
            // A store that has no clock of its own was not asked by that.
            self.ping().await
        };
        match tokio::time::timeout(patience, looked).await {
            Ok(Ok(())) => {}
            Ok(Err(why @ EngineError::Clock(_))) => {
                fitness.clock = false;
                fitness.problems.push(("clock", why.to_string()));
            }
            Ok(Err(error)) => {
                fitness.store = false;
                fitness.problems.push(("store", chain(&error)));
            }
            Err(_) => {
                fitness.store = false;
                fitness
                    .problems
                    .push(("store", "it does not answer in time".to_owned()));
            }
        }
        if let Err(error) = self.active() {
            fitness.problems.push(("registry", error.to_string()));
        }
        fitness
    }
}
