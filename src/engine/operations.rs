//! An operator's decisions about one task or request, and what people look up.

mod approve_all;
pub mod backfill;
mod decide_one;
mod forget;

use approve_all::ApproveAll;
use decide_one::{Decide, DecideOne};
use forget::Forget;

use super::{
    Engine, EngineError, OperateError,
    effects::Effects,
    intake::{ACCEPTED, decision_note, reason_of},
    unit_of_work::run,
    use_cases::Operations,
};
use crate::{
    domain::{
        body::Body,
        command::Decision,
        ids::{CommandId, RequestId, TaskId, Tenant},
        request::{Context, Request, operate::DecisionError},
        task_ids::request_candidates,
        words::DeadLetterReason,
    },
    store::InboxRow,
};

/// What an operator decides about a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskDecision {
    /// Have it done again.
    Retry,
    /// Do without it.
    Waive,
}

/// A call that may be repeated: the same again under the same key changes nothing.
#[derive(Debug, Clone)]
pub struct Once {
    /// The tenant of the request.
    pub tenant: Tenant,
    /// The key.
    pub command_id: CommandId,
    /// The keyed digest of what is asked.
    pub digest: [u8; 16],
}

impl Once {
    /// What remembers that it was carried out.
    pub(super) fn row(&self, request_id: RequestId) -> InboxRow {
        InboxRow {
            tenant: self.tenant.clone(),
            command_id: self.command_id,
            digest: self.digest,
            request_id,
        }
    }
}

/// Who decides, and how it is told from another decision.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// The name of the bearer.
    pub actor: &'a str,
    /// The key of the call, where it has one; without it, a repeat is another decision.
    pub once: Option<&'a Once>,
    /// Whether only what was given up is meant: the decision was taken about many tasks, and some time ago.
    pub only_given_up: bool,
}

impl<'a> By<'a> {
    /// Somebody, with the key of the call.
    pub const fn with_key(actor: &'a str, once: Option<&'a Once>) -> Self {
        Self {
            actor,
            once,
            only_given_up: false,
        }
    }
}

impl<'a> From<&'a str> for By<'a> {
    fn from(actor: &'a str) -> Self {
        Self::with_key(actor, None)
    }
}

impl Operations<'_> {
    /// Carries out an operator's decision about a task. The reason is kept sealed beside the ledger.
    pub async fn decide_task<'a>(
        self,
        id: TaskId,
        decision: TaskDecision,
        by: impl Into<By<'a>>,
        reason: Option<&str>,
    ) -> Result<(Request, Effects), OperateError> {
        let By {
            actor,
            once,
            only_given_up,
        } = by.into();
        let (request, ordinal) = self.shared.find_task(id).await?;
        let name = match decision {
            TaskDecision::Retry => "retry",
            TaskDecision::Waive => "waive",
        };
        let note = serde_json::json!({ "task": ordinal, "by": actor, "decision": name, "reason": reason });
        let note = note.to_string();
        let decision = |request: &mut Request, context: &Context<'_>| {
            if only_given_up && !request.is_given_up(ordinal, context.now) {
                return Err(DecisionError::WrongState);
            }
            match decision {
                TaskDecision::Retry => request.retry(ordinal, actor, context),
                TaskDecision::Waive => request.waive(ordinal, actor, context),
            }
        };
        self.decide("operate", request.id, &note, once, &decision).await
    }

    /// Withdraws a request, as long as nothing has been sent. The reason is kept sealed beside the ledger.
    pub async fn cancel_request<'a>(
        self,
        id: RequestId,
        by: impl Into<By<'a>>,
        reason: Option<&str>,
    ) -> Result<(Request, Effects), OperateError> {
        let By { actor, once, .. } = by.into();
        let note = serde_json::json!({ "by": actor, "decision": "cancel", "reason": reason }).to_string();
        let cancel = |request: &mut Request, context: &Context<'_>| request.cancel(Some(actor), context);
        let done = self.decide("cancel", id, &note, once, &cancel).await;
        self.count_decision("cancel", &done);
        done
    }

    /// Carries out a person's decision about a request. The note is kept sealed beside the ledger.
    pub async fn decide_request<'a>(
        self,
        id: RequestId,
        decision: &Decision,
        by: impl Into<By<'a>>,
        note: Option<&str>,
    ) -> Result<(Request, Effects), OperateError> {
        let done = self.decide_request_uncounted(id, decision, by.into(), note).await;
        self.count_decision(decision.name(), &done);
        done
    }

    async fn decide_request_uncounted(
        &self,
        id: RequestId,
        decision: &Decision,
        By { actor, once, .. }: By<'_>,
        note: Option<&str>,
    ) -> Result<(Request, Effects), OperateError> {
        let bodies = self.shared.store.bodies(&[id]).await?;
        let body = bodies.first().ok_or(OperateError::Unknown("request"))?;
        let submitter = Body::unpack(&body.body).map_err(EngineError::from)?.submitter;
        let note = decision_note(decision, actor, note);
        let decide = |request: &mut Request, context: &Context<'_>| {
            let rules = self.shared.rules_of(&request.head.tenant).rulebook();
            request.decide(decision, actor, submitter.as_deref(), rules, context)
        };
        self.decide("decide", id, &note, once, &decide).await
    }

    /// Deletes the rows of a closed request before their time. What a hold covers, and what a backup could still bring back, stays. No
    /// reason is kept: what people wrote about it goes too.
    pub async fn forget(self, id: RequestId, actor: &str) -> Result<Effects, OperateError> {
        let unit = Forget {
            engine: self.shared,
            id,
            actor,
        };
        let done = run(self.shared, &unit).await?;
        let words = done.finished.changes.last_words.clone();
        self.shared.metrics.expired(1, 1);
        let mut emission = done.finished.emit(self.shared, true).await?;
        emission.append(self.shared.last_records(&words).await?);
        Ok(emission)
    }

    /// Approves requests, in one transaction, and says how many: what somebody has decided about meanwhile is left alone.
    /// `once`: the call that is done with them.
    pub async fn approve_all(
        self,
        ids: &[RequestId],
        actor: &str,
        once: Option<&Once>,
    ) -> Result<(u64, Effects), OperateError> {
        let unit = ApproveAll {
            engine: self.shared,
            ids,
            actor,
            once,
        };
        let done = run(self.shared, &unit).await;
        let kind = Decision::Approve.name();
        match &done {
            Ok(done) => {
                for tenant in &done.answer {
                    self.shared.count_command(kind, Some(tenant), ACCEPTED);
                }
            }
            Err(error) => self.count_refused(kind, error),
        }
        let done = done?;
        Ok((
            done.answer.len() as u64,
            done.finished.emit(self.shared, true).await?,
        ))
    }

    /// Counts a decision that did not come as a command as if it had: people's decisions are one series, whichever channel
    /// they came through.
    fn count_decision(&self, kind: &str, done: &Result<(Request, Effects), OperateError>) {
        match done {
            Ok((request, _)) => self
                .shared
                .count_command(kind, Some(&request.head.tenant), ACCEPTED),
            Err(error) => self.count_refused(kind, error),
        }
    }

    /// What failed is tried again by whoever asked: it came to nothing yet.
    fn count_refused(&self, kind: &str, error: &OperateError) {
        let reason = match error {
            OperateError::Unknown(_) => DeadLetterReason::UnknownRequest,
            OperateError::Decision(refused) => reason_of(refused),
            OperateError::Conflicting => DeadLetterReason::ConflictingDuplicate,
            OperateError::Engine(_) => return,
        };
        self.shared.count_command(kind, None, reason.as_str());
    }

    /// Whether the same call has been carried out before.
    pub async fn is_repeat(self, once: &Once) -> Result<bool, OperateError> {
        let seen = self
            .shared
            .store
            .inbox(&[(&once.tenant, once.command_id)])
            .await?;
        match seen.first() {
            None => Ok(false),
            Some(row) if row.digest == once.digest => Ok(true),
            Some(_) => Err(OperateError::Conflicting),
        }
    }

    async fn decide(
        &self,
        name: &'static str,
        id: RequestId,
        note: &str,
        once: Option<&Once>,
        decision: Decide<'_>,
    ) -> Result<(Request, Effects), OperateError> {
        let unit = DecideOne {
            engine: self.shared,
            name,
            id,
            note,
            once,
            decision,
        };
        let done = run(self.shared, &unit).await?;
        Ok((done.answer, done.finished.emit(self.shared, true).await?))
    }
}

impl Engine {
    /// The request that a task belongs to, and the task's place in its plan.
    pub async fn find_task(&self, id: TaskId) -> Result<(Request, u16), OperateError> {
        let candidates: Vec<(RequestId, u16)> = request_candidates(id).collect();
        let ids: Vec<RequestId> = candidates.iter().map(|(request, _)| *request).collect();
        let stored = self.store.requests(&ids).await.map_err(EngineError::from)?;
        let found = stored
            .into_iter()
            .map(|stored| stored.request)
            .find_map(|request| {
                let (_, ordinal) = candidates
                    .iter()
                    .find(|(candidate, _)| *candidate == request.id)?;
                (usize::from(*ordinal) < request.tasks.len()).then_some((request, *ordinal))
            });
        found.ok_or(OperateError::Unknown("task"))
    }
}
