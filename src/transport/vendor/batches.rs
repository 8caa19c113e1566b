//! The batches that are being filled: whoever comes first waits a moment for others, and makes the call for all of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, oneshot};

use crate::{connector::rules::Judged, domain::identity::SubjectData, transport::sender::Reply};

/// What a call came to for one person.
pub(super) type Told = Result<(Judged, Option<Duration>), Reply>;

/// The batches that are being filled, by step and type of identifier.
#[derive(Debug, Default)]
pub(super) struct Batches(Mutex<HashMap<(usize, String), Filled>>);

#[derive(Debug, Default)]
struct Filled {
    people: Vec<Waiting>,
    is_full: Arc<Notify>,
}

/// Somebody whose answer is waited for.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: SubjectData,
    pub(super) told: oneshot::Sender<Told>,
}

impl Batches {
    /// Puts somebody into a batch; `Some`: the first one, who makes the call once it is full.
    pub(super) fn add(&self, key: &(usize, String), count: usize, waiting: Waiting) -> Option<Arc<Notify>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = all.entry(key.clone()).or_default();
        batch.people.push(waiting);
        if batch.people.len() >= count {
            batch.is_full.notify_one();
        }
        (batch.people.len() == 1).then(|| Arc::clone(&batch.is_full))
    }

    pub(super) fn take(&self, key: &(usize, String)) -> Vec<Waiting> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(key).map(|batch| batch.people).unwrap_or_default()
    }
}
