//! Intake: a batch of commands becomes requests, recorded duplicates and dead letters, in one transaction.

mod counting;
mod decider;
mod decisions;
mod duplicates;
mod early;
mod opening;
mod room;
mod twin;

pub(super) use counting::ACCEPTED;
use decisions::{decided_about, purged_before, returned};
pub(super) use decisions::{decision_note, reason_of};

use std::collections::HashMap;

use async_trait::async_trait;

use decider::Decider;
use duplicates::EarlierRequests;
use early::Early;
use room::Room;

use super::{
    Engine, EngineError,
    agenda::{followed, leaders_of},
    batch::Batch,
    counter_slot::CounterSlot,
    decision_inputs::DecisionInputs,
    effects::Effects,
    facts::{FactCommand, FactOutcome},
    prepare::{Arrival, PreparedCommand},
    unit_of_work::{Decision, Load, UnitOfWork, run},
    use_cases::Intake,
};
use crate::{
    domain::{
        command::Command,
        ids::{CommandId, RequestId, Tenant},
        request::merged::Leader,
        words::DeadLetterReason,
    },
    store::{Gate, Lock, StoredBody, Transaction},
    wire::Rejection,
};

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was carried out.
    Taken(RequestId),
    /// It had been taken before: nothing changed.
    Duplicate(RequestId),
    /// It waits for its request.
    Waiting(RequestId),
    /// It could not be taken.
    Rejected(Rejection),
}

/// What a batch of commands came to.
#[derive(Debug)]
pub struct TakenIn {
    /// What became of each.
    pub verdicts: Vec<Verdict>,
    /// What has to be produced.
    pub emission: Effects,
}

impl Intake<'_> {
    /// Takes a batch of commands in. Some have a transaction of their own, in their place among the others.
    pub async fn take_in(self, arrivals: &[Arrival<PreparedCommand>]) -> Result<TakenIn, EngineError> {
        self.shared.note("intake", self.take_in_all(arrivals).await)
    }

    async fn take_in_all(&self, arrivals: &[Arrival<PreparedCommand>]) -> Result<TakenIn, EngineError> {
        let mut taken = TakenIn {
            verdicts: Vec::with_capacity(arrivals.len()),
            emission: Effects::default(),
        };
        for run in arrivals.chunk_by(|a, b| !stands_alone(a) && !stands_alone(b)) {
            let TakenIn { verdicts, emission } = match run {
                [arrival] => match fact_command_of(arrival) {
                    Some((news, digest)) => self.take_in_fact(arrival, news, digest).await?,
                    None => self.take_in_run(run).await?,
                },
                run => self.take_in_run(run).await?,
            };
            taken.verdicts.extend(verdicts);
            taken.emission.append(emission);
        }
        Ok(taken)
    }

    async fn take_in_fact(
        &self,
        arrival: &Arrival<PreparedCommand>,
        news: FactCommand<'_>,
        digest: [u8; 16],
    ) -> Result<TakenIn, EngineError> {
        let (told, emission) = self.shared.record_command(arrival, news, digest).await?;
        let verdicts = vec![verdict_of(told, arrival)];
        self.count_commands(std::slice::from_ref(arrival), &verdicts);
        Ok(TakenIn { verdicts, emission })
    }

    async fn take_in_run(&self, arrivals: &[Arrival<PreparedCommand>]) -> Result<TakenIn, EngineError> {
        let mut unit = TakeIn {
            engine: self.shared,
            arrivals,
            gate: early::gate_of(arrivals),
        };
        let (Decided { verdicts, refused }, finished) = loop {
            let done = run(self.shared, &unit).await?;
            match done.answer {
                Some(decided) => break (decided, done.finished),
                // What waits for its request must not miss an opening that is under way.
                None => unit.gate = Gate::Waiting,
            }
        };
        self.count_commands(arrivals, &verdicts);
        for reason in refused {
            self.shared.metrics.dead_letter(reason);
        }
        let emission = finished.emit(self.shared, unit.is_outboxed()).await?;
        Ok(TakenIn { verdicts, emission })
    }
}

/// Takes commands in. It answers nothing where a command would have to wait for its request, and an opening may be under way
/// at the same time.
struct TakeIn<'a> {
    engine: &'a Engine,
    arrivals: &'a [Arrival<PreparedCommand>],
    gate: Gate,
}

/// What was decided about a batch.
struct Decided {
    /// What became of each command.
    verdicts: Vec<Verdict>,
    /// Why commands were dead-lettered that had waited for one of its requests.
    refused: Vec<DeadLetterReason>,
}

/// What a batch of commands is decided by, besides the requests that it names.
#[derive(Default)]
struct Loaded {
    /// What was taken in before, in this batch too: with the digest of its payload, and its request.
    known: foldhash::HashMap<(Tenant, CommandId), ([u8; 16], RequestId)>,
    /// How many more requests may go ahead without an approval.
    room: Room,
    /// The bodies of the requests that somebody decides about.
    bodies: HashMap<RequestId, StoredBody>,
    /// The requests of those who are back, by the command that says so.
    returned: HashMap<CommandId, Vec<RequestId>>,
    /// The requests of the same persons.
    earlier_requests: EarlierRequests,
    /// How those stand that requests of this batch were merged into.
    leaders: HashMap<RequestId, Leader>,
    /// Commands that came before their request.
    early: Early,
    /// How many leaves the ledger has of requests that were purged and are opened once more.
    leaves: HashMap<RequestId, u32>,
}

#[async_trait]
impl<'a> UnitOfWork<'a> for TakeIn<'a> {
    type Loaded = Loaded;
    type Output = Option<Decided>;
    type Error = EngineError;

    const SLOT: CounterSlot = CounterSlot::Intake;

    fn name(&self) -> &'static str {
        "intake"
    }

    fn gate(&self) -> Gate {
        self.gate
    }

    /// What a replay would not name again is remembered too: whose requests they are is not in the message.
    fn is_outboxed(&self) -> bool {
        let arrivals = self.arrivals.iter();
        arrivals
            .into_iter()
            .any(|arrival| arrival.origin.is_none() || brings_somebody_back(arrival))
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        inputs: &mut DecisionInputs,
        lock: Lock,
    ) -> Result<Load<Loaded, Option<Decided>>, EngineError> {
        let (engine, arrivals) = (self.engine, self.arrivals);
        tx.advance(&engine.advances_of(arrivals)).await?;
        let early = Early::read(engine, arrivals, self.gate, tx).await?;
        let opening = prepared(arrivals).filter(|p| matches!(p.command, Command::Open(_)));
        // Before any request is locked: whoever waits here holds none up.
        let room = Room::read(
            engine,
            &opening.map(|p| p.command.tenant()).collect(),
            tx,
            inputs.now,
        )
        .await?;
        let returned = returned(arrivals, tx).await?;
        let mut ids: Vec<RequestId> = prepared(arrivals)
            .filter_map(|p| p.command.request_id())
            .collect();
        ids.extend(returned.values().flatten());
        let mut earlier_requests = EarlierRequests::find(arrivals, tx).await?;
        ids.extend(earlier_requests.ids());
        ids.sort_unstable();
        ids.dedup();
        // In this order: whoever takes in the same command at once commits both rows together, so where the request is
        // seen its inbox row is seen as well. The other way round a repeat could pass for a conflict.
        let rows = tx.load(&ids, lock).await?;
        let known = tx.inbox(&inbox_keys(arrivals)).await?;
        earlier_requests.read_bodies(tx).await?;
        let followed = followed(rows.iter().map(|row| &row.request));
        let loaded = Loaded {
            known: known
                .into_iter()
                .map(|row| ((row.tenant, row.command_id), (row.digest, row.request_id)))
                .collect(),
            room,
            leaders: leaders_of(&followed, tx, inputs.now).await?,
            bodies: decided_about(arrivals, tx).await?,
            leaves: purged_before(arrivals, &rows, tx, lock).await?,
            returned,
            earlier_requests,
            early,
        };
        Ok(Load::Ready(rows, loaded))
    }

    fn decide(
        &self,
        loaded: &mut Loaded,
        inputs: &DecisionInputs,
        batch: &mut Batch<'a>,
    ) -> Result<Decision<Option<Decided>>, EngineError> {
        let mut decider = Decider {
            engine: self.engine,
            inputs,
            loaded: std::mem::take(loaded),
            withhold: false,
            batch,
        };
        let verdicts = self
            .arrivals
            .iter()
            .map(|arrival| decider.decide(arrival))
            .collect::<Result<Vec<_>, EngineError>>()?;
        let early = decider.loaded.early;
        if early.undecided {
            return Ok(Decision::Nothing(None));
        }
        Ok(Decision::Write(Some(Decided {
            verdicts,
            refused: early.refused,
        })))
    }
}

/// The commands of a batch that can be read.
fn prepared(arrivals: &[Arrival<PreparedCommand>]) -> impl Iterator<Item = &PreparedCommand> {
    arrivals
        .iter()
        .filter_map(|arrival| arrival.content.as_ref().ok())
}

/// Under which keys the inbox may have them.
fn inbox_keys(arrivals: &[Arrival<PreparedCommand>]) -> Vec<(&Tenant, CommandId)> {
    prepared(arrivals)
        .flat_map(|p| {
            let ids = [Some(p.command.command_id()), p.former_id];
            ids.into_iter().flatten().map(|id| (p.command.tenant(), id))
        })
        .collect()
}

/// Whether it has a transaction of its own: it brings a fact, or looks for requests that earlier commands may just have
/// opened.
fn stands_alone(arrival: &Arrival<PreparedCommand>) -> bool {
    fact_command_of(arrival).is_some() || brings_somebody_back(arrival)
}

fn brings_somebody_back(arrival: &Arrival<PreparedCommand>) -> bool {
    arrival
        .content
        .as_ref()
        .is_ok_and(|prepared| matches!(prepared.command, Command::Reactivated(_)))
}

/// The news that it brings, with the digest of its payload. What cannot be read brings none.
fn fact_command_of(arrival: &Arrival<PreparedCommand>) -> Option<(FactCommand<'_>, [u8; 16])> {
    let prepared = arrival.content.as_ref().ok()?;
    Some((FactCommand::of(prepared)?, prepared.digest))
}

fn verdict_of(told: FactOutcome, arrival: &Arrival<PreparedCommand>) -> Verdict {
    // A fact names no request, or many: its command stands for it.
    let id = arrival
        .content
        .as_ref()
        .map_or(RequestId(uuid::Uuid::nil()), |prepared| {
            RequestId(prepared.command.command_id().0)
        });
    match told {
        FactOutcome::Taken { .. } => Verdict::Taken(id),
        FactOutcome::Duplicate => Verdict::Duplicate(id),
        FactOutcome::Rejected(rejection) => Verdict::Rejected(rejection),
    }
}

fn conflict(detail: &str) -> Rejection {
    Rejection::new(DeadLetterReason::ConflictingDuplicate, detail.to_owned())
}

fn internal(detail: &str) -> Rejection {
    Rejection::new(DeadLetterReason::Internal, detail.to_owned())
}
