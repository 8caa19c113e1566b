//! What decisions are made by, read from the store: so that a command can say what a worker will do, and when.

use std::{collections::BTreeMap, time::Duration};

use jiff::tz::TimeZone;

use super::Failure;
use crate::{
    config::Config,
    domain::{
        calendar::Zones,
        fact::Facts,
        ids::Tenant,
        registry::Registry,
        request::{Context, Withheld},
        time::At,
    },
    engine::{registry, status::LanesNow},
    store::Store,
};

/// The facts, the active registry, and the rules of the configuration.
pub(super) struct Knowledge {
    pub(super) facts: Facts,
    registry: Registry,
    now: At,
    zone: TimeZone,
    tenant_zones: BTreeMap<Tenant, TimeZone>,
    clock_skew: Duration,
    keep_after_completion: Duration,
}

impl Knowledge {
    /// Reads all of it, as of now.
    pub(super) async fn read(store: &dyn Store, config: &Config, now: At) -> Result<Self, Failure> {
        let mut facts = Facts::default();
        for stored in store.facts_since(facts.version()).await? {
            facts.learn(stored.version, stored.at, &stored.fact);
        }
        let registry = match store.registry().await? {
            Some(stored) => registry::read(&stored.text)?,
            // Nothing was ever taken in, so there is nothing to tell about either.
            None => Registry {
                processors: Vec::new(),
            },
        };
        let zone = config.policy.calendar.zone.clone();
        Ok(Self {
            facts,
            registry,
            now,
            clock_skew: config.dispatch.clock_skew,
            keep_after_completion: config.vault.keep_after_completion.add_to(now, &zone).since(now),
            zone,
            tenant_zones: config.policy.tenant_zones(),
        })
    }

    /// How the lanes stand. Which circuits are open only workers know.
    pub(super) fn lanes(&self) -> LanesNow<'_> {
        LanesNow {
            registry: Some(&self.registry),
            ..LanesNow::from(self.facts.stops())
        }
    }

    /// The active registry.
    pub(super) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// As the domain wants it.
    pub(super) fn context(&self) -> Context<'_> {
        Context {
            now: self.now,
            registry: &self.registry,
            facts: &self.facts,
            zones: Zones::with(&self.zone, &self.tenant_zones),
            clock_skew: self.clock_skew,
            delay: &|_, _| Duration::ZERO,
            keep_after_completion: self.keep_after_completion,
            withheld: Withheld::Nothing,
            lease: Duration::ZERO,
        }
    }
}
