//! A processor's answer: what it settles, what it does not, and what it must never change.

use std::time::Duration;

use super::{Context, Request, Trail};
use crate::domain::{
    ack::{Ack, Answer, Evidence, Retained},
    ids::Label,
    method::{is_pseudonymisation, is_same},
    registry::{EvidenceField, Processor},
    task::{Deferral, IllegalEvent, Purpose, Task, TaskEvent, TaskState},
    time::At,
    words::{AbandonCause, Action, Outcome, Proof},
};

/// How an ack was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It changed a task.
    Counted {
        /// Its place.
        ordinal: u16,
        /// When it had been sent, where it was waited for.
        sent_at: Option<At>,
    },
    /// It says again what is known: counted, and nothing else.
    Repeated,
}

/// Why an ack changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AckRejection {
    /// The request has no such task.
    #[error("the request has no task of this id")]
    UnknownTask,
    /// It does not come from the processor that was asked.
    #[error("the token or the processor is not the task's")]
    Forged,
    /// It answers an earlier generation or attempt, or contradicts what is settled.
    #[error("it answers another generation or attempt, or contradicts what is settled")]
    Stale,
}

impl Request {
    /// Takes one ack. `token_matches`: whether the token belongs to the task, generation and attempt that it claims.
    ///
    /// The caller ends the batch for this request with [`Request::finish_answers`].
    pub fn answer(
        &mut self,
        ack: &Ack,
        token_matches: bool,
        context: &Context<'_>,
        trail: &mut Trail,
    ) -> Result<Taken, AckRejection> {
        let ordinal = self.find_task(ack.task_id).ok_or(AckRejection::UnknownTask)?;
        let task = self.task(ordinal);
        if !token_matches || task.processor != ack.processor {
            return Err(AckRejection::Forged);
        }
        if ack.generation != task.generation || ack.attempt > task.attempt || self.is_withdrawn() {
            return Err(AckRejection::Stale);
        }
        let Some(event) = self.event_of(ordinal, ack, context)? else {
            return Ok(Taken::Repeated);
        };
        let sent_at = match task.state {
            TaskState::Dispatched { at, .. } | TaskState::Accepted { at, .. } => Some(at),
            _ => None,
        };
        // `event_of` has looked at the state, so a refusal here is an answer that the state does not allow.
        self.record_event(ordinal, event, trail)
            .map_err(|IllegalEvent { .. }| AckRejection::Stale)?;
        Ok(Taken::Counted { ordinal, sent_at })
    }

    /// Derives what follows from the answers of one batch.
    pub fn finish_answers(&mut self, context: &Context<'_>, trail: &mut Trail) -> Result<(), IllegalEvent> {
        self.conclude(context, trail)?;
        self.revision += 1;
        Ok(())
    }

    pub(super) fn is_withdrawn(&self) -> bool {
        use crate::domain::words::Status;
        matches!(
            self.life.status,
            Status::Cancelled | Status::Refused | Status::Merged
        )
    }

    fn event_of(
        &self,
        ordinal: u16,
        ack: &Ack,
        context: &Context<'_>,
    ) -> Result<Option<TaskEvent>, AckRejection> {
        let task = self.task(ordinal);
        let registered = context.registry.get(&task.processor);
        let asked_for_key = self.is_asked_for_key(ordinal, context);
        let answer = effective(
            task,
            &ack.answer,
            ack.evidence.as_ref(),
            registered,
            asked_for_key,
        );
        let current = ack.attempt == task.attempt;
        if let Effective::Success(proof) = answer {
            // Two attempts may both succeed, each in its own way: what one has erased the next one does not find. One
            // attempt that says two things contradicts itself.
            let by_this_one = current && task.answered.is_some_and(Outcome::is_success);
            return match &task.state {
                TaskState::Done { .. } | TaskState::Verifying { .. }
                    if !by_this_one || task.answered == Some(proof.outcome()) =>
                {
                    Ok(None)
                }
                TaskState::Done { .. } | TaskState::Verifying { .. } => Err(AckRejection::Stale),
                _ => Ok(Some(self.event_of_success(ordinal, ack.attempt, proof, context))),
            };
        }
        let outcome = ack.answer.outcome();
        if outcome == Outcome::Accepted
            && matches!(task.state, TaskState::Done { .. } | TaskState::Verifying { .. })
        {
            return Ok(None);
        }
        if !current {
            return Err(AckRejection::Stale);
        }
        match task.answered {
            Some(earlier) if earlier == outcome => return Ok(None),
            None | Some(Outcome::Accepted) => {}
            Some(_) => return Err(AckRejection::Stale),
        }
        Ok(Some(
            self.event_of_unsuccessful(ordinal, answer, outcome, context),
        ))
    }

    fn event_of_unsuccessful(
        &self,
        ordinal: u16,
        answer: Effective<'_>,
        outcome: Outcome,
        context: &Context<'_>,
    ) -> TaskEvent {
        let abandoned = |cause| self.given_up(ordinal, cause, Some(outcome), context);
        let task = self.task(ordinal);
        match answer {
            Effective::Success(proof) => self.event_of_success(ordinal, task.attempt, proof, context),
            Effective::Found => TaskEvent::Found { due: context.now },
            Effective::Accepted(expected_by) => TaskEvent::Accepted {
                at: context.now,
                // One that names no date gets the time that an answer may take.
                expected_by: expected_by.unwrap_or_else(|| {
                    let timeout = context
                        .registry
                        .get(&task.processor)
                        .map_or(DAY, |p| p.ack_timeout);
                    context.now.plus(timeout)
                }),
            },
            // A date that has passed keeps nothing any more: asked again, but not in a circle without a pause.
            Effective::Retained(Retained {
                until: Some(until), ..
            }) => {
                let soonest = context.now.plus(self.pause_before_next(ordinal, None, context));
                TaskEvent::Retained {
                    until: if *until > context.now { *until } else { soonest },
                }
            }
            Effective::Retained(Retained {
                until: None, basis, ..
            }) => TaskEvent::RetainedForGood { basis: basis.clone() },
            Effective::Partial(after) => TaskEvent::AskedAgain {
                outcome: Some(outcome),
                counts: false,
                due: context.now.plus(self.pause_before_next(ordinal, after, context)),
            },
            Effective::Failed(after) => self
                .failure_of(ordinal, Some(outcome), after, context)
                .unwrap_or_else(|| abandoned(AbandonCause::AttemptsUsed)),
            Effective::Rejected => abandoned(AbandonCause::Rejected),
            Effective::Pseudonymised => abandoned(AbandonCause::Pseudonymised),
            Effective::Unsupported => abandoned(AbandonCause::Unsupported),
        }
    }

    /// The event of a task that is asked no more. Copies whose key could not be destroyed still grow old.
    pub(super) fn given_up(
        &self,
        ordinal: u16,
        cause: AbandonCause,
        outcome: Option<Outcome>,
        context: &Context<'_>,
    ) -> TaskEvent {
        match self.horizon_of(ordinal, context) {
            Some(until) if self.is_asked_for_key(ordinal, context) => TaskEvent::Parked {
                why: Deferral::Rotation,
                until,
                outcome,
            },
            _ => TaskEvent::Abandoned { cause, outcome },
        }
    }

    /// The event of an attempt that counts and did not lead to an end; `None`: it was the last one.
    pub(super) fn failure_of(
        &self,
        ordinal: u16,
        outcome: Option<Outcome>,
        after: Option<Duration>,
        context: &Context<'_>,
    ) -> Option<TaskEvent> {
        let task = self.task(ordinal);
        let retry = context
            .registry
            .get(&task.processor)
            .map(|p| p.retry)
            .unwrap_or_default();
        (task.counted + 1 < retry.attempts).then(|| TaskEvent::AskedAgain {
            outcome,
            counts: true,
            due: context.now.plus(self.pause_before_next(ordinal, after, context)),
        })
    }

    /// What the processor asks for wins over the registry's schedule.
    fn pause_before_next(&self, ordinal: u16, after: Option<Duration>, context: &Context<'_>) -> Duration {
        let task = self.task(ordinal);
        after.unwrap_or_else(|| {
            let retry = context
                .registry
                .get(&task.processor)
                .map(|p| p.retry)
                .unwrap_or_default();
            (context.delay)(&retry, task.attempt)
        })
    }
}

/// How long a processor that is no longer registered is waited for.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What an answer comes to under the registry's rules.
enum Effective<'a> {
    Success(Proof),
    Accepted(Option<At>),
    Retained(&'a Retained),
    Partial(Option<Duration>),
    Failed(Option<Duration>),
    Rejected,
    /// Called anonymized, and only pseudonymised.
    Pseudonymised,
    Unsupported,
    /// A second look has found data.
    Found,
}

/// What the evidence has to name where a backup system was asked to destroy the subject's key.
pub const CRYPTO_ERASE: &str = "crypto_erase";

fn effective<'a>(
    task: &Task,
    answer: &'a Answer,
    evidence: Option<&Evidence>,
    registered: Option<&Processor>,
    asked_for_key: bool,
) -> Effective<'a> {
    let seconds = |after: &Option<u32>| after.map(|s| Duration::from_secs(u64::from(s)));
    let proof = match answer {
        Answer::Accepted { expected_by } => return Effective::Accepted(*expected_by),
        // Whoever has to keep the key cannot keep its copies from growing old.
        Answer::Retained(_) if asked_for_key => return Effective::Unsupported,
        Answer::Retained(retained) => return Effective::Retained(retained),
        Answer::Partial { retry_after_seconds } => return Effective::Partial(seconds(retry_after_seconds)),
        Answer::Failed { retry_after_seconds } => return Effective::Failed(seconds(retry_after_seconds)),
        // It is asked again like one that has done a part: the attempt does not count.
        Answer::NotNow { retry_after_seconds } => return Effective::Partial(seconds(retry_after_seconds)),
        Answer::Rejected => return Effective::Rejected,
        Answer::Unsupported => return Effective::Unsupported,
        Answer::Present if matches!(task.purpose, Purpose::Verify(_)) => return Effective::Found,
        // The data is still there: what was asked has not happened.
        Answer::Present => return Effective::Failed(None),
        Answer::Erased => Proof::Erased,
        Answer::Anonymized if names(evidence).is_some_and(is_pseudonymisation) => Proof::Pseudonymised,
        Answer::Anonymized => Proof::Anonymized,
        Answer::NotFound | Answer::Absent => Proof::NotFound,
    };
    // Only a destroyed key makes copies unreadable that are still there; with anything else they have to grow old.
    let by_key = || names(evidence) == Some(CRYPTO_ERASE);
    if asked_for_key && !(proof == Proof::Erased && by_key()) {
        return Effective::Unsupported;
    }
    let allows = |rule: fn(&Processor) -> bool| registered.is_some_and(rule);
    let is_anonymization = matches!(proof, Proof::Anonymized | Proof::Pseudonymised);
    if is_anonymization && task.action == Action::Erase && !allows(|processor| processor.accept_anonymized) {
        return Effective::Rejected;
    }
    if proof == Proof::Pseudonymised && !allows(|processor| processor.accept_pseudonymised) {
        return Effective::Pseudonymised;
    }
    // A processor that has nothing has erased nothing, so there is no method to name.
    let lacks = |processor: &Processor| {
        // Only one method destroys a key, whatever the registry wants to see of other tasks.
        lacks_evidence(processor, evidence)
            || !(asked_for_key || is_by_one_of(&processor.require_method, evidence))
    };
    if proof != Proof::NotFound && registered.is_some_and(lacks) {
        return Effective::Failed(None);
    }
    Effective::Success(proof)
}

/// Whether a field is missing that the registry wants to see.
fn lacks_evidence(processor: &Processor, evidence: Option<&Evidence>) -> bool {
    let required = &processor.require_evidence;
    !required.iter().all(|field| brings(evidence, *field))
}

/// Whether the evidence names one of these methods; none of them: any will do.
fn is_by_one_of(methods: &[Label], evidence: Option<&Evidence>) -> bool {
    let is_named = |method| methods.iter().any(|one| is_same(one.as_str(), method));
    methods.is_empty() || names(evidence).is_some_and(is_named)
}

/// The method that the evidence names.
fn names(evidence: Option<&Evidence>) -> Option<&str> {
    evidence?.method.as_deref()
}

fn brings(evidence: Option<&Evidence>, field: EvidenceField) -> bool {
    evidence.is_some_and(|evidence| match field {
        EvidenceField::Method => evidence.method.as_ref().is_some_and(|text| !text.is_empty()),
        EvidenceField::Records => evidence.records.is_some(),
        EvidenceField::Reference => evidence.reference.as_ref().is_some_and(|text| !text.is_empty()),
        EvidenceField::Digest => evidence.digest.as_ref().is_some_and(|text| !text.is_empty()),
    })
}
