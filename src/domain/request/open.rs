//! The birth of a request: planned, dated, and dispatched where nothing stands in the way.

use super::{Context, Head, Life, Move, Request, Trail};
use crate::domain::{
    calendar::{Calendar, Regime, deadline},
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

/// Opens a request. `digests`: of its identifiers; `commitment`: the salted one to the command, for the ledger.
pub fn open(
    opening: &Opening,
    digests: &[SubjectDigest],
    commitment: [u8; 32],
    revision: RegistryRevision,
    rules: &Rules,
    context: &Context<'_>,
) -> Result<Opened, CannotOpen> {
    let now = context.now;
    // A date that lies ahead gates; one that has passed is no gate.
    let not_before = opening.not_before.filter(|gate| *gate > now);
    let head = head(opening, not_before, revision, rules, now);
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
        deadline: head.deadline,
        registry: revision,
        commitment,
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
            status: if not_before.is_some() {
                Status::Scheduled
            } else {
                Status::InProgress
            },
            completed_at: None,
            live_clean_at: None,
            overdue: false,
            at_risk: false,
            needs_attention: false,
            readable: true,
            capsule: None,
            subject_holds: context.facts.holds().on_subject(&opening.tenant, digests),
            facts: context.facts.version(),
            restored_at: None,
            leaves: 0,
            wake_at: None,
        },
        tasks,
    };
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

fn head(
    opening: &Opening,
    not_before: Option<At>,
    revision: RegistryRevision,
    rules: &Rules,
    now: At,
) -> Head {
    let regime = opening.regime.unwrap_or(rules.regime);
    let requested_at = opening.requested_at.unwrap_or(now);
    let due = deadline(regime, requested_at, &rules.calendar);
    Head {
        tenant: opening.tenant.clone(),
        action: opening.action,
        regime,
        reason: opening.reason,
        received_at: now,
        requested_at,
        not_before,
        deadline: due.unrolled,
        deadline_rolled: due.rolled,
        at_risk_from: at_risk_from(requested_at, due.unrolled, rules.at_risk),
        excludes: !opening.exclude.is_empty(),
        registry: revision,
    }
}

/// The time at which only this share of the period is left.
fn at_risk_from(start: At, end: At, share: f64) -> At {
    let left = end.since(start).mul_f64(share.clamp(0.0, 1.0));
    At::from_millis(
        end.millis()
            .saturating_sub(i64::try_from(left.as_millis()).unwrap_or(i64::MAX)),
    )
}
