//! The gates of a request, in their order: identity verified, approved, grace window over, date come. And the decisions
//! that people take about them, about its deadline, and about refusing it.

use super::{
    Check, Context, LegalClock, Request, Trail,
    operate::{DecisionError, acted_by},
};
use crate::domain::{
    calendar::{Calendar, Regimes, days_between},
    command::Decision,
    entry::Entry,
    ids::{Label, ProcessorId},
    person::is_same_person,
    task::{IllegalEvent, TaskEvent},
    time::At,
    words::{ExtensionReason, RefusalBasis, Status, VerificationResult, Why},
};

/// When a second person has to approve a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// Never.
    Never,
    /// Always.
    Always,
    /// When there are more requests an hour than this.
    AbovePerHour(u32),
}

/// The first gate that is not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedGate {
    /// The subject's identity is not verified.
    Verification,
    /// Nobody has approved it.
    Approval,
    /// It can still be withdrawn, until then.
    Grace(At),
    /// The command wants nothing to be sent before then.
    NotBefore(At),
}

impl ClosedGate {
    /// The status of a request that waits at it.
    pub const fn status(self) -> Status {
        match self {
            Self::Verification => Status::AwaitingVerification,
            Self::Approval => Status::AwaitingApproval,
            Self::Grace(_) | Self::NotBefore(_) => Status::Scheduled,
        }
    }

    /// The word for it.
    pub const fn why(self) -> Why {
        match self {
            Self::Verification => Why::Verification,
            Self::Approval => Why::Approval,
            Self::Grace(_) => Why::Grace,
            Self::NotBefore(_) => Why::NotBefore,
        }
    }

    /// When it opens by itself.
    pub const fn until(self) -> Option<At> {
        match self {
            Self::Verification | Self::Approval => None,
            Self::Grace(until) | Self::NotBefore(until) => Some(until),
        }
    }
}

/// The controller's rules that a decision is taken under.
#[derive(Debug, Clone, Copy)]
pub struct Rulebook<'a> {
    /// What each regime asks for.
    pub regimes: &'a Regimes,
    /// Zone and holidays.
    pub calendar: &'a Calendar,
    /// The share of the period that is left when a request counts as at risk.
    pub at_risk: f64,
}

impl Request {
    /// The first gate that is not open. Only people's decisions and the date open one: nothing that happens to a task does.
    pub fn closed_gate(&self, now: At) -> Option<ClosedGate> {
        if self.life.verification == Check::Awaiting {
            return Some(ClosedGate::Verification);
        }
        if self.life.approval == Check::Awaiting {
            return Some(ClosedGate::Approval);
        }
        let until = self.head.not_before.filter(|until| now < *until)?;
        Some(if self.head.grace {
            ClosedGate::Grace(until)
        } else {
            ClosedGate::NotBefore(until)
        })
    }

    /// The gate that its status says it waits at: what is shown has no clock of its own.
    pub fn shown_gate(&self) -> Option<ClosedGate> {
        match self.life.status {
            Status::AwaitingVerification => Some(ClosedGate::Verification),
            Status::AwaitingApproval => Some(ClosedGate::Approval),
            Status::Scheduled if self.head.grace => self.head.not_before.map(ClosedGate::Grace),
            Status::Scheduled => self.head.not_before.map(ClosedGate::NotBefore),
            _ => None,
        }
    }

    /// Carries out a person's decision. `submitter`: who submitted the request, where the channel tells.
    pub fn decide(
        &mut self,
        decision: &Decision,
        actor: &str,
        submitter: Option<&str>,
        rules: Rulebook<'_>,
        context: &Context<'_>,
    ) -> Result<Trail, DecisionError> {
        self.check_open()?;
        if decision.needs_second_person()
            && submitter.is_some_and(|submitter| is_same_person(submitter, actor))
        {
            return Err(DecisionError::Submitter);
        }
        let mut trail = acted_by(Some(actor));
        match decision {
            Decision::VerifyIdentity { result, .. } => self.verify(*result, rules, context, &mut trail)?,
            Decision::Approve => self.approve(&mut trail)?,
            Decision::Refuse {
                basis,
                processor: None,
            } => self.refuse(*basis, context, &mut trail)?,
            Decision::Refuse {
                basis,
                processor: Some(processor),
            } => self.refuse_share(*basis, processor, &mut trail)?,
            Decision::Extend { reason } => self.extend(*reason, rules, context, &mut trail)?,
        }
        Ok(self.conclude_change(context, trail)?)
    }

    fn verify(
        &mut self,
        result: VerificationResult,
        rules: Rulebook<'_>,
        context: &Context<'_>,
        trail: &mut Trail,
    ) -> Result<(), DecisionError> {
        if self.life.verification != Check::Awaiting {
            return Err(DecisionError::NotNow("it does not wait for a verification"));
        }
        match result {
            VerificationResult::Failed => self.refuse(RefusalBasis::IdentityNotVerified, context, trail),
            VerificationResult::Passed => {
                self.life.verification = Check::Passed;
                trail.entries.push(Entry::GateOpened {
                    gate: Why::Verification,
                });
                self.resume_clock(rules, context, trail);
                Ok(())
            }
        }
    }

    /// Where the regime stops the clock while the subject's identity is in doubt, the days of doubt do not count.
    fn resume_clock(&mut self, rules: Rulebook<'_>, context: &Context<'_>, trail: &mut Trail) {
        let before = self.life.clock;
        let paused = days_between(self.head.received_at, context.now, rules.calendar);
        let Some(terms) = rules.regimes.terms(&self.head.regime) else {
            return;
        };
        // An extension stays one, also where the table knows none any more: then the dates stay as they are.
        let keeps_extension = !before.is_extended() || terms.extend_to.is_some();
        if paused > 0 && terms.pauses_for_identity && keeps_extension {
            let after = rules.clock(&terms, self.head.requested_at, paused, before.is_extended());
            self.move_clock(after, None, trail);
        }
    }

    /// Sets the clock, and writes down where that moves the deadline.
    fn move_clock(&mut self, after: LegalClock, reason: Option<ExtensionReason>, trail: &mut Trail) {
        let before = std::mem::replace(&mut self.life.clock, after);
        if before.due != after.due {
            trail.entries.push(Entry::DeadlineMoved {
                from: before.due,
                to: after.due,
                reason,
            });
        }
    }

    fn approve(&mut self, trail: &mut Trail) -> Result<(), DecisionError> {
        if self.life.approval != Check::Awaiting {
            return Err(DecisionError::NotNow("it does not wait for an approval"));
        }
        // Also while the verification is awaited: it is kept, and the gates open in their order.
        self.life.approval = Check::Passed;
        trail.entries.push(Entry::GateOpened { gate: Why::Approval });
        Ok(())
    }

    /// People open every gate that waits for them: for whoever looks ahead, and nobody else.
    pub(super) fn let_people_open(&mut self, context: &Context<'_>) -> Result<Trail, IllegalEvent> {
        let mut trail = Trail::default();
        for gate in self.gates_of_people() {
            match gate {
                ClosedGate::Verification => self.life.verification = Check::Passed,
                ClosedGate::Approval => self.life.approval = Check::Passed,
                ClosedGate::Grace(_) | ClosedGate::NotBefore(_) => continue,
            }
            trail.entries.push(Entry::GateOpened { gate: gate.why() });
        }
        self.conclude(context, &mut trail)?;
        Ok(trail)
    }

    /// Refuses all of it. What was sent cannot be taken back.
    fn refuse(
        &mut self,
        basis: RefusalBasis,
        context: &Context<'_>,
        trail: &mut Trail,
    ) -> Result<(), DecisionError> {
        if self.was_sent() {
            return Err(DecisionError::NotNow("the first task has been dispatched"));
        }
        Ok(self.enter_refused(basis, context, trail)?)
    }

    pub(super) fn enter_refused(
        &mut self,
        basis: RefusalBasis,
        context: &Context<'_>,
        trail: &mut Trail,
    ) -> Result<(), IllegalEvent> {
        for ordinal in self.ordinals() {
            if !self.task(ordinal).state.is_closed() {
                self.record_event(ordinal, TaskEvent::Cancelled, trail)?;
            }
        }
        trail.entries.push(Entry::Refused {
            basis,
            processor: None,
        });
        self.life.refused = Some(basis);
        self.enter_status(Status::Refused, context.now, trail);
        Ok(())
    }

    /// Refuses one processor's share: it is exempt, and the request can only close with exceptions.
    fn refuse_share(
        &mut self,
        basis: RefusalBasis,
        processor: &ProcessorId,
        trail: &mut Trail,
    ) -> Result<(), DecisionError> {
        let places: Vec<u16> = self
            .ordinals()
            .filter(|ordinal| self.task(*ordinal).processor == *processor)
            .filter(|ordinal| !self.task(*ordinal).state.is_closed())
            .collect();
        if places.is_empty() {
            return Err(DecisionError::NotNow(
                "this processor has no open task in its plan",
            ));
        }
        let label = Label::new(basis.as_str()).map_err(|_| DecisionError::WrongState)?;
        for ordinal in places {
            let event = TaskEvent::Refused { basis: label.clone() };
            self.record_event(ordinal, event, trail)
                .map_err(|IllegalEvent { .. }| DecisionError::NotNow("this processor was asked already"))?;
        }
        trail.entries.push(Entry::Refused {
            basis,
            processor: Some(processor.clone()),
        });
        Ok(())
    }

    /// Moves the deadline as the regime allows: once, inside the first period, counted from the start.
    fn extend(
        &mut self,
        reason: ExtensionReason,
        rules: Rulebook<'_>,
        context: &Context<'_>,
        trail: &mut Trail,
    ) -> Result<(), DecisionError> {
        let before = self.life.clock;
        if before.is_extended() {
            return Err(DecisionError::NotNow("its deadline was extended before"));
        }
        if context.now > before.first_due {
            return Err(DecisionError::NotNow("its first period is over"));
        }
        let terms = rules
            .regimes
            .terms(&self.head.regime)
            .ok_or(DecisionError::NotNow("its regime is not configured any more"))?;
        if terms.extend_to.is_none() {
            return Err(DecisionError::NotNow("its regime knows no extension"));
        }
        let after = rules.clock(&terms, self.head.requested_at, before.paused_days, true);
        self.move_clock(after, Some(reason), trail);
        Ok(())
    }

    /// An identity that nobody has verified by the deadline of the request is not verified.
    pub(super) fn give_up_verification(
        &mut self,
        context: &Context<'_>,
        trail: &mut Trail,
    ) -> Result<(), IllegalEvent> {
        let is_over = self.life.verification == Check::Awaiting && context.now > self.life.clock.due;
        if is_over && !self.life.status.is_final() && !self.was_sent() {
            self.enter_refused(RefusalBasis::IdentityNotVerified, context, trail)?;
        }
        Ok(())
    }
}
