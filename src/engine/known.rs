//! What a transaction decides by: the facts and the registry, as of the moment at which it passed the gate.
//!
//! Both are kept in memory and brought up to date under the gate lock, so a fact holds from the moment that it is
//! committed, in every worker, and nothing is read where nothing is new.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
};

use super::{ActiveRegistry, Engine, EngineError, registry, schedule};
use crate::{
    domain::{
        fact::Facts,
        ids::ProcessorId,
        request::{Context, Shut, Withheld},
        time::At,
    },
    store::{Gate, StoredFact, Transaction},
};

/// What a transaction decides by.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) facts: Arc<Facts>,
    pub(super) active: Arc<ActiveRegistry>,
    /// The processors that have enough to do with what is being replayed into them.
    pub(super) full: Arc<BTreeSet<ProcessorId>>,
    /// Which topics do not take what is meant for them.
    pub(super) shut: Arc<Shut>,
}

impl Engine {
    /// Passes the gate, and learns what has become known since.
    pub(super) async fn pass_gate(&self, tx: &mut dyn Transaction, mode: Gate) -> Result<Known, EngineError> {
        let version = tx.gate(mode).await?;
        // These and no others are decided by: somebody else may remember less in the meantime.
        let mut facts = self.facts();
        if facts.version() != version {
            // A store that knows less than this worker was put back from a copy: its facts are the ones that count.
            let start = if facts.version() < version {
                (*facts).clone()
            } else {
                Facts::default()
            };
            let news = tx.facts_since(start.version()).await?;
            facts = Arc::new(learn(start, &news));
            *self.facts.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&facts);
        }
        let is_old = self
            .active()
            .map_or(true, |active| active.revision < facts.registry());
        if is_old && let Some(stored) = tx.registry().await? {
            self.activate(stored.revision, registry::read(&stored.text)?);
        }
        Ok(Known {
            facts,
            active: self.active()?,
            full: self.full(),
            shut: self.shut(),
        })
    }

    /// Brings what is known up to date outside of a transaction, for what only shows it.
    pub async fn refresh_facts(&self) -> Result<Arc<Facts>, EngineError> {
        let known = self.facts();
        let news = self.store.facts_since(known.version()).await?;
        let learned = learn((*known).clone(), &news);
        let mut latest = self.facts.write().unwrap_or_else(PoisonError::into_inner);
        // A transaction may have learned more by now.
        if latest.version() < learned.version() {
            *latest = Arc::new(learned);
        }
        Ok(Arc::clone(&latest))
    }

    /// The facts, as this worker last heard of them.
    pub fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.facts.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn context<'a>(&'a self, known: &'a Known, now: At) -> Context<'a> {
        Context {
            now,
            registry: &known.active.registry,
            facts: &known.facts,
            zone: &self.rules.calendar.zone,
            clock_skew: self.clock_skew,
            delay: &schedule::delay,
            keep_after_completion: self.keep_after_completion,
            withheld: Withheld::Lanes {
                replays: &known.full,
                shut: &known.shut,
            },
        }
    }

    /// What people are shown, by what this worker knows now.
    pub fn with_context<T>(&self, show: impl FnOnce(&Context<'_>) -> T) -> Result<T, EngineError> {
        let known = Known {
            facts: self.facts(),
            active: self.active()?,
            full: self.full(),
            shut: self.shut(),
        };
        Ok(show(&self.context(&known, self.clock.now())))
    }
}

impl Known {
    /// For what tries a lane that is shut.
    pub(super) fn let_probe(&mut self, processor: &ProcessorId) {
        Arc::make_mut(&mut self.shut).lanes.remove(processor);
    }
}

fn learn(mut facts: Facts, news: &[StoredFact]) -> Facts {
    for stored in news {
        facts.learn(stored.version, stored.at, &stored.fact);
    }
    facts
}
