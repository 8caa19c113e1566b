//! The registry's revisions: they live in the store, and one activation counts for all workers.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

pub use super::active_registry::read;
use super::{
    Engine, EngineError,
    clock_guard::agreed,
    facts::{of_nobody, store_fact},
    unit_of_work::{Decision, StoreWork, run_on_store},
};
use crate::{
    clock::Clock,
    domain::{
        fact::Fact,
        ids::ProcessorId,
        registry::{Processor, Registry, RegistryRevision},
        words::TaskStateName,
    },
    store::{Changes, Gate, Head, Store, Transaction},
};

/// What applying a registry came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It is the active one now.
    Activated(RegistryRevision),
    /// It was the active one already.
    Unchanged(RegistryRevision),
}

/// Makes a registry the active one in a store, unless it is already. Workers find it there. The clock has to agree with the
/// store's.
pub async fn apply(store: &dyn Store, registry: &Registry, clock: &Clock) -> Result<Applied, EngineError> {
    let apply = Apply {
        registry,
        text: serde_json::to_string(registry)?,
        clock,
    };
    // Where another worker was faster, the next try looks at what it has activated.
    run_on_store(store, &(), "registry", &apply).await
}

/// Makes a registry the active one.
struct Apply<'e> {
    registry: &'e Registry,
    text: String,
    clock: &'e Clock,
}

#[async_trait]
impl StoreWork for Apply<'_> {
    type Output = Applied;

    async fn work(&self, tx: &mut dyn Transaction) -> Result<Decision<Applied>, EngineError> {
        let passed = tx.gate(Gate::Exclusive).await?;
        let now = agreed(self.clock, passed.now)?;
        let mut revision = 0;
        let mut before = None;
        if let Some(current) = tx.registry().await? {
            let registry = read(&current.text)?;
            if registry == *self.registry {
                return Ok(Decision::Nothing(Applied::Unchanged(current.revision)));
            }
            (revision, before) = (current.revision, Some(registry));
        }
        let next = revision + 1;
        tx.add_registry(next, &self.text, now).await?;
        let fact = Fact::Registry {
            revision: next,
            open: before
                .as_ref()
                .is_some_and(|before| concerns_all_open(before, self.registry)),
            changed: before.map_or_else(Vec::new, |before| changed(&before, self.registry)),
        };
        let mut changes = Changes {
            at: now,
            ..Changes::default()
        };
        store_fact(of_nobody(fact, now), tx, &mut changes).await?;
        tx.write(&changes).await?;
        Ok(Decision::Write(Applied::Activated(next)))
    }
}

/// The processors whose rules for what is deferred are others now.
fn changed(before: &Registry, after: &Registry) -> Vec<ProcessorId> {
    let rules = |processor: Option<&Processor>| {
        processor.map(|processor| (processor.retention.clone(), processor.backup.clone()))
    };
    let ids: BTreeSet<&ProcessorId> = before
        .processors
        .iter()
        .chain(&after.processors)
        .map(|processor| &processor.id)
        .collect();
    ids.into_iter()
        .filter(|id| rules(before.get(id)) != rules(after.get(id)))
        .cloned()
        .collect()
}

/// Whether every open request has to look at it: nothing lists what was accepted at a processor, nor what is out there.
fn concerns_all_open(before: &Registry, after: &Registry) -> bool {
    let has_left = |old: &Processor| after.get(&old.id).is_none();
    let term_moved = |old: &Processor| {
        after
            .get(&old.id)
            .is_some_and(|new| new.completes_by != old.completes_by)
    };
    // One that replaces another may come later than that one has left.
    let is_new_heir = |new: &Processor| {
        new.replaces.is_some() && before.get(&new.id).map(|old| &old.replaces) != Some(&new.replaces)
    };
    before
        .processors
        .iter()
        .any(|old| has_left(old) || term_moved(old))
        || after.processors.iter().any(is_new_heir)
}

impl Engine {
    /// Makes a registry the active one for all workers, unless it is already.
    pub async fn apply_registry(&self, registry: &Registry) -> Result<Applied, EngineError> {
        self.trusted_now().await?;
        let applied = apply(self.store.as_ref(), registry, &self.clock).await?;
        // As the store has it: somebody else may have been there since.
        self.load_registry().await?;
        Ok(applied)
    }

    /// Takes over the revision that is active in the store; `None`: there is none yet.
    pub async fn load_registry(&self) -> Result<Option<RegistryRevision>, EngineError> {
        let Some(stored) = self.store.registry().await? else {
            return Ok(None);
        };
        let head = Head {
            number: stored.revision,
            // Whoever passes the gate chains what is not, and then it is read once more.
            chain: stored.chain.unwrap_or_default(),
        };
        let known = self.active().ok().map(|active| active.head());
        if known == Some(head) {
            return Ok(Some(stored.revision));
        }
        if let Some(known) = known
            && known.number >= head.number
        {
            self.tell_other_history("registry", known, head);
        }
        self.activate(head, read(&stored.text)?);
        self.warn_of_left_over_tasks().await?;
        Ok(Some(stored.revision))
    }

    /// Says which processors are not registered and have open tasks all the same: nobody asks them any more.
    async fn warn_of_left_over_tasks(&self) -> Result<(), EngineError> {
        for (processor, open) in self.left_over_tasks().await? {
            tracing::warn!(
                processor,
                open,
                "a processor that is not registered has open tasks: register it again, or waive them"
            );
        }
        Ok(())
    }

    /// The processors that are not registered and have open tasks, each with how many.
    pub async fn left_over_tasks(&self) -> Result<Vec<(String, i64)>, EngineError> {
        let active = self.active()?;
        let mut open: BTreeMap<String, i64> = BTreeMap::new();
        for (key, count) in self.store.counters().await? {
            let is_open = TaskStateName::parse(&key.b).is_some_and(|state| !state.is_final());
            if key.kind == "tasks" && is_open && count > 0 {
                *open.entry(key.a).or_default() += count;
            }
        }
        let is_registered = |id: &String| active.registry.processors.iter().any(|p| p.id.as_str() == id);
        open.retain(|id, _| !is_registered(id));
        Ok(open.into_iter().collect())
    }
}
