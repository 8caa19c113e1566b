//! Which holds cover a request, and which of its tasks.

use super::Request;
use crate::domain::{
    hold::{Hold, Holds},
    registry::{Processor, Registry},
    task::Task,
};

impl Hold {
    /// Whether it covers this task of this request.
    pub fn covers(&self, request: &Request, task: &Task, registered: Option<&Processor>) -> bool {
        self.names(request)
            && self.processor.as_ref().is_none_or(|id| *id == task.processor)
            && (self.categories.is_empty() || self.meets(&task.categories, registered))
    }

    /// Whether it is about this request, as far as it says about which: its tenant, its id, its subject.
    fn names(&self, request: &Request) -> bool {
        self.tenant == request.head.tenant
            && self.request_id.is_none_or(|id| id == request.id)
            && (self.subject.is_empty()
                || self.found.contains(&request.id)
                || request.life.subject_holds.contains(&self.hold_id))
    }
}

impl Holds {
    /// A hold that covers this task, if there is one.
    pub fn on_task(&self, request: &Request, task: &Task, registered: Option<&Processor>) -> Option<&Hold> {
        if self.is_empty() {
            return None;
        }
        self.candidates(request)
            .find(|hold| hold.covers(request, task, registered))
    }

    /// The holds that cover a part of this request, each once, in order of their ids.
    pub fn on_request(&self, request: &Request, registry: &Registry) -> Vec<&Hold> {
        let covers = |hold: &&Hold| {
            // One that was merged has no tasks, and what is known of it is evidence all the same.
            if request.tasks.is_empty() {
                return !hold.is_wide() && hold.names(request);
            }
            request
                .tasks
                .iter()
                .any(|task| hold.covers(request, task, registry.get(&task.processor)))
        };
        let mut found: Vec<&Hold> = self.candidates(request).filter(covers).collect();
        found.sort_unstable_by_key(|hold| hold.hold_id);
        found.dedup_by_key(|hold| hold.hold_id);
        found
    }

    fn candidates(&self, request: &Request) -> impl Iterator<Item = &Hold> {
        self.possibly_covering(&request.head.tenant, request.id, &request.life.subject_holds)
    }
}
