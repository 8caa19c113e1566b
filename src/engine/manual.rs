//! Tasks that people do: claimed by one at a time, confirmed, refused, handed over.
//!
//! A confirmation is an answer like any other, and is settled by the same function of the domain. What people have done about a
//! task is written in the transaction that moves it, so that both are so or neither.

mod decide;
mod error;

use std::collections::HashMap;

use self::decide::CarryOut;
pub use self::{decide::ManualAction, error::ManualError};
use super::{
    EngineError, OperateError, effects::Effects, operations::Once, unit_of_work::run, use_cases::Manual,
};
use crate::{
    domain::{
        backup::earlier,
        entry::Entry,
        identity::Identity,
        ids::{ProcessorId, RequestId, TaskId},
        registry::{Lane, Registry},
        request::Request,
        task::TaskState,
        time::At,
        words::Outcome,
    },
    store::{ManualRow, StoredRequest},
};

/// A task that a person does.
#[derive(Debug, Clone)]
pub struct ManualTask {
    /// Its request.
    pub request: Request,
    /// Its place.
    pub ordinal: u16,
    /// Where it stands.
    pub state: ManualState,
    /// Who does it: a person or a team.
    pub assignee: String,
    /// What has to be done.
    pub instructions: Option<String>,
    /// By when.
    pub due: Option<At>,
    /// From when on whoever does it is reminded of that.
    pub remind_from: Option<At>,
    /// Who has claimed it, and when.
    pub claim: Option<(String, At)>,
    /// Who has confirmed it first.
    pub confirmed_by: Option<String>,
    wrapped_key: Option<Vec<u8>>,
}

/// Whoever does a task is reminded of it in this part of its term, the last one.
const REMIND_IN_THE_LAST: u32 = 5;

/// Where a task stands that a person does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManualState {
    /// Nobody has claimed it.
    Open,
    /// Somebody has.
    Claimed,
    /// One has confirmed it, and another one has to.
    AwaitingSecond,
}

impl ManualState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Open, Self::Claimed, Self::AwaitingSecond];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Claimed => "claimed",
            Self::AwaitingSecond => "awaiting_second",
        }
    }

    /// The state of a word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What came of a confirmation.
#[derive(Debug, Clone)]
pub struct Confirmed {
    /// The request as it is then.
    pub request: Request,
    /// The task.
    pub ordinal: u16,
    /// What was confirmed.
    pub outcome: Outcome,
    /// Whether another person has to confirm it too.
    pub awaits_second: bool,
}

impl ManualTask {
    /// Of a task; `None`: it does not wait for a person.
    fn of(
        stored: &StoredRequest,
        ordinal: u16,
        row: Option<&ManualRow>,
        registry: &Registry,
    ) -> Option<Self> {
        let request = &stored.request;
        let task = request.tasks.get(usize::from(ordinal))?;
        let processor = registry.get(&task.processor)?;
        let manual = processor.manual()?;
        let row = row.filter(|row| row.generation == task.generation && row.processor == task.processor);
        let claim = row.filter(|row| is_live(row, request));
        let state = match (&task.state, claim) {
            (TaskState::Queued { .. }, _) => ManualState::Open,
            (TaskState::Accepted { .. }, Some(row)) if row.confirmed_by.is_some() => {
                ManualState::AwaitingSecond
            }
            (TaskState::Accepted { .. }, Some(_)) => ManualState::Claimed,
            _ => return None,
        };
        let assignee = row.and_then(|row| row.assignee.clone());
        let due = request.manual_due(ordinal, registry);
        let term = manual.due.unwrap_or(processor.ack_timeout);
        Some(Self {
            due,
            remind_from: due.map(|due| earlier(due, term / REMIND_IN_THE_LAST)),
            request: request.clone(),
            ordinal,
            state,
            assignee: assignee.unwrap_or_else(|| manual.assignee.clone()),
            instructions: manual.instructions.clone(),
            claim: claim.and_then(|row| row.claimed_by.clone().zip(row.claimed_at)),
            confirmed_by: claim.and_then(|row| row.confirmed_by.clone()),
            wrapped_key: stored.wrapped_key.clone(),
        })
    }

    /// Whether this person has claimed it.
    pub fn is_claimed_by(&self, actor: &str) -> bool {
        self.claim.as_ref().is_some_and(|(by, _)| by == actor)
    }
}

/// Whether what a row says of a claim is so still: the task may have moved on without it.
fn is_live(row: &ManualRow, request: &Request) -> bool {
    let task = request.tasks.get(usize::from(row.ordinal));
    row.claimed_by.is_some()
        && task.is_some_and(|task| {
            matches!(task.state, TaskState::Accepted { .. })
                && (task.generation, task.attempt) == (row.generation, row.attempt)
        })
}

impl Manual<'_> {
    /// The tasks that wait for people, after a place and in order: as many of these as were looked at, and the last place that
    /// was; `None`: there are no more.
    pub async fn list(
        self,
        after: Option<(RequestId, u16)>,
        limit: u32,
    ) -> Result<(Vec<ManualTask>, Option<(RequestId, u16)>), EngineError> {
        let engine = self.shared;
        let active = engine.active()?;
        let processors = active.registry.processors.iter();
        let lanes: Vec<ProcessorId> = processors
            .filter(|processor| processor.lane() == Lane::Claimed)
            .map(|processor| processor.id.clone())
            .collect();
        let places = engine.store.manual_places(&lanes, after, limit).await?;
        let last = places.last().copied().filter(|_| places.len() == limit as usize);
        let mut ids: Vec<RequestId> = places.iter().map(|(id, _)| *id).collect();
        ids.dedup();
        let requests: HashMap<RequestId, StoredRequest> = engine
            .store
            .requests(&ids)
            .await?
            .into_iter()
            .map(|stored| (stored.request.id, stored))
            .collect();
        let rows = engine.store.manual_rows(&ids).await?;
        let tasks = places.iter().filter_map(|(id, ordinal)| {
            let row = rows
                .iter()
                .find(|row| row.request_id == *id && row.ordinal == *ordinal);
            ManualTask::of(requests.get(id)?, *ordinal, row, &active.registry)
        });
        Ok((tasks.collect(), last))
    }

    /// One of them.
    pub async fn find(self, id: TaskId) -> Result<ManualTask, OperateError> {
        let engine = self.shared;
        let (request, ordinal) = engine.find_task(id).await?;
        let stored = engine.store.requests(&[request.id]).await?.pop();
        let rows = engine.store.manual_rows(&[request.id]).await?;
        let row = rows.iter().find(|row| row.ordinal == ordinal);
        let active = engine.active()?;
        let found = stored.and_then(|stored| ManualTask::of(&stored, ordinal, row, &active.registry));
        found.ok_or(OperateError::Unknown("task that waits for a person"))
    }

    /// Does something about a task. The answer is the request as it is then.
    pub async fn carry_out(
        self,
        id: TaskId,
        actor: &str,
        action: &ManualAction<'_>,
        once: Option<&Once>,
    ) -> Result<(Confirmed, Effects), ManualError> {
        let engine = self.shared;
        let (request, ordinal) = engine.find_task(id).await?;
        let unit = CarryOut {
            engine,
            id: request.id,
            ordinal,
            actor,
            action,
            once,
        };
        let done = run(engine, &unit).await?;
        let answer = done.answer;
        let effects = done.finished.emit(engine, true).await?;
        if let Some(after) = answer.counted {
            let processor = &answer.request.task(ordinal).processor;
            engine.metrics.ack(processor.as_str(), answer.outcome.as_str());
            let now = engine.clock.now();
            engine.counting().answered(processor, answer.outcome, after, now);
            if let Some(after) = after {
                engine.metrics.ack_time(processor.as_str(), after);
            }
        }
        let confirmed = Confirmed {
            request: answer.request,
            ordinal,
            outcome: answer.outcome,
            awaits_second: answer.awaits_second,
        };
        Ok((confirmed, effects))
    }

    /// Whom these tasks are about, for whoever has claimed them. That somebody looked is written down first.
    pub async fn identities(
        self,
        tasks: &[&ManualTask],
        actor: &str,
    ) -> Result<Vec<Vec<Identity>>, EngineError> {
        if tasks.is_empty() {
            return Ok(Vec::new());
        }
        let engine = self.shared;
        let mut ids: Vec<RequestId> = tasks.iter().map(|task| task.request.id).collect();
        ids.sort_unstable();
        ids.dedup();
        let look = Entry::IdentitiesShown {
            actor: actor.to_owned(),
            requests: ids.clone(),
        };
        engine.record_disclosure(look).await?;
        let secrets = engine.secrets(&ids, &ids).await?;
        let shown = tasks.iter().map(|task| {
            let (body, subject) = engine.open_with(&task.request, task.wrapped_key.as_deref(), &secrets)?;
            let wanted = body.identities_of(&task.request, task.ordinal);
            let mut identities = subject.identities;
            identities.retain(|identity| wanted.contains(&identity.kind));
            Ok(identities)
        });
        shown.collect()
    }
}
