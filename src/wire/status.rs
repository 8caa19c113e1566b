//! Statuses: what outsiders see of a request.
//!
//! The status topic is compacted and kept, so it must never hold an identifier, a free text or anything else of the
//! subject.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::{
    calendar::Regime,
    ids::{Label, ProcessorId, RequestId, Tenant},
    time::At,
    words::{Action, Notice, RefusalBasis, Status, TaskStateName, Why},
};

/// The type of the event that carries a status.
pub const EVENT_TYPE: &str = "dev.lacuna.status.v1";

/// The state of a request. Of one key, the record of the highest revision is the current one. A tombstone says that the
/// request was kept for as long as `vault.records_keep` says: its revisions are to be forgotten with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusMessage<'a> {
    /// The request.
    pub request_id: RequestId,
    /// The tenant.
    pub tenant: Cow<'a, Tenant>,
    /// The state.
    pub status: Status,
    /// What was asked for.
    pub action: Action,
    /// The regime that gives the deadline.
    pub regime: Cow<'a, Regime>,
    /// When the command was received.
    pub received_at: At,
    /// The legal deadline, not rolled over holidays.
    pub deadline: At,
    /// When the last task was done.
    pub completed_at: Option<At>,
    /// Whether the deadline has passed and live systems are not clean.
    pub overdue: bool,
    /// How many tasks there are, and how far they are.
    pub tasks: TaskCounts,
    /// How the tasks that are done ended.
    pub outcomes: OutcomeCounts,
    /// Since when live systems are clean: what can go now is done or exempt at every processor that is no backup.
    pub live_clean_at: Option<At>,
    /// Whether little of the period is left.
    pub at_risk: bool,
    /// Whether a person has to look at it.
    pub needs_attention: bool,
    /// What upstream should tell the person now, in one word; Lacuna itself writes to nobody. `acknowledgement_due`: that
    /// the request has come in; it stands until the regime's deadline for that, or the next word. `extension_due`: little
    /// of the first period is left, and an extension would have to be announced inside it. `extended`: the deadline was
    /// extended. `overdue`: it has passed. `completed`: done everywhere. `closed_with_exceptions`: it has come to its end, and
    /// `not_erased` says what was not erased. `refused`: on
    /// the ground `refused_on`. `restored`: open again, because a backup was put back. `merged`: part of another request,
    /// `merged_into`. `cancelled`: withdrawn. `erasure_notice_due`: they will be erased for having been away, unless they come back by the date that
    /// `waiting_for` has. Null: nothing new, also while only copies are left, since `live_clean_at`.
    pub notice: Option<Notice>,
    /// Everything that is not done, and why.
    #[serde(borrow)]
    pub waiting_for: Vec<WaitingFor<'a>>,
    /// Grows with every change.
    #[schemars(range(min = 1))]
    pub revision: u64,
    /// The open request that covers this one, where the state is `merged`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<RequestId>,
    /// The legal ground, where the state is `refused`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_on: Option<RefusalBasis>,
    /// What of it was refused, and on what ground: what the person has to be told.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<RefusalNotice<'a>>,
    /// What was not erased, where the state is `closed_with_exceptions`: the person must not be told that it was.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub not_erased: Vec<ShareLeft<'a>>,
}

/// A share that was not erased although the request has come to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShareLeft<'a> {
    /// The processor.
    pub processor: Cow<'a, ProcessorId>,
    /// The categories of the share; none: all of it.
    #[serde(default, skip_serializing_if = "<[Label]>::is_empty")]
    pub part: Cow<'a, [Label]>,
    /// `waived`, or the basis on which it is exempt.
    pub why: String,
}

/// What of a request was refused. Upstream tells the person; Lacuna never does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefusalNotice<'a> {
    /// The legal ground on which all of it was refused; absent where only processors' shares were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<RefusalBasis>,
    /// When all of it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    /// The authority that the person can complain to about the refusal of all of it, in the controller's words.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub complaint_body: Option<Cow<'a, str>>,
    /// The processors whose shares were refused, or excluded by the command, each with its ground.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub processors: Vec<RefusedShare<'a>>,
}

/// A processor's share that was refused, or excluded by the command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedShare<'a> {
    /// The processor.
    pub processor: Cow<'a, ProcessorId>,
    /// The legal ground.
    pub basis: RefusalBasis,
}

/// How many tasks a request has, exempt ones too, and how far they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskCounts {
    /// All.
    pub total: u32,
    /// Proved done.
    pub done: u32,
    /// Waiting for a date or an event.
    pub parked: u32,
    /// Given up until an operator decides.
    pub abandoned: u32,
}

/// How the tasks that are done ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeCounts {
    /// Erased.
    pub erased: u32,
    /// Anonymized.
    pub anonymized: u32,
    /// Pseudonymised, which is no anonymization, where the registry says that it will do; absent: none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub pseudonymised: u32,
    /// There was nothing.
    pub not_found: u32,
    /// Accepted, and closed by the vendor's published term: nobody has confirmed it. It is never counted as erased.
    #[serde(default)]
    pub attested: u32,
    /// Exempt on a legal basis.
    pub exempt: u32,
    /// Done without, as an operator has decided; absent: none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub waived: u32,
}

/// One thing that is not done. A gate of the request has no processor; it blocks every task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitingFor<'a> {
    /// The processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<Cow<'a, ProcessorId>>,
    /// The state of its task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<TaskStateName>,
    /// Why it is not done.
    pub why: Why,
    /// Until when, where that is known.
    pub until: Option<At>,
}

fn owned<T: Clone + 'static>(one: Cow<'_, T>) -> Cow<'static, T> {
    Cow::Owned(one.into_owned())
}

impl StatusMessage<'_> {
    /// The same, with nothing borrowed: it is said later, when what it was taken from may be gone.
    pub fn into_owned(self) -> StatusMessage<'static> {
        StatusMessage {
            request_id: self.request_id,
            tenant: owned(self.tenant),
            status: self.status,
            action: self.action,
            regime: owned(self.regime),
            received_at: self.received_at,
            deadline: self.deadline,
            completed_at: self.completed_at,
            overdue: self.overdue,
            tasks: self.tasks,
            outcomes: self.outcomes,
            live_clean_at: self.live_clean_at,
            at_risk: self.at_risk,
            needs_attention: self.needs_attention,
            notice: self.notice,
            waiting_for: self.waiting_for.into_iter().map(WaitingFor::into_owned).collect(),
            revision: self.revision,
            merged_into: self.merged_into,
            refused_on: self.refused_on,
            refusal: self.refusal.map(RefusalNotice::into_owned),
            not_erased: self.not_erased.into_iter().map(ShareLeft::into_owned).collect(),
        }
    }
}

impl WaitingFor<'_> {
    fn into_owned(self) -> WaitingFor<'static> {
        WaitingFor {
            processor: self.processor.map(owned),
            state: self.state,
            why: self.why,
            until: self.until,
        }
    }
}

impl ShareLeft<'_> {
    fn into_owned(self) -> ShareLeft<'static> {
        ShareLeft {
            processor: owned(self.processor),
            part: Cow::Owned(self.part.into_owned()),
            why: self.why,
        }
    }
}

impl RefusalNotice<'_> {
    fn into_owned(self) -> RefusalNotice<'static> {
        let share = |share: RefusedShare<'_>| RefusedShare {
            processor: owned(share.processor),
            basis: share.basis,
        };
        RefusalNotice {
            basis: self.basis,
            at: self.at,
            complaint_body: self.complaint_body.map(|body| Cow::Owned(body.into_owned())),
            processors: self.processors.into_iter().map(share).collect(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_none(count: &u32) -> bool {
    *count == 0
}
