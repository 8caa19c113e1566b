//! Pause, resume and brake: people stop lanes, and have them go on.
//!
//! Each is a fact, written under the exclusive gate lock like a hold: from its commit on nothing new is sent, because every
//! decision reads it. What was sent before is out, and whoever stops is told how much that is. Stopping what is stopped, or
//! resuming what goes on, changes nothing, and is answered as the first time.

use async_trait::async_trait;
use serde::Serialize;
use uuid::Uuid;

use super::{
    Engine, EngineError, OperateError,
    active_registry::read,
    clock_guard::agreed,
    decisions::{opened, written},
    facts::{needs_sweep, store_fact},
    operations::Once,
    time_ordered_id,
    unit_of_work::{Decision, StoreWork, run_on_store},
};
use crate::{
    clock::Clock,
    domain::{
        fact::Fact,
        identity::Mask,
        ids::{ProcessorId, RequestId, TaskId},
        note::Notes,
        request::Request,
        stops::{Stop, Stopped},
        task::TaskState,
        time::At,
        words::TaskStateName,
    },
    store::{Changes, Gate, NewFact, Observer, Store, StoredFact, Transaction},
    vault::Vault,
};

/// How many of the tasks that are out are listed.
const MAX_LISTED: usize = 100;
/// How many open requests are looked at for them: some 100 ms of work.
const MAX_SCANNED: usize = 20_000;
/// How many requests are read at a time.
const CHUNK: u32 = 1_000;

/// What somebody wants of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneAction {
    /// Nothing more is sent.
    Stop,
    /// It goes on.
    Resume,
}

/// What somebody does to a lane, or to all of them.
#[derive(Debug, Clone, Copy)]
pub struct LaneChange<'a> {
    /// The processor; `None`: all of them.
    pub lane: Option<&'a ProcessorId>,
    /// What is wanted.
    pub action: LaneAction,
    /// Who.
    pub actor: &'a str,
    /// Why: kept sealed beside the fact.
    pub reason: Option<&'a str>,
    /// What tells the call from another one.
    pub once: Option<&'a Once>,
}

/// A task that is out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct OutTask {
    /// The request.
    pub request_id: RequestId,
    /// The task.
    pub task_id: TaskId,
    /// Whom it was sent to.
    pub processor: ProcessorId,
    /// Where it stands now.
    pub state: TaskStateName,
}

/// Stops a lane or resumes it, and answers the last thing that was done to this lane; `None`: nothing ever was. The clock has to agree with
/// the store's.
pub async fn change_lane(
    store: &dyn Store,
    observer: &dyn Observer,
    vault: &Vault,
    clock: &Clock,
    change: &LaneChange<'_>,
) -> Result<Option<StoredFact>, OperateError> {
    let work = ChangeLane { change, vault, clock };
    run_on_store(store, observer, "stop", &work).await?
}

struct ChangeLane<'e> {
    change: &'e LaneChange<'e>,
    vault: &'e Vault,
    clock: &'e Clock,
}

#[async_trait]
impl StoreWork for ChangeLane<'_> {
    type Output = Result<Option<StoredFact>, OperateError>;

    async fn work(&self, tx: &mut dyn Transaction) -> Result<Decision<Self::Output>, EngineError> {
        let LaneChange {
            lane, action, once, ..
        } = *self.change;
        let now = agreed(self.clock, tx.gate(Gate::Exclusive).await?.now)?;
        if let Some(once) = once
            && let Some(row) = tx.inbox(&[(&once.tenant, once.command_id)]).await?.pop()
        {
            if row.digest != once.digest {
                return Ok(Decision::Nothing(Err(OperateError::Conflicting)));
            }
            let key = key_of(action, row.request_id.0);
            return Ok(Decision::Nothing(Ok(tx.fact(&key).await?)));
        }
        let last = tx.last_stop(lane).await?;
        if let Some(lane) = lane
            && last.is_none()
            && !is_registered(lane, tx).await?
        {
            return Ok(Decision::Nothing(Err(OperateError::Unknown("processor"))));
        }
        let mut changes = Changes {
            at: now,
            ..Changes::default()
        };
        let stop = match (action, last.as_ref().and_then(stop_of)) {
            // It is as it is wanted already.
            (LaneAction::Stop, Some(stop)) => stop,
            (LaneAction::Resume, None) => last.as_ref().map_or_else(Uuid::nil, ended),
            (LaneAction::Stop, None) => self.stop(tx, &mut changes, now).await?,
            (LaneAction::Resume, Some(stop)) => self.go_on(stop, tx, &mut changes, now).await?,
        };
        changes.inbox.extend(once.map(|once| once.row(RequestId(stop))));
        let is_nothing = changes.leaves.is_empty() && changes.inbox.is_empty();
        tx.write(&changes).await?;
        let done = tx.fact(&key_of(action, stop)).await?;
        Ok(if is_nothing {
            Decision::Nothing(Ok(done))
        } else {
            Decision::Write(Ok(done))
        })
    }
}

impl ChangeLane<'_> {
    async fn stop(
        &self,
        tx: &mut dyn Transaction,
        changes: &mut Changes,
        now: At,
    ) -> Result<Uuid, EngineError> {
        let id = time_ordered_id(now);
        // Nothing is sent or settled meanwhile, so this is what was out when it took hold.
        let out = tx.tasks_out(self.change.lane).await?;
        let stop = Stop {
            id,
            actor: self.change.actor.to_owned(),
            out,
        };
        let fact = match self.change.lane {
            Some(processor) => Fact::Paused {
                processor: processor.clone(),
                stop,
            },
            None => Fact::Braked { stop },
        };
        store_fact(self.new_fact(id, fact, now), tx, changes).await?;
        Ok(id)
    }

    async fn go_on(
        &self,
        stop: Uuid,
        tx: &mut dyn Transaction,
        changes: &mut Changes,
        now: At,
    ) -> Result<Uuid, EngineError> {
        let actor = self.change.actor.to_owned();
        let fact = match self.change.lane {
            Some(processor) => Fact::Resumed {
                processor: processor.clone(),
                stop,
                actor,
            },
            None => Fact::Unbraked { stop, actor },
        };
        store_fact(self.new_fact(time_ordered_id(now), fact, now), tx, changes).await?;
        Ok(stop)
    }

    fn new_fact(&self, id: Uuid, fact: Fact, now: At) -> NewFact {
        let sealed = self.change.reason.map(|reason| {
            let mut notes = Notes::default();
            notes.add_said(reason);
            self.vault.seal_record(RequestId(id), 0, notes.as_bytes())
        });
        NewFact {
            id,
            sweeps: needs_sweep(&fact),
            fact,
            digest: self.change.once.map_or([0; 16], |once| once.digest),
            sealed,
            at: now,
        }
    }
}

fn key_of(action: LaneAction, stop: Uuid) -> String {
    match action {
        LaneAction::Stop => Fact::key_of_stop(stop),
        LaneAction::Resume => Fact::key_of_end(stop),
    }
}

/// The stop that a fact is; `None`: it ends one.
fn stop_of(stored: &StoredFact) -> Option<Uuid> {
    match &stored.fact {
        Fact::Paused { stop, .. } | Fact::Braked { stop } => Some(stop.id),
        _ => None,
    }
}

/// The stop that a fact has ended.
fn ended(stored: &StoredFact) -> Uuid {
    match &stored.fact {
        Fact::Resumed { stop, .. } | Fact::Unbraked { stop, .. } => *stop,
        _ => Uuid::nil(),
    }
}

async fn is_registered(id: &ProcessorId, tx: &mut dyn Transaction) -> Result<bool, EngineError> {
    match tx.registry().await? {
        Some(stored) => Ok(read(&stored.text)?.get(id).is_some()),
        None => Err(EngineError::NoRegistry),
    }
}

/// The tasks that are out at a processor, or at all of them, the first of them, and whether there may be more. While it is
/// stopped they were all sent before that.
pub async fn out_now(
    store: &dyn Store,
    lane: Option<&ProcessorId>,
) -> Result<(Vec<OutTask>, bool), EngineError> {
    let (mut found, mut after, mut scanned) = (Vec::new(), None, 0);
    loop {
        let page = store.open_page(after, CHUNK).await?;
        let is_last = page.len() < CHUNK as usize;
        scanned += page.len();
        after = page.last().map(|stored| stored.request.id).or(after);
        for stored in &page {
            found.extend(out_of(&stored.request, lane));
            if found.len() > MAX_LISTED {
                found.truncate(MAX_LISTED);
                return Ok((found, true));
            }
        }
        if is_last || scanned >= MAX_SCANNED {
            return Ok((found, !is_last));
        }
    }
}

fn out_of(request: &Request, lane: Option<&ProcessorId>) -> impl Iterator<Item = OutTask> {
    let is_out = move |ordinal: &u16| {
        let task = request.task(*ordinal);
        lane.is_none_or(|processor| *processor == task.processor)
            && matches!(
                task.state,
                TaskState::Dispatched { .. } | TaskState::Accepted { .. }
            )
    };
    request.ordinals().filter(is_out).map(|ordinal| OutTask {
        request_id: request.id,
        task_id: request.task_id(ordinal),
        processor: request.task(ordinal).processor.clone(),
        state: request.task(ordinal).state.name(),
    })
}

/// Why it was done, as whoever did it has said; `None`: nothing was said, or it cannot be read any more.
pub fn reason_of(vault: &Vault, stored: &StoredFact) -> Option<String> {
    let sealed = stored.sealed.as_deref()?;
    // It is about a lane, and about nobody.
    let notes = opened(vault, RequestId(stored.id), 0, sealed, &Mask::of_forgotten());
    written(&notes).into_iter().find_map(|said| said.reason)
}

impl Engine {
    /// Stops a lane or resumes it, and answers the last thing that was done to this lane; `None`: nothing ever was.
    pub async fn change_lane(&self, change: &LaneChange<'_>) -> Result<Option<StoredFact>, OperateError> {
        self.trusted_now().await?;
        let (store, vault) = (self.store.as_ref(), &self.vault);
        let done = change_lane(store, self.metrics.as_ref(), vault, &self.clock, change).await?;
        // This worker shows it at once; it would decide by it in any case.
        self.refresh_facts().await?;
        Ok(done)
    }

    /// The tasks that are out at a processor, or at all of them, the first of them, and whether there may be more.
    pub async fn out_now(&self, lane: Option<&ProcessorId>) -> Result<(Vec<OutTask>, bool), EngineError> {
        out_now(self.store.as_ref(), lane).await
    }

    /// The fact of a stop.
    pub async fn fact_of(&self, stopped: &Stopped) -> Result<Option<StoredFact>, EngineError> {
        let mut tx = self.store.begin("stop").await?;
        let stored = tx.fact_at(stopped.version).await?;
        tx.commit().await?;
        Ok(stored)
    }
}
