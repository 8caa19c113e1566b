//! What of a request was refused, and on what ground: what upstream needs to tell the person.

use std::collections::BTreeMap;

use super::Request;
use crate::domain::{
    ids::ProcessorId,
    task::{Share, Task, TaskState},
    time::At,
    words::{RefusalBasis, Status},
};

/// The authorities that a person can complain to about a refusal, in the controller's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComplaintBodies {
    /// The one of a regime that has none of its own; `None`: there is no such text.
    pub otherwise: Option<String>,
    /// By the name of a regime.
    pub by_regime: BTreeMap<String, String>,
}

/// What of a request was refused. At least one of both is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals<'a> {
    /// All of it: the ground, and when.
    pub whole: Option<(RefusalBasis, Option<At>)>,
    /// The shares of processors that were refused, or excluded by the command, in the order of the plan.
    pub shares: Vec<(&'a ProcessorId, RefusalBasis)>,
}

impl ComplaintBodies {
    /// Whom a person can complain to about what was done with a request.
    pub fn of(&self, request: &Request) -> Option<&str> {
        self.by_regime
            .get(&request.head.regime.to_string())
            .or(self.otherwise.as_ref())
            .map(String::as_str)
    }
}

impl Request {
    /// What of it was refused; `None`: nothing.
    pub fn refusal(&self) -> Option<Refusals<'_>> {
        let whole = self
            .life
            .refused
            .filter(|_| self.life.status == Status::Refused)
            .map(|basis| (basis, self.life.completed_at));
        let mut shares: Vec<(&ProcessorId, RefusalBasis)> = Vec::new();
        for task in &self.tasks {
            let found = self.refused_on(task).map(|basis| (&task.processor, basis));
            // Several parts of one processor are one share to the person.
            shares.extend(found.filter(|share| !shares.contains(share)));
        }
        (whole.is_some() || !shares.is_empty()).then_some(Refusals { whole, shares })
    }

    /// The ground on which a task was refused. What a processor itself has to keep was asked, and is no refusal; copies
    /// follow what they are copies of.
    fn refused_on(&self, task: &Task) -> Option<RefusalBasis> {
        let TaskState::Exempt { basis } = &task.state else {
            return None;
        };
        let follows = match &task.share {
            Share::Wave { sources, .. } => sources
                .iter()
                .any(|source| self.task(*source).state == task.state),
            Share::Live | Share::Kept { .. } | Share::Backup => false,
        };
        RefusalBasis::parse(basis.as_str()).filter(|_| !task.was_sent() && !follows)
    }
}
