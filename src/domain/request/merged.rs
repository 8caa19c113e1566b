//! A request that was merged into another one: it has no tasks of its own, closes with the other one, and stands alone
//! again if that is withdrawn.

use serde::{Deserialize, Serialize};

use super::{Context, Request, Trail};
use crate::domain::{
    entry::Entry,
    identity::SubjectDigest,
    ids::RequestId,
    task::{IllegalEvent, Task},
    time::At,
    words::Status,
};

/// What a merged request keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Following {
    /// The request that it was merged into.
    pub leader: RequestId,
    /// Whether that one was sent: it cannot be withdrawn any more, so nothing below is needed.
    pub bound: bool,
    /// Whether live systems are clean by what that one has sent.
    pub is_clean: bool,
    /// Its own plan, pinned when it came.
    pub(super) plan: Vec<Task>,
    /// See [`Self::digests`].
    pub(super) digests: Vec<SubjectDigest>,
}

impl Following {
    /// The keyed digests under which its subject is found, once it follows no other request.
    pub fn digests(&self) -> &[SubjectDigest] {
        &self.digests
    }
}

/// How the request stands that others were merged into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leader {
    /// Whether it was cancelled or refused.
    pub withdrawn: bool,
    /// When it was closed.
    pub completed_at: Option<At>,
    /// Whether anything was sent.
    pub was_sent: bool,
    /// Whether live systems are clean.
    pub is_clean: bool,
}

impl Request {
    /// Whether anything was sent for it.
    pub fn was_sent(&self) -> bool {
        self.tasks.iter().any(Task::was_sent)
    }

    /// What those that were merged into it have to know.
    pub fn as_leader(&self) -> Leader {
        Leader {
            withdrawn: self.is_withdrawn(),
            completed_at: self.life.completed_at,
            was_sent: self.was_sent(),
            is_clean: self.life.live_clean_at.is_some(),
        }
    }

    /// Becomes one that follows another, when it is opened.
    pub(super) fn merge_into(
        &mut self,
        leader: RequestId,
        bound: bool,
        digests: &[SubjectDigest],
        trail: &mut Trail,
    ) {
        let plan = std::mem::take(&mut self.tasks);
        self.life.following = Some(Box::new(Following {
            leader,
            bound,
            is_clean: false,
            plan: if bound { Vec::new() } else { plan },
            digests: if bound { Vec::new() } else { digests.to_vec() },
        }));
        self.life.status = Status::Merged;
        trail.entries.push(Entry::Merged { into: leader });
    }

    /// Takes in one that it covers.
    pub fn absorb(&mut self, follower: RequestId) -> Trail {
        self.bookkeeping.followers = self.bookkeeping.followers.saturating_add(1);
        self.revision += 1;
        Trail {
            entries: vec![Entry::Absorbed { request: follower }],
            ..Trail::default()
        }
    }

    /// Goes by the request that it was merged into.
    pub fn follow(&mut self, leader: Leader, context: &Context<'_>) -> Result<Trail, IllegalEvent> {
        let mut trail = Trail::default();
        if let Some(mut following) = self.life.following.take() {
            if leader.withdrawn && !following.bound {
                self.stand_alone(following.plan, context, &mut trail);
                self.give_up_verification(context, &mut trail)?;
            } else {
                // What was closed without anything sent is not opened again either.
                if leader.was_sent || leader.completed_at.is_some() {
                    following.bound = true;
                    (following.plan, following.digests) = (Vec::new(), Vec::new());
                }
                following.is_clean = leader.is_clean;
                if self.life.completed_at != leader.completed_at {
                    trail.entries.push(Entry::Followed {
                        completed_at: leader.completed_at,
                    });
                }
                self.life.completed_at = leader.completed_at;
                self.life.following = Some(following);
            }
        }
        self.conclude_change(context, trail)
    }

    fn stand_alone(&mut self, plan: Vec<Task>, context: &Context<'_>, trail: &mut Trail) {
        self.tasks = plan;
        self.begin_tasks(trail);
        self.enter_status(self.status_at_start(context.now), context.now, trail);
    }
}
