//! The same person again: what an open request covers is merged into it, and what is one too many waits for a person or
//! is refused.
//!
//! Whose request it is: a later request is of the same person only where *all* of its identifiers are among those of the
//! earlier one, compared by the keyed digests of their normalised values. An e-mail address or a device may be shared, so
//! an overlap joins nobody: {e-mail A, id 1} and then {id 1, e-mail B} are two requests, each carried out in full.

use super::{Check, Context, Head, LegalClock, Request};
use crate::domain::{
    body::{Body, PackedScope},
    calendar::Period,
    command::Opening,
    ids::RequestId,
    plan::{KEPT_AT_SOURCE, PlannedTask},
    task::{Task, TaskState},
    time::At,
    words::{Reason, Status},
};

/// What becomes of a request like one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duplicates {
    /// Whether a request is merged into an open one that covers it.
    pub merge_open: bool,
    /// How old that one may be.
    pub merge_window: Period,
    /// How many are too many.
    pub repeat_limit: RepeatLimit,
}

/// How many requests of one person are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepeatLimit {
    /// The number that is still taken.
    pub count: u32,
    /// In this time.
    pub per: Period,
    /// What happens to the next.
    pub then: OverLimit,
}

/// What happens to a request over the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverLimit {
    /// A person has to approve it.
    Approval,
    /// It is refused as excessive.
    Refuse,
}

impl Default for Duplicates {
    fn default() -> Self {
        Self {
            merge_open: true,
            merge_window: Period::days(1),
            repeat_limit: RepeatLimit {
                count: 3,
                per: Period::days(365),
                then: OverLimit::Approval,
            },
        }
    }
}

/// An earlier request that has all the identifiers of the one that is opened.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'a> {
    /// The request.
    pub request: &'a Request,
    /// What it has kept of its command.
    pub body: &'a Body,
}

/// Where a new request belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    /// It is carried out.
    Alone,
    /// It is merged into this one. `bound`: that one was sent, so that it cannot be withdrawn any more.
    Merged {
        /// The request that covers it.
        leader: RequestId,
        /// Whether it can no longer be separated.
        bound: bool,
        /// Whether a person has to approve it, should it ever stand alone: what waits for a person must not go by being
        /// asked for twice.
        needs_approval: bool,
    },
    /// It is one too many.
    TooMany {
        /// How many there were before it.
        earlier: u32,
        /// What the policy says.
        then: OverLimit,
    },
}

/// A request that is about to be opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Newcomer<'a> {
    pub(super) opening: &'a Opening,
    pub(super) head: &'a Head,
    pub(super) clock: &'a LegalClock,
    pub(super) planned: &'a [PlannedTask],
    pub(super) awaits_verification: bool,
}

impl Placement {
    /// Whether a person has to approve it.
    pub(super) const fn needs_approval(self) -> bool {
        matches!(
            self,
            Self::TooMany {
                then: OverLimit::Approval,
                ..
            } | Self::Merged {
                needs_approval: true,
                ..
            }
        )
    }
}

impl Newcomer<'_> {
    /// Where it belongs, given the earlier ones of the same person.
    pub(super) fn place(
        &self,
        earlier: &[Earlier<'_>],
        duplicates: &Duplicates,
        context: &Context<'_>,
    ) -> Placement {
        let within = |period: Period, one: &Request| {
            period.add_to(one.head.received_at, context.zones.of(&one.head.tenant)) > context.now
        };
        let limit = duplicates.repeat_limit;
        let repeated = |but: Option<RequestId>| {
            let count = earlier
                .iter()
                .filter(|one| Some(one.request.id) != but)
                .filter(|one| within(limit.per, one.request) && self.repeats(one))
                .count();
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        let is_too_many = |repeated: u32| is_of_the_person(self.head.reason) && repeated >= limit.count;
        let covering = earlier
            .iter()
            .filter(|one| duplicates.merge_open && within(duplicates.merge_window, one.request))
            .filter(|one| self.is_covered_by(one, context))
            .min_by_key(|one| (one.request.head.received_at, one.request.id));
        if let Some(one) = covering {
            let others = repeated(Some(one.request.id));
            return Placement::Merged {
                leader: one.request.id,
                bound: one.request.was_sent(),
                needs_approval: one.request.life.approval == Check::Awaiting || is_too_many(others),
            };
        }
        let repeated = repeated(None);
        if is_too_many(repeated) {
            Placement::TooMany {
                earlier: repeated,
                then: limit.then,
            }
        } else {
            Placement::Alone
        }
    }

    /// Whether everything that it asks for is on its way already, not later, and does not wait for an identity to be
    /// verified that is known of this one.
    fn is_covered_by(&self, earlier: &Earlier<'_>, context: &Context<'_>) -> bool {
        let open = earlier.request;
        let life = &open.life;
        !life.status.is_final()
            && life.status != Status::Deferred
            // What the person gave after coming back is spared by the earlier one, and may be meant by this one.
            && life.reactivated_at.is_none()
            && life.clock.due <= self.clock.due
            && (life.verification != Check::Awaiting || self.awaits_verification)
            && open.head.action == self.head.action
            && is_as_wide(&earlier.body.scope, self.opening)
            && self
                .opening
                .anchors
                .iter()
                .all(|(name, at)| earlier.body.anchors.get(name) == Some(at))
            // Task by task, because the registry may have changed in between and shares may have been refused; and by what
            // each is told, because identifiers that came later may not have reached everybody.
            && self.planned.iter().all(|planned| {
                open.ordinals().any(|ordinal| {
                    let told = earlier.body.identities_of(open, ordinal);
                    covers(open.task(ordinal), &planned.task)
                        && open.erases_until(ordinal, self.head.requested_at, context)
                        && planned.identities.iter().all(|kind| told.contains(kind))
                })
            })
    }

    /// Whether it asks once more for what the earlier one asked for. One that was withdrawn or merged is not held against
    /// anybody: a person may change their mind, and a double click is no abuse.
    fn repeats(&self, earlier: &Earlier<'_>) -> bool {
        let one = earlier.request;
        !one.is_withdrawn()
            && is_of_the_person(one.head.reason)
            && one.head.action == self.head.action
            && is_as_wide(&earlier.body.scope, self.opening)
            && as_wide(earlier.body.scope.processors(), &self.opening.scope.processors)
    }
}

impl Request {
    /// Whether this share erases what the person gave until a time: it has not been sent yet, is out, or was sent when that
    /// time had come. What was proved before they gave it proves nothing about it.
    fn erases_until(&self, ordinal: u16, until: At, context: &Context<'_>) -> bool {
        let task = self.task(ordinal);
        // What is left out of both is erased by neither; copies follow the shares that they are copies of.
        if matches!(task.state, TaskState::Exempt { .. }) || task.share.is_wave() {
            return true;
        }
        let registered = context.registry.get(&task.processor);
        // It is told to leave alone what came after the first request, whenever it is sent.
        if registered.is_some_and(|processor| processor.honours_cutoff) && self.head.requested_at < until {
            return false;
        }
        let only_looks = task.purpose.only_asks();
        match task.state {
            TaskState::Done { .. } => {}
            // A sweep erases once more; another second look only asks.
            _ if only_looks => {}
            _ => return true,
        }
        // The clocks of upstream and Lacuna may be apart.
        let sure = until.plus(context.clock_skew).min(context.now);
        task.sent.is_some_and(|sent| sent.asked_at >= sure)
    }
}

/// Whether the person asks: what the controller does by itself is never an abuse of their rights.
const fn is_of_the_person(reason: Reason) -> bool {
    match reason {
        Reason::SubjectRequest
        | Reason::AccountClosed
        | Reason::ConsentWithdrawn
        | Reason::NoConsent
        | Reason::Objection
        | Reason::UnlawfulProcessing
        | Reason::AgreementBroken => true,
        Reason::RetentionExpired | Reason::ServiceCeased | Reason::ContractEnded | Reason::Inactivity => {
            false
        }
    }
}

/// The processors of a scope are compared task by task.
fn is_as_wide(scope: &PackedScope, opening: &Opening) -> bool {
    as_wide(scope.purposes(), &opening.scope.purposes)
        && as_wide(scope.categories(), &opening.scope.categories)
}

/// An empty list limits nothing.
fn as_wide<T: PartialEq>(wide: &[T], narrow: &[T]) -> bool {
    wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|item| wide.contains(item)))
}

fn covers(task: &Task, new: &Task) -> bool {
    let goes_on = match &task.state {
        // Of copies whose sources are left out nothing has to go. Whether the sources are left out of both is seen by theirs.
        TaskState::Exempt { basis } => task.share.is_wave() && basis.as_str() == KEPT_AT_SOURCE,
        TaskState::Waived | TaskState::Cancelled => false,
        _ => true,
    };
    task.processor == new.processor
        && task.action == new.action
        && as_wide(&task.categories, &new.categories)
        && (goes_on || matches!(new.state, TaskState::Exempt { .. }))
}
