//! The statuses of this worker that are on their way.

use std::sync::{Arc, Mutex, PoisonError};

use foldhash::HashMap;

use crate::{
    domain::ids::RequestId,
    engine::outputs::{Emission, RecordKind},
};

/// The highest revision of each status on its way that this worker has handed to the producer.
///
/// Stages commit and hand over concurrently, so an earlier status can come second: it is left out then. Without this
/// every landing would find that the worker itself has moved on, and say the same status twice.
#[derive(Debug, Clone, Default)]
pub(super) struct HandedOver(Arc<Mutex<HashMap<RequestId, u32>>>);

impl HandedOver {
    /// Keeps of an emission what is not out of date, and remembers it.
    pub(super) fn hand_over(&self, emission: &mut Emission) {
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
            emission.records.retain(
                |record| !matches!(&record.kind, RecordKind::Status { id, .. } if outdated.contains(id)),
            );
        }
    }

    /// What has landed is forgotten. The answer is what no later emission of this worker covers: the others bring the
    /// last record up to date when the later one lands.
    pub(super) fn land(&self, revisions: &[(RequestId, u32)]) -> Vec<(RequestId, u32)> {
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
