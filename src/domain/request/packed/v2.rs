//! Rows of version 2, which did not say what was sent: it is told from what they do say, so that no old row opens a gate
//! by itself, and what was sent is not taken for withdrawable.

use serde::Deserialize;

use super::super::{Bookkeeping, Check, Following, Head, LegalClock, Life};
use crate::domain::{
    backup::Week,
    fact::FactVersion,
    identity::SubjectDigest,
    ids::{HoldId, Label, ProcessorId, RequestId},
    task::{Purpose, Sent, Share, Task, TaskState},
    time::At,
    words::{Action, Notice, Outcome, RefusalBasis, Status},
};

#[derive(Deserialize)]
pub(super) struct Packed(Head, OldLife, Vec<OldTask>);

#[derive(Deserialize)]
struct OldTask {
    processor: ProcessorId,
    action: Action,
    categories: Vec<Label>,
    after: Vec<u16>,
    share: Share,
    purpose: Purpose,
    generation: u32,
    attempt: u32,
    counted: u32,
    answered: Option<Outcome>,
    state: TaskState,
}

#[derive(Deserialize)]
struct OldLife {
    clock: LegalClock,
    verification: Check,
    approval: Check,
    refused: Option<RefusalBasis>,
    status: Status,
    completed_at: Option<At>,
    live_clean_at: Option<At>,
    overdue: bool,
    at_risk: bool,
    needs_attention: bool,
    notice: Option<Notice>,
    readable: bool,
    capsule: Option<Week>,
    subject_holds: Vec<HoldId>,
    facts: FactVersion,
    reactivated_at: Option<At>,
    restored_at: Option<At>,
    following: Option<Box<OldFollowing>>,
    followers: u32,
    leaves: u32,
    wake_at: Option<At>,
}

#[derive(Deserialize)]
struct OldFollowing {
    leader: RequestId,
    bound: bool,
    is_clean: bool,
    plan: Vec<OldTask>,
    digests: Vec<SubjectDigest>,
}

impl Packed {
    /// The parts of the request as they are packed now.
    pub(super) fn into_parts(self) -> (Head, (Life, Bookkeeping), Vec<Task>) {
        let Self(head, old, tasks) = self;
        let is_past_its_gates = old.is_past_its_gates();
        let life = Life {
            clock: old.clock,
            verification: old.verification,
            approval: old.approval,
            refused: old.refused,
            status: old.status,
            completed_at: old.completed_at,
            live_clean_at: old.live_clean_at,
            overdue: old.overdue,
            at_risk: old.at_risk,
            needs_attention: old.needs_attention,
            // Version 2 had one word for both ends.
            notice: old.notice.map(|notice| match (old.status, notice) {
                (Status::ClosedWithExceptions, Notice::Completed) => Notice::ClosedWithExceptions,
                (_, notice) => notice,
            }),
            subject_holds: old.subject_holds,
            reactivated_at: old.reactivated_at,
            restored_at: old.restored_at,
            following: old.following.map(|following| Box::new(following.into_now())),
            set_aside_at: None,
        };
        let bookkeeping = Bookkeeping {
            readable: old.readable,
            capsule: old.capsule,
            facts: old.facts,
            followers: old.followers,
            leaves: old.leaves,
            wake_at: old.wake_at,
        };
        let tasks = tasks.into_iter().map(|task| task.into_now(is_past_its_gates));
        (head, (life, bookkeeping), tasks.collect())
    }
}

impl OldLife {
    /// Whether nothing kept it from sending when it was written.
    fn is_past_its_gates(&self) -> bool {
        let waits_for_a_person = self.verification == Check::Awaiting || self.approval == Check::Awaiting;
        match self.status {
            Status::AwaitingVerification | Status::AwaitingApproval | Status::Scheduled => false,
            Status::InProgress
            | Status::Deferred
            | Status::Completed
            | Status::ClosedWithExceptions
            | Status::Refused
            | Status::Cancelled
            | Status::Merged => !waits_for_a_person,
        }
    }
}

impl OldFollowing {
    /// Nothing of a plan that was laid aside has been sent.
    fn into_now(self) -> Following {
        Following {
            leader: self.leader,
            bound: self.bound,
            is_clean: self.is_clean,
            plan: self.plan.into_iter().map(|task| task.into_now(false)).collect(),
            digests: self.digests,
        }
    }
}

impl OldTask {
    fn into_now(self, is_past_its_gates: bool) -> Task {
        let sent = self.sent(is_past_its_gates);
        Task {
            processor: self.processor,
            action: self.action,
            categories: self.categories,
            after: self.after,
            share: self.share,
            purpose: self.purpose,
            generation: self.generation,
            attempt: self.attempt,
            counted: self.counted,
            answered: self.answered,
            state: self.state,
            sent,
        }
    }

    /// An attempt of this generation, an answer or a second look prove that it was sent. A later generation without any of
    /// them may have begun after a send, or by an operator's retry of what had never been sent. Behind open gates it
    /// counts as sent: nothing of it can be taken back then, and a restore asks it once more, which harms nobody. Before a
    /// closed gate nothing can have been sent but what says so.
    fn sent(&self, is_past_its_gates: bool) -> Option<Sent> {
        let asked_at = match self.state {
            TaskState::Dispatched { at, .. } => at,
            _ => At::default(),
        };
        let is_second_look = matches!(self.purpose, Purpose::Sweep(_) | Purpose::Verify(_));
        let is_out = matches!(
            self.state,
            TaskState::Dispatched { .. } | TaskState::Accepted { .. } | TaskState::Verifying { .. }
        );
        // Only what had never been sent went back to waiting for others.
        let waits = matches!(self.state, TaskState::Blocked | TaskState::WithoutIdentity);
        if waits && !self.share.is_wave() {
            return None;
        }
        let is_proved = self.attempt > 0 || self.answered.is_some() || is_second_look || is_out;
        let is_likely = self.generation > 1 && is_past_its_gates;
        (is_proved || is_likely).then_some(Sent { asked_at })
    }
}
