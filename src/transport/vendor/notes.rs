//! Where what a connector has to remember is kept: in the store, sealed; or in memory, where nothing is stored.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::{
    connector::Kept,
    engine::{Engine, notes::OfTask},
};

/// What is remembered could not be read or written: nothing is called without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what is remembered of the task cannot be {0}: {1}")]
pub struct NotRemembered(&'static str, String);

/// Remembers.
#[async_trait]
pub trait Notes: std::fmt::Debug + Send + Sync + 'static {
    /// What is remembered of these tasks.
    async fn read(&self, tasks: &[OfTask]) -> Result<HashMap<OfTask, Kept>, NotRemembered>;
    /// Remembers.
    async fn write(&self, of: OfTask, kept: &Kept) -> Result<(), NotRemembered>;
}

#[async_trait]
impl Notes for Engine {
    async fn read(&self, tasks: &[OfTask]) -> Result<HashMap<OfTask, Kept>, NotRemembered> {
        let wrong = |error: &dyn std::error::Error| NotRemembered("read", error.to_string());
        let notes = self.notes(tasks).await.map_err(|error| wrong(&error))?;
        let unpacked = notes.into_iter().map(|(of, plain)| {
            let kept = Kept::unpack(&plain).map_err(|error| wrong(&error))?;
            Ok((of, kept))
        });
        unpacked.collect()
    }

    async fn write(&self, of: OfTask, kept: &Kept) -> Result<(), NotRemembered> {
        let wrong = |error: &dyn std::error::Error| NotRemembered("written", error.to_string());
        let plain = Zeroizing::new(kept.pack().map_err(|error| wrong(&error))?);
        self.remember(&[(of, plain)]).await.map_err(|error| wrong(&error))
    }
}

/// For as long as the process lives: simulated timelines and tests.
#[derive(Debug, Clone, Default)]
pub struct InMemory(Arc<Mutex<HashMap<OfTask, Kept>>>);

#[async_trait]
impl Notes for InMemory {
    async fn read(&self, tasks: &[OfTask]) -> Result<HashMap<OfTask, Kept>, NotRemembered> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tasks
            .iter()
            .filter_map(|of| all.get(of).map(|kept| (*of, kept.clone())));
        Ok(known.collect())
    }

    async fn write(&self, of: OfTask, kept: &Kept) -> Result<(), NotRemembered> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(of, kept.clone());
        Ok(())
    }
}
