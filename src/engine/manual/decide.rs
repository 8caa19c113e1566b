//! What a person does about a task, in one transaction.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{ManualError, is_live};
use crate::{
    domain::{
        entry::Entry,
        ids::RequestId,
        note::BroughtBy,
        request::{Context, Request, answer::Taken},
        words::Outcome,
    },
    engine::{
        Engine, EngineError, OperateError,
        batch::{Batch, Finished, Touched},
        decision_inputs::DecisionInputs,
        operations::Once,
        prepare::PreparedAck,
        unit_of_work::{Decision, Load, UnitOfWork},
    },
    store::{Lock, ManualRow, Transaction},
    wire::{
        Rejection,
        ack::{AskedTask, NoAck, parse_reply},
    },
};

/// The place of a sealed first confirmation among what is sealed of a request: no entry of its ledger has it.
const FIRST: u32 = u32::MAX;

/// What a person can confirm.
const CONFIRMED: [Outcome; 7] = [
    Outcome::Erased,
    Outcome::Anonymized,
    Outcome::NotFound,
    Outcome::Retained,
    Outcome::Partial,
    Outcome::Present,
    Outcome::Absent,
];

/// What a person does about a task.
#[derive(Debug, Clone, Copy)]
pub enum ManualAction<'a> {
    /// Takes it on.
    Claim,
    /// Has done it: the body of an answer, with its outcome and evidence.
    Confirm(&'a [u8]),
    /// Will not do it, and says why.
    Refuse(&'a str),
    /// Leaves it to somebody else.
    HandOver(&'a str),
}

impl ManualAction<'_> {
    const fn word(&self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Confirm(_) => "confirm",
            Self::Refuse(_) => "refuse",
            Self::HandOver(_) => "hand_over",
        }
    }
}

/// Does something about a task.
pub(super) struct CarryOut<'e> {
    pub(super) engine: &'e Engine,
    pub(super) id: RequestId,
    pub(super) ordinal: u16,
    pub(super) actor: &'e str,
    pub(super) action: &'e ManualAction<'e>,
    pub(super) once: Option<&'e Once>,
}

/// What it came to.
pub(super) struct Done {
    pub(super) request: Request,
    pub(super) outcome: Outcome,
    pub(super) awaits_second: bool,
    /// Whether it counts as an answer, and after how long.
    pub(super) counted: Option<Option<Duration>>,
    /// What is written of it; `None`: the task is over.
    row: Option<ManualRow>,
}

#[async_trait]
impl UnitOfWork<'static> for CarryOut<'_> {
    type Loaded = Option<ManualRow>;
    type Output = Done;
    type Error = ManualError;

    fn name(&self) -> &'static str {
        "by_hand"
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        inputs: &mut DecisionInputs,
        _: Lock,
    ) -> Result<Load<Option<ManualRow>, Done>, ManualError> {
        // The row of the request is locked: nobody else does anything about it meanwhile.
        let rows = tx.load(&[self.id], Lock::Rows).await?;
        let row = tx.manual_row(self.id, self.ordinal).await?;
        if let (Some(once), Some(stored)) = (self.once, rows.first())
            && let Some(seen) = tx.inbox(&[(&once.tenant, once.command_id)]).await?.pop()
        {
            if seen.digest != once.digest {
                return Err(OperateError::Conflicting.into());
            }
            return Ok(Load::Nothing(self.done(stored.request.clone(), row)));
        }
        // Whatever else is done about it must not send it.
        if matches!(self.action, ManualAction::Claim | ManualAction::Refuse(_)) {
            inputs.claims = Arc::new(BTreeSet::from([(self.id, self.ordinal)]));
        }
        Ok(Load::Ready(rows, row))
    }

    fn decide(
        &self,
        row: &mut Option<ManualRow>,
        inputs: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<Decision<Done>, ManualError> {
        let context = self.engine.context(inputs);
        let touched = batch.get_mut(self.id).ok_or(OperateError::Unknown("request"))?;
        let manual = context
            .registry
            .get(&touched.request.task(self.ordinal).processor)
            .and_then(|processor| processor.manual())
            .ok_or(OperateError::Unknown("task that waits for a person"))?;
        let row = row.clone();
        let live = row.clone().filter(|row| is_live(row, &touched.request));
        let is_own = live
            .as_ref()
            .is_some_and(|row| row.claimed_by.as_deref() == Some(self.actor));
        let done = match (self.action, live) {
            (ManualAction::Claim, Some(live)) if is_own => {
                return Ok(Decision::Nothing(self.done(touched.request.clone(), Some(live))));
            }
            (ManualAction::Claim | ManualAction::Refuse(_), Some(_)) if !is_own => {
                return Err(ManualError::Claimed);
            }
            (ManualAction::Claim, _) => self.claim(touched, row, &context)?,
            (ManualAction::Confirm(_), None) => return Err(ManualError::NotClaimed),
            (ManualAction::Confirm(body), Some(live)) => {
                self.confirm(touched, live, body, manual.confirm_by_two, &context)?
            }
            (ManualAction::Refuse(reason), live) => {
                if live.is_none() {
                    self.claim(touched, row, &context)?;
                }
                let body = json!({ "outcome": "rejected", "message": reason }).to_string();
                self.settle(touched, body.as_bytes(), &context)?
            }
            (ManualAction::HandOver(assignee), _) => {
                touched.attempt(|request| request.hand_over(self.ordinal, self.actor, &context))?;
                let mut row = self.row_of(&touched.request, row);
                row.assignee = Some((*assignee).to_owned());
                self.done(touched.request.clone(), Some(row))
            }
        };
        touched.notes.add_said(&self.note());
        batch
            .changes
            .inbox
            .extend(self.once.map(|once| once.row(self.id)));
        Ok(Decision::Write(done))
    }

    async fn conclude(
        &self,
        done: &mut Done,
        _: &mut Finished<'static>,
        _: &DecisionInputs,
        tx: &mut dyn Transaction,
    ) -> Result<(), ManualError> {
        match &done.row {
            Some(row) => tx.put_manual(row).await?,
            None => tx.drop_manual(self.id, self.ordinal).await?,
        }
        Ok(())
    }
}

impl CarryOut<'_> {
    fn claim(
        &self,
        touched: &mut Touched<'static>,
        row: Option<ManualRow>,
        context: &Context<'_>,
    ) -> Result<Done, ManualError> {
        touched.attempt(|request| request.claim_manual(self.ordinal, self.actor, context))?;
        let mut row = self.row_of(&touched.request, row);
        row.claimed_by = Some(self.actor.to_owned());
        row.claimed_at = Some(context.now);
        Ok(self.done(touched.request.clone(), Some(row)))
    }

    /// One confirmation settles it, or two of the same by different people.
    fn confirm(
        &self,
        touched: &mut Touched<'static>,
        mut row: ManualRow,
        body: &[u8],
        by_two: bool,
        context: &Context<'_>,
    ) -> Result<Done, ManualError> {
        let outcome = self.read(&touched.request, body)?.ack.answer.outcome();
        if !CONFIRMED.contains(&outcome) {
            let words: Vec<&str> = CONFIRMED.iter().map(|outcome| outcome.as_str()).collect();
            let detail = format!("outcome: expected one of {}", words.join(", "));
            return Err(ManualError::Unreadable(Rejection::schema(detail)));
        }
        match (&row.confirmed_by, &row.confirmed) {
            (Some(first), _) if first == self.actor => Err(ManualError::SamePerson),
            (Some(_), Some(sealed)) => {
                let first = self.engine.vault.open_record(self.id, FIRST, sealed);
                let first = first.map_err(EngineError::from)?;
                let before = self.read(&touched.request, &first)?.ack.answer.outcome();
                if before != outcome {
                    return Err(ManualError::Differs);
                }
                // Whoever confirms what was confirmed need not bring the proof again.
                let is_bare = self.read(&touched.request, body)?.ack.evidence.is_none();
                let body = if is_bare { &first } else { body };
                self.settle(touched, body, context)
            }
            _ if row.claimed_by.as_deref() != Some(self.actor) => Err(ManualError::Claimed),
            _ if by_two => {
                touched.attempt(|request| request.confirm_first(self.actor, context))?;
                row.confirmed_by = Some(self.actor.to_owned());
                row.confirmed = Some(self.engine.vault.seal_record(self.id, FIRST, body));
                let mut done = self.done(touched.request.clone(), Some(row));
                (done.outcome, done.awaits_second) = (outcome, true);
                Ok(done)
            }
            _ => self.settle(touched, body, context),
        }
    }

    /// Settles it, as the answer of its processor.
    fn settle(
        &self,
        touched: &mut Touched<'static>,
        body: &[u8],
        context: &Context<'_>,
    ) -> Result<Done, ManualError> {
        let prepared = self.read(&touched.request, body)?;
        touched.trail.entries.push(Entry::ActedBy {
            actor: self.actor.to_owned(),
        });
        let ack = &prepared.ack;
        let taken = touched
            .request
            .answer(ack, prepared.token_matches, context, &mut touched.trail)?;
        let after = match taken {
            Taken::Counted { sent_at, .. } => sent_at.map(|at| context.now.since(at)),
            Taken::Repeated => None,
        };
        if let Some(proof) = &prepared.proof {
            let brought_by = BroughtBy {
                ordinal: self.ordinal,
                generation: ack.generation,
                attempt: ack.attempt,
            };
            touched.notes.add_proof(brought_by, &proof.salt, &proof.statement);
            touched.trail.entries.push(Entry::Evidence {
                ordinal: self.ordinal,
                records: proof.records,
                commitment: proof.commitment,
            });
        }
        touched
            .request
            .finish_answers(context, &mut touched.trail)
            .map_err(EngineError::from)?;
        let mut done = self.done(touched.request.clone(), None);
        (done.outcome, done.counted) = (ack.answer.outcome(), Some(after));
        Ok(done)
    }

    /// A confirmation as the answer that it is.
    fn read(&self, request: &Request, body: &[u8]) -> Result<PreparedAck, ManualError> {
        let (task, id) = (request.task(self.ordinal), request.task_id(self.ordinal));
        let token = self
            .engine
            .vault
            .token(self.id, id, task.generation, task.attempt);
        let asked = AskedTask {
            request: self.id,
            task: id,
            generation: task.generation,
            attempt: task.attempt,
            processor: &task.processor,
            token: token.as_str(),
        };
        let ack = parse_reply(body, &asked).map_err(|error| {
            ManualError::Unreadable(match error {
                NoAck::Unreadable(rejection) => rejection,
                NoAck::NoOutcome => Rejection::schema("outcome: expected one"),
                NoAck::ContentType | NoAck::OtherTask(_) => Rejection::schema(error.to_string()),
            })
        })?;
        let prepared = self.engine.settlement().prepare_ack(ack);
        prepared.map_err(ManualError::Unreadable)
    }

    /// The row of a task as it is now, without a claim; whom it was handed over to stays for its generation.
    fn row_of(&self, request: &Request, before: Option<ManualRow>) -> ManualRow {
        let task = request.task(self.ordinal);
        let assignee = before
            .filter(|row| row.generation == task.generation)
            .and_then(|row| row.assignee);
        ManualRow {
            request_id: self.id,
            ordinal: self.ordinal,
            processor: task.processor.clone(),
            generation: task.generation,
            attempt: task.attempt,
            assignee,
            claimed_by: None,
            claimed_at: None,
            confirmed_by: None,
            confirmed: None,
        }
    }

    fn done(&self, request: Request, row: Option<ManualRow>) -> Done {
        let awaits_second = row.as_ref().is_some_and(|row| row.confirmed_by.is_some());
        Done {
            // What was answered last, where this was done before.
            outcome: request.task(self.ordinal).answered.unwrap_or(Outcome::Accepted),
            request,
            awaits_second,
            counted: None,
            row,
        }
    }

    fn note(&self) -> String {
        let mut note = json!({ "task": self.ordinal, "by": self.actor, "decision": self.action.word() });
        match self.action {
            ManualAction::Refuse(reason) => note["reason"] = Value::from(*reason),
            ManualAction::HandOver(assignee) => note["reason"] = Value::from(format!("for {assignee}")),
            ManualAction::Claim | ManualAction::Confirm(_) => {}
        }
        note.to_string()
    }
}
