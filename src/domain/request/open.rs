//! The birth of a request: planned, dated, and dispatched where nothing stands in the way.

use super::{Check, Context, Head, LegalClock, Life, Move, Request, Trail};
use crate::domain::{
    calendar::{Calendar, Period, Regime, deadline, later_by_days},
    command::Opening,
    entry::Entry,
    identity::SubjectDigest,
    ids::IdentityType,
    plan::{NoPlan, PlannedTask, Start, plan},
    registry::RegistryRevision,
    task::{IllegalEvent, Share, TaskState},
    time::At,
    words::Status,
};

/// The controller's rules that a request is opened under.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The regime of a command that names none.
    pub regime: Regime,
    /// Zone and holidays.
    pub calendar: Calendar,
    /// The share of the period that is left when a request counts as at risk.
    pub at_risk: f64,
    /// Whether nothing is sent before the subject's identity is verified.
    pub require_verification: bool,
    /// How long it can be withdrawn before its first dispatch.
    pub grace: Period,
}

/// A request that was just opened.
#[derive(Debug)]
pub struct Opened {
    /// The request, at revision 1.
    pub request: Request,
    /// The identity types that each task's processor is sent.
    pub identities: Vec<Vec<IdentityType>>,
    /// What it leaves behind.
    pub trail: Trail,
}

/// Why a request cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum CannotOpen {
    /// No plan.
    #[error(transparent)]
    NoPlan(#[from] NoPlan),
    /// A fault of the state machine.
    #[error(transparent)]
    Illegal(#[from] IllegalEvent),
}

/// What comes with a command that opens a request.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// The keyed digests of its identifiers.
    pub digests: &'a [SubjectDigest],
    /// The salted commitment to it, for the ledger.
    pub commitment: [u8; 32],
    /// The registry's revision that its plan is pinned to.
    pub revision: RegistryRevision,
    /// Whether a second person has to approve it.
    pub needs_approval: bool,
}

/// Opens a request.
pub fn open(
    opening: &Opening,
    admission: Admission<'_>,
    rules: &Rules,
    context: &Context<'_>,
) -> Result<Opened, CannotOpen> {
    let now = context.now;
    let (not_before, grace) = dates(opening, rules, context);
    let head = head(opening, (not_before, grace), admission.revision, rules, now);
    let clock = legal_clock(&head, &rules.calendar, rules.at_risk, 0);
    let start = Start {
        at: not_before.unwrap_or(now),
        requested_at: head.requested_at,
        zone: context.zone,
    };
    let planned = plan(opening, context.registry, start)?;
    let mut trail = Trail::default();
    trail.entries.push(Entry::Opened {
        action: head.action,
        regime: head.regime,
        requested_at: head.requested_at,
        deadline: clock.due,
        registry: admission.revision,
        commitment: admission.commitment,
        processors: planned
            .iter()
            .map(|planned| planned.task.processor.clone())
            .collect(),
    });
    trail.entries.extend((0..).zip(&planned).filter_map(kept));
    let (tasks, identities): (Vec<_>, Vec<_>) = planned
        .into_iter()
        .map(|planned| (planned.task, planned.identities))
        .unzip();
    let mut request = Request {
        id: opening.request_id,
        revision: 1,
        head,
        life: Life {
            clock,
            verification: awaited(rules.require_verification && !opening.identity_verified),
            approval: awaited(admission.needs_approval),
            refused: None,
            status: Status::InProgress,
            completed_at: None,
            live_clean_at: None,
            overdue: false,
            at_risk: false,
            needs_attention: false,
            readable: true,
            capsule: None,
            subject_holds: context
                .facts
                .holds()
                .on_subject(&opening.tenant, admission.digests),
            facts: context.facts.version(),
            reactivated_at: None,
            restored_at: None,
            leaves: 0,
            wake_at: None,
        },
        tasks,
    };
    // The state that it is born in is no change of state.
    request.life.status = request
        .closed_gate(now)
        .map_or(Status::InProgress, |gate| gate.status());
    for ordinal in request.ordinals() {
        trail.moves.push(Move {
            ordinal,
            from: None,
            to: request.task(ordinal).state.name(),
        });
    }
    request.conclude(context, &mut trail)?;
    Ok(Opened {
        request,
        identities,
        trail,
    })
}

/// The entry of a share that a rule keeps: also that the command has no anchor of the rule's name.
fn kept((ordinal, planned): (u16, &PlannedTask)) -> Option<Entry> {
    let (Share::Kept { basis, anchor }, TaskState::Parked { until, .. }) =
        (&planned.task.share, &planned.task.state)
    else {
        return None;
    };
    Some(Entry::Kept {
        ordinal,
        basis: basis.clone(),
        anchor: planned.anchor.clone(),
        from: *anchor,
        until: *until,
    })
}

const fn awaited(needed: bool) -> Check {
    if needed { Check::Awaiting } else { Check::NotNeeded }
}

/// Until when nothing is sent, and whether that is the grace window. A date that has passed is no gate.
fn dates(opening: &Opening, rules: &Rules, context: &Context<'_>) -> (Option<At>, bool) {
    let now = context.now;
    let asked = opening.not_before.filter(|gate| *gate > now);
    let grace = (!rules.grace.is_zero()).then(|| rules.grace.add_to(now, context.zone));
    match (asked, grace) {
        (Some(asked), Some(grace)) if grace > asked => (Some(grace), true),
        (Some(asked), _) => (Some(asked), false),
        (None, grace) => (grace, grace.is_some()),
    }
}

fn head(
    opening: &Opening,
    (not_before, grace): (Option<At>, bool),
    revision: RegistryRevision,
    rules: &Rules,
    now: At,
) -> Head {
    let regime = opening.regime.unwrap_or(rules.regime);
    let requested_at = opening.requested_at.unwrap_or(now);
    Head {
        tenant: opening.tenant.clone(),
        action: opening.action,
        regime,
        reason: opening.reason,
        received_at: now,
        requested_at,
        not_before,
        grace,
        excludes: !opening.exclude.is_empty(),
        limited: !opening.scope.is_whole(),
        registry: revision,
    }
}

/// The legal clock of a request that stood still for so many days.
pub(super) fn legal_clock(head: &Head, calendar: &Calendar, at_risk: f64, paused_days: u16) -> LegalClock {
    let due = deadline(
        head.regime,
        later_by_days(head.requested_at, paused_days, calendar),
        calendar,
    );
    LegalClock {
        due: due.unrolled,
        rolled: due.rolled,
        at_risk_from: at_risk_from(head.requested_at, due.unrolled, at_risk),
        extended: false,
        paused_days,
    }
}

/// The time at which only this share of the period is left.
pub(super) fn at_risk_from(start: At, end: At, share: f64) -> At {
    let left = end.since(start).mul_f64(share.clamp(0.0, 1.0));
    At::from_millis(
        end.millis()
            .saturating_sub(i64::try_from(left.as_millis()).unwrap_or(i64::MAX)),
    )
}
