//! An operator's decisions about one task or request, and what people look up.

use std::collections::HashMap;

use super::{
    Engine, EngineError, OperateError,
    agenda::leaders_of,
    contained::contained,
    effects::Emission,
    intake::{ACCEPTED, decision_note, reason_of},
    work::{Finished, UseCase, Work},
};
use crate::{
    domain::{
        body::Body,
        command::Decision,
        ids::{CommandId, RequestId, TaskId, Tenant},
        request::{Context, Request, Trail, operate::Refused},
        task_ids::request_candidates,
        words::DeadLetterReason,
    },
    store::{Attempts, Changes, Gate, InboxRow, Lock, StoredBody, StoredRequest, Transaction},
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
    fn row(&self, request_id: RequestId) -> InboxRow {
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
}

impl<'a> From<&'a str> for By<'a> {
    fn from(actor: &'a str) -> Self {
        Self { actor, once: None }
    }
}

impl Engine {
    /// Carries out an operator's decision about a task. The reason is kept sealed beside the ledger.
    pub async fn decide_task<'a>(
        &self,
        id: TaskId,
        decision: TaskDecision,
        by: impl Into<By<'a>>,
        reason: Option<&str>,
    ) -> Result<(Request, Emission), OperateError> {
        let By { actor, once } = by.into();
        let (request, ordinal) = self.find_task(id).await?;
        let name = match decision {
            TaskDecision::Retry => "retry",
            TaskDecision::Waive => "waive",
        };
        let note = serde_json::json!({ "task": ordinal, "by": actor, "decision": name, "reason": reason });
        let note = note.to_string();
        self.decide(
            request.id,
            "operate",
            &note,
            once,
            |request, context| match decision {
                TaskDecision::Retry => request.retry(ordinal, actor, context),
                TaskDecision::Waive => request.waive(ordinal, actor, context),
            },
        )
        .await
    }

    /// Withdraws a request, as long as nothing has been sent. The reason is kept sealed beside the ledger.
    pub async fn cancel_request<'a>(
        &self,
        id: RequestId,
        by: impl Into<By<'a>>,
        reason: Option<&str>,
    ) -> Result<(Request, Emission), OperateError> {
        let By { actor, once } = by.into();
        let note = serde_json::json!({ "by": actor, "decision": "cancel", "reason": reason }).to_string();
        let done = self
            .decide(id, "cancel", &note, once, |request, context| {
                request.cancel(Some(actor), context)
            })
            .await;
        self.count_decision("cancel", &done);
        done
    }

    /// Carries out a person's decision about a request. The note is kept sealed beside the ledger.
    pub async fn decide_request<'a>(
        &self,
        id: RequestId,
        decision: &Decision,
        by: impl Into<By<'a>>,
        note: Option<&str>,
    ) -> Result<(Request, Emission), OperateError> {
        let done = self.decide_request_uncounted(id, decision, by.into(), note).await;
        self.count_decision(decision.name(), &done);
        done
    }

    async fn decide_request_uncounted(
        &self,
        id: RequestId,
        decision: &Decision,
        By { actor, once }: By<'_>,
        note: Option<&str>,
    ) -> Result<(Request, Emission), OperateError> {
        let bodies = self.store.bodies(&[id]).await?;
        let body = bodies.first().ok_or(OperateError::Unknown("request"))?;
        let submitter = Body::unpack(&body.body).map_err(EngineError::from)?.submitter;
        let rules = self.rules.rulebook();
        let note = decision_note(decision, actor, note);
        self.decide(id, "decide", &note, once, |request, context| {
            request.decide(decision, actor, submitter.as_deref(), rules, context)
        })
        .await
    }

    /// Approves requests, in one transaction, and says how many: what somebody has decided about meanwhile is left alone.
    /// `once`: the call that is done with them.
    pub async fn approve_all(
        &self,
        ids: &[RequestId],
        actor: &str,
        once: Option<&Once>,
    ) -> Result<(u64, Emission), OperateError> {
        let mut attempts = Attempts::new(self.store.as_ref(), &*self.metrics, "approve");
        let done = loop {
            let done = self.approve_all_once(ids, actor, once, &mut attempts).await;
            if let Some(done) = attempts.conclude(done).await {
                break done;
            }
        };
        let kind = Decision::Approve.name();
        match &done {
            Ok((approved, _)) => {
                for tenant in approved {
                    self.count_command(kind, Some(tenant), ACCEPTED);
                }
            }
            Err(error) => self.count_refused(kind, error),
        }
        let (approved, finished) = done?;
        Ok((approved.len() as u64, finished.emit(self, true).await?))
    }

    /// Counts a decision that did not come as a command as if it had: people's decisions are one series, whichever door
    /// they came through.
    fn count_decision(&self, kind: &str, done: &Result<(Request, Emission), OperateError>) {
        match done {
            Ok((request, _)) => self.count_command(kind, Some(&request.head.tenant), ACCEPTED),
            Err(error) => self.count_refused(kind, error),
        }
    }

    /// What failed is tried again by whoever asked: it came to nothing yet.
    fn count_refused(&self, kind: &str, error: &OperateError) {
        let reason = match error {
            OperateError::Unknown(_) => DeadLetterReason::UnknownRequest,
            OperateError::Refused(refused) => reason_of(refused),
            OperateError::Conflicting => DeadLetterReason::ConflictingDuplicate,
            OperateError::Engine(_) => return,
        };
        self.count_command(kind, None, reason.as_str());
    }

    async fn approve_all_once(
        &self,
        ids: &[RequestId],
        actor: &str,
        once: Option<&Once>,
        attempts: &mut Attempts<'_>,
    ) -> Result<(Vec<Tenant>, Finished<'static>), OperateError> {
        let mut tx = attempts.begin().await?;
        let known = self.pass_gate(&mut *tx, Gate::Shared).await?;
        let submitters = self.submitters(tx.bodies(ids).await?)?;
        let mut work = Work::with_loaded(tx.load(ids, Lock::Rows).await?, self.clock_skew);
        let now = known.now;
        let (context, rules) = (self.context(&known, now), self.rules.rulebook());
        let note = decision_note(&Decision::Approve, actor, None);
        let mut approved = Vec::new();
        for id in ids {
            let Some(touched) = work.get_mut(*id) else {
                continue;
            };
            let submitter = submitters.get(id).and_then(Option::as_deref);
            let mut request = touched.request.clone();
            match request.decide(&Decision::Approve, actor, submitter, rules, &context) {
                Ok(trail) => {
                    touched.request = request;
                    touched.trail.append(trail);
                    touched.notes.add_said(&note);
                    approved.push(touched.request.head.tenant.clone());
                }
                // Nobody approves what they have submitted, not among others either.
                Err(refused @ Refused::Submitter) => return Err(refused.into()),
                Err(_) => {}
            }
        }
        let mut finished = work.finish(self, UseCase::Other, now, true)?;
        // The rows of these requests are locked, so no other call under this key is under way.
        if let (Some(once), Some(last)) = (once, ids.last())
            && tx.inbox(&[(&once.tenant, once.command_id)]).await?.is_empty()
        {
            finished.changes.inbox.push(once.row(*last));
        }
        self.seal_capsules(&mut finished, &mut *tx).await?;
        tx.write(&finished.changes).await.map_err(EngineError::from)?;
        tx.commit().await.map_err(EngineError::from)?;
        Ok((approved, finished))
    }

    /// Whether the same call has been carried out before.
    pub async fn is_repeat(&self, once: &Once) -> Result<bool, OperateError> {
        let seen = self.store.inbox(&[(&once.tenant, once.command_id)]).await?;
        match seen.first() {
            None => Ok(false),
            Some(row) if row.digest == once.digest => Ok(true),
            Some(_) => Err(OperateError::Conflicting),
        }
    }

    fn submitters(&self, bodies: Vec<StoredBody>) -> Result<HashMap<RequestId, Option<String>>, EngineError> {
        let submitter = |stored: StoredBody| Ok((stored.id, Body::unpack(&stored.body)?.submitter));
        bodies.into_iter().map(submitter).collect()
    }

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

    async fn decide(
        &self,
        id: RequestId,
        name: &'static str,
        note: &str,
        once: Option<&Once>,
        decision: impl Fn(&mut Request, &Context<'_>) -> Result<Trail, Refused> + Send + Sync,
    ) -> Result<(Request, Emission), OperateError> {
        let mut attempts = Attempts::new(self.store.as_ref(), &*self.metrics, name);
        let (request, finished) = loop {
            let done = self.decide_once(id, note, once, &decision, &mut attempts).await;
            if let Some(done) = attempts.conclude(done).await {
                break done?;
            }
        };
        Ok((request, finished.emit(self, true).await?))
    }

    async fn decide_once(
        &self,
        id: RequestId,
        note: &str,
        once: Option<&Once>,
        decision: &(impl Fn(&mut Request, &Context<'_>) -> Result<Trail, Refused> + Sync),
        attempts: &mut Attempts<'_>,
    ) -> Result<(Request, Finished<'static>), OperateError> {
        let mut tx = attempts.begin().await?;
        let known = self.pass_gate(&mut *tx, Gate::Shared).await?;
        let loaded = tx.load(&[id], Lock::Rows).await?;
        if let Some(before) = self.said_before(once, &loaded, &mut *tx).await? {
            return Ok((before, Finished::without_requests(Changes::default())));
        }
        let mut work = Work::with_loaded(loaded, self.clock_skew);
        let now = known.now;
        let leaders = leaders_of(&work.followed(), &mut *tx, now).await?;
        let context = self.context(&known, now);
        let touched = work.get_mut(id).ok_or(OperateError::Unknown("request"))?;
        let trail = contained(|| {
            touched.catch_up(&leaders, &context).map_err(EngineError::from)?;
            Ok::<_, OperateError>(decision(&mut touched.request, &context)?)
        })??;
        touched.trail.append(trail);
        touched.notes.add_said(note);
        let request = touched.request.clone();
        let mut finished = contained(|| work.finish(self, UseCase::Other, now, true))??;
        finished.changes.inbox.extend(once.map(|once| once.row(id)));
        self.seal_capsules(&mut finished, &mut *tx).await?;
        tx.write(&finished.changes).await.map_err(EngineError::from)?;
        tx.commit().await.map_err(EngineError::from)?;
        Ok((request, finished))
    }

    /// The request, where the same call has been carried out before. Its row is locked, so no other one is under way.
    async fn said_before(
        &self,
        once: Option<&Once>,
        loaded: &[StoredRequest],
        tx: &mut dyn Transaction,
    ) -> Result<Option<Request>, OperateError> {
        let (Some(once), Some(stored)) = (once, loaded.first()) else {
            return Ok(None);
        };
        let seen = tx.inbox(&[(&once.tenant, once.command_id)]).await?;
        match seen.first() {
            None => Ok(None),
            Some(row) if row.digest == once.digest => Ok(Some(stored.request.clone())),
            Some(_) => Err(OperateError::Conflicting),
        }
    }
}
