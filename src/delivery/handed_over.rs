//! The statuses of this worker that are on their way.

use std::sync::{Arc, Mutex, PoisonError};

use foldhash::HashMap;

use crate::{
    domain::ids::RequestId,
    engine::effects::{Effect, Effects},
};

/// The highest revision of each status on its way that this worker has handed to a transport.
///
/// Stages commit and hand over concurrently, so an earlier status can come second: it is left out then. Without this
/// every confirmation would find that the worker itself has moved on, and the same status would be produced twice.
#[derive(Debug, Clone, Default)]
pub(super) struct HandedOver(Arc<Mutex<HashMap<RequestId, u32>>>);

impl HandedOver {
    /// Keeps of effects what is not out of date, and remembers it.
    pub(super) fn hand_over(&self, emission: &mut Effects) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut outdated = Vec::new();
        for (id, revision) in &emission.revisions {
            let known = latest.entry(*id).or_insert(*revision);
            if *known > *revision {
                outdated.push(*id);
            }
            *known = (*known).max(*revision);
        }
        if !outdated.is_empty() {
            emission
                .effects
                .retain(|effect| !matches!(effect, Effect::Status(status) if outdated.contains(&status.id)));
        }
    }

    /// What is confirmed is forgotten. The answer is what no later effects of this worker cover: the others bring the
    /// last record up to date when the later one is confirmed.
    pub(super) fn confirmed(&self, revisions: &[(RequestId, u32)]) -> Vec<(RequestId, u32)> {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = Vec::with_capacity(revisions.len());
        for (id, revision) in revisions {
            if latest.get(id).is_none_or(|highest| highest <= revision) {
                latest.remove(id);
                last.push((*id, *revision));
            }
        }
        last
    }
}
