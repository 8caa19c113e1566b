//! What a request has kept of its command, read together with the request.

use super::Request;
use crate::domain::{
    body::Body,
    ids::{IdentityType, ProcessorId},
    registry::Registry,
};

impl Body {
    /// The identity types that this task's processor is sent. A wave that was added later is sent what its set's first
    /// one is: it has no place here, or an empty one, where a later one was given its own.
    pub fn identities_of(&self, request: &Request, ordinal: u16) -> &[IdentityType] {
        let pinned = |place: u16| {
            let kinds = self.identities.get(usize::from(place)).map(Vec::as_slice);
            kinds.filter(|kinds| !kinds.is_empty())
        };
        let processor = &request.task(ordinal).processor;
        pinned(ordinal)
            .or_else(|| {
                let mut same = request
                    .ordinals()
                    .filter(|place| request.task(*place).processor == *processor);
                same.find_map(pinned)
            })
            .unwrap_or_default()
    }

    /// What whoever sent the command should look at again: processors that it names and that nobody knows.
    ///
    /// It was taken all the same: one may have left the registry before upstream has heard of it, and a person's request
    /// must not be lost for that.
    pub fn warnings(&self, request: &Request, registry: &Registry) -> Vec<String> {
        let is_planned = |id: &ProcessorId| request.tasks.iter().any(|task| task.processor == *id);
        let is_unknown = |id: &&ProcessorId| registry.get(id).is_none() && !is_planned(id);
        let excluded = self.exclude.iter().map(|exclusion| &exclusion.processor);
        let not_kept = excluded.filter(is_unknown).map(|id| {
            format!("exclude: no processor {id} is registered, so nothing was kept from being erased by it")
        });
        let not_asked = self.scope.processors().iter().filter(is_unknown).map(|id| {
            format!("scope.processors: no processor {id} is registered, so nobody was asked for it")
        });
        not_kept.chain(not_asked).collect()
    }
}
