//! The queues of lanes: what is claimed, what goes back, and which worker runs which lane.
//!
//! A task of a lane that has limits, or that was stopped, is born ready and put into its lane's queue. Whoever runs the lane claims
//! it: under the gate, with everything looked at again that may keep it back, the attempt counted then. What was claimed is
//! dispatched, so that nothing stands for it but what stands for any task that is out; where the worker dies, its answer is
//! missing, and the agenda puts it back.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use tokio::sync::futures::Notified;
use uuid::Uuid;

use super::{
    EngineError,
    batch::Batch,
    circuits::OpenCircuit,
    decision_inputs::DecisionInputs,
    effects::{Effect, Effects, SentTask, TaskDispatch},
    unit_of_work::{Decision, Load, UnitOfWork, run},
    use_cases::Queues,
};
use crate::{
    domain::{
        ids::{ProcessorId, RequestId, Tenant},
        request::{Claims, queue::NotSent},
    },
    engine::Engine,
    store::{LaneRow, Lock, QueueHead, QueuedTask, Transaction, Wanted},
};

/// What was claimed.
#[derive(Debug, Default)]
pub struct Claimed {
    /// How many tasks were found in the queues. It may be more than were claimed: some are kept back by something else now.
    pub found: usize,
    /// What has to be sent.
    pub tasks: Vec<TaskDispatch>,
    /// What has to be produced besides.
    pub effects: Effects,
}

impl Queues<'_> {
    /// Resolves once a transaction of this worker has put tasks into queues.
    pub fn filled(&self) -> Notified<'_> {
        self.shared.queued.notified()
    }

    /// The tenants that have tasks in the queues of these lanes, each with when its first one is due.
    pub async fn heads(self, lanes: &[(ProcessorId, Option<Tenant>)]) -> Result<Vec<QueueHead>, EngineError> {
        Ok(self.shared.store.queue_heads(lanes).await?)
    }

    /// Claims tasks: their attempts are counted, and they are dispatched for as long as a worker's lease lasts.
    pub async fn claim(self, wanted: &[Wanted]) -> Result<Claimed, EngineError> {
        let engine = self.shared;
        // When to look. The gate decides about what is found.
        let found = engine.store.claimable(wanted, engine.clock.now()).await?;
        if found.is_empty() {
            return Ok(Claimed::default());
        }
        let done = run(
            engine,
            &ClaimTasks {
                found: &found,
                claims: Arc::new(found.iter().map(|task| (task.request_id, task.ordinal)).collect()),
                engine,
            },
        )
        .await?;
        let mut effects = done.finished.emit(engine, true).await?;
        let (tasks, others) = std::mem::take(&mut effects.effects)
            .into_iter()
            .partition(|effect| matches!(effect, Effect::Task(_)));
        effects.effects = others;
        Ok(Claimed {
            found: found.len(),
            tasks: tasks_of(tasks),
            effects,
        })
    }

    /// Puts back what was claimed and certainly not sent.
    pub async fn give_back(self, not_sent: &[SentTask]) -> Result<Effects, EngineError> {
        let mut by_request: BTreeMap<RequestId, Vec<SentTask>> = BTreeMap::new();
        for one in not_sent {
            by_request.entry(one.request).or_default().push(*one);
        }
        let unit = GiveBack {
            engine: self.shared,
            not_sent: &by_request,
        };
        let done = run(self.shared, &unit).await?;
        done.finished.emit(self.shared, true).await
    }

    /// Every lane that a worker has ever run. What is said of their circuits is known from now on.
    pub async fn lanes(self) -> Result<Vec<LaneRow>, EngineError> {
        let rows = self.shared.store.lanes().await?;
        self.shared.hear_circuits(&rows);
        Ok(rows)
    }

    /// Runs these lanes for the next half of a lease, as far as no other worker does. The answer is those that are run now.
    pub async fn take_lanes(self, owner: Uuid, lanes: &[ProcessorId]) -> Result<Vec<LaneRow>, EngineError> {
        // The database's clock: the workers' own may differ.
        let now = self.shared.store.now().await?;
        let until = now.plus(self.shared.lease / 2);
        Ok(self.shared.store.take_lanes(owner, lanes, now, until).await?)
    }

    /// Lets go of every lane that a worker runs.
    pub async fn leave_lanes(self, owner: Uuid) -> Result<(), EngineError> {
        Ok(self.shared.store.leave_lanes(owner).await?)
    }

    /// Writes down how the circuit of a lane stands. `false`: another worker runs the lane.
    pub async fn set_circuit(
        self,
        owner: Uuid,
        lane: &ProcessorId,
        circuit: Option<&OpenCircuit>,
    ) -> Result<bool, EngineError> {
        let text = circuit.map(serde_json::to_string).transpose()?;
        let is_ours = self
            .shared
            .store
            .set_circuit(owner, lane, text.as_deref())
            .await?;
        if is_ours {
            self.shared.hear_circuit(lane, circuit);
        }
        Ok(is_ours)
    }

    /// For how long a lane is run without being heard of: it is taken again sooner.
    pub fn lane_lease(&self) -> std::time::Duration {
        self.shared.lease / 2
    }

    /// For how long a worker has to send what it has claimed.
    pub fn lease(&self) -> std::time::Duration {
        self.shared.lease
    }
}

fn tasks_of(effects: Vec<Effect>) -> Vec<TaskDispatch> {
    let task = |effect| match effect {
        Effect::Task(task) => Some(task),
        _ => None,
    };
    effects.into_iter().filter_map(task).collect()
}

/// Claims tasks of queues.
struct ClaimTasks<'e> {
    engine: &'e Engine,
    found: &'e [QueuedTask],
    claims: Arc<Claims>,
}

#[async_trait]
impl UnitOfWork<'static> for ClaimTasks<'_> {
    type Loaded = ();
    type Output = ();
    type Error = EngineError;

    const SETS_ASIDE: Option<&'static str> = Some("claim");

    fn name(&self) -> &'static str {
        "claim"
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        inputs: &mut DecisionInputs,
        _: Lock,
    ) -> Result<Load<(), ()>, EngineError> {
        inputs.claims = Arc::clone(&self.claims);
        let mut ids: Vec<RequestId> = self.found.iter().map(|task| task.request_id).collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(Load::Ready(tx.load(&ids, Lock::Rows).await?, ()))
    }

    fn decide(
        &self,
        (): &mut (),
        inputs: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<Decision<()>, EngineError> {
        batch.review(&self.engine.context(inputs));
        Ok(Decision::Write(()))
    }
}

/// Puts back what was claimed and certainly not sent.
struct GiveBack<'e> {
    engine: &'e Engine,
    not_sent: &'e BTreeMap<RequestId, Vec<SentTask>>,
}

#[async_trait]
impl UnitOfWork<'static> for GiveBack<'_> {
    type Loaded = ();
    type Output = ();
    type Error = EngineError;

    const SETS_ASIDE: Option<&'static str> = Some("give_back");

    fn name(&self) -> &'static str {
        "give_back"
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        _: &mut DecisionInputs,
        _: Lock,
    ) -> Result<Load<(), ()>, EngineError> {
        let ids: Vec<RequestId> = self.not_sent.keys().copied().collect();
        Ok(Load::Ready(tx.load(&ids, Lock::Rows).await?, ()))
    }

    fn decide(
        &self,
        (): &mut (),
        inputs: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<Decision<()>, EngineError> {
        let context = self.engine.context(inputs);
        for (id, tasks) in self.not_sent {
            let Some(touched) = batch.get_mut(*id) else {
                continue;
            };
            let not_sent: Vec<NotSent> = tasks
                .iter()
                .filter_map(|one| {
                    Some(NotSent {
                        ordinal: touched.request.find_task(one.task)?,
                        generation: one.generation,
                        attempt: one.attempt,
                    })
                })
                .collect();
            if let Err(error) = touched.attempt(|request| request.give_back(&not_sent, &context)) {
                // It goes unanswered, and what goes unanswered is asked again.
                tracing::error!(request = %id, %error, "a task cannot be given back");
            }
        }
        Ok(Decision::Write(()))
    }
}
