//! The registry's revisions: they live in the store, and one activation counts for all workers.

use super::{Engine, EngineError};
use crate::{
    domain::{
        registry::{Registry, RegistryRevision},
        time::At,
    },
    store::{Attempts, Gate, Store},
};

/// What applying a registry came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It is the active one now.
    Activated(RegistryRevision),
    /// It was the active one already.
    Unchanged(RegistryRevision),
}

/// Reads a stored registry.
pub fn read(text: &str) -> Result<Registry, EngineError> {
    Ok(serde_json::from_str(text)?)
}

/// Makes a registry the active one in a store, unless it is already. Workers find it there.
pub async fn apply(store: &dyn Store, registry: &Registry, now: At) -> Result<Applied, EngineError> {
    let text = serde_json::to_string(registry)?;
    let mut attempts = Attempts::new(store, &(), "registry");
    loop {
        let done = apply_once(&mut attempts, registry, &text, now).await;
        // Where another worker was faster, the next try looks at what it has activated.
        if let Some(done) = attempts.conclude(done).await {
            return done;
        }
    }
}

async fn apply_once(
    attempts: &mut Attempts<'_>,
    registry: &Registry,
    text: &str,
    now: At,
) -> Result<Applied, EngineError> {
    let mut tx = attempts.begin().await?;
    tx.gate(Gate::Exclusive).await?;
    let current = tx.registry().await?;
    if let Some(current) = &current
        && read(&current.text)? == *registry
    {
        return Ok(Applied::Unchanged(current.revision));
    }
    let next = current.map_or(0, |current| current.revision) + 1;
    tx.add_registry(next, text, now).await?;
    tx.commit().await?;
    Ok(Applied::Activated(next))
}

impl Engine {
    /// Makes a registry the active one for all workers, unless it is already.
    pub async fn apply_registry(&self, registry: &Registry) -> Result<Applied, EngineError> {
        let applied = apply(self.store.as_ref(), registry, self.clock.now()).await?;
        let (Applied::Activated(revision) | Applied::Unchanged(revision)) = applied;
        self.activate(revision, registry.clone());
        Ok(applied)
    }

    /// Takes over the revision that is active in the store; `None`: there is none yet.
    pub async fn load_registry(&self) -> Result<Option<RegistryRevision>, EngineError> {
        let Some(stored) = self.store.registry().await? else {
            return Ok(None);
        };
        if self
            .active()
            .is_ok_and(|active| active.revision == stored.revision)
        {
            return Ok(Some(stored.revision));
        }
        self.activate(stored.revision, read(&stored.text)?);
        Ok(Some(stored.revision))
    }
}
