//! Where what a connector has to remember is kept: in the store, sealed; or in memory, where nothing is stored.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::oneshot::{self, error::TryRecvError};
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
    /// Remembers, all or nothing.
    async fn write(&self, notes: &[(OfTask, Kept)]) -> Result<(), NotRemembered>;
}

/// Writes what many remember at the same time together: while one transaction is under way, the next one gathers.
#[derive(Debug)]
pub(super) struct Writer {
    notes: Arc<dyn Notes>,
    gathered: Mutex<Vec<Waiting>>,
    /// Whoever has it writes for all that have gathered.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Waiting {
    of: OfTask,
    kept: Kept,
    written: oneshot::Sender<Result<(), NotRemembered>>,
}

/// So many are written together.
const MOST: usize = 1_000;

impl Writer {
    pub(super) fn new(notes: Arc<dyn Notes>) -> Self {
        Self {
            notes,
            gathered: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Remembers something of a task. It is stored when this returns.
    pub(super) async fn write(&self, of: OfTask, kept: &Kept) -> Result<(), NotRemembered> {
        let (written, mut told) = oneshot::channel();
        let kept = kept.clone();
        self.gathered().push(Waiting { of, kept, written });
        loop {
            let turn = self.turn.lock().await;
            match told.try_recv() {
                Ok(written) => return written,
                Err(TryRecvError::Closed) => {
                    let why = "whoever wrote it for others was stopped in the middle";
                    return Err(NotRemembered("written", why.to_owned()));
                }
                // It is among those that are written now, or after those.
                Err(TryRecvError::Empty) => self.write_gathered().await,
            }
            drop(turn);
        }
    }

    async fn write_gathered(&self) {
        let waiting: Vec<Waiting> = {
            let mut gathered = self.gathered();
            let most = gathered.len().min(MOST);
            gathered.drain(..most).collect()
        };
        let (notes, told): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .map(|waiting| ((waiting.of, waiting.kept), waiting.written))
            .unzip();
        let written = self.notes.write(&notes).await;
        for told in told {
            // Whoever does not wait any more has been stopped.
            drop(told.send(written.clone()));
        }
    }

    fn gathered(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    async fn write(&self, notes: &[(OfTask, Kept)]) -> Result<(), NotRemembered> {
        let wrong = |error: &dyn std::error::Error| NotRemembered("written", error.to_string());
        let packed = notes.iter().map(|(of, kept)| {
            let plain = kept.pack().map_err(|error| wrong(&error))?;
            Ok((*of, Zeroizing::new(plain)))
        });
        let packed: Vec<_> = packed.collect::<Result<_, _>>()?;
        self.remember(&packed).await.map_err(|error| wrong(&error))
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

    async fn write(&self, notes: &[(OfTask, Kept)]) -> Result<(), NotRemembered> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(notes.iter().cloned());
        Ok(())
    }
}
