//! Sweeps: every request that a fact concerns looks at it, in batches, each in a transaction with the sweep's own place.
//!
//! A fact holds without its sweep; the sweep only makes sure that nobody overlooks it for long. Whatever stops it, the
//! next worker goes on from the last batch that was committed.

use async_trait::async_trait;

use super::{
    Engine, EngineError,
    batch::{Batch, Finished},
    decision_inputs::DecisionInputs,
    effects::Effects,
    succession::{self, Bodies},
    unit_of_work::{Decision, Load, UnitOfWork, run},
    use_cases::Sweeps,
};
use crate::{
    domain::{
        backup::{BackupChange, earlier, week_of},
        fact::{Fact, FactKind, FactVersion},
        ids::{ProcessorId, RequestId},
        registry::Lane,
        time::At,
        words::Why,
    },
    store::{Concerned, Lock, Sweep, Transaction},
};

/// How many requests one transaction looks at.
const BATCH: u32 = 500;

/// A replay's batch that sends nothing gives nobody work, so the next one need not wait: so many are taken at once.
const UNSENT: u32 = 100;

/// What a turn of the sweeps came to.
#[derive(Debug, Default)]
pub struct Swept {
    /// Whether there was something to sweep.
    pub busy: bool,
    /// What has to be produced.
    pub emission: Effects,
}

/// Where the requests come from that a fact concerns.
enum Stage {
    /// These.
    These(Vec<RequestId>),
    /// Those of a list.
    List(Concerned),
}

/// A batch of requests, and where the sweep stands after it.
struct Step {
    ids: Vec<RequestId>,
    after: Sweep,
}

/// Takes the oldest sweep a batch further that is none of these, and answers how it stands then; `None`: there is none.
struct SweepBatch<'e> {
    engine: &'e Engine,
    passed_over: &'e [FactVersion],
}

#[async_trait]
impl UnitOfWork<'static> for SweepBatch<'_> {
    type Loaded = (Sweep, Bodies);
    type Output = Option<Sweep>;
    type Error = EngineError;

    const SETS_ASIDE: Option<&'static str> = Some("sweep");

    fn name(&self) -> &'static str {
        "sweep"
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        inputs: &mut DecisionInputs,
        _: Lock,
    ) -> Result<Load<(Sweep, Bodies), Option<Sweep>>, EngineError> {
        let Some(sweep) = tx.next_sweep(self.passed_over).await? else {
            return Ok(Load::Nothing(None));
        };
        inputs.let_replay(sweep.version);
        let fact = tx.fact_at(sweep.version).await?.map(|stored| stored.fact);
        let Step { ids, after } = self.step(sweep, fact.as_ref(), inputs, tx).await?;
        let rows = tx.load(&ids, Lock::Rows).await?;
        let bodies = succession::bodies(fact.as_ref(), &rows, inputs, tx).await?;
        Ok(Load::Ready(rows, (after, bodies)))
    }

    fn decide(
        &self,
        (sweep, bodies): &mut (Sweep, Bodies),
        inputs: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<Decision<Option<Sweep>>, EngineError> {
        self.engine.hand_over(bodies, inputs, batch);
        batch.review(&self.engine.context(inputs));
        Ok(Decision::Write(Some(sweep.clone())))
    }

    async fn conclude(
        &self,
        sweep: &mut Option<Sweep>,
        _: &mut Finished<'static>,
        _: &DecisionInputs,
        tx: &mut dyn Transaction,
    ) -> Result<(), EngineError> {
        if let Some(sweep) = sweep {
            tx.move_sweep(sweep).await?;
        }
        Ok(())
    }
}

impl Sweeps<'_> {
    /// Takes the oldest sweep a batch further that nobody else has and that need not wait.
    pub async fn sweep(self) -> Result<Swept, EngineError> {
        let Some(waiting) = self.shared.keep_pace().await? else {
            return Ok(Swept::default());
        };
        let passed_over: &[FactVersion] = &waiting.into_keys().collect::<Vec<_>>();
        let mut swept = Swept::default();
        for _ in 0..UNSENT {
            let unit = SweepBatch {
                engine: self.shared,
                passed_over,
            };
            let done = run(self.shared, &unit).await?;
            let Some(sweep) = done.answer else {
                break;
            };
            let is_free = sweep.kind == FactKind::BackupRestored
                && sweep.finished_at.is_none()
                && !done.finished.sends();
            swept.busy = true;
            swept
                .emission
                .append(done.finished.emit(self.shared, true).await?);
            if !is_free {
                break;
            }
        }
        Ok(swept)
    }
}

impl SweepBatch<'_> {
    /// The next batch: of the stage that the sweep is in, or of the first one after it that has any.
    async fn step(
        &self,
        mut sweep: Sweep,
        fact: Option<&Fact>,
        inputs: &DecisionInputs,
        tx: &mut dyn Transaction,
    ) -> Result<Step, EngineError> {
        let stages = fact.map_or_else(Vec::new, |fact| self.stages(fact, inputs));
        if sweep.total.is_none() {
            sweep.total = Some(count(&stages, tx).await?);
        }
        sweep.updated_at = inputs.now;
        while let Some(stage) = stages.get(usize::from(sweep.stage)) {
            let ids = next_of(stage, &mut sweep, tx).await?;
            if !ids.is_empty() {
                sweep.done += ids.len() as u64;
                return Ok(Step { ids, after: sweep });
            }
            sweep.stage += 1;
            sweep.after = None;
        }
        sweep.finished_at = Some(inputs.now);
        Ok(Step {
            ids: Vec::new(),
            after: sweep,
        })
    }

    fn stages(&self, fact: &Fact, inputs: &DecisionInputs) -> Vec<Stage> {
        let deferred = |reason, processor: &ProcessorId, up_to| {
            Stage::List(Concerned::Deferred {
                reason,
                processor: processor.clone(),
                up_to,
            })
        };
        let asked = |processor: &ProcessorId, up_to| {
            Stage::List(Concerned::Asked {
                processor: processor.clone(),
                up_to,
            })
        };
        let always = At::from_millis(i64::MAX);
        match fact {
            Fact::Hold(hold) if hold.is_wide() => vec![Stage::List(Concerned::Open)],
            Fact::Hold(hold) => {
                let mut ids: Vec<RequestId> = hold.found.iter().copied().chain(hold.request_id).collect();
                ids.sort_unstable();
                ids.dedup();
                vec![Stage::These(ids)]
            }
            Fact::Release { .. } => vec![Stage::List(Concerned::Held)],
            Fact::Backup(event) => match &event.change {
                BackupChange::Taken { .. } => {
                    vec![deferred(Why::BackupRotation, &event.processor, always)]
                }
                BackupChange::Rotated { .. } => {
                    // Not the event's own word: what is proved is what no lock denies.
                    let proved = inputs
                        .facts
                        .copies(&event.processor)
                        .and_then(|copies| copies.gone_before());
                    proved.map_or_else(Vec::new, |up_to| {
                        vec![
                            deferred(Why::BackupRotation, &event.processor, up_to),
                            asked(&event.processor, up_to),
                        ]
                    })
                }
                // The capsules first: they are the requests that a copy of this set can have brought back. Then all, so
                // that one which cannot be done again is never silently complete.
                BackupChange::Restored { taken_at, .. } => vec![
                    Stage::List(Concerned::Open),
                    Stage::List(Concerned::Capsules {
                        from: week_of(earlier(*taken_at, self.engine.clock_skew)),
                    }),
                    Stage::List(Concerned::All),
                ],
            },
            Fact::Registry { changed, open, .. } => {
                // Nobody asks a processor any more that has left: whatever is out there needs somebody to know.
                let has_left = |id: &ProcessorId| inputs.active.registry.get(id).is_none();
                let all = (*open || changed.iter().any(has_left)).then_some(Stage::List(Concerned::Open));
                let of_processor = changed.iter().flat_map(|processor| {
                    [
                        deferred(Why::Retention, processor, always),
                        deferred(Why::BackupRotation, processor, always),
                        asked(processor, always),
                    ]
                });
                of_processor.chain(all).collect()
            }
            Fact::Resumed { processor, .. } => going_on(Some(processor), inputs),
            Fact::Unbraked { .. } => going_on(None, inputs),
            Fact::Forgotten(_) | Fact::Paused { .. } | Fact::Braked { .. } => Vec::new(),
        }
    }
}

/// Who waits in lanes that go on: only in those that nobody runs a queue for. What a restore has brought back there while they
/// were stopped is in no queue.
fn going_on(lane: Option<&ProcessorId>, inputs: &DecisionInputs) -> Vec<Stage> {
    let all = inputs.active.registry.processors.iter();
    let relayed =
        all.filter(|one| one.lane() == Lane::Relayed && lane.is_none_or(|processor| *processor == one.id));
    let relayed: Vec<ProcessorId> = relayed.map(|one| one.id.clone()).collect();
    let is_back = |id: &ProcessorId| {
        let mut restores = inputs.facts.restores_since(0);
        restores.any(|restore| restore.into.contains(id))
    };
    let replays = relayed.iter().any(is_back).then_some(Concerned::Open);
    let queued = (!relayed.is_empty()).then(|| Concerned::Queued(relayed.clone()));
    queued.into_iter().chain(replays).map(Stage::List).collect()
}

async fn next_of(
    stage: &Stage,
    sweep: &mut Sweep,
    tx: &mut dyn Transaction,
) -> Result<Vec<RequestId>, EngineError> {
    let places = match stage {
        Stage::These(ids) => ids
            .iter()
            .map(|id| (0, *id))
            .filter(|place| sweep.after.is_none_or(|after| *place > after))
            .take(BATCH as usize)
            .collect(),
        Stage::List(list) => tx.concerned(list, sweep.after, BATCH).await?,
    };
    if let Some(last) = places.last() {
        sweep.after = Some(*last);
    }
    Ok(places.into_iter().map(|(_, id)| id).collect())
}

async fn count(stages: &[Stage], tx: &mut dyn Transaction) -> Result<u64, EngineError> {
    let mut total = 0;
    for stage in stages {
        total += match stage {
            Stage::These(ids) => ids.len() as u64,
            Stage::List(list) => tx.count_concerned(list).await?,
        };
    }
    Ok(total)
}
