//! The birth of a request: planned, dated, and dispatched where nothing stands in the way.

use jiff::tz::TimeZone;

use super::{
    Bookkeeping, Check, Context, Head, Life, Move, Request, Trail,
    duplicates::{Duplicates, Earlier, Newcomer, OverLimit, Placement},
    gates::Rulebook,
    legal_clock::LegalClock,
};
use crate::domain::{
    calendar::{Calendar, Period, Regime, Regimes, Terms},
    command::Opening,
    entry::Entry,
    identity::{FormerDigest, SubjectDigest},
    ids::IdentityType,
    plan::{NoPlan, PlannedTask, Start, plan},
    registry::RegistryRevision,
    task::{IllegalEvent, Share, TaskState},
    time::At,
    words::{Reason, RefusalBasis, Status},
};

/// The controller's rules that a request is opened under.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The regime of a command that names none.
    pub regime: Regime,
    /// What each regime asks for.
    pub regimes: Regimes,
    /// Zone and holidays.
    pub calendar: Calendar,
    /// The share of the period that is left when a request counts as at risk.
    pub at_risk: f64,
    /// Whether nothing is sent before the subject's identity is verified.
    pub require_verification: bool,
    /// How long it can be withdrawn before its first dispatch.
    pub grace: Period,
    /// How long at the least, where the person is erased for having been away: they are told meanwhile.
    pub inactivity_notice: Period,
    /// What becomes of a request like one before it.
    pub duplicates: Duplicates,
}

/// How long ago a subject can have asked.
const OLDEST: Period = Period::years(10);
impl Rules {
    /// The rules that decisions about a request are taken under.
    pub const fn rulebook(&self) -> Rulebook<'_> {
        Rulebook {
            regimes: &self.regimes,
            calendar: &self.calendar,
            at_risk: self.at_risk,
        }
    }

    /// What is wrong with the regime that a command names; `None`: nothing.
    pub fn fault_of_regime(&self, opening: &Opening, now: At) -> Option<CannotOpen> {
        let named = opening.regime.as_ref()?;
        let Some(terms) = self.regimes.terms(named) else {
            return Some(CannotOpen::UnknownRegime(self.regimes.expected()));
        };
        self.grace_consumes(named, opening.reason, &terms, now)
            .then(|| CannotOpen::NoTimeAfterGrace(named.clone()))
    }

    /// Whether the grace window would be open until the deadline of a request of now, or longer. The configuration is
    /// refused where that could be so under a regime of the table; a count such as `days:1` only a command knows.
    fn grace_consumes(&self, regime: &Regime, reason: Reason, terms: &Terms, now: At) -> bool {
        matches!(regime, Regime::Counted(_))
            && self
                .window_of(reason, now, &self.calendar.zone)
                .is_some_and(|until| until >= terms.respond_by.after(now, &self.calendar).unrolled)
    }

    /// Until when a request of now can be withdrawn before its first dispatch; `None`: it is sent at once. Whoever is erased
    /// for having been away has to be told first, and that window takes no time of theirs.
    fn window_of(&self, reason: Reason, now: At, zone: &TimeZone) -> Option<At> {
        let grace = (!self.grace.is_zero()).then(|| self.grace.add_to(now, zone));
        let notice = (reason == Reason::Inactivity && !self.inactivity_notice.is_zero())
            .then(|| self.inactivity_notice.add_to(now, zone));
        grace.max(notice)
    }
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
    /// The time at which the subject is said to have asked cannot be true.
    #[error("requested_at: {0}")]
    RequestedAt(&'static str),
    /// Its regime is in no table: what was expected.
    #[error("regime: {0}")]
    UnknownRegime(String),
    /// Nothing could be sent before its deadline.
    #[error(
        "regime: expected a longer time than {0}, of which the grace window (policy.grace) would leave nothing"
    )]
    NoTimeAfterGrace(Regime),
    /// A fault of the state machine.
    #[error(transparent)]
    Illegal(#[from] IllegalEvent),
}

/// What comes with a command that opens a request.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// The keyed digests of its identifiers.
    pub digests: &'a [SubjectDigest],
    /// What earlier versions would have written for them.
    pub former: &'a [FormerDigest],
    /// The salted commitment to it, for the ledger.
    pub commitment: [u8; 32],
    /// The registry's revision that its plan is pinned to.
    pub revision: RegistryRevision,
    /// Whether a second person has to approve it.
    pub needs_approval: bool,
    /// The earlier requests that have all of its identifiers.
    pub earlier: &'a [Earlier<'a>],
}

/// Opens a request.
pub fn open(
    opening: &Opening,
    admission: Admission<'_>,
    rules: &Rules,
    context: &Context<'_>,
) -> Result<Opened, CannotOpen> {
    let now = context.now;
    check_requested_at(opening, context)?;
    if let Some(fault) = rules.fault_of_regime(opening, now) {
        return Err(fault);
    }
    let (not_before, grace) = dates(opening, rules, context);
    let head = head(opening, (not_before, grace), admission.revision, rules, now);
    let terms = rules
        .regimes
        .terms(&head.regime)
        .ok_or_else(|| CannotOpen::UnknownRegime(rules.regimes.expected()))?;
    let clock = rules.rulebook().clock(&terms, head.requested_at, 0, false);
    let start = Start {
        at: not_before.unwrap_or(now),
        requested_at: head.requested_at,
        zone: context.zones.of(&opening.tenant),
    };
    let planned = plan(opening, context.registry, start)?;
    let awaits_verification = rules.require_verification && !opening.identity_verified;
    let newcomer = Newcomer {
        opening,
        head: &head,
        clock: &clock,
        planned: &planned,
        awaits_verification,
    };
    let place = newcomer.place(admission.earlier, &rules.duplicates, context);
    let mut trail = trail_of_opening(&head, &clock, admission, &planned);
    let (tasks, identities): (Vec<_>, Vec<_>) = planned
        .into_iter()
        .map(|planned| (planned.task, planned.identities))
        .unzip();
    let needs_approval = admission.needs_approval || place.needs_approval();
    let checks = (awaited(awaits_verification), awaited(needs_approval));
    let mut request = Request {
        id: opening.request_id,
        revision: 1,
        head,
        life: life_at_opening(clock, checks, opening, admission, context),
        bookkeeping: Bookkeeping {
            readable: true,
            capsule: None,
            facts: context.facts.version(),
            followers: 0,
            leaves: 0,
            wake_at: None,
        },
        tasks,
    };
    request.begin(place, admission.digests, context, &mut trail)?;
    Ok(Opened {
        request,
        identities,
        trail,
    })
}

/// What the ledger has of the opening and of the shares that rules keep.
fn trail_of_opening(
    head: &Head,
    clock: &LegalClock,
    admission: Admission<'_>,
    planned: &[PlannedTask],
) -> Trail {
    // Each task is planned, and most are sent at once.
    let mut trail = Trail {
        entries: Vec::with_capacity(2 + 2 * planned.len()),
        moves: Vec::with_capacity(2 * planned.len()),
        dispatched: Vec::with_capacity(planned.len()),
        claimed: 0,
        attested: Vec::new(),
        handed_over: Vec::new(),
    };
    trail.entries.push(Entry::Opened {
        action: head.action,
        regime: head.regime.clone(),
        requested_at: head.requested_at,
        deadline: clock.due,
        registry: admission.revision,
        commitment: admission.commitment,
        processors: planned
            .iter()
            .map(|planned| planned.task.processor.clone())
            .collect(),
    });
    trail.entries.extend((0..).zip(planned).filter_map(kept));
    trail
}

/// The life of a request that has just been opened: nothing has happened yet, and what is known is taken into account.
fn life_at_opening(
    clock: LegalClock,
    (verification, approval): (Check, Check),
    opening: &Opening,
    admission: Admission<'_>,
    context: &Context<'_>,
) -> Life {
    let holds = context.facts.holds();
    Life {
        clock,
        verification,
        approval,
        refused: None,
        status: Status::InProgress,
        completed_at: None,
        live_clean_at: None,
        overdue: false,
        at_risk: false,
        needs_attention: false,
        notice: None,
        subject_holds: holds.on_subject(&opening.tenant, admission.digests, admission.former),
        reactivated_at: None,
        restored_at: None,
        following: None,
        set_aside_at: None,
    }
}

/// A wrong start is a wrong deadline, and a wrong `data_before`: what is later than now would postpone the one, and what
/// is far too early (a clock that was never set) would have a processor that honours the other erase next to nothing.
fn check_requested_at(opening: &Opening, context: &Context<'_>) -> Result<(), CannotOpen> {
    let Some(at) = opening.requested_at else {
        return Ok(());
    };
    if at > context.now.plus(context.clock_skew) {
        return Err(CannotOpen::RequestedAt("lies in the future"));
    }
    if OLDEST.add_to(at, context.zones.of(&opening.tenant)) < context.now {
        return Err(CannotOpen::RequestedAt("lies more than ten years back"));
    }
    Ok(())
}

impl Request {
    /// Takes its place: alone, behind a gate, merged into another one, or refused at once.
    fn begin(
        &mut self,
        place: Placement,
        digests: &[SubjectDigest],
        context: &Context<'_>,
        trail: &mut Trail,
    ) -> Result<(), IllegalEvent> {
        if let Placement::Merged { leader, bound, .. } = place {
            self.merge_into(leader, bound, digests, trail);
            return self.conclude(context, trail);
        }
        self.begin_tasks(trail);
        // The state that it is born in is no change of state.
        self.life.status = self.status_at_start(context.now);
        if let Placement::TooMany { earlier, then } = place {
            trail.entries.push(Entry::Repeated { earlier });
            if then == OverLimit::Refuse {
                self.enter_refused(RefusalBasis::Excessive, context, trail)?;
            }
        }
        self.conclude(context, trail)
    }

    /// Counts the tasks that it has from now on.
    pub(super) fn begin_tasks(&self, trail: &mut Trail) {
        trail.moves.extend(self.ordinals().map(|ordinal| Move {
            ordinal,
            from: None,
            to: self.task(ordinal).state.name(),
        }));
    }

    /// The status of one whose tasks have just begun.
    pub(super) fn status_at_start(&self, now: At) -> Status {
        self.closed_gate(now)
            .map_or(Status::InProgress, |gate| gate.status())
    }
}

/// The entry of a share that a rule keeps: also that the command has no anchor of the rule's name.
pub(super) fn kept((ordinal, planned): (u16, &PlannedTask)) -> Option<Entry> {
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
    let zone = context.zones.of(&opening.tenant);
    let grace = rules.window_of(opening.reason, now, zone);
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
    let regime = opening.regime.clone().unwrap_or_else(|| rules.regime.clone());
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
