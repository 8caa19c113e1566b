//! A processor's answer: what it settles, what it does not, and what it must never change.

mod effective;

use std::time::Duration;

pub use effective::CRYPTO_ERASE;
use effective::{Effective, effective};

use super::{Context, Request, Trail};
use crate::domain::{
    ack::{Ack, Retained},
    registry::Retry,
    task::{Deferral, IllegalEvent, Purpose, TaskEvent, TaskState},
    time::At,
    words::{AbandonCause, Outcome, Proof},
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
        let is_current = ack.generation == task.generation && ack.attempt <= task.attempt;
        let is_asked_about = task.purpose.asks_about() == Some(ack.generation);
        if !(is_current || is_asked_about) || self.is_withdrawn() {
            return Err(AckRejection::Stale);
        }
        let was_attested = matches!(
            task.state,
            TaskState::Done {
                proof: Proof::Attested,
                ..
            }
        );
        let Some(event) = self.event_of(ordinal, ack, context)? else {
            return Ok(Taken::Repeated);
        };
        let sent_at = match task.state {
            TaskState::Dispatched { at, .. }
            | TaskState::Accepted { at, .. }
            | TaskState::Attesting { at, .. } => Some(at),
            _ => None,
        };
        // `event_of` has looked at the state, so a refusal here is an answer that the state does not allow.
        self.record_event(ordinal, event, trail)
            .map_err(|IllegalEvent { .. }| AckRejection::Stale)?;
        if was_attested {
            self.correct(ordinal, context, trail)
                .map_err(|IllegalEvent { .. }| AckRejection::Stale)?;
        }
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
        let current = ack.generation == task.generation && ack.attempt == task.attempt;
        if let Effective::Success(proof) = answer {
            return self.event_of_proof(ordinal, ack, proof, context);
        }
        let outcome = ack.answer.outcome();
        if outcome == Outcome::Accepted
            && matches!(task.state, TaskState::Done { .. } | TaskState::Verifying { .. })
        {
            return Ok(None);
        }
        if matches!(task.purpose, Purpose::Check { .. })
            && let Some(taken) = self.event_beside_check(ordinal, ack, answer, context)
        {
            return taken;
        }
        let is_news = match task.state {
            // What was only attested turns out to be there still; whatever else is said of what is done comes too late.
            TaskState::Done { .. } => matches!(answer, Effective::Found),
            _ => true,
        };
        if !current || !is_news {
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

    /// The event of a proof; `None`: it was known.
    fn event_of_proof(
        &self,
        ordinal: u16,
        ack: &Ack,
        proof: Proof,
        context: &Context<'_>,
    ) -> Result<Option<TaskEvent>, AckRejection> {
        let task = self.task(ordinal);
        // What is said of an earlier generation, which this one asks about, answers no attempt of this one.
        let is_current = ack.generation == task.generation;
        let attempt = if is_current { ack.attempt } else { 0 };
        // Two attempts may both succeed, each in its own way: what one has erased the next one does not find. One attempt
        // that says two things contradicts itself.
        let by_this_one = attempt == task.attempt && task.answered.is_some_and(Outcome::is_success);
        match &task.state {
            // A proof is better than a term.
            TaskState::Done {
                proof: Proof::Attested,
                ..
            } => Ok(Some(TaskEvent::Settled {
                attempt,
                proof,
                at: context.now,
            })),
            TaskState::Done { .. } | TaskState::Verifying { .. }
                if !by_this_one || task.answered == Some(proof.outcome()) =>
            {
                Ok(None)
            }
            TaskState::Done { .. } | TaskState::Verifying { .. } => Err(AckRejection::Stale),
            _ => Ok(Some(self.event_of_success(ordinal, attempt, proof, context))),
        }
    }

    /// What an answer comes to that is no proof, while its processor is asked whether it has carried out what it was sent:
    /// the send whose answer was lost may be answered after all. `None`: it is an answer to the question.
    fn event_beside_check(
        &self,
        ordinal: u16,
        ack: &Ack,
        answer: Effective<'_>,
        context: &Context<'_>,
    ) -> Option<Result<Option<TaskEvent>, AckRejection>> {
        let task = self.task(ordinal);
        let is_of_question = ack.generation == task.generation;
        let has_arrived = matches!(
            task.state,
            TaskState::Accepted { .. } | TaskState::Attesting { .. }
        );
        let outcome = ack.answer.outcome();
        match (is_of_question, has_arrived) {
            (true, false) => None,
            // It is on its way, so that it is still there says nothing.
            (true, true) => Some(Ok(None)),
            (false, true) if outcome == Outcome::Accepted => Some(Ok(None)),
            (false, true) if !matches!(answer, Effective::Found) => {
                let event = self.event_of_unsuccessful(ordinal, answer, outcome, context);
                Some(Ok(Some(event)))
            }
            // It has arrived: it must not be sent again.
            (false, false) => Some(match answer {
                Effective::Accepted(by) => Ok(Some(self.acceptance(ordinal, by, context))),
                _ => Err(AckRejection::Stale),
            }),
            (false, true) => Some(Err(AckRejection::Stale)),
        }
    }

    fn event_of_unsuccessful(
        &self,
        ordinal: u16,
        answer: Effective<'_>,
        outcome: Outcome,
        context: &Context<'_>,
    ) -> TaskEvent {
        let abandoned = |cause| self.given_up(ordinal, cause, Some(outcome), context);
        let failed = |after| {
            self.failure_of(ordinal, Some(outcome), after, context)
                .unwrap_or_else(|| abandoned(AbandonCause::AttemptsUsed))
        };
        let task = self.task(ordinal);
        match answer {
            Effective::Success(proof) => self.event_of_success(ordinal, task.attempt, proof, context),
            Effective::Found => self.finding(ordinal, context),
            // Whoever is asked what has become of it and says that he will see to it has not said.
            Effective::Accepted(_) if matches!(task.purpose, Purpose::Check { .. }) => failed(None),
            Effective::Accepted(expected_by) => self
                .attested_by_term(ordinal, context)
                .unwrap_or_else(|| self.acceptance(ordinal, expected_by, context)),
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
            Effective::Failed(after) => failed(after),
            Effective::Lost(after) => self
                .failure_of(ordinal, None, after, context)
                .unwrap_or_else(|| self.given_up(ordinal, AbandonCause::AttemptsUsed, None, context)),
            Effective::Rejected => abandoned(AbandonCause::Rejected),
            Effective::Pseudonymised => abandoned(AbandonCause::Pseudonymised),
            Effective::Unsupported => abandoned(AbandonCause::Unsupported),
        }
    }

    fn acceptance(&self, ordinal: u16, expected_by: Option<At>, context: &Context<'_>) -> TaskEvent {
        let registered = context.registry.get(&self.task(ordinal).processor);
        TaskEvent::Accepted {
            at: context.now,
            // One that names no date gets the time that an answer may take.
            expected_by: expected_by.unwrap_or_else(|| {
                let timeout = registered.map_or(DAY, |processor| processor.ack_timeout);
                context.now.plus(timeout)
            }),
        }
    }

    /// The event of data that is still there: it is asked for once more. What was sent as often as it may be, and is known
    /// not to have come to anything, is given up.
    fn finding(&self, ordinal: u16, context: &Context<'_>) -> TaskEvent {
        let task = self.task(ordinal);
        let Purpose::Check { sends, .. } = task.purpose else {
            return TaskEvent::Found { due: context.now };
        };
        let retry = self.retry_of(ordinal, context);
        if sends < retry.attempts {
            let pause = (context.delay)(&retry, sends.max(1));
            return TaskEvent::Found {
                due: context.now.plus(pause),
            };
        }
        self.given_up(
            ordinal,
            AbandonCause::AttemptsUsed,
            Some(Outcome::Present),
            context,
        )
    }

    fn retry_of(&self, ordinal: u16, context: &Context<'_>) -> Retry {
        let registered = context.registry.get(&self.task(ordinal).processor);
        registered.map(|processor| processor.retry).unwrap_or_default()
    }

    /// The event of a task that is asked no more. Copies whose key could not be destroyed still grow old, and a term that
    /// has passed counts where its processor cannot say more.
    pub(super) fn given_up(
        &self,
        ordinal: u16,
        cause: AbandonCause,
        outcome: Option<Outcome>,
        context: &Context<'_>,
    ) -> TaskEvent {
        // Whoever says that it did something else has said more.
        let says_nothing = outcome != Some(Outcome::Anonymized);
        if says_nothing && let Some(attested) = self.attested_by_term(ordinal, context) {
            return attested;
        }
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
        let due = || context.now.plus(self.pause_before_next(ordinal, after, context));
        // Also after the last attempt: what may have been carried out is not given up unasked.
        if outcome.is_none() && self.is_in_doubt(ordinal, context) {
            return Some(TaskEvent::ResultUnknown {
                sends: task.counted + 1,
                due: due(),
            });
        }
        let retry = self.retry_of(ordinal, context);
        (task.counted + 1 < retry.attempts).then(|| TaskEvent::AskedAgain {
            outcome,
            counts: true,
            due: due(),
        })
    }

    /// What the processor asks for wins over the registry's schedule.
    fn pause_before_next(&self, ordinal: u16, after: Option<Duration>, context: &Context<'_>) -> Duration {
        let attempt = self.task(ordinal).attempt;
        after.unwrap_or_else(|| (context.delay)(&self.retry_of(ordinal, context), attempt))
    }
}

/// How long a processor that is no longer registered is waited for.
const DAY: Duration = Duration::from_secs(24 * 3600);
