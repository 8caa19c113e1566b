//! What people are shown of holds, sweeps and deferred tasks: the same over HTTP and from the command line.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::replay_throttle::WaitsFor;
use crate::{
    domain::{
        fact::{FactKind, FactVersion},
        hold::Hold,
        ids::{HoldId, Label, ProcessorId, RequestId, TaskId, Tenant},
        request::{Context, Request},
        task::Share,
        time::At,
        words::{Action, HoldBasis, Why},
    },
    store::{DeferredRow, Store, StoreError, Sweep},
};

/// A hold, without whom it is on.
#[derive(Debug, Serialize)]
pub struct HoldView<'a> {
    /// By which it is released.
    pub hold_id: HoldId,
    /// The tenant.
    pub tenant: &'a Tenant,
    /// The legal ground.
    pub basis: HoldBasis,
    /// When it was placed.
    pub placed_at: At,
    /// By whom.
    pub placed_by: &'a str,
    /// Whether it names a subject; who that is lies nowhere in the clear.
    pub by_subject: bool,
    /// The request, where it names one.
    pub request_id: Option<RequestId>,
    /// The processor, where it names one.
    pub processor: Option<&'a ProcessorId>,
    /// The categories of data, where it names some.
    pub categories: &'a [Label],
}

impl<'a> HoldView<'a> {
    /// Of a hold.
    pub fn of(hold: &'a Hold) -> Self {
        Self {
            hold_id: hold.hold_id,
            tenant: &hold.tenant,
            basis: hold.basis,
            placed_at: hold.placed_at,
            placed_by: &hold.actor,
            by_subject: !hold.subject.is_empty(),
            request_id: hold.request_id,
            processor: hold.processor.as_ref(),
            categories: &hold.categories,
        }
    }
}

/// A sweep.
#[derive(Debug, Serialize)]
pub struct SweepView {
    /// The version of its fact.
    pub version: FactVersion,
    /// What kind of fact it is.
    pub fact: FactKind,
    /// When it was begun.
    pub started_at: At,
    /// When its last batch was committed.
    pub updated_at: At,
    /// When it was finished; `None`: it goes on.
    pub finished_at: Option<At>,
    /// How many requests it has looked at.
    pub done: u64,
    /// How many there were to look at, about; `None`: not counted yet.
    pub total: Option<u64>,
    /// What it waits for before it goes on.
    pub waits_for: Option<WaitsFor>,
}

impl SweepView {
    /// Of sweeps, with what some of them wait for.
    pub fn all(sweeps: Vec<Sweep>, mut waiting: BTreeMap<FactVersion, WaitsFor>) -> Vec<Self> {
        let view = |sweep: Sweep| Self {
            version: sweep.version,
            fact: sweep.kind,
            started_at: sweep.started_at,
            updated_at: sweep.updated_at,
            finished_at: sweep.finished_at,
            done: sweep.done,
            total: sweep.total,
            waits_for: waiting.remove(&sweep.version),
        };
        sweeps.into_iter().map(view).collect()
    }
}

/// A share of a source whose copies a backup task is about: what tells the waves of one set apart.
#[derive(Debug, Serialize)]
pub struct SourceView<'a> {
    /// The source.
    pub processor: &'a ProcessorId,
    /// The categories of its share; none: all of it.
    pub part: &'a [Label],
}

/// The shares whose copies a task is about; none where it is no wave of a backup set.
pub fn sources(request: &Request, ordinal: u16) -> Vec<SourceView<'_>> {
    let Share::Wave { sources, .. } = &request.task(ordinal).share else {
        return Vec::new();
    };
    let tasks = sources.iter().map(|place| request.task(*place));
    tasks
        .map(|task| SourceView {
            processor: &task.processor,
            part: &task.categories,
        })
        .collect()
}

/// A deferred task.
#[derive(Debug, Serialize)]
pub struct DeferredView<'a> {
    /// The request.
    pub request_id: RequestId,
    /// The task.
    pub task_id: TaskId,
    /// The tenant.
    pub tenant: &'a Tenant,
    /// The processor.
    pub processor: &'a ProcessorId,
    /// The categories of its share; none: all of it.
    pub part: &'a [Label],
    /// For copies: of what.
    pub sources: Vec<SourceView<'a>>,
    /// What it will be asked.
    pub action: Action,
    /// Why it is deferred.
    pub reason: Why,
    /// Until when, as far as it is known.
    pub until: Option<At>,
    /// Whether it should be over by now and is not.
    pub overdue: bool,
    /// For copies: from when on their horizon is reckoned, when the last of their sources confirmed.
    pub since: Option<At>,
}

impl<'a> DeferredView<'a> {
    /// Of a row; `None`: its request or its task is there no more.
    pub fn of(
        row: &'a DeferredRow,
        requests: &'a HashMap<RequestId, Request>,
        context: &Context<'_>,
    ) -> Option<Self> {
        let request = requests.get(&row.request_id)?;
        let task = request.tasks.get(usize::from(row.ordinal))?;
        Some(Self {
            request_id: row.request_id,
            task_id: request.task_id(row.ordinal),
            tenant: &request.head.tenant,
            processor: &row.processor,
            part: &task.categories,
            sources: sources(request, row.ordinal),
            action: task.asks(),
            reason: row.reason,
            until: row.until,
            overdue: request.has_slipped(row.ordinal, context),
            since: request.copies_since(row.ordinal),
        })
    }
}

/// The requests of deferred tasks.
pub async fn requests_of(
    store: &dyn Store,
    rows: &[DeferredRow],
) -> Result<HashMap<RequestId, Request>, StoreError> {
    /// So many are read at a time.
    const CHUNK: usize = 500;
    let mut ids: Vec<RequestId> = rows.iter().map(|row| row.request_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut requests = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let stored = store.requests(chunk).await?;
        requests.extend(
            stored
                .into_iter()
                .map(|stored| (stored.request.id, stored.request)),
        );
    }
    Ok(requests)
}
