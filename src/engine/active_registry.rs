//! The registry that a worker decides by, as the store has it.

use crate::{
    domain::registry::{Registry, RegistryRevision},
    store::{Chain, Head},
};

use super::EngineError;

/// Reads a stored registry.
pub fn read(text: &str) -> Result<Registry, EngineError> {
    Ok(serde_json::from_str(text)?)
}

/// The registry that is active, with what is derived from it once.
#[derive(Debug)]
pub struct ActiveRegistry {
    /// Its revision.
    pub revision: RegistryRevision,
    /// The hash over it and those before it.
    pub(super) chain: Chain,
    /// The processors.
    pub registry: Registry,
}

impl ActiveRegistry {
    pub(super) const fn head(&self) -> Head {
        Head {
            number: self.revision,
            chain: self.chain,
        }
    }
}
